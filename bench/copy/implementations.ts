/** Implementations of copying one document to S3 that are compared, each as lean as possible. */
import { createHash } from 'node:crypto';
import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { pipeline } from 'node:stream/promises';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { type ArchiveDependencies, archiveDocument } from '../../functions/archive/archive-document.ts';
import { createArchiveDependencies } from '../../functions/archive/assemble.ts';
import { copyToBucket } from '../../functions/archive/copy.ts';
import { archiveSettings } from '../../functions/archive/settings.ts';
import { keepYoungGenerationSmall } from '../../functions/archive/young-generation.ts';
import { hexToBase64 } from '../../functions/bucket/checksum.ts';
import { documentKey } from '../../functions/bucket/keys.ts';
import { createS3Client } from '../../functions/bucket/s3-client.ts';
import { createAgents } from '../../functions/connections.ts';
import { createHttpGet } from '../../functions/http.ts';
import { defaultsOf } from '../../functions/settings.ts';
import { systemTime as time } from '../../functions/time.ts';
import type { Trigger } from '../../functions/trigger.ts';
import type { BenchDocument } from '../wire/contents.ts';

/** Where to copy from and to. */
export interface Route {
  source: string;
  sink: string;
}

export type CopyOne = (document: BenchDocument) => Promise<void>;

export const bucketName = 'archive';
export const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'a-secret-of-the-bench' };
const region = 'us-east-1';
const contentType = 'application/pdf';
const never = new AbortController().signal;

export const implementations = {
  raw,
  'raw with default heap': rawWithDefaultHeap,
  'raw without hash': rawWithoutHash,
  'raw with the SDK': rawWithTheSdk,
  copy,
  archive: (route: Route) => archiveWith(archiveDependencies(route)),
  'archive, found by a sweep': (route: Route) => archiveWith(archiveDependencies(route), 'sweep'),
  naive,
  'lib-storage': libStorage,
};
export type ImplementationName = keyof typeof implementations;

/**
 * Lower bound: GET, SHA-256, PUT with node:http. Checks only the statuses and the final digest. Uses the small young
 * generation of the archive function, so that the comparison measures only the code between the sockets.
 */
function raw(route: Route): CopyOne {
  keepYoungGenerationSmall();
  return rawWithDefaultHeap(route);
}

function rawWithDefaultHeap(route: Route): CopyOne {
  return async (document) => {
    const hash = createHash('sha256');
    await throughNode(route, document, (chunk) => hash.update(chunk));
    if (hash.digest('hex') !== document.sha256)
      throw new Error('The downloaded bytes do not match the digest.');
  };
}

function rawWithoutHash(route: Route): CopyOne {
  keepYoungGenerationSmall();
  return (document) => throughNode(route, document, undefined);
}

/** Like `raw`, but with the SDK's PUT, to measure the cost of the SDK. */
function rawWithTheSdk(route: Route): CopyOne {
  keepYoungGenerationSmall();
  const s3 = createS3Client({ endpoint: route.sink, region, credentials, forcePathStyle: true });
  return async ({ id, bytes, sha256 }) => {
    const hash = createHash('sha256');
    const download = await responseOf(open('source', `${route.source}/storage/${id}`, 'GET', {}).end());
    download.on('data', (chunk) => hash.update(chunk)).pause();
    await s3.send(
      new PutObjectCommand({
        Bucket: bucketName,
        Key: documentKey(id),
        Body: download,
        ContentLength: bytes,
        ContentType: contentType,
        ChecksumSHA256: hexToBase64(sha256),
        IfNoneMatch: '*',
      }),
    );
    if (hash.digest('hex') !== sha256) throw new Error('The downloaded bytes do not match the digest.');
  };
}

const agents = {
  source: { http: new HttpAgent({ keepAlive: true }), https: new HttpsAgent({ keepAlive: true }) },
  sink: { http: new HttpAgent({ keepAlive: true }), https: new HttpsAgent({ keepAlive: true }) },
};

async function throughNode(
  route: Route,
  document: BenchDocument,
  onChunk: ((chunk: Buffer) => void) | undefined,
): Promise<void> {
  const download = await responseOf(
    open('source', `${route.source}/storage/${document.id}`, 'GET', {}).end(),
  );
  const headers = { 'content-length': document.bytes, 'content-type': contentType };
  const url = `${route.sink}/${bucketName}/${documentKey(document.id)}`;
  const put = open('sink', url, 'PUT', headers);
  const uploaded = responseOf(put);
  if (onChunk) download.on('data', onChunk);
  await pipeline(download, put);
  (await uploaded).resume();
}

function open(
  side: keyof typeof agents,
  url: string,
  method: string,
  headers: Record<string, string | number>,
): ClientRequest {
  return url.startsWith('https:')
    ? httpsRequest(url, { method, headers, agent: agents[side].https })
    : httpRequest(url, { method, headers, agent: agents[side].http });
}

function responseOf(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (response) => {
      if (response.statusCode === 200) resolve(response);
      else reject(new Error(`The response status was ${response.statusCode}.`));
    });
  });
}

/** The archive function's copy: guarded download, all checks, one PUT. */
function copy(route: Route): CopyOne {
  const { bucket, download } = archiveDependencies(route);
  return async ({ id, bytes, sha256 }) => {
    const response = await download(`${route.source}/storage/${id}`, never);
    const target = { key: documentKey(id), bytes, sha256, contentType, contentDisposition: 'attachment' };
    await copyToBucket(response, target, { bucket, time }, never);
  };
}

/** Dependencies of the archive function, with a log that writes nothing. */
export function archiveDependencies(route: Route): ArchiveDependencies {
  keepYoungGenerationSmall();
  const settings = {
    ...defaultsOf(archiveSettings),
    archiverName: 'bench',
    version: 'bench',
    bucketName,
    apiKeySecretArn: '',
    telnyxUrl: new URL(`${route.source}/v2`),
    trustedDownloadOrigin: new URL(route.source),
    documentsQueueUrl: '',
    documentsDeadLetterQueueUrl: '',
    backfillQueueUrl: '',
    backfillDeadLetterQueueUrl: '',
  };
  return createArchiveDependencies(settings, {
    readSecret: async () => 'KEY0123456789ABCDEF',
    telnyxGet: createHttpGet(createAgents(), settings.version),
    s3: createS3Client({ endpoint: route.sink, region, credentials, forcePathStyle: true }),
    // `archiveDocument` sends no messages.
    sqs: { send: () => Promise.reject(new Error('Unexpected SQS request.')) },
    writeLog: () => undefined,
    time,
    random: Math.random,
  });
}

/** Everything that the archive function does for one document: six requests, including the receipt. */
export function archiveWith(dependencies: ArchiveDependencies, trigger: Trigger = 'operator'): CopyOne {
  return async ({ id }) => {
    const requestedAt = new Date(time.now()).toISOString();
    await archiveDocument(
      { v: 1, kind: 'document', documentId: id, trigger, requestedAt },
      { receives: 1, ageMs: 0, deadline: time.monotonic() + 600_000, signal: never },
      dependencies,
    );
  };
}

/** Straightforward implementation: the whole document in memory, no checks. */
function naive(route: Route): CopyOne {
  const s3 = new S3Client({ endpoint: route.sink, region, credentials, forcePathStyle: true });
  return async ({ id }) => {
    const download = await fetch(`${route.source}/storage/${id}`);
    const Body = new Uint8Array(await download.arrayBuffer());
    const object = { Bucket: bucketName, Key: documentKey(id), Body, ContentType: contentType };
    await s3.send(new PutObjectCommand(object));
  };
}

/** Streaming with the SDK's lib-storage: parts of 5 MiB in memory, no checks. */
function libStorage(route: Route): CopyOne {
  const client = new S3Client({ endpoint: route.sink, region, credentials, forcePathStyle: true });
  return async ({ id }) => {
    const download = await responseOf(open('source', `${route.source}/storage/${id}`, 'GET', {}).end());
    const object = { Bucket: bucketName, Key: documentKey(id), Body: download, ContentType: contentType };
    await new Upload({ client, params: object }).done();
  };
}
