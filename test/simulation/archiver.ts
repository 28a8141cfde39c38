/** The code under test, assembled as on Lambda, with simulated neighbours. */
import type { SQSEvent } from 'aws-lambda';
import type { Account } from './account.ts';
import { largestDocument } from './account.ts';
import { archiverName } from './alarms.ts';
import type { Container } from './container.ts';
import type { Handler } from './lambda.ts';
import { type Bucket, createS3 } from './s3-client.ts';
import { createSecrets } from './secrets-client.ts';
import { createSqs } from './sqs-client.ts';
import { createStorage } from './storage.ts';
import type { Surroundings } from './surroundings.ts';
import { createTelnyxApi, type Habits, telnyxUrl } from './telnyx-api.ts';
import type { Scene } from './watch.ts';

/** The folder `functions/` of this checkout. */
export const functionsFolder = new URL('../../functions/', import.meta.url);

export type Archiver = Awaited<ReturnType<typeof loadArchiver>>;

/**
 * Loads the functions from a folder: this checkout's, or a copy with a bug in it.
 *
 * @param folder ends in a slash
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
  return {
    ...webhook,
    ...webhookSettings,
    ...archive,
    ...archiveSettings,
    ...discover,
    ...discoverSettings,
    ...secret,
  };
}

/** What the functions find around them. */
export interface Neighbourhood {
  archiver: Archiver;
  account: Account;
  habits: Habits;
  bucket: Bucket;
  scene: Scene;
  surroundings: Surroundings;
}

const secretArn = 'the secret';

/** @param publicKeys comma-separated, as in the function's environment */
export function startWebhook(container: Container, neighbourhood: Neighbourhood, publicKeys: string) {
  const { archiver } = neighbourhood;
  const settings = archiver.readWebhookSettings({
    ...environmentOf(neighbourhood),
    TELNYX_PUBLIC_KEYS: publicKeys,
  });
  return archiver.assembleWebhook(settings, neighboursOf(container, neighbourhood));
}

export function startArchive(container: Container, neighbourhood: Neighbourhood): Handler<SQSEvent> {
  const { archiver, account, surroundings } = neighbourhood;
  const settings = archiver.readArchiveSettings(environmentOf(neighbourhood));
  return archiver.assembleArchive(settings, {
    ...neighboursOf(container, neighbourhood),
    storageGet: createStorage(container, account, surroundings),
  });
}

export function startDiscover(container: Container, neighbourhood: Neighbourhood): Handler<SQSEvent> {
  const { archiver } = neighbourhood;
  const settings = archiver.readDiscoverSettings(environmentOf(neighbourhood));
  return archiver.assembleDiscover(settings, neighboursOf(container, neighbourhood));
}

/** The environment of all functions together, as `infra/` sets it: each reads its own part. */
function environmentOf({ bucket, scene }: Neighbourhood) {
  const { queues, deadLetters } = scene;
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
  };
}

function neighboursOf(container: Container, neighbourhood: Neighbourhood) {
  const { archiver, account, habits, bucket, scene, surroundings } = neighbourhood;
  const { queues, deadLetters } = scene;
  return {
    readSecret: archiver.readSecretOf(createSecrets(container, account, surroundings), secretArn),
    telnyxGet: createTelnyxApi(container, account, habits, surroundings),
    s3: createS3(container, bucket, surroundings),
    sqs: createSqs(container, [...Object.values(queues), ...Object.values(deadLetters)], surroundings),
    writeLog: (line: string) => container.write(line),
    time: container.time,
    random: surroundings.random.next,
  };
}
