import { owner } from './buckets.ts';
import { keyEncoding, parseMaxKeys } from './list-parameters.ts';
import { isObject, type ObjectInfo, type ObjectReader } from './object-reader.ts';
import type { S3Request } from './request.ts';
import { type S3Response, xmlResponse } from './response.ts';
import { invalidArgument } from './s3-error.ts';
import { s3Namespace, type XmlChildren, xmlDocument } from './xml.ts';

/**
 * ListObjectsV2, and ListObjects, which older clients use.
 *
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html
 * @throws {S3Error} InvalidArgument
 */
export async function listObjects(
  request: S3Request,
  bucketName: string,
  bucket: ObjectReader,
): Promise<S3Response> {
  const { query } = request;
  const type = query.get('list-type');
  if (type !== undefined && type !== '2') throw invalidArgument('Invalid List Type', 'list-type', type);
  const isV2 = type === '2';
  const prefix = query.get('prefix') ?? '';
  // An empty delimiter is none.
  const delimiter = query.get('delimiter') || undefined;
  const start = query.get(isV2 ? 'start-after' : 'marker');
  const token = query.get('continuation-token');
  const after = token === undefined ? (start ?? '') : readToken(token);
  const maxKeys = parseMaxKeys(query.get('max-keys'));
  const encode = keyEncoding(query.get('encoding-type'));

  const keys = bucket.keys(prefix, after);
  const { entries, isTruncated } = await page(rolledUp(keys, { prefix, delimiter, after }), maxKeys);
  const objects = await describeAll(bucket, namesOf(entries, false));
  const prefixes = namesOf(entries, true);
  const next = isTruncated ? entries.at(-1)?.name : undefined;
  const withOwner = !isV2 || query.get('fetch-owner') === 'true';

  const position: XmlChildren = isV2
    ? [
        ['StartAfter', start === undefined ? undefined : encode(start)],
        ['ContinuationToken', token],
        ['NextContinuationToken', next === undefined ? undefined : writeToken(next)],
        ['KeyCount', objects.length + prefixes.length],
      ]
    : [
        ['Marker', encode(after)],
        // Without a delimiter, clients continue after the last key.
        ['NextMarker', delimiter === undefined || next === undefined ? undefined : encode(next)],
      ];
  const children: XmlChildren = [
    ['Name', bucketName],
    ['Prefix', encode(prefix)],
    ...position,
    ['MaxKeys', maxKeys],
    ['Delimiter', delimiter === undefined ? undefined : encode(delimiter)],
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
        ['Owner', withOwner ? owner : undefined],
      ],
    ]),
    ...prefixes.map((name): [string, XmlChildren] => ['CommonPrefixes', [['Prefix', encode(name)]]]),
  ];
  return xmlResponse(200, xmlDocument('ListBucketResult', children, s3Namespace));
}

/** A key, or the part that several keys share up to the delimiter. */
interface Entry {
  readonly name: string;
  readonly isPrefix: boolean;
}

const namesOf = (entries: readonly Entry[], arePrefixes: boolean) =>
  entries.filter(({ isPrefix }) => isPrefix === arePrefixes).map(({ name }) => name);

interface RollUp {
  readonly prefix: string;
  readonly delimiter: string | undefined;
  /** Position at which the listing starts. */
  readonly after: string;
}

/** Replaces keys that contain the delimiter after the prefix with their common prefixes, each once. */
async function* rolledUp(
  keys: AsyncIterable<string>,
  { prefix, delimiter, after }: RollUp,
): AsyncGenerator<Entry, void, undefined> {
  let common: string | undefined;
  for await (const key of keys) {
    if (common !== undefined && key.startsWith(common)) continue;
    const at = delimiter === undefined ? -1 : key.indexOf(delimiter, prefix.length);
    common = at === -1 ? undefined : key.slice(0, at + (delimiter?.length ?? 0));
    if (common === undefined) yield { name: key, isPrefix: false };
    // Like S3, omits the prefix in which the listing starts: the page before ended with it.
    else if (!after.startsWith(common)) yield { name: common, isPrefix: true };
  }
}

async function page(
  all: AsyncIterable<Entry>,
  maxKeys: number,
): Promise<{ entries: Entry[]; isTruncated: boolean }> {
  const entries: Entry[] = [];
  if (maxKeys === 0) return { entries, isTruncated: false };
  for await (const entry of all) {
    if (entries.length === maxKeys) return { entries, isTruncated: true };
    entries.push(entry);
  }
  return { entries, isTruncated: false };
}

/** Omits keys that were removed since the directory was read. Like with S3, a page may be short. */
async function describeAll(bucket: ObjectReader, keys: readonly string[]): Promise<[string, ObjectInfo][]> {
  const described = await Promise.all(
    keys.map(async (key): Promise<[string, ObjectInfo][]> => {
      const object = await bucket.describe(key);
      return isObject(object) ? [[key, object]] : [];
    }),
  );
  return described.flat();
}

const writeToken = (key: string) => Buffer.from(key).toString('base64url');

function readToken(token: string): string {
  const key = Buffer.from(token, 'base64url').toString();
  if (token !== '' && writeToken(key) === token) return key;
  throw invalidArgument('The continuation token provided is incorrect', 'continuation-token', token);
}
