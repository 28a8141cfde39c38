/** Opens the archive's bucket: a folder behind the local S3, or a bucket at another S3 endpoint. */
import { randomBytes } from 'node:crypto';
import type { S3Client } from '@aws-sdk/client-s3';
import { createS3Client } from '../../functions/bucket/s3-client.ts';
import { readSettings, serviceUrl, text } from '../../functions/settings.ts';
import { systemTime } from '../../functions/time.ts';
import { missingSafeguards } from './capabilities.ts';
import type { Credentials } from './signature.ts';

export interface OpenedBucket {
  client: S3Client;
  name: string;
  /** Location to show: a folder's path, or `s3://…` and the endpoint. */
  place: string;
}

export const localBucket = 'archive';

/** Creates random credentials for a local S3 or SQS: every user of the machine can reach its port. */
export function createCredentials(): Credentials {
  return {
    accessKeyId: `LOCAL${randomBytes(8).toString('hex').toUpperCase()}`,
    secretAccessKey: randomBytes(30).toString('base64url'),
  };
}

/**
 * Opens the folder behind the local S3.
 *
 * @param credentials of the local S3
 * @param monotonic clock in milliseconds, to measure how long a connection was idle
 */
export function folderBucket(
  endpoint: string,
  folder: string,
  credentials: Credentials,
  monotonic = systemTime.monotonic,
): OpenedBucket {
  return {
    client: createS3Client(
      { endpoint, region: 'us-east-1', credentials: { ...credentials }, forcePathStyle: true },
      monotonic,
    ),
    name: localBucket,
    place: folder,
  };
}

const externalS3 = {
  endpoint: { variable: 'ARCHIVE_S3_ENDPOINT', read: serviceUrl },
  bucket: { variable: 'ARCHIVE_S3_BUCKET', read: text },
  region: { variable: 'AWS_REGION', read: text, fallback: 'us-east-1' },
  accessKeyId: { variable: 'AWS_ACCESS_KEY_ID', read: text },
  secretAccessKey: { variable: 'AWS_SECRET_ACCESS_KEY', read: text },
};

/**
 * Opens the bucket at `ARCHIVE_S3_ENDPOINT`.
 *
 * @returns undefined if the variable is not set
 * @throws SettingsError
 */
export function externalBucket(environment: NodeJS.ProcessEnv): OpenedBucket | undefined {
  if (!environment.ARCHIVE_S3_ENDPOINT) return undefined;
  const { endpoint, bucket, region, accessKeyId, secretAccessKey } = readSettings(externalS3, environment);
  const client = createS3Client({
    endpoint: endpoint.href,
    region,
    credentials: { accessKeyId, secretAccessKey },
    forcePathStyle: true,
  });
  return { client, name: bucket, place: `s3://${bucket} at ${endpoint.href}` };
}

/**
 * Opens the bucket of `externalBucket` and probes it before anything is archived.
 *
 * @throws Error if it lacks a safeguard that the archive depends on and `acceptWeak` is false
 */
export async function openExternalBucket(
  environment: NodeJS.ProcessEnv,
  acceptWeak: boolean,
  warn: (line: string) => void,
): Promise<OpenedBucket | undefined> {
  const external = externalBucket(environment);
  if (!external) return undefined;
  const missing = await missingSafeguards(external.client, external.name);
  const lines = missing.map(({ lacks, consequence }) => `no ${lacks}: ${consequence}`);
  if (lines.length > 0 && !acceptWeak) {
    external.client.destroy();
    throw new Error(
      `${external.place} is not safe for an archive:\n  - ${lines.join('\n  - ')}\nUse another S3, or pass --accept-weak-s3 to accept the risk.`,
    );
  }
  for (const line of lines) warn(`Warning: ${external.place} is less safe than Amazon S3: ${line}.`);
  return external;
}
