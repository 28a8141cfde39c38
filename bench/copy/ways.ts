/** The ways to bring one document from its storage into S3 that are measured side by side, as lean as each can be written. */
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

export const ways = {
  raw,
  'raw as Node comes': rawAsNodeComes,
  'raw without hash': rawWithoutHash,
  'raw with the SDK': rawWithTheSdk,
  copy,
  archive: (route: Route) => archiveWith(archiveDependencies(route)),
  'archive, found by a sweep': (route: Route) => archiveWith(archiveDependencies(route), 'sweep'),
  naive,
  'lib-storage': libStorage,
};
export type Way = keyof typeof ways;

/**
 * The limit: GET, through SHA-256, to a PUT. Nothing is checked but the statuses and, afterwards, the digest. Its
 * young generation is as small as the archive function's, for that is no merit of the code between the sockets.
 */
function raw(route: Route): CopyOne {
  keepYoungGenerationSmall();
  return rawAsNodeComes(route);
}

function rawAsNodeComes(route: Route): CopyOne {
  return async (document) => {
    const hash = createHash('sha256');
    await throughNode(route, document, (chunk) => hash.update(chunk));
    if (hash.digest('hex') !== document.sha256) throw new Error('Other bytes came than were asked for.');
  };
}

function rawWithoutHash(route: Route): CopyOne {
  keepYoungGenerationSmall();
  return (document) => throughNode(route, document, undefined);
}

/** As raw, but for the PUT, which is the SDK's, with the bytes straight from the download: what the SDK alone costs. */
function rawWithTheSdk(route: Route): CopyOne {
  keepYoungGenerationSmall();
  const s3 = createS3Client({ endpoint: route.sink, region, credentials, forcePathStyle: true });
  return async ({ id, bytes, sha256 }) => {
    const hash = createHash('sha256');
    const got = await answerTo(open('source', `${route.source}/storage/${id}`, 'GET', {}).end());
    got.on('data', (chunk) => hash.update(chunk)).pause();
    await s3.send(
      new PutObjectCommand({
        Bucket: bucketName,
        Key: documentKey(id),
        Body: got,
        ContentLength: bytes,
        ContentType: contentType,
        ChecksumSHA256: hexToBase64(sha256),
        IfNoneMatch: '*',
      }),
    );
    if (hash.digest('hex') !== sha256) throw new Error('Other bytes came than were asked for.');
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
  const got = await answerTo(open('source', `${route.source}/storage/${document.id}`, 'GET', {}).end());
  const headers = { 'content-length': document.bytes, 'content-type': contentType };
  const url = `${route.sink}/${bucketName}/${documentKey(document.id)}`;
  const put = open('sink', url, 'PUT', headers);
  const answered = answerTo(put);
  if (onChunk) got.on('data', onChunk);
  await pipeline(got, put);
  (await answered).resume();
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

function answerTo(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (response) => {
      if (response.statusCode === 200) resolve(response);
      else reject(new Error(`The answer was ${response.statusCode}.`));
    });
  });
}

/** The archive function's copy path: guarded download, every check, one PUT. */
function copy(route: Route): CopyOne {
  const { bucket, download } = archiveDependencies(route);
  return async ({ id, bytes, sha256 }) => {
    const response = await download(`${route.source}/storage/${id}`, never);
    const target = { key: documentKey(id), bytes, sha256, contentType, contentDisposition: 'attachment' };
    await copyToBucket(response, target, { bucket, time }, never);
  };
}

/** The archive function's own dependencies, with a log that writes nothing. */
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

/** All that the archive function does for one document: six requests, receipt included. */
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

/** What anyone would write first: the whole document in memory, nothing checked. */
function naive(route: Route): CopyOne {
  const s3 = new S3Client({ endpoint: route.sink, region, credentials, forcePathStyle: true });
  return async ({ id }) => {
    const got = await fetch(`${route.source}/storage/${id}`);
    const Body = new Uint8Array(await got.arrayBuffer());
    const object = { Bucket: bucketName, Key: documentKey(id), Body, ContentType: contentType };
    await s3.send(new PutObjectCommand(object));
  };
}

/** The SDK's own way to stream: parts of 5 MiB in memory, nothing checked. The sink knows no multipart upload. */
function libStorage(route: Route): CopyOne {
  const client = new S3Client({ endpoint: route.sink, region, credentials, forcePathStyle: true });
  return async ({ id }) => {
    const got = await answerTo(open('source', `${route.source}/storage/${id}`, 'GET', {}).end());
    const object = { Bucket: bucketName, Key: documentKey(id), Body: got, ContentType: contentType };
    await new Upload({ client, params: object }).done();
  };
}
