/** What `send` queues, waits for and says: on an SQS and a bucket in memory. */
import { ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { type SendOptions, send, sendCommand } from '../../../cli/commands/send.ts';
import type { Target } from '../../../cli/target/target.ts';
import { documentKey, receiptKey } from '../../../functions/bucket/keys.ts';
import { createBucket } from '../../../functions/bucket/store.ts';
import { type Tombstone, tombstoneText } from '../../../functions/bucket/tombstones.ts';
import { sleep } from '../../../functions/time.ts';
import { virtualTime } from '../../fakes/clock.ts';
import { documentOf, noon, receiptOf, written } from '../../fakes/documents.ts';
import { MemoryBucket } from '../../fakes/memory-bucket.ts';
import { memoryLanes as lanes, memorySqs } from '../../fakes/memory-sqs.ts';
import { recordingTerminal } from '../world.ts';

const [first, second] = ['5a3b1e00-0000-4000-8000-000000000001', '5a3b1e00-0000-4000-8000-000000000002'];
const never = new AbortController().signal;
const bodyOf = (documentId: string) =>
  `{"v":1,"kind":"document","documentId":"${documentId}","trigger":"operator","requestedAt":"2026-11-24T12:00:00.000Z"}`;

const tombstone: Tombstone = {
  v: 1,
  state: 'erased',
  documentId: first,
  erasedAt: '2026-11-22T09:00:00.000Z',
  erasedBy: 'local',
  basis: 'DSR\u001b[2J-114',
  erased: {},
  archiver: 'test',
};

/** @param receiveMs how long each request for dead letters takes */
function startWorld({ receiveMs = 0 } = {}) {
  const time = virtualTime(noon);
  const memory = memorySqs();
  const bucket = new MemoryBucket(time);
  /** When dead letters were requested, in milliseconds since the start. */
  const receivedAt = new Set<number>();
  const sqs = {
    send: async (command: unknown) => {
      if (command instanceof ReceiveMessageCommand) {
        receivedAt.add(time.monotonic());
        if (receiveMs > 0) await sleep(time, receiveMs, never);
      }
      return memory.sqs.send(command as never);
    },
  };
  const archive = (documentId: string) => {
    bucket.put(documentKey(documentId), 'x', noon);
    bucket.put(receiptKey(documentId), written(receiptOf(documentOf(documentId, Buffer.from('x')))), noon);
  };
  const { terminal, result } = recordingTerminal();
  const s3 = { send: bucket.send } as never;
  const context = {
    target: {
      options: [],
      queues: async () => ({ sqs, lanes }),
      bucket: async () => ({ bucket: createBucket({ s3, name: 'archive', time }) }),
    } as unknown as Target,
    terminal: { ...terminal, paint: (style: string, text: string) => `<${style}>${text}` },
    time,
    random: () => 0,
    signal: never,
  };
  const run = async (options: SendOptions) => {
    result.exitCode = await send(options, context);
    return result;
  };
  const reads = () => bucket.requests.filter((request) => request === `get ${receiptKey(first)}`).length;
  return { ...memory, time, bucket, archive, run, context, receivedAt, reads };
}

describe('archiver send', () => {
  it('queues one message for each document in the live lane and does not wait', async () => {
    const { run, bodies, receivedAt, reads } = startWorld();

    const result = await run({ documentIds: [first, second.toUpperCase(), first] });

    expect(bodies('documents')).toEqual([bodyOf(first), bodyOf(second)]);
    expect(result).toMatchObject({
      exitCode: 0,
      printed: '2 documents queued.\n',
      records: [{ type: 'queued', queued: 2 }],
    });
    expect([reads(), receivedAt.size]).toEqual([0, 0]);
  });

  it('prints with --wait the name of each document that is archived, and looks no longer', async () => {
    const { run, archive, time, receivedAt } = startWorld();
    archive(first);

    const result = await run({ documentIds: [first], wait: 30 });

    expect(result).toMatchObject({
      exitCode: 0,
      printed: `${first}  <green>archived  5a3b.pdf\n`,
      noted: '',
      records: [{ type: 'document', documentId: first, archived: true, fileName: '5a3b.pdf' }],
    });
    expect([time.monotonic(), receivedAt.size]).toEqual([0, 0]);
  });

  it('prints no name that the receipt does not state', async () => {
    const { run, bucket } = startWorld();
    bucket.put(receiptKey(first), '{}', noon);

    expect((await run({ documentIds: [first], wait: 30 })).printed).toBe(`${first}  <green>archived\n`);
  });

  it('prints code and reason of a new dead letter at once, and what to run', async () => {
    const { run, put, time } = startWorld();
    put('documents-dead', bodyOf(first), { code: 'DocumentGone', reason: 'Telnyx has none.' });
    put('documents-dead', bodyOf(second), {});

    const result = await run({ documentIds: [first, second], wait: 30 });

    expect(result).toMatchObject({
      exitCode: 1,
      noted: 'To see what to do, run `npm run archiver -- redrive --dry-run`.\n',
      records: [
        {
          type: 'document',
          documentId: first,
          archived: false,
          code: 'DocumentGone',
          reason: 'Telnyx has none.',
        },
        { type: 'document', documentId: second, archived: false, code: 'none' },
      ],
    });
    expect(result.printed).toBe(
      `${first}  <red>failed  DocumentGone: Telnyx has none.\n${second}  <red>failed  none\n`,
    );
    expect(time.monotonic()).toBe(0);
  });

  it('ignores dead letters of earlier messages and of other lanes', async () => {
    const { run, put, at } = startWorld();
    put('documents-dead', bodyOf(first).replace('12:00', '11:00'));
    put('backfill-dead', bodyOf(first));

    const result = await run({ documentIds: [first], wait: 1 });

    expect(result.records).toEqual([{ type: 'document', documentId: first, archived: false }]);
    expect(at('documents-dead').every(({ isVisible }) => isVisible)).toBe(true);
  });

  it('says what is not yet archived after 60 seconds, having looked twice a second', async () => {
    const { run, time, reads } = startWorld();

    const result = await run({ documentIds: [first], wait: true });

    expect(result).toMatchObject({
      exitCode: 1,
      printed: `${first}  <yellow>not yet archived\n`,
      noted: 'It may still be archived. To follow its progress, run `npm run archiver -- status`.\n',
      records: [{ type: 'document', documentId: first, archived: false }],
    });
    expect([time.monotonic(), reads()]).toEqual([60_000, 121]);
  });

  it('waits for several documents, and looks once more for each that is left', async () => {
    const { run, archive, time } = startWorld();
    time.after(1_800, () => archive(first));

    const result = await run({ documentIds: [first, second], wait: 3 });

    expect(result.exitCode).toBe(1);
    expect(result.printed).toBe(`${first}  <green>archived  5a3b.pdf\n${second}  <yellow>not yet archived\n`);
    expect(result.noted).toBe(
      'It may still be archived. To follow its progress, run `npm run archiver -- status`.\n',
    );
    expect(time.monotonic()).toBe(3_000);
  });

  it.each<[string, (world: ReturnType<typeof startWorld>) => void]>([
    ['a dead letter', ({ put }) => void put('documents-dead', bodyOf(first))],
    ['an erased document', ({ bucket }) => bucket.put(receiptKey(first), tombstoneText(tombstone), noon)],
  ])('ends with 1 for %s beside a document that is not yet archived', async (_what, prepare) => {
    const world = startWorld();
    prepare(world);

    const result = await world.run({ documentIds: [first, second], wait: 0 });

    expect(result).toMatchObject({ exitCode: 1, records: [{ documentId: first }, { documentId: second }] });
  });

  it('sends nothing when one of the IDs is not valid', async () => {
    const { run, commands } = startWorld();

    await expect(run({ documentIds: [first, 'x'] })).rejects.toThrow('argument 2: "x"');
    expect(commands).toEqual([]);
  });

  it('speaks of several documents that may still be archived', async () => {
    const { run } = startWorld();

    const { noted } = await run({ documentIds: [first, second], wait: 0 });

    expect(noted).toBe(
      'They may still be archived. To follow their progress, run `npm run archiver -- status`.\n',
    );
  });

  it('reads a long dead-letter queue again after twice the time that it took, and at the end', async () => {
    const { run, receivedAt } = startWorld({ receiveMs: 4_000 });

    await run({ documentIds: [first], wait: 26 });

    expect([...receivedAt]).toEqual([0, 12_000, 24_000, 28_500]);
  });

  it('prints with --wait at once that a document is erased, and that it stays so', async () => {
    const { run, bucket, time } = startWorld();
    bucket.put(receiptKey(first), tombstoneText(tombstone), noon);

    const result = await run({ documentIds: [first], wait: 60 });

    expect(result).toMatchObject({
      exitCode: 1,
      printed: `${first}  <red>erased  on 2026-11-22T09:00:00.000Z, basis DSR\\u{1b}[2J-114\n`,
      noted: 'An erased document is not archived again.\n',
      records: [{ type: 'document', documentId: first, archived: false, erased: true }],
    });
    expect(time.monotonic()).toBe(0);
  });

  it('says that a tombstone is not valid instead of taking it for a receipt', async () => {
    const { run, bucket } = startWorld();
    bucket.put(receiptKey(first), JSON.stringify(tombstone), noon);

    const result = await run({ documentIds: [first], wait: 60 });

    expect(result).toMatchObject({ exitCode: 1, records: [{ archived: false, erased: true }] });
    expect(result.printed).toContain('erased  but the tombstone is not valid: not formatted as');
  });
});

describe('the command line of send', () => {
  const parse = (...args: string[]) =>
    sendCommand
      .configure(new Command('send').exitOverride().configureOutput({ writeErr: () => undefined }))
      .parse(args, { from: 'user' });

  it('takes IDs, and waits for so many seconds or for the default', async () => {
    const { context, bodies } = startWorld();

    await sendCommand.run(context as never, parse(first, second));

    expect(bodies('documents')).toEqual([bodyOf(first), bodyOf(second)]);
    expect(parse(first, '--wait').opts()).toEqual({ wait: true });
    expect(parse(first, '--wait', '0').opts()).toEqual({ wait: 0 });
    expect(parse(first, '--wait', '999999').opts()).toEqual({ wait: 999_999 });
    expect(() => parse()).toThrow('document-id');
  });

  it.each(['1.5', '1234567', '12x', 'x12', ''])('refuses to wait %j seconds', (seconds) => {
    expect(() => parse(first, `--wait=${seconds}`)).toThrow('Must be a whole number of seconds.');
  });
});
