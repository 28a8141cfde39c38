/** ListBuckets and what a bucket says of itself. */
import { stat } from 'node:fs/promises';
import type { DefaultRetention } from './object-lock.ts';
import { emptyResponse, type S3Response, xmlResponse } from './response.ts';
import { s3Namespace, type XmlChildren, xmlDocument } from './xml.ts';

/** The only region. GetBucketLocation states it as empty, as S3 does. */
const region = 'us-east-1';

/** Owner of all buckets and objects. */
export const owner: XmlChildren = [['ID', 'local']];

/** @param directories of the buckets, by name */
export async function listBuckets(directories: Readonly<Record<string, string>>): Promise<S3Response> {
  const buckets = await Promise.all(
    Object.keys(directories)
      .sort()
      .map(async (name): Promise<[string, XmlChildren]> => {
        const { birthtime } = await stat(directories[name] ?? '');
        const fields: XmlChildren = [
          ['Name', name],
          ['CreationDate', birthtime.toISOString()],
        ];
        return ['Bucket', fields];
      }),
  );
  const children: XmlChildren = [
    ['Owner', owner],
    ['Buckets', buckets],
  ];
  return xmlResponse(200, xmlDocument('ListAllMyBucketsResult', children, s3Namespace));
}

export function headBucket(): S3Response {
  return emptyResponse(200, { 'content-type': 'application/xml', 'x-amz-bucket-region': region });
}

export function bucketLocation(): S3Response {
  return xmlResponse(200, xmlDocument('LocationConstraint', [], s3Namespace));
}

/** Each bucket is versioned, as Object Lock requires. */
export function bucketVersioning(): S3Response {
  return xmlResponse(200, xmlDocument('VersioningConfiguration', [['Status', 'Enabled']], s3Namespace));
}

export function lockConfiguration(byDefault: DefaultRetention | undefined): S3Response {
  const fields: XmlChildren = [
    ['Mode', byDefault?.mode],
    ['Days', byDefault?.days],
  ];
  const children: XmlChildren = [
    ['ObjectLockEnabled', 'Enabled'],
    ['Rule', byDefault && [['DefaultRetention', fields]]],
  ];
  return xmlResponse(200, xmlDocument('ObjectLockConfiguration', children, s3Namespace));
}
