import type { ObjectInfo, ObjectStore } from './object-store.ts';
import type { S3Request } from './request.ts';
import { type S3Response, xmlResponse } from './response.ts';
import { invalidArgument } from './s3-error.ts';
import { type XmlChildren, xmlDocument } from './xml.ts';

const MAX_KEYS = 1000;

/**
 * ListObjectsV2 without delimiter.
 *
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
 * @throws {S3Error} InvalidArgument
 */
export async function listObjectsV2(
  request: S3Request,
  bucketName: string,
  bucket: ObjectStore,
): Promise<S3Response> {
  const { query } = request;
  const prefix = query.get('prefix') ?? '';
  const startAfter = query.get('start-after');
  const token = query.get('continuation-token');
  const maxKeys = parseMaxKeys(query.get('max-keys'));
  const encode = keyEncoding(query.get('encoding-type'));

  const { keys, isTruncated } = await page(
    bucket.keys(prefix, token === undefined ? (startAfter ?? '') : readToken(token)),
    maxKeys,
  );
  const objects = await describeAll(bucket, keys);
  const last = keys.at(-1);

  const children: XmlChildren = [
    ['Name', bucketName],
    ['Prefix', encode(prefix)],
    ['StartAfter', startAfter === undefined ? undefined : encode(startAfter)],
    ['ContinuationToken', token],
    ['NextContinuationToken', isTruncated && last !== undefined ? writeToken(last) : undefined],
    ['KeyCount', objects.length],
    ['MaxKeys', maxKeys],
    ['EncodingType', query.get('encoding-type')],
    ['IsTruncated', isTruncated],
    ...objects.map(([key, object]): [string, XmlChildren] => [
      'Contents',
      [
        ['Key', encode(key)],
        ['LastModified', new Date(object.lastModified).toISOString()],
        ['ETag', `"${object.etag}"`],
        ['ChecksumAlgorithm', object.checksum?.algorithm],
        ['ChecksumType', object.checksum && 'FULL_OBJECT'],
        ['Size', object.size],
        ['StorageClass', 'STANDARD'],
      ],
    ]),
  ];
  return xmlResponse(
    200,
    xmlDocument('ListBucketResult', children, ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'),
  );
}

async function page(
  keys: AsyncIterable<string>,
  maxKeys: number,
): Promise<{ keys: string[]; isTruncated: boolean }> {
  const taken: string[] = [];
  if (maxKeys === 0) return { keys: taken, isTruncated: false };
  for await (const key of keys) {
    if (taken.length === maxKeys) return { keys: taken, isTruncated: true };
    taken.push(key);
  }
  return { keys: taken, isTruncated: false };
}

/** Omits keys that were removed since the directory was read. Like with S3, a page may be short. */
async function describeAll(bucket: ObjectStore, keys: readonly string[]): Promise<[string, ObjectInfo][]> {
  const described = await Promise.all(
    keys.map(async (key): Promise<[string, ObjectInfo][]> => {
      const object = await bucket.describe(key);
      return object ? [[key, object]] : [];
    }),
  );
  return described.flat();
}

function parseMaxKeys(text: string | undefined): number {
  if (text === undefined) return MAX_KEYS;
  if (!/^\d{1,10}$/.test(text)) {
    throw invalidArgument('Provided max-keys not an integer or within integer range', 'max-keys', text);
  }
  return Math.min(MAX_KEYS, Number(text));
}

function keyEncoding(type: string | undefined): (key: string) => string {
  if (type === undefined) return (key) => key;
  if (type !== 'url') {
    throw invalidArgument('Invalid Encoding Method specified in Request', 'encoding-type', type);
  }
  return (key) => encodeURIComponent(key).replaceAll('%2F', '/').replaceAll('%20', '+');
}

const writeToken = (key: string) => Buffer.from(key).toString('base64url');

function readToken(token: string): string {
  const key = Buffer.from(token, 'base64url').toString();
  if (token !== '' && writeToken(key) === token) return key;
  throw invalidArgument('The continuation token provided is incorrect', 'continuation-token', token);
}
