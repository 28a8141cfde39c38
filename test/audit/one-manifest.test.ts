/** Runs of the audit at the same time: the chain of manifests must not fork, or each later run reports it. */
import { expect, it } from 'vitest';
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import { manifestKey } from '../../functions/bucket/manifest-text.ts';
import { createAuditFunction } from '../fakes/audit-function.ts';
import { virtualTime } from '../fakes/clock.ts';
import { day, documentOf, noon, receiptOf, written } from '../fakes/documents.ts';
import { MemoryBucket } from '../fakes/memory-bucket.ts';

const minute = 60_000;

function createArchive() {
  const time = virtualTime(noon);
  const bucket = new MemoryBucket(time);
  for (const digit of '0123456789abcdef') {
    const archived = documentOf(`${digit}0000000-0000-4000-8000-000000000001`, Buffer.from(digit));
    bucket.put(documentKey(archived.record.id), archived.body, noon - 9 * day);
    bucket.put(receiptKey(archived.record.id), written(receiptOf(archived)), noon - 9 * day);
  }
  const audited = createAuditFunction({ bucket, time });
  const roots = () => [...bucket.objects.keys()].filter((key) => key.endsWith('/manifest-sha256.txt'));
  /** Starts a run, and delivers its start: its parts are at the end of the queue. */
  const start = async () => {
    const waiting = audited.queue.splice(0);
    const run = audited.start();
    await audited.deliver();
    audited.queue.unshift(...waiting);
    return run;
  };
  const later = (ms: number) => time.set(time.now() + ms);
  return { ...audited, bucket, roots, start, later };
}

it.each([
  ['the earlier run ends first', false],
  ['the later run ends first', true],
])('two runs at the same time write one manifest when %s', async (_which, laterFirst) => {
  const { start, later, deliver, queue, roots, night, summaryOf } = createArchive();
  const first = await start();
  later(20_000);
  const second = await start();
  if (laterFirst) queue.reverse();

  while (await deliver());

  expect(roots()).toHaveLength(1);
  expect([first, second].map((run) => summaryOf(run)?.status)).toEqual(['complete', 'complete']);
  expect(summaryOf(second)?.wroteManifest).toBe(false);
  later(day);
  expect((await night()).findings).toEqual([]);
});

it('a run writes no manifest if another one has been written since its plan', async () => {
  const { start, later, deliver, bucket, roots, night, summaryOf } = createArchive();
  await night();
  later(8 * day);
  const run = await start();
  const [predecessor = ''] = roots();
  const other = manifestKey('20270101T000000Z');
  bucket.put(other, bucket.text(predecessor), noon);

  while (await deliver());

  expect(roots()).toEqual([predecessor, other]);
  expect(summaryOf(run)).toMatchObject({ wroteManifest: false, manifest: { key: predecessor } });
});

it('a delivery that died between the manifest and the summary writes the summary at the next receive', async () => {
  const { start, later, deliver, bucket, roots, summaryOf } = createArchive();
  const run = await start();
  bucket.refuse = (operation, key) =>
    operation === 'put' && key.endsWith('/summary.json') ? { name: 'AccessDenied', status: 403 } : undefined;
  for (let delivered = 0; delivered < 5; delivered += 1) await deliver();
  expect(roots()).toHaveLength(1);
  bucket.refuse = () => undefined;
  later(minute);

  while (await deliver());

  expect(roots()).toHaveLength(1);
  expect(summaryOf(run)).toMatchObject({ status: 'complete', wroteManifest: true });
});
