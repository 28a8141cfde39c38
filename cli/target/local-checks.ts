/** What `archiver doctor` checks of an archive on this machine, and of the local stack that runs on it. */
import { statfs } from 'node:fs/promises';
import { ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import type { TelnyxClient } from '../../functions/telnyx/client.ts';
import type { Time } from '../../functions/time.ts';
import { programs } from '../../local/programs.ts';
import { folderBucket } from '../../local/s3/archive-bucket.ts';
import type { Session } from '../../local/session.ts';
import { formatBytes } from '../../terminal/bytes.ts';
import { checkClock, checkSweep, checkWebhook, notChecked, ok, problem, requestList } from './checks.ts';
import type { BucketAccess, Check, CheckResult, Metrics } from './target.ts';
import { telnyxUrl } from './telnyx.ts';

export interface LocalChecksOptions {
  /** Absolute path. */
  folder: string;
  environment: NodeJS.ProcessEnv;
  time: Time;
  /** Of the running stack. */
  session: Session | undefined;
  bucket: () => Promise<BucketAccess>;
  telnyx: () => Promise<TelnyxClient | undefined>;
  metrics: () => Promise<Metrics | undefined>;
}

/** A document may have 570 MB. */
const lowDiskBytes = 1e9;

export function localChecks(options: LocalChecksOptions): Check[] {
  const { folder, environment, time, session, bucket, telnyx, metrics } = options;

  const stack = async (): Promise<CheckResult> =>
    session
      ? ok(`running, process ${session.pid}`)
      : problem('no local stack is running', `Run ${programs.start} --archive ${folder}`);

  const list = async (client: S3Client, name: string, signal: AbortSignal) => {
    await client.send(new ListObjectsV2Command({ Bucket: name, MaxKeys: 1 }), { abortSignal: signal });
  };
  const readable = async (signal: AbortSignal): Promise<CheckResult> => {
    const { s3, name, endpoint } = await bucket();
    await list(s3, name, signal);
    if (session?.bucket === undefined) return ok(`readable at ${endpoint ?? folder}`);
    const { client } = folderBucket(session.s3Endpoint, folder, session.credentials);
    try {
      await list(client, session.bucket, signal);
    } finally {
      client.destroy();
    }
    return ok(`readable at ${folder} and ${session.s3Endpoint}`);
  };

  const disk = async (): Promise<CheckResult> => {
    const { bavail, bsize } = await statfs(folder);
    const free = `${formatBytes(bavail * bsize)} free`;
    return bavail * bsize >= lowDiskBytes ? ok(free) : problem(free, `Free space on the disk of ${folder}.`);
  };

  const apiKey = async (signal: AbortSignal): Promise<CheckResult> => {
    const client = await telnyx();
    if (!client) return notChecked('no API key', 'Set TELNYX_API_KEY.');
    await requestList(client, signal);
    return ok(`accepted by ${session?.standInKey === undefined ? 'Telnyx' : 'the stand-in of Telnyx'}`);
  };

  const webhook = async (signal: AbortSignal): Promise<CheckResult> =>
    session ? checkWebhook(session.webhookUrl, time, signal) : withoutStack;

  const sweeps = async (): Promise<CheckResult> => {
    const recorded = await metrics();
    return recorded ? checkSweep(recorded, time) : withoutStack;
  };

  const clock = (signal: AbortSignal): Promise<CheckResult> => {
    // A folder of others may name only this machine; every other host comes from the environment.
    const url = session?.standInKey === undefined ? telnyxUrl(environment) : new URL(session.telnyxUrl);
    return checkClock(url, time, signal);
  };

  return [
    { name: 'local-stack', needs: [], run: stack },
    { name: 'bucket', needs: [], run: readable },
    { name: 'disk-space', needs: [], run: disk },
    { name: 'api-key', needs: [], run: apiKey },
    { name: 'webhook', needs: [], run: webhook },
    { name: 'sweep', needs: [], run: sweeps },
    { name: 'clock', needs: [], run: clock },
  ];
}

const withoutStack = notChecked('no local stack is running');
