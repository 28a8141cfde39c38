/**
 * Asks an S3 implementation what the archiver's safety rests on, by trying it: some accept wrong checksums, some
 * overwrite in spite of `If-None-Match`. Better said at the start than found out by a lost document.
 */
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { DeleteObjectCommand, GetObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { statusOf } from '../../functions/bucket/s3-errors.ts';

export interface Shortcoming {
  lacks: 'conditional writes' | 'checksum verification' | 'checksum trailers';
  /** What follows from it for the archive. */
  consequence: string;
}

/** Every probe writes small objects under this prefix, and deletes them again. */
const probePrefix = 'archiver-probe/';

const digestOfNothing = '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=';

/**
 * @returns what the implementation lacks; empty for one that does as AWS does
 * @throws whatever the client throws where the bucket cannot be written to at all
 */
export async function shortcomingsOf(s3: S3Client, bucket: string): Promise<Shortcoming[]> {
  const key = `${probePrefix}${randomUUID()}`;
  const keys = [key, `${key}-checksum`, `${key}-trailer`];
  try {
    return await probe(s3, bucket, key);
  } finally {
    // What is not there, or may not be deleted, does no harm.
    await Promise.allSettled(
      keys.map((probed) => s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: probed }))),
    );
  }
}

async function probe(s3: S3Client, bucket: string, key: string): Promise<Shortcoming[]> {
  await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: Buffer.from('first') }));
  const found: Shortcoming[] = [];
  const second = { Bucket: bucket, Key: key, Body: Buffer.from('second'), IfNoneMatch: '*' };
  if ((await statusAfter(s3, new PutObjectCommand(second))) !== 412) {
    found.push({
      lacks: 'conditional writes',
      consequence: 'a document could be overwritten, or nothing be written at all',
    });
  }
  const wrong = {
    Bucket: bucket,
    Key: `${key}-checksum`,
    Body: Buffer.from('x'),
    ChecksumSHA256: digestOfNothing,
  };
  if ((await statusAfter(s3, new PutObjectCommand(wrong))) === 200) {
    found.push({
      lacks: 'checksum verification',
      consequence: 'bytes damaged on the way to the bucket would go unnoticed',
    });
  }
  if (!(await takesTrailers(s3, bucket, `${key}-trailer`))) {
    found.push({
      lacks: 'checksum trailers',
      consequence: 'documents whose hash Telnyx does not state are stored wrongly or not at all',
    });
  }
  return found;
}

async function takesTrailers(s3: S3Client, bucket: string, key: string): Promise<boolean> {
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

/** 200 where the command succeeds, S3's status where it is refused. */
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
