/** An archive on this machine: a folder, and the local stack if `npm start` is running on it. */
import { stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { createBucket } from '../../functions/bucket/store.ts';
import { hasSystemCode } from '../../functions/errors.ts';
import type { MetricName } from '../../functions/metrics.ts';
import { createSqsClient } from '../../functions/queue/sqs-client.ts';
import type { Time } from '../../functions/time.ts';
import { openCatalogueFolder } from '../../local/catalogue-folder.ts';
import type { MetricsByMinute } from '../../local/lambda/metrics-port.ts';
import { programs } from '../../local/programs.ts';
import {
  createCredentials,
  externalBucket,
  folderBucket,
  localBucket,
} from '../../local/s3/archive-bucket.ts';
import { ArchiveFolder } from '../../local/s3/archive-folder.ts';
import { startS3 } from '../../local/s3/server.ts';
import { readSession } from '../../local/session.ts';
import { lazy } from '../lazy.ts';
import { localChecks } from './local-checks.ts';
import type { BucketPurpose, Metrics, Target } from './target.ts';
import { telnyxAt, telnyxFromEnvironment, telnyxUrl } from './telnyx.ts';

export interface LocalArchiveOptions {
  /** Absolute path. */
  folder: string;
  environment: NodeJS.ProcessEnv;
  time: Time;
}

/** @throws Error if the folder does not exist */
export async function localArchive({ folder, environment, time }: LocalArchiveOptions): Promise<Target> {
  const found = await stat(folder).catch((error: unknown) => {
    if (hasSystemCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  });
  if (!found?.isDirectory())
    throw new Error(
      `${folder} is not a folder. Pass the folder of the archive, as in \`${programs.start} --archive\`.`,
    );
  const session = await readSession(folder);
  const closers: (() => unknown)[] = [];

  const bucketFor = (purpose: BucketPurpose) =>
    lazy(async () => {
      const external = externalBucket(environment);
      const localFolder = new ArchiveFolder(folder);
      if (!external) await localFolder.check();
      const opened = external ?? (await openFolder(purpose));
      closers.push(() => opened.client.destroy());
      return {
        s3: opened.client,
        name: opened.name,
        bucket: createBucket({ s3: opened.client, name: opened.name, time }),
        ...(external ? { endpoint: environment.ARCHIVE_S3_ENDPOINT } : { localFolder }),
      };
    });
  const buckets = { read: bucketFor('read'), write: bucketFor('write') };
  // Starts a server even if `npm start` has one: several servers can share a folder.
  const openFolder = async (purpose: BucketPurpose) => {
    const credentials = createCredentials();
    const s3 = await startS3({
      buckets: { [localBucket]: folder },
      credentials: [credentials],
      readOnly: purpose === 'read',
      time,
    });
    closers.push(() => s3.close());
    return folderBucket(s3.endpoint, folder, credentials);
  };
  const catalogue = lazy(async () => {
    const opened = openCatalogueFolder(folder);
    closers.push(() => opened.close());
    return opened;
  });
  const queues = lazy(async () => {
    if (!session) {
      throw new Error(
        `No local stack is running on ${folder}. Start one with \`${programs.start} --archive ${folder}\`; it queues every document that has no receipt.`,
      );
    }
    const sqs = createSqsClient({
      endpoint: session.sqsEndpoint,
      region: 'us-east-1',
      credentials: session.credentials,
    });
    closers.push(() => sqs.destroy());
    return { sqs, lanes: session.lanes };
  });

  const telnyx = async () => {
    if (session?.standInKey !== undefined) {
      return telnyxAt(new URL(session.telnyxUrl), session.standInKey, time);
    }
    if (!environment.TELNYX_API_KEY) return undefined;
    // The user's key goes only where the user sends it, never to an address from the folder.
    const url = telnyxUrl(environment).href;
    if (session && session.telnyxUrl !== url) {
      throw new Error(
        `The local stack archives from ${session.telnyxUrl}, but TELNYX_API_KEY is for ${url}. Set TELNYX_API_URL to the URL of the account to compare with.`,
      );
    }
    return telnyxFromEnvironment(environment, time);
  };
  const metrics = async () => session && metricsAt(session.metricsUrl);

  return {
    name: folder,
    options: ['--local', folder],
    bucket: (purpose = 'read') => buckets[purpose](),
    catalogue,
    queues,
    telnyx,
    metrics,
    oldestAge: async () => undefined,
    alarms: async () => undefined,
    operator: async () => ({ role: 'local', session: userInfo().username }),
    checks: async () =>
      localChecks({ folder, environment, time, session, bucket: buckets.read, telnyx, metrics }),
    polling: { intervalMs: 500, countsLagMs: 1_000 },
    close: async () => {
      for (const close of closers.splice(0).reverse()) await close();
    },
  };
}

function metricsAt(url: string): Metrics {
  const read = async (name: MetricName, since: number) => {
    const response = await fetch(url);
    const metrics = (await response.json()) as MetricsByMinute;
    return (metrics[name] ?? []).filter(({ latest }) => latest >= since);
  };
  return {
    sums: async (names, since) => {
      const sums = await Promise.all(
        names.map(async (name) => {
          const points = await read(name, since);
          return [name, points.reduce((total, { sum }) => total + sum, 0)] as const;
        }),
      );
      return Object.fromEntries(sums) as Record<(typeof names)[number], number>;
    },
    latest: async (name, since) => (await read(name, since)).findLast(({ sum }) => sum > 0)?.latest,
    maximum: async (name, since) => {
      const points = await read(name, since);
      return points.length === 0 ? undefined : Math.max(...points.map(({ maximum }) => maximum));
    },
  };
}
