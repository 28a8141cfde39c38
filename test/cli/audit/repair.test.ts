import { expect, it } from 'vitest';
import { queueRepairs } from '../../../cli/audit/repair.ts';
import { asStyled } from '../../../terminal/styled.ts';
import type { Terminal } from '../../../terminal/terminal.ts';
import { virtualTime } from '../../fakes/clock.ts';
import { noon } from '../../fakes/documents.ts';

const idOf = (number: number) => `${number.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`;

async function queue(count: number, { dryRun = false } = {}) {
  const sent: { lane: string; message: unknown }[] = [];
  const told = { printed: '', records: [] as unknown[] };
  const terminal: Pick<Terminal, 'print' | 'record'> = {
    print: (...lines) => {
      told.printed += lines.map((line) => `${asStyled(line).plain}\n`).join('');
    },
    record: (value) => told.records.push(value),
  };
  const send = async ({ input }: { input: { QueueUrl: string; Entries: { MessageBody: string }[] } }) => {
    for (const { MessageBody } of input.Entries) {
      sent.push({ lane: input.QueueUrl, message: JSON.parse(MessageBody) });
    }
    return { Successful: input.Entries };
  };
  const lanes = { documents: { queueUrl: 'documents-url' }, backfill: { queueUrl: 'backfill-url' } };
  const signal = new AbortController().signal;
  const ids = Array.from({ length: count }, (_, number) => idOf(number));

  await queueRepairs(ids, dryRun ? undefined : ({ sqs: { send }, lanes } as never), {
    time: virtualTime(noon),
    signal,
    terminal: terminal as Terminal,
  });

  return { sent, ...told };
}

it('queues a document as the operator does, now', async () => {
  const { sent, printed, records } = await queue(1);

  const message = {
    v: 1,
    kind: 'document',
    documentId: idOf(0),
    trigger: 'operator',
    requestedAt: '2026-11-24T12:00:00.000Z',
  };
  expect(sent).toEqual([{ lane: 'documents-url', message }]);
  expect(printed).toBe('\n1 document queued in the lane documents.\n');
  expect(records).toEqual([{ type: 'repair', dryRun: false, repairable: 1, queued: 1, lane: 'documents' }]);
});

it.each([
  [1_000, 'documents'],
  [1_001, 'backfill'],
])('queues %d documents in the lane %s', async (count, lane) => {
  const { sent, printed } = await queue(count);

  expect(sent).toHaveLength(count);
  expect(new Set(sent.map(({ lane: url }) => url))).toEqual(new Set([`${lane}-url`]));
  expect(printed).toContain(`queued in the lane ${lane}.`);
});

it.each([
  [0, { dryRun: true }, '\nDry run: 0 documents would be queued. Nothing was queued.\n'],
  [
    2,
    { dryRun: true },
    '\nDry run: 2 documents would be queued in the lane documents. Nothing was queued.\n',
  ],
  [0, { dryRun: false }, '\n0 documents queued.\n'],
])('sends nothing for %d documents with %j', async (count, options, text) => {
  const { sent, printed, records } = await queue(count, options);

  expect(sent).toEqual([]);
  expect(printed).toBe(text);
  expect(records).toMatchObject([{ dryRun: options.dryRun, repairable: count, queued: 0 }]);
});
