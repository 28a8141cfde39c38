/**
 * Runs of the audit function on a hundred million documents. All messages are sent, but of the parts only the first, a
 * middle and the last one are done; the results of the others are made up. So numbers of a whole run are those of these
 * parts times the number of parts.
 */
import { expect, it } from 'vitest';
import { createRunTally, type PartResult, parsePlan, recordText } from '../../functions/audit/records.ts';
import { parsePartName } from '../../functions/audit-names.ts';
import { auditPlanKey, auditResultKey, documentKey } from '../../functions/bucket/keys.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { writeStretchManifest } from '../../functions/bucket/stretch-manifest.ts';
import { nightlyAudit } from '../../functions/limits.ts';
import { createAuditFunction } from '../fakes/audit-function.ts';
import { virtualTime } from '../fakes/clock.ts';
import { day, noon } from '../fakes/documents.ts';
import { sha256 } from '../fakes/memory-bucket.ts';
import { GeneratedArchive } from './generated-archive.ts';

const documents = 100_000_000;
const never = new AbortController().signal;

it('plans thousands of parts for a hundred million documents, each of them a single piece', async () => {
  const time = virtualTime(noon);
  const bucket = new GeneratedArchive(documents, time);
  const store = createBucket({ s3: { send: bucket.send } as never, name: 'archive', time });
  const { start, deliver, queue, lines, summaryOf, deadLetters } = createAuditFunction({ bucket, time });
  /** Starts a run, makes up the results of all parts of IDs but three, and does the others. */
  const night = async () => {
    const run = start();
    await deliver();
    const plan = parsePlan(bucket.objects.get(auditPlanKey(run))?.body ?? Buffer.alloc(0));
    const queued = queue.splice(0);
    const ofIds = queued.filter(({ body }) => JSON.parse(body).part.startsWith('ids_'));
    const sample = [0, ofIds.length >> 1, ofIds.length - 1].map((position) => ofIds[position]);
    for (const { body } of ofIds) {
      if (sample.some((message) => message?.body === body)) continue;
      const part = parsePartName(JSON.parse(body).part);
      if (part?.sort !== 'ids') throw new Error('Not a part of IDs.');
      const id = `${part.from.padEnd(8, '0')}-0000-4000-8000-000000000001`;
      const entries = [{ id, document: sha256(documentKey(id)), receipt: sha256(id) }];
      const result: PartResult = {
        v: 1,
        run,
        part: JSON.parse(body).part,
        startedAt: plan.startedAt,
        endedAt: plan.startedAt,
        tally: { ...createRunTally(), documents: documents / ofIds.length },
        findings: [],
        cells: {},
        ...(plan.manifest !== undefined && {
          manifest: await writeStretchManifest({ timestamp: plan.manifest, ...part, entries }, store, never),
        }),
      };
      result.tally.documents = Math.round(result.tally.documents);
      bucket.put(auditResultKey(run, part), recordText(result), time.now());
    }
    for (const message of queued) {
      if (!ofIds.includes(message) || sample.includes(message)) queue.push(message);
    }
    const before = { ...bucket.generated };
    for (let delivered = 0; await deliver(); delivered += 1) {
      if (delivered > 20) throw new Error(`The run does not end: ${JSON.stringify(lines.slice(-3))}`);
    }
    const requests = Object.fromEntries(
      Object.entries(bucket.generated).map(([name, count]) => [
        name,
        (count - (before[name] ?? 0)) / sample.length,
      ]),
    );
    const perPart = sample.reduce((sum, message) => sum + documentsIn(message?.body), 0) / sample.length;
    return {
      plan,
      messages: queued.length + 1,
      ofIds: ofIds.length,
      perPart,
      requests,
      summary: summaryOf(run),
    };
  };

  const first = await night();
  time.set(time.now() + day);
  const second = await night();

  for (const { plan, messages, ofIds, summary } of [first, second]) {
    expect(ofIds).toBeGreaterThan(documents / nightlyAudit.maxPartDocuments);
    // The samples of the sixteen digits are estimates.
    expect(ofIds).toBeLessThan((1.01 * documents) / nightlyAudit.partDocuments);
    expect(summary?.parts).toHaveLength(ofIds + 2);
    expect(messages).toBe(ofIds + 3);
    expect(summary).toMatchObject({ status: 'complete', unfinished: [] });
    expect(summary?.tally.counts).toEqual({ same: expect.any(Number) });
    // Without a gap from the first ID to the last.
    const stretches = plan.parts.map(parsePartName).filter((part) => part?.sort === 'ids');
    expect(stretches.map(({ from }) => from)).toEqual([
      '',
      ...stretches.slice(0, -1).map(({ before }) => before),
    ]);
    expect(stretches.at(-1)?.before).toBe('');
    // A result is far below the size that one request can write, a plan below what one invocation can hold.
    expect(bucket.objects.get(auditPlanKey(plan.run))?.body.length).toBeLessThan(1_000_000);
  }
  expect(deadLetters).toEqual([]);
  // A usual night lists the versions of both prefixes and reads a thirtieth: receipt, stated checksum, bytes.
  const { perPart } = second;
  expect(second.requests.ListObjectVersionsCommand).toBeLessThan((2 * perPart) / 1_000 + 4);
  expect(second.requests.GetObjectCommand).toBeGreaterThan((1.8 * perPart) / 30);
  expect(second.requests.GetObjectCommand).toBeLessThan((2.2 * perPart) / 30);
  expect(second.requests.HeadObjectCommand).toBeLessThan((1.1 * perPart) / 30);
}, 300_000);

/** Documents of a part: its bounds are of whole shards, so some parts have twice as many as others. */
function documentsIn(body = ''): number {
  const part = parsePartName(JSON.parse(body).part);
  if (part?.sort !== 'ids') throw new Error('Not a part of IDs.');
  const shard = (bound: string, missing: number) => (bound === '' ? missing : Number.parseInt(bound, 16));
  return ((shard(part.before, 4_096) - shard(part.from, 0)) / 4_096) * documents;
}
