/**
 * Probes an S3 implementation for the safeguards that the archive depends on. Some accept wrong checksums or overwrite
 * despite `If-None-Match`; the user must learn that at startup, not after losing a document.
 */
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { DeleteObjectCommand, GetObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { statusOf } from '../../functions/bucket/s3-errors.ts';

export interface MissingSafeguard {
  lacks: 'conditional writes' | 'checksum verification' | 'checksum trailers';
  /** What this means for the archive. */
  consequence: string;
}

/** Probes write small objects under this prefix and delete them. */
const probePrefix = 'archiver-probe/';

const emptySha256 = '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=';

/**
 * @returns the missing safeguards; empty for an implementation that behaves as Amazon S3 does
 * @throws the client's error if the bucket cannot be written to
 */
export async function missingSafeguards(s3: S3Client, bucket: string): Promise<MissingSafeguard[]> {
  const key = `${probePrefix}${randomUUID()}`;
  const keys = [key, `${key}-checksum`, `${key}-trailer`];
  try {
    return await probe(s3, bucket, key);
  } finally {
    // Ignore objects that do not exist or cannot be deleted.
    await Promise.allSettled(
      keys.map((probed) => s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: probed }))),
    );
  }
}

async function probe(s3: S3Client, bucket: string, key: string): Promise<MissingSafeguard[]> {
  await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: Buffer.from('first') }));
  const found: MissingSafeguard[] = [];
  const second = { Bucket: bucket, Key: key, Body: Buffer.from('second'), IfNoneMatch: '*' };
  if ((await statusAfter(s3, new PutObjectCommand(second))) !== 412) {
    found.push({
      lacks: 'conditional writes',
      consequence: 'documents could be overwritten, or no document written at all',
    });
  }
  const wrong = {
    Bucket: bucket,
    Key: `${key}-checksum`,
    Body: Buffer.from('x'),
    ChecksumSHA256: emptySha256,
  };
  if ((await statusAfter(s3, new PutObjectCommand(wrong))) === 200) {
    found.push({
      lacks: 'checksum verification',
      consequence: 'bytes damaged in transit would go unnoticed',
    });
  }
  if (!(await acceptsTrailers(s3, bucket, `${key}-trailer`))) {
    found.push({
      lacks: 'checksum trailers',
      consequence: 'documents without a hash from Telnyx are stored wrongly or not at all',
    });
  }
  return found;
}

async function acceptsTrailers(s3: S3Client, bucket: string, key: string): Promise<boolean> {
  const bytes = Buffer.from('sent with a trailing checksum');
  const put = new PutObjectCommand({
    Bucket: bucket,
    Key: key,
    Body: Readable.from([bytes]),
    ContentLength: bytes.length,
    ChecksumAlgorithm: 'SHA256',
  });
  if ((await statusAfter(s3, put)) !== 200) return false;
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
  return Body !== undefined && bytes.equals(Buffer.from(await Body.transformToByteArray()));
}

/** 200 on success, otherwise the status of S3's error. */
async function statusAfter(s3: S3Client, command: PutObjectCommand): Promise<number> {
  try {
    await s3.send(command);
    return 200;
  } catch (error) {
    const status = statusOf(error);
    if (status === undefined) throw error;
    return status;
  }
}
