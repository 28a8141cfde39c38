/** Assembles the functions as on Lambda, with simulated services, and loads the commands that erase and hold. */
import type { SQSEvent } from 'aws-lambda';
import type { Account } from './account.ts';
import { largestDocument } from './account.ts';
import { archiverName } from './alarms.ts';
import type { Container } from './container.ts';
import type { SimulationContext } from './context.ts';
import type { WorldState } from './invariant-monitor.ts';
import type { Handler } from './lambda.ts';
import { type Bucket, createS3, createS3OfAll } from './s3-client.ts';
import { createSecrets } from './secrets-client.ts';
import { createSqs } from './sqs-client.ts';
import { createStorage } from './storage.ts';
import { createTelnyxApi, type TelnyxBehaviour, telnyxUrl } from './telnyx-api.ts';

/** The folder `functions/` of this checkout. */
export const functionsFolder = new URL('../../functions/', import.meta.url);

export type Archiver = Awaited<ReturnType<typeof loadArchiver>>;

/**
 * Loads the functions, and the commands beside them, from this checkout or from a copy with a bug.
 *
 * @param folder the folder of the functions; ends in a slash
 */
export async function loadArchiver(folder: URL) {
  const load = (path: string) => import(/* @vite-ignore */ new URL(path, folder).href);
  const [webhook, webhookSettings, archive, archiveSettings, discover, discoverSettings, secret] =
    await Promise.all([
      load('webhook/assemble.ts') as Promise<typeof import('../../functions/webhook/assemble.ts')>,
      load('webhook/settings.ts') as Promise<typeof import('../../functions/webhook/settings.ts')>,
      load('archive/assemble.ts') as Promise<typeof import('../../functions/archive/assemble.ts')>,
      load('archive/settings.ts') as Promise<typeof import('../../functions/archive/settings.ts')>,
      load('discover/assemble.ts') as Promise<typeof import('../../functions/discover/assemble.ts')>,
      load('discover/settings.ts') as Promise<typeof import('../../functions/discover/settings.ts')>,
      load('telnyx/secret.ts') as Promise<typeof import('../../functions/telnyx/secret.ts')>,
    ]);
  const [audit, auditSettings] = await Promise.all([
    load('audit/assemble.ts') as Promise<typeof import('../../functions/audit/assemble.ts')>,
    load('audit/settings.ts') as Promise<typeof import('../../functions/audit/settings.ts')>,
  ]);
  const [examination, erasure, holds, ownership, store, catalogue, versions, retries, errors] =
    await Promise.all([
      load('../cli/erasure/examine.ts') as Promise<typeof import('../../cli/erasure/examine.ts')>,
      load('../cli/erasure/erase-document.ts') as Promise<
        typeof import('../../cli/erasure/erase-document.ts')
      >,
      load('../cli/erasure/hold-document.ts') as Promise<typeof import('../../cli/erasure/hold-document.ts')>,
      load('bucket/owned-by.ts') as Promise<typeof import('../../functions/bucket/owned-by.ts')>,
      load('bucket/store.ts') as Promise<typeof import('../../functions/bucket/store.ts')>,
      load('bucket/catalogue.ts') as Promise<typeof import('../../functions/bucket/catalogue.ts')>,
      load('bucket/versions.ts') as Promise<typeof import('../../functions/bucket/versions.ts')>,
      load('bucket/storage-retry.ts') as Promise<typeof import('../../functions/bucket/storage-retry.ts')>,
      load('errors.ts') as Promise<typeof import('../../functions/errors.ts')>,
    ]);
  return {
    ...examination,
    ...erasure,
    ...holds,
    ...ownership,
    ...store,
    ...catalogue,
    ...versions,
    ...retries,
    ...errors,
    ...webhook,
    ...webhookSettings,
    ...archive,
    ...archiveSettings,
    ...audit,
    ...auditSettings,
    ...discover,
    ...discoverSettings,
    ...secret,
  };
}

/** Everything that the simulated functions use. */
export interface SimulatedDeployment {
  archiver: Archiver;
  account: Account;
  behaviour: TelnyxBehaviour;
  bucket: Bucket;
  world: WorldState;
  context: SimulationContext;
}

const secretArn = 'secret-arn';

/** @param publicKeys comma-separated, as in the function's environment */
export function startWebhook(container: Container, deployment: SimulatedDeployment, publicKeys: string) {
  const { archiver } = deployment;
  const settings = archiver.readWebhookSettings({
    ...environmentVariables(deployment),
    TELNYX_PUBLIC_KEYS: publicKeys,
  });
  return archiver.assembleWebhook(settings, neighboursOf(container, deployment));
}

export function startArchive(container: Container, deployment: SimulatedDeployment): Handler<SQSEvent> {
  const { archiver, account, context } = deployment;
  const settings = archiver.readArchiveSettings(environmentVariables(deployment));
  return archiver.assembleArchive(settings, {
    ...neighboursOf(container, deployment),
    storageGet: createStorage(container, account, context),
  });
}

export function startDiscover(container: Container, deployment: SimulatedDeployment): Handler<SQSEvent> {
  const { archiver } = deployment;
  const settings = archiver.readDiscoverSettings(environmentVariables(deployment));
  return archiver.assembleDiscover(settings, neighboursOf(container, deployment));
}

/** @param variables more environment variables */
export function startAudit(
  container: Container,
  deployment: SimulatedDeployment & { catalogue: Bucket },
  variables: Record<string, string>,
): Handler<SQSEvent> {
  const { archiver, bucket, catalogue, context } = deployment;
  const settings = archiver.readAuditSettings({
    ...environmentVariables(deployment),
    CATALOGUE_BUCKET_NAME: catalogue.name,
    ...variables,
  });
  return archiver.assembleAudit(settings, {
    ...neighboursOf(container, deployment),
    s3: createS3OfAll(container, [bucket, catalogue], context, 'auditor'),
  });
}

/** The environment variables of all functions together; each reads its own. */
function environmentVariables({ bucket, world }: SimulatedDeployment) {
  const { queues, deadLetters } = world;
  return {
    ARCHIVER_NAME: archiverName,
    ARCHIVER_VERSION: 'simulated',
    TELNYX_API_URL: telnyxUrl.href,
    TELNYX_API_KEY_SECRET_ARN: secretArn,
    BUCKET_NAME: bucket.name,
    BUCKET_OWNER: bucket.owner,
    MAX_DOCUMENT_BYTES: String(largestDocument),
    DOCUMENTS_QUEUE_URL: queues.documents.url,
    DOCUMENTS_DEAD_LETTER_QUEUE_URL: deadLetters.documents.url,
    BACKFILL_QUEUE_URL: queues.backfill.url,
    BACKFILL_DEAD_LETTER_QUEUE_URL: deadLetters.backfill.url,
    DISCOVERY_QUEUE_URL: queues.discovery.url,
    DISCOVERY_DEAD_LETTER_QUEUE_URL: deadLetters.discovery.url,
    SPANS_QUEUE_URL: queues.spans.url,
    SPANS_DEAD_LETTER_QUEUE_URL: deadLetters.spans.url,
    AUDIT_QUEUE_URL: queues.audit.url,
    AUDIT_DEAD_LETTER_QUEUE_URL: deadLetters.audit.url,
  };
}

function neighboursOf(container: Container, deployment: SimulatedDeployment) {
  const { archiver, account, behaviour, bucket, world, context } = deployment;
  const { queues, deadLetters } = world;
  return {
    readSecret: archiver.readSecretOf(createSecrets(container, account, context), secretArn),
    telnyxGet: createTelnyxApi(container, account, behaviour, context),
    s3: createS3(container, bucket, context),
    sqs: createSqs(container, [...Object.values(queues), ...Object.values(deadLetters)], context),
    writeLog: (line: string) => container.write(line),
    time: container.time,
    random: context.random.next,
  };
}
