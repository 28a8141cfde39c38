import { Readable } from 'node:stream';
import type { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { SendMessageBatchCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import type { Context } from 'aws-lambda';
import { expect, it } from 'vitest';
import { assembleDiscover } from '../../functions/discover/assemble.ts';
import { readDiscoverSettings } from '../../functions/discover/settings.ts';
import type { HttpGet } from '../../functions/http.ts';
import { timeouts } from '../../functions/limits.ts';
import { serialiseMessage } from '../../functions/queue/serialise.ts';
import { systemTime } from '../../functions/time.ts';
import { sqsEvent, sqsRecord } from '../fakes/sqs-records.ts';
import { documentId, noon, recent, span } from './world.ts';

const queue = (name: string) => `http://127.0.0.1:1/000000000000/${name}`;
const rows = [
  { id: documentId(1) },
  { id: documentId(2), size: { unit: 'bytes', amount: 1_001 } },
  { id: documentId(3), av_scan_status: 'infected' },
].map((row) => ({ ...row, created_at: new Date(noon).toISOString() }));

/** The function over services that record their calls. */
function assembled({ separateGet = true } = {}) {
  const calls: string[] = [];
  const lines: Record<string, unknown>[] = [];
  const getWith =
    (name: string): HttpGet =>
    async (url, { headers }) => {
      calls.push(`${name} ${url.origin}${url.pathname} ${headers.authorization}`);
      const body = Readable.from([Buffer.from(JSON.stringify({ data: rows }))]);
      return { status: 200, headers: {}, body };
    };
  const settings = readDiscoverSettings({
    ARCHIVER_NAME: 'emea',
    ARCHIVER_VERSION: '1.2.3',
    BUCKET_NAME: 'bucket',
    BUCKET_OWNER: '000000000000',
    TELNYX_API_KEY_SECRET_ARN: 'arn:secret',
    TELNYX_API_URL: 'https://telnyx.example/v2',
    MAX_DOCUMENT_BYTES: '1000',
    DOCUMENTS_QUEUE_URL: queue('documents'),
    BACKFILL_QUEUE_URL: queue('backfill'),
    DISCOVERY_QUEUE_URL: queue('discovery'),
    DISCOVERY_DEAD_LETTER_QUEUE_URL: queue('discovery-dead'),
    SPANS_QUEUE_URL: queue('spans'),
    SPANS_DEAD_LETTER_QUEUE_URL: queue('spans-dead'),
  });
  const s3 = {
    send: async ({ input }: ListObjectsV2Command) => {
      calls.push(`list ${input.Bucket} of ${input.ExpectedBucketOwner}`);
      return {};
    },
  };
  const sqs = {
    send: async (command: unknown) => {
      if (command instanceof SendMessageBatchCommand) {
        const { QueueUrl, Entries = [] } = command.input;
        for (const { MessageBody = '' } of Entries) {
          const { kind, documentId } = JSON.parse(MessageBody);
          calls.push(`queue ${kind} ${documentId ?? ''} in ${QueueUrl}`);
        }
        return { Successful: Entries.map(({ Id }) => ({ Id })) };
      }
      if (command instanceof SendMessageCommand) calls.push(`dead letter in ${command.input.QueueUrl}`);
      return {};
    },
  };
  const handler = assembleDiscover(settings, {
    readSecret: async () => 'KEY0000FIRST',
    telnyxGet: getWith('get'),
    ...(separateGet && { lowLaneTelnyxGet: getWith('get for low lanes') }),
    s3: s3 as never,
    sqs: sqs as never,
    writeLog: (line) => lines.push(JSON.parse(line)),
    time: { ...systemTime, now: () => noon },
    random: () => 0,
  });
  const invoke = (lane: string, body: string) =>
    handler(sqsEvent(sqsRecord(0, { queue: lane, body, sentAt: noon })), {
      getRemainingTimeInMillis: () => timeouts.discoverMs,
    } as Context);
  return { calls, lines, invoke };
}

const list = 'https://telnyx.example/v2/documents Bearer KEY0000FIRST';
const listings = expect.arrayContaining(['list bucket of 000000000000']);
const others = (calls: string[]) => calls.filter((call) => !call.startsWith('list '));

it('reads the list with the key, compares with the bucket, and queues what may be archived', async () => {
  const { calls, lines, invoke } = assembled();

  const response = await invoke('discovery', serialiseMessage(recent(noon + 60_000)));

  expect(response).toEqual({ batchItemFailures: [] });
  expect(calls).toEqual(listings);
  expect(others(calls)).toEqual([
    `get ${list}`,
    `queue document ${documentId(1)} in ${queue('documents')}`,
    `get ${list.replace('documents', 'document_links')}`,
  ]);
  expect(JSON.stringify(lines.find((line) => 'SweepsCompleted' in line))).toContain('"TelnyxArchiver/emea"');
});

it.each([
  [true, 'get for low lanes'],
  [false, 'get'],
])('reads a span with the client of low lanes (separate: %s)', async (separateGet, name) => {
  const { calls, invoke } = assembled({ separateGet });

  await invoke('spans', serialiseMessage(span(noon - 60_000, noon + 60_000)));

  expect(others(calls)).toEqual([
    `${name} ${list}`,
    // In the order of their IDs.
    ...[1, 3, 2].map((number) => `queue document ${documentId(number)} in ${queue('backfill')}`),
  ]);
});

it('passes a span in the discovery queue on to the spans queue', async () => {
  const { calls, invoke } = assembled();

  await invoke('discovery', serialiseMessage(span(noon - 60_000, noon)));

  expect(calls).toEqual([`queue span  in ${queue('spans')}`]);
});

it.each(['discovery', 'spans'])(
  'sends a message of the %s queue that it cannot read to its dead-letter queue',
  async (lane) => {
    const { calls, lines, invoke } = assembled();

    await invoke(lane, 'not JSON');

    expect(lines).toContainEqual(expect.objectContaining({ lane, code: 'MalformedMessage' }));
    expect(calls).toEqual([`dead letter in ${queue(`${lane}-dead`)}`]);
  },
);
