/** ListBuckets, HeadBucket and GetBucketLocation. */
import { stat } from 'node:fs/promises';
import { bytesOf, type S3Response, xmlResponse } from './response.ts';
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
  return {
    status: 200,
    headers: { 'content-type': 'application/xml', 'x-amz-bucket-region': region },
    length: 0,
    body: () => bytesOf(Buffer.alloc(0)),
  };
}

export function bucketLocation(): S3Response {
  return xmlResponse(200, xmlDocument('LocationConstraint', [], s3Namespace));
}
