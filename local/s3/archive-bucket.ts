/** The archive's bucket: a folder behind the local S3, or a bucket at another S3 endpoint. */
import type { S3Client } from '@aws-sdk/client-s3';
import { createS3Client } from '../../functions/bucket/s3-client.ts';
import { readSettings, serviceUrl, text } from '../../functions/settings.ts';
import { systemTime } from '../../functions/time.ts';
import { shortcomingsOf } from './capabilities.ts';

export interface OpenedBucket {
  client: S3Client;
  name: string;
  /** Where a person finds the documents: a folder's path, or `s3://…` and the endpoint. */
  place: string;
}

export const localBucket = 'archive';
export const localCredentials = { accessKeyId: 'AKIALOCALARCHIVE', secretAccessKey: 'local-archive-secret' };

/**
 * The folder behind the local S3.
 *
 * @param monotonic milliseconds; tells how long a connection was idle
 */
export function folderBucket(
  endpoint: string,
  folder: string,
  monotonic = systemTime.monotonic,
): OpenedBucket {
  return {
    client: createS3Client(
      { endpoint, region: 'us-east-1', credentials: localCredentials, forcePathStyle: true },
      monotonic,
    ),
    name: localBucket,
    place: folder,
  };
}

const otherS3 = {
  endpoint: { variable: 'ARCHIVE_S3_ENDPOINT', read: serviceUrl },
  bucket: { variable: 'ARCHIVE_S3_BUCKET', read: text },
  region: { variable: 'AWS_REGION', read: text, fallback: 'us-east-1' },
  accessKeyId: { variable: 'AWS_ACCESS_KEY_ID', read: text },
  secretAccessKey: { variable: 'AWS_SECRET_ACCESS_KEY', read: text },
};

/**
 * The bucket that `ARCHIVE_S3_ENDPOINT` names.
 *
 * @returns undefined if the variable is not set
 * @throws SettingsError
 */
export function otherBucket(environment: NodeJS.ProcessEnv): OpenedBucket | undefined {
  if (!environment.ARCHIVE_S3_ENDPOINT) return undefined;
  const { endpoint, bucket, region, accessKeyId, secretAccessKey } = readSettings(otherS3, environment);
  const client = createS3Client({
    endpoint: endpoint.href,
    region,
    credentials: { accessKeyId, secretAccessKey },
    forcePathStyle: true,
  });
  return { client, name: bucket, place: `s3://${bucket} at ${endpoint.href}` };
}

/**
 * Opens the bucket of `otherBucket` and probes it before anything is archived.
 *
 * @throws Error if it lacks a safeguard that the archive depends on and `acceptWeak` is false
 */
export async function safeOtherBucket(
  environment: NodeJS.ProcessEnv,
  acceptWeak: boolean,
  warn: (line: string) => void,
): Promise<OpenedBucket | undefined> {
  const other = otherBucket(environment);
  if (!other) return undefined;
  const lacking = await shortcomingsOf(other.client, other.name);
  const lines = lacking.map(({ lacks, consequence }) => `no ${lacks}: ${consequence}`);
  if (lines.length > 0 && !acceptWeak) {
    other.client.destroy();
    throw new Error(
      `${other.place} is not safe to archive to:\n  - ${lines.join('\n  - ')}\nUse another S3, or pass --accept-weak-s3 to accept the risk.`,
    );
  }
  for (const line of lines) warn(`Warning: ${other.place} is less safe than Amazon S3: ${line}.`);
  return other;
}
