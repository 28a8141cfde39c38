/** `redrive` against an SQS in memory that takes, refuses or forgets whatever it likes. */
import type { SQSClient } from '@aws-sdk/client-sqs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { redrive } from '../../../cli/commands/redrive.ts';
import type { Target } from '../../../cli/target/target.ts';
import type { LaneName } from '../../../functions/queue/lanes.ts';
import { laneNames } from '../../../functions/queue/lanes.ts';
import { virtualTime } from '../../fakes/clock.ts';
import { memoryLanes as lanes, memorySqs, type Verdict } from '../../fakes/memory-sqs.ts';
import { propertyRuns } from '../../fuzz-runs.ts';
import { recordingTerminal } from '../world.ts';

const now = Date.parse('2026-11-24T12:00:00Z');
const idOf = (n: number) => `5a3b1e00-0000-4000-8000-${String(n).padStart(12, '0')}`;
const bodyOf = (documentId: string) =>
  JSON.stringify({
    v: 1,
    kind: 'document',
    documentId,
    trigger: 'sweep',
    requestedAt: '2026-11-24T08:00:00Z',
  });

async function redriveOn(sqs: SQSClient, archived: readonly string[] = []) {
  const { terminal, result: told } = recordingTerminal();
  const receipts = new Set(archived.map((id) => `receipts/${id}.json`));
  const target = {
    options: [],
    queues: async () => ({ sqs, lanes }),
    bucket: async () => ({
      bucket: {
        list: async (prefix: string) => [...receipts].filter((key) => key.startsWith(prefix)).sort(),
      },
    }),
  } as unknown as Target;
  const context = {
    target,
    terminal,
    time: virtualTime(now),
    random: () => 0.5,
    signal: new AbortController().signal,
  };
  const ended = await redrive({ rate: 10, wait: 0, yes: true }, context).then(
    (exitCode) => exitCode,
    () => 'error' as const,
  );
  return { ...told, ended };
}

const letters = fc.array(
  fc.record({ lane: fc.constantFrom<LaneName>('documents', 'backfill'), document: fc.nat(15) }),
  { minLength: 1, maxLength: 40 },
);
const endless = <Value>(values: readonly Value[], otherwise: Value) => {
  let position = 0;
  return () => (values.length === 0 ? otherwise : (values[position++ % values.length] ?? otherwise));
};

describe('archiver redrive', () => {
  it('loses no document, whatever SQS takes, deletes, fails or forgets', async () => {
    await fc.assert(
      fc.asyncProperty(
        letters,
        fc.array(fc.constantFrom<Verdict>('done', 'done', 'done in silence', 'failed', 'forgotten'), {
          maxLength: 60,
        }),
        fc.array(fc.boolean(), { maxLength: 12 }),
        async (given, verdicts, breaks) => {
          const { sqs, put, bodies } = memorySqs(endless(verdicts, 'done'), endless(breaks, false));
          for (const { lane, document } of given) put(`${lane}-dead`, bodyOf(idOf(document)));

          const { ended, records } = await redriveOn(sqs);

          const left = new Set(laneNames.flatMap((name) => [...bodies(name), ...bodies(`${name}-dead`)]));
          expect(left).toEqual(new Set(given.map(({ document }) => bodyOf(idOf(document)))));
          if (ended === 0) expect(laneNames.flatMap((name) => bodies(`${name}-dead`))).toEqual([]);
          const end = records.find(({ type }) => type === 'end');
          if (ended !== 'error') {
            expect(Number(end?.redriven) + Number(end?.notSent)).toBe(new Set(left).size);
            expect(ended).toBe(Number(end?.notSent) + Number(end?.notDeleted) > 0 ? 1 : 0);
          }
        },
      ),
      { numRuns: propertyRuns(300) },
    );
  });

  it('deletes dead letters without sending them only for documents that have a receipt', async () => {
    await fc.assert(
      fc.asyncProperty(letters, fc.array(fc.nat(15)), async (given, archived) => {
        const { sqs, put, bodies } = memorySqs();
        for (const { lane, document } of given) put(`${lane}-dead`, bodyOf(idOf(document)));
        const settled = new Set(archived);

        const { ended } = await redriveOn(sqs, archived.map(idOf));

        expect(ended).toBe(0);
        const open = new Set(given.map(({ document }) => document).filter((n) => !settled.has(n)));
        const sent = laneNames.flatMap((name) => bodies(name));
        expect(sent.sort()).toEqual([...open].map((n) => bodyOf(idOf(n))).sort());
      }),
      { numRuns: propertyRuns(200) },
    );
  });

  it('makes every letter visible again that it has neither redriven nor deleted', async () => {
    const { sqs, put, at } = memorySqs(
      (() => {
        let entries = 0;
        // Sends fail; the visibility of all 12 letters is changed.
        return () => (entries++ < 12 ? 'failed' : 'done');
      })(),
    );
    for (let n = 0; n < 12; n += 1) put('documents-dead', bodyOf(idOf(n)));

    const { ended, records } = await redriveOn(sqs);

    expect(ended).toBe(1);
    expect(records.at(-1)).toMatchObject({ redriven: 0, notSent: 12, notDeleted: 0 });
    expect(at('documents-dead').map(({ isVisible }) => isVisible)).toEqual(Array(12).fill(true));
    expect(at('documents')).toEqual([]);
  });
});
