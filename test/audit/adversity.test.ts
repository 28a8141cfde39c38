/** The audit function when services fail for hours, and when somebody writes objects to mislead or stop it. */
import { createHash } from 'node:crypto';
import { SendMessageBatchCommand } from '@aws-sdk/client-sqs';
import { describe, expect, it } from 'vitest';
import { auditPlanKey, documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import { ArchiverError, type ErrorCode } from '../../functions/errors.ts';
import { sleep } from '../../functions/time.ts';
import { createAuditedArchive, documentIdOf } from '../fakes/audited-archive.ts';
import { virtualTime } from '../fakes/clock.ts';
import { day, documentOf, noon } from '../fakes/documents.ts';
import type { MemoryBucket } from '../fakes/memory-bucket.ts';

const hourMs = 3_600_000;
const missingId = documentIdOf(0x01000000);
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

function codesOf(findings: readonly { code: string }[]): string[] {
  return findings.map(({ code }) => code).sort();
}

/** An archive whose requests to Telnyx fail with the code while it is set. */
function createArchiveBehind(isFailing: (request: string) => boolean = () => true) {
  const failure: { code?: ErrorCode } = {};
  const archive = createAuditedArchive({
    beforeRequest: async (command) => {
      if (failure.code !== undefined && typeof command === 'string' && isFailing(command)) {
        throw new ArchiverError(failure.code, 'Telnyx fails.');
      }
    },
  });
  archive.fill(1);
  const add = (id: string, createdAt = archive.time.now() - hourMs) =>
    archive.account.set(id, documentOf(id, Buffer.from('x'), { createdAt }).record);
  return { ...archive, failure, add };
}

function manifestsIn(bucket: MemoryBucket): string[] {
  return [...bucket.objects.keys()].filter((key) => key.endsWith('/manifest-sha256.txt'));
}

function replace(bucket: MemoryBucket, key: string, text: string): void {
  bucket.objects.delete(key);
  bucket.put(key, text, noon - day);
}

describe('a document of Telnyx’s list that is missing', () => {
  it('is reported even if more documents are missing than one invocation can ask Telnyx for', async () => {
    const time = virtualTime(noon);
    let requestMs = 0;
    const { account, night, nextDay } = createAuditedArchive({
      time,
      beforeRequest: async (command) => {
        if (typeof command === 'string') await sleep(time, requestMs);
      },
    });
    for (let number = 0; number < 400; number += 1) {
      const id = documentIdOf(number);
      const createdAt = time.now() - hourMs - number * 1_000;
      account.set(id, documentOf(id, Buffer.from('x'), { createdAt }).record);
    }
    await night();
    requestMs = 1_000;
    nextDay();

    const { summary } = await night();

    expect(summary.tally.counts).toEqual({ missing: 400 });
  });

  it('is reported again after a night without Telnyx', async () => {
    const { add, failure, night, nextDay } = createArchiveBehind();
    add(missingId);
    for (let count = 0; count < 5; count += 1) {
      await night();
      nextDay();
    }
    failure.code = 'ApiKeyRejected';
    const without = await night();
    delete failure.code;
    nextDay();

    const { findings } = await night();

    expect(without.summary).toMatchObject({ tally: { counts: { unreadable: 1 } } });
    expect(without.summary.unchecked).toHaveLength(1);
    expect(codesOf(findings)).toEqual(['missing']);
  });

  it('is found in a later night if Telnyx failed in the night that should have read its day of the list', async () => {
    const { add, failure, night, nextDay, time } = createArchiveBehind();
    await night();
    // Of the share of the night after the next.
    add(missingId, time.now() - 28 * day);
    nextDay();
    nextDay();
    failure.code = 'TelnyxUnavailable';
    await night();
    delete failure.code;
    nextDay();

    const { findings } = await night();

    expect(codesOf(findings)).toEqual(['missing']);
  });

  it('is reported even if Telnyx’s record of it can no longer be read, and so are other missing documents', async () => {
    const { add, failure, night, nextDay } = createArchiveBehind((request) => request === missingId);
    const other = documentIdOf(0x01000001);
    add(missingId);
    await night();
    nextDay();
    add(other);
    failure.code = 'UnexpectedResponse';

    const { findings } = await night();

    expect(findings).toMatchObject([
      { code: 'missing', documentId: missingId },
      { code: 'missing', documentId: other },
    ]);
  });

  it('is no longer reported once it is archived, even if Telnyx’s record of it cannot be read', async () => {
    const { add, archive, failure, night, nextDay, time } = createArchiveBehind((id) => id === missingId);
    add(missingId);
    await night();
    nextDay();
    archive(documentOf(missingId, Buffer.from('x'), { createdAt: time.now() - day - hourMs }));
    failure.code = 'UnexpectedResponse';

    const { findings } = await night();

    expect(findings).toEqual([]);
  });
});

describe('a part that fails', () => {
  it('is recorded as unchecked and never becomes a dead letter if Telnyx sends invalid answers for hours', async () => {
    const { failure, night, deadLetters } = createArchiveBehind();
    failure.code = 'UnexpectedResponse';

    const { summary } = await night();

    expect(summary).toMatchObject({ status: 'complete', tally: { counts: { unreadable: 1 } } });
    expect(deadLetters).toEqual([]);
  });

  it('is recorded as unchecked at once if something else is at the key of its manifest', async () => {
    const { bucket, fill, start, deliver, summaryOf, deadLetters, time } = createAuditedArchive();
    fill(2);
    const run = start();
    await deliver();
    const { manifest } = JSON.parse(bucket.text(auditPlanKey(run)));
    bucket.put(`manifests/${manifest}/ids__.txt`, 'x', noon);

    while (await deliver());

    expect(summaryOf(run)).toMatchObject({ status: 'complete', unchecked: ['ids__'], wroteManifest: false });
    expect(deadLetters).toEqual([]);
    expect(time.now() - noon).toBeLessThan(hourMs);
  });

  it('keeps what it found if nothing can be queued for repair', async () => {
    const { bucket, fill, night, nextDay, lines } = createAuditedArchive({
      repair: true,
      beforeRequest: async (command) => {
        if (command instanceof SendMessageBatchCommand && command.input.QueueUrl === 'backfill') {
          throw new Error('AccessDenied');
        }
      },
    });
    const [id = ''] = fill(2);
    await night();
    nextDay();
    bucket.objects.delete(documentKey(id));
    bucket.objects.delete(receiptKey(id));

    const { findings, summary } = await night();

    expect(codesOf(findings)).toEqual(['lost']);
    expect(summary.tally.repaired).toBe(0);
    expect(lines).toContainEqual(expect.objectContaining({ message: 'Documents not queued for repair' }));
  });

  it('leaves the manifests that it could not compare to the next run', async () => {
    const { account, bucket, fill, night, nextDay } = createAuditedArchive();
    const [id = ''] = fill(3);
    await night();
    const [first = ''] = manifestsIn(bucket);
    // A manifest in the chain and in form that leaves out a document, which then vanishes.
    const folder = first.replace('/manifest-sha256.txt', '').replace(/\d{6}Z$/, '235959Z');
    const names = bucket.text(first.replace('manifest-sha256', 'ids__')).split('\n');
    const stretch = names.filter((line) => !line.includes(id)).join('\n');
    const root = `${sha256(bucket.text(first))}  ${first}\n${sha256(stretch)}  ${folder}/ids__.txt\n`;
    bucket.put(`${folder}/ids__.txt`, stretch, noon);
    bucket.put(`${folder}/manifest-sha256.txt`, root, noon);
    bucket.put(`${folder}/tagmanifest-sha256.txt`, `${sha256(root)}  ${folder}/manifest-sha256.txt\n`, noon);
    bucket.objects.delete(documentKey(id));
    bucket.objects.delete(receiptKey(id));
    account.delete(id);
    nextDay();
    bucket.refuse = (operation, key) =>
      operation === 'list-versions' && key === 'holds/' ? { name: 'InternalError', status: 500 } : undefined;
    const unchecked = await night();
    bucket.refuse = () => undefined;
    nextDay();

    const { findings } = await night();

    expect(unchecked.summary.unchecked).toEqual(['ids__']);
    expect(codesOf(findings)).toEqual(['lost', 'manifest-differs']);
  });
});

describe('a run', () => {
  it('starts although a run before it has a result that the archiver did not write', async () => {
    const { bucket, fill, start, deliver, queue, nextDay, night, summaryOf } = createAuditedArchive();
    fill(2);
    const before = start();
    await deliver();
    bucket.put(`audits/${before}/results/others.json`, 'x', noon);
    const [, , ofOthers] = queue.splice(0);
    nextDay();

    const { summary } = await night();
    // Its message waits until the run is closed.
    await deliver(ofOthers);

    expect(summary.status).toBe('complete');
    expect(summaryOf(before)).toMatchObject({ status: 'incomplete' });
    expect(summaryOf(before)?.unfinished).toContain('others');
    expect(queue).toEqual([]);
  });

  it('ends, and the next one starts, if something else is at the key of its manifest', async () => {
    const { bucket, fill, start, deliver, nextDay, night, summaryOf, metric } = createAuditedArchive();
    fill(2);
    const run = start();
    await deliver();
    const { manifest } = JSON.parse(bucket.text(auditPlanKey(run)));
    const key = `manifests/${manifest}/manifest-sha256.txt`;
    bucket.put(key, 'x', noon);
    while (await deliver());
    nextDay();

    const { summary, findings } = await night();

    expect(summaryOf(run)).toMatchObject({ status: 'complete', wroteManifest: false });
    expect(metric('AuditCompleted')).toHaveLength(2);
    expect(summary).toMatchObject({ status: 'complete', wroteManifest: true });
    expect(findings).toMatchObject([{ code: 'manifest-altered', key }]);
  });

  it('that a later run has closed reads and writes nothing more', async () => {
    const { bucket, fill, start, deliver, queue, nextDay, night } = createAuditedArchive();
    fill(3);
    const run = start();
    await deliver();
    const parts = queue.splice(0);
    nextDay();
    await night();
    bucket.requests.length = 0;
    queue.push(...parts);

    while (await deliver());

    const own = [`get audits/${run}/plan.json`, `head audits/${run}/summary.json`];
    expect(bucket.requests).toEqual(parts.flatMap(() => own));
  });
});

describe('the weekly manifest', () => {
  /** @returns whether each of so many nights writes a manifest */
  async function nights(count: number, { night, nextDay }: ReturnType<typeof createAuditedArchive>) {
    const wrote: boolean[] = [];
    for (let each = 0; each < count; each += 1) {
      wrote.push((await night()).summary.wroteManifest);
      nextDay();
    }
    return wrote.flatMap((isWritten, position) => (isWritten ? [position] : []));
  }

  it.each(['20991231T235959Z', '99991231T235959Z'])(
    'is written although a tag file without a manifest has the time %s',
    async (timestamp) => {
      const archive = createAuditedArchive();
      archive.fill(2);
      archive.bucket.put(`manifests/${timestamp}/tagmanifest-sha256.txt`, 'x', noon);

      expect(await nights(8, archive)).toEqual([0, 7]);
    },
  );

  it('is written although a computer with a wrong clock wrote a manifest in the future', async () => {
    const archive = createAuditedArchive();
    archive.fill(2);
    const now = archive.time.now();
    archive.time.set(now + 400 * day);
    await archive.night();
    archive.time.set(now);

    expect(await nights(14, archive)).toHaveLength(2);
  });

  it('is written although the newest one was altered', async () => {
    const archive = createAuditedArchive();
    archive.fill(2);
    await nights(8, archive);
    replace(archive.bucket, manifestsIn(archive.bucket).at(-1) ?? '', 'x');

    expect(await nights(8, archive)).toEqual([0, 7]);
  });
});

describe('evidence', () => {
  it.each([
    ['at the top level of a receipt', (json: object) => ({ ...json, 'Jane Doe': 1 })],
    [
      'within a receipt',
      (json: { object: object }) => ({ ...json, object: { ...json.object, 'Jane Doe': 1 } }),
    ],
    [
      'in a tombstone',
      () => ({
        v: 1,
        state: 'erased',
        documentId: documentIdOf(0),
        erasedAt: new Date(noon).toISOString(),
        erasedBy: 'role',
        basis: 'T-1',
        erased: {},
        archiver: '0.2.0',
        'Jane Doe': 1,
      }),
    ],
  ])('holds no name of a member that somebody wrote %s', async (_place, alter) => {
    const { bucket, fill, night } = createAuditedArchive();
    const [id = ''] = fill(1);
    replace(bucket, receiptKey(id), JSON.stringify(alter(JSON.parse(bucket.text(receiptKey(id))))));

    const { findings } = await night();

    expect(findings[0]?.detail).toMatch(
      /^a member of (the top level|object) is missing, unknown or not valid$/,
    );
    expect(JSON.stringify(findings)).not.toContain('Jane');
  });
});
