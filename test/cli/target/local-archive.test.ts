import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { localArchive } from '../../../cli/target/local-archive.ts';
import { systemTime as time } from '../../../functions/time.ts';
import { openIdentityPort } from '../../../local/identity-port.ts';
import { type Session, writeSession } from '../../../local/session.ts';
import { filesBelow } from '../../local/s3/fixture.ts';
import { newFolder, startArchive } from '../world.ts';

const apiKey = 'KEY-of-a-real-account';
const { signal } = new AbortController();

/** A server that records the API keys it is sent. */
async function startRecorder(): Promise<{ url: string; keys: (string | undefined)[] }> {
  const keys: (string | undefined)[] = [];
  const server = createServer(({ headers }, response) => {
    keys.push(headers.authorization);
    response.setHeader('content-type', 'application/json');
    response.end('{"data":{"id":"6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01"}}');
  }).listen(0, '127.0.0.1');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise((resolve) => server.once('listening', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v2`, keys };
}

/** A folder as somebody may hand it over, with a session whose stack seems to run. */
async function folderWithSession(changes: Pick<Session, 'telnyxUrl' | 'standInKey'>): Promise<string> {
  const folder = await newFolder();
  const { identity, close } = await openIdentityPort();
  onTestFinished(close);
  const origin = 'http://127.0.0.1:1';
  const lane = {
    live: true,
    queueArn: 'arn',
    queueUrl: `${origin}/0/q`,
    deadLetterQueueUrl: `${origin}/0/d`,
  };
  await writeSession(folder, {
    pid: 1,
    identity,
    webhookUrl: `${origin}/webhook`,
    signingKey: '',
    s3Endpoint: origin,
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    sqsEndpoint: origin,
    lanes: {
      documents: { name: 'documents', ...lane },
      backfill: { name: 'backfill', ...lane },
      discovery: { name: 'discovery', ...lane },
      spans: { name: 'spans', ...lane },
      audit: { name: 'audit', ...lane },
    },
    metricsUrl: origin,
    ...changes,
  });
  return folder;
}

async function open(folder: string, environment: NodeJS.ProcessEnv = {}) {
  const target = await localArchive({ folder, environment, time });
  onTestFinished(() => target.close());
  return target;
}

it('sends the API key of the environment to no URL from the folder', async () => {
  const hostile = await startRecorder();
  const real = await startRecorder();
  const folder = await folderWithSession({ telnyxUrl: hostile.url });
  const target = await open(folder, { TELNYX_API_KEY: apiKey, TELNYX_API_URL: real.url });

  await expect(target.telnyx()).rejects.toThrow(
    `The local stack archives from ${hostile.url}, but TELNYX_API_KEY is for ${real.url}. Set TELNYX_API_URL`,
  );

  expect(hostile.keys).toEqual([]);
  expect(real.keys).toEqual([]);
});

it('sends the API key of the environment to the URL of the environment', async () => {
  const real = await startRecorder();
  const folder = await folderWithSession({ telnyxUrl: real.url });
  const target = await open(folder, { TELNYX_API_KEY: apiKey, TELNYX_API_URL: real.url });

  const telnyx = await target.telnyx();
  await telnyx?.document('6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01', signal);

  expect(real.keys).toEqual([`Bearer ${apiKey}`]);
});

it('sends a stand-in its own key, never that of the environment', async () => {
  const standIn = await startRecorder();
  const folder = await folderWithSession({ telnyxUrl: standIn.url, standInKey: 'KEY-of-the-stand-in' });
  const target = await open(folder, { TELNYX_API_KEY: apiKey });

  const telnyx = await target.telnyx();
  await telnyx?.document('6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01', signal);

  expect(standIn.keys).toEqual(['Bearer KEY-of-the-stand-in']);
});

it('reads a running stack with its credentials', async () => {
  const { archive, stack } = await startArchive({ 'a.txt': 'a' });
  const target = await open(archive, { TELNYX_API_KEY: apiKey });
  const [document] = stack.standIn?.documents.all() ?? [];

  const telnyx = await target.telnyx();
  const { sqs, lanes } = await target.queues();

  expect(await telnyx?.document(document?.id ?? '', signal)).toMatchObject({ fileName: 'a.txt' });
  expect(lanes.documents.queueUrl).toBe(stack.lanes.documents.queueUrl);
  expect(await sqs.config.credentials()).toMatchObject(stack.credentials);
});

it('has other keys for each stack', async () => {
  const first = await startArchive({});
  const second = await startArchive({});

  // The SDK adds properties to the credentials that it is given.
  expect(Object.keys(first.stack.credentials)).toEqual(['accessKeyId', 'secretAccessKey']);
  expect(first.stack.credentials).not.toEqual(second.stack.credentials);
  expect(first.stack.standInKey).toMatch(/^KEY[0-9a-f]{32}$/);
  expect(first.stack.standInKey).not.toBe(second.stack.standInKey);
});

it('opens the folder for reading unless a command says that it writes', async () => {
  const folder = await newFolder();
  await mkdir(join(folder, 'documents'));
  const target = await open(folder);
  const object = {
    key: 'manifests/a',
    body: Buffer.from('a'),
    bytes: 1,
    sha256: undefined,
    contentType: 'text/plain',
  };

  const { bucket: reading } = await target.bucket();
  await expect(reading.putOnce(object, signal)).rejects.toMatchObject({ code: 'BucketMisconfigured' });
  expect(await filesBelow(folder)).toEqual([]);

  const { bucket: writing } = await target.bucket('write');
  await writing.putOnce(object, signal);
  expect(String(await reading.read(object.key, signal))).toBe('a');
});

it('has its catalogue in a folder beside it, and leaves nothing else there', async () => {
  const folder = join(await newFolder(), 'archive');
  await mkdir(folder);
  const target = await localArchive({ folder, environment: {}, time });

  const store = await target.catalogue();
  await store?.write('0a7', Buffer.from('rows'), undefined, signal);
  await target.close();

  expect(await filesBelow(`${folder}.catalogue`)).toEqual(['rows/0a7.jsonl.gz']);
});
