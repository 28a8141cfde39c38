import { owner } from './buckets.ts';
import { keyEncoding, parseMaxKeys } from './list-parameters.ts';
import { isObject, type ListedVersion, type ObjectReader } from './object-reader.ts';
import type { S3Request } from './request.ts';
import { type S3Response, xmlResponse } from './response.ts';
import { invalidArgument, requestNotImplemented } from './s3-error.ts';
import { s3Namespace, type XmlChildren, xmlDocument } from './xml.ts';

/**
 * ListObjectVersions, without a delimiter.
 *
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
 * @throws {S3Error} InvalidArgument or NotImplemented
 */
export async function listObjectVersions(
  { query }: S3Request,
  bucketName: string,
  bucket: ObjectReader,
): Promise<S3Response> {
  if (query.get('delimiter')) throw requestNotImplemented();
  const prefix = query.get('prefix') ?? '';
  const after = query.get('key-marker') ?? '';
  const afterVersionId = query.get('version-id-marker') || undefined;
  if (afterVersionId !== undefined && after === '') {
    throw invalidArgument(
      'A version-id marker cannot be specified without a key marker.',
      'version-id-marker',
      afterVersionId,
    );
  }
  const maxKeys = parseMaxKeys(query.get('max-keys'));
  const encode = keyEncoding(query.get('encoding-type'));

  const found =
    maxKeys === 0 ? [] : await bucket.listVersions({ prefix, after, afterVersionId, limit: maxKeys + 1 });
  const listed = found.slice(0, maxKeys);
  const last = found.length > maxKeys ? listed.at(-1) : undefined;

  const children: XmlChildren = [
    ['Name', bucketName],
    ['Prefix', encode(prefix)],
    ['KeyMarker', encode(after)],
    ['VersionIdMarker', afterVersionId ?? ''],
    ['NextKeyMarker', last && encode(last.key)],
    ['NextVersionIdMarker', last?.version.versionId],
    ['MaxKeys', maxKeys],
    ['EncodingType', query.get('encoding-type')],
    ['IsTruncated', last !== undefined],
    ...listed.map((entry) => versionElement(entry, encode)),
  ];
  return xmlResponse(200, xmlDocument('ListVersionsResult', children, s3Namespace));
}

function versionElement(
  { key, version, isLatest }: ListedVersion,
  encode: (key: string) => string,
): [string, XmlChildren] {
  const identity: XmlChildren = [
    ['Key', encode(key)],
    ['VersionId', version.versionId],
    ['IsLatest', isLatest],
    ['LastModified', new Date(version.lastModified).toISOString()],
    ['Owner', owner],
  ];
  if (!isObject(version)) return ['DeleteMarker', identity];
  return [
    'Version',
    [
      ...identity,
      ['ETag', `"${version.etag}"`],
      ['ChecksumAlgorithm', version.checksum?.algorithm],
      ['ChecksumType', version.checksum && 'FULL_OBJECT'],
      ['Size', version.size],
      ['StorageClass', 'STANDARD'],
    ],
  ];
}
