/** The audit function, run night by night on an archive in memory. */
import { HeadObjectCommand } from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { shareOf } from '../../functions/audit/shares.ts';
import { keyOfFact } from '../../functions/bucket/contexts.ts';
import { contextKey, documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import { sleep, type Time } from '../../functions/time.ts';
import { createAuditedArchive, documentIdOf } from '../fakes/audited-archive.ts';
import { virtualTime } from '../fakes/clock.ts';
import { day, documentOf, noon, written } from '../fakes/documents.ts';

describe('a run', () => {
  it('over a healthy archive completes without problems', async () => {
    const { fill, night, metric } = createAuditedArchive();
    fill(10);

    const { summary, findings } = await night();

    expect(findings).toEqual([]);
    expect(summary).toMatchObject({
      status: 'complete',
      unfinished: [],
      tally: { documents: 10, archived: 10, receiptsRead: 10, counts: { same: 10 } },
    });
    expect(metric('AuditCompleted')).toHaveLength(1);
    expect(metric('AuditedDocuments')).toMatchObject([{ AuditedDocuments: 10 }]);
    expect(metric('AuditFindings')).toMatchObject([{ AuditFindings: 0 }]);
  });

  it('over an empty archive completes, and writes no manifest', async () => {
    const { night } = createAuditedArchive();

    const { summary } = await night();

    expect(summary).toMatchObject({ status: 'complete', wroteManifest: false, tally: { documents: 0 } });
  });

  it('publishes its metrics before it writes its summary', async () => {
    const { fill, bucket, lines, night } = createAuditedArchive();
    fill(1);
    let publishedBefore = 0;
    bucket.refuse = (operation, key) => {
      if (operation === 'put' && key.endsWith('summary.json')) {
        publishedBefore = lines.filter((line) => 'AuditCompleted' in line).length;
      }
      return undefined;
    };

    await night();

    expect(publishedBefore).toBe(1);
  });
});

describe('the night after', () => {
  it('lists everything, and reads only what is new and the share of the day', async () => {
    const { fill, archive, night, nextDay, bucket, time, requestsFor } = createAuditedArchive();
    const ids = fill(60);
    await night();
    nextDay();
    const fresh = documentIdOf(0x00000001);
    archive(documentOf(fresh, Buffer.from('new'), { createdAt: time.now() - 3_600_000 }));
    bucket.requests.length = 0;

    const { summary } = await night();

    const today = Math.floor(time.now() / day) % 30;
    const read = ids.filter((id) => requestsFor('get', receiptKey(id)) > 0);
    expect(read).toEqual(ids.filter((id) => shareOf(id, 30) === today));
    expect(requestsFor('get', documentKey(fresh))).toBe(1);
    expect(requestsFor('get', receiptKey(fresh))).toBeGreaterThan(0);
    expect(summary.tally).toMatchObject({ documents: 61, archived: 61, objectsRead: read.length + 1 });
  });

  it('reads a document again whose listing differs, although its dates do not', async () => {
    const { fill, bucket, night, nextDay } = createAuditedArchive();
    const [id = ''] = fill(20);
    await night();
    nextDay();
    const key = documentKey(id);
    const modified = bucket.versioned.current(key)?.modified ?? 0;
    bucket.objects.delete(key);
    bucket.put(key, Buffer.from(id).reverse(), modified);

    const { findings } = await night();

    expect(findings).toMatchObject([{ code: 'checksum-differs', key }]);
  });

  it('reads every byte within thirty nights, and finds what no listing shows', async () => {
    const { fill, bucket, night, nextDay } = createAuditedArchive();
    const ids = fill(40);
    await night();
    // A byte that flips on the disk: the listing and the stated checksum stay.
    for (const id of ids) {
      const stored = bucket.versioned.current(documentKey(id));
      if (stored) stored.body = Buffer.from(stored.body).fill('x', 0, 1);
    }
    const found = new Map<string, number>();

    for (let count = 0; count < 30; count += 1) {
      nextDay();
      for (const { documentId = '' } of (await night()).findings) {
        found.set(documentId, (found.get(documentId) ?? 0) + 1);
      }
    }

    // Found once in the cycle, then reported every night.
    expect([...found.keys()].sort()).toEqual(ids);
    expect(Math.max(...found.values())).toBe(30);
  });

  it('never reads bytes if the stage says so', async () => {
    const { fill, night, nextDay, requestsFor } = createAuditedArchive({ fixityDays: 0 });
    const ids = fill(40);

    for (let count = 0; count < 3; count += 1) {
      await night();
      nextDay();
    }

    expect(ids.reduce((sum, id) => sum + requestsFor('get', documentKey(id)), 0)).toBe(0);
  });

  it('finds a document that Telnyx lists and the archive lacks', async () => {
    const { fill, account, night, nextDay, time } = createAuditedArchive();
    fill(3);
    await night();
    nextDay();
    const { record } = documentOf(documentIdOf(77), Buffer.from('x'), { createdAt: time.now() - 3_600_000 });
    account.set(record.id, record);

    const { findings } = await night();

    expect(findings).toMatchObject([{ code: 'missing', documentId: record.id, atTelnyx: true }]);
  });

  it('finds an old document of Telnyx’s list within thirty nights', async () => {
    const { fill, account, night, nextDay } = createAuditedArchive();
    fill(3);
    await night();
    const { record } = documentOf(documentIdOf(77), Buffer.from('x'), { createdAt: noon - 400 * day });
    account.set(record.id, record);
    const found: string[] = [];

    for (let count = 0; count < 30; count += 1) {
      nextDay();
      found.push(...(await night()).findings.map(({ code }) => code));
    }

    expect(new Set(found)).toEqual(new Set(['missing']));
    expect(found.length).toBeLessThanOrEqual(30);
  });

  it('reports a missing document every night until it is archived', async () => {
    const { fill, account, archive, night, nextDay, time } = createAuditedArchive();
    fill(1);
    const missing = documentOf(documentIdOf(77), Buffer.from('x'), { createdAt: time.now() - 3_600_000 });
    account.set(missing.record.id, missing.record);
    for (let count = 0; count < 6; count += 1) {
      expect((await night()).findings).toMatchObject([{ code: 'missing' }]);
      nextDay();
    }

    archive(missing);

    expect((await night()).findings).toEqual([]);
  });
});

describe('repair', () => {
  it('queues what is missing and still at Telnyx, and counts it', async () => {
    const { fill, bucket, account, night, nextDay, repaired, metric } = createAuditedArchive({
      repair: true,
    });
    const [lost = '', gone = ''] = fill(5);
    await night();
    nextDay();
    for (const id of [lost, gone]) {
      bucket.objects.delete(documentKey(id));
      bucket.objects.delete(receiptKey(id));
    }
    account.delete(gone);

    const { findings, summary } = await night();

    expect(findings.map(({ code, documentId, atTelnyx }) => [code, documentId, atTelnyx])).toEqual([
      ['lost', lost, true],
      ['lost', gone, false],
    ]);
    expect(repaired).toEqual([lost]);
    expect(summary.tally.repaired).toBe(1);
    expect(metric('AuditRepairs').at(-1)).toMatchObject({ AuditRepairs: 1 });
  });

  /** A document that Telnyx lists, and the archive lacks. The first five nights do not have its share. */
  const upload = ({ account, time }: ReturnType<typeof createAuditedArchive>) => {
    const id = documentIdOf(0x78);
    account.set(id, documentOf(id, Buffer.from('new'), { createdAt: time.now() - day / 2 }).record);
    return id;
  };

  it.each(['missing', 'no-receipt'])('queues a %s document once, not every night', async (code) => {
    const world = createAuditedArchive({ repair: true });
    const { fill, bucket, night, nextDay, repaired } = world;
    fill(5);
    const id = upload(world);
    if (code === 'no-receipt') bucket.put(documentKey(id), 'new', noon - day);

    for (let count = 0; count < 4; count += 1) {
      const { summary } = await night();
      expect(summary.tally.counts[code as 'missing']).toBe(1);
      expect(summary.tally.repaired).toBe(count === 0 ? 1 : 0);
      nextDay();
    }

    expect(repaired).toEqual([id]);
  });

  it('queues a document again in a full run', async () => {
    const world = createAuditedArchive({ repair: true });
    const id = upload(world);
    await world.night();
    world.nextDay();

    await world.night(true);

    expect(world.repaired).toEqual([id, id]);
  });

  it('queues a document again in the night of its share', async () => {
    const world = createAuditedArchive({ repair: true, fixityDays: 7 });
    const id = upload(world);
    const nights: number[] = [];
    for (let count = 0; count < 15; count += 1) {
      const before = world.repaired.length;
      await world.night();
      if (world.repaired.length > before) nights.push(Math.floor(world.time.now() / day));
      world.nextDay();
    }

    expect(nights.slice(1).map((each) => each % 7)).toEqual(nights.slice(1).map(() => shareOf(id, 7)));
    expect(nights.length).toBeGreaterThan(2);
  });

  it('queues what earlier nights have found as soon as the stage says so', async () => {
    const world = createAuditedArchive();
    const id = upload(world);
    await world.night();
    world.nextDay();
    world.dependencies.backfillQueueUrl = 'backfill';

    await world.night();

    expect(world.repaired).toEqual([id]);
  });

  it('queues a document again that is missing again', async () => {
    const world = createAuditedArchive({ repair: true });
    const { bucket, night, nextDay, archive, repaired } = world;
    const id = upload(world);
    await night();
    nextDay();
    archive(documentOf(id, Buffer.from('new'), { createdAt: noon - day / 2 }));
    await night();
    nextDay();
    bucket.objects.delete(receiptKey(id));

    await night();

    expect(repaired).toEqual([id, id]);
  });

  it('queues nothing unless the stage says so', async () => {
    const { fill, bucket, night, nextDay, repaired } = createAuditedArchive();
    const [id = ''] = fill(2);
    await night();
    nextDay();
    bucket.objects.delete(documentKey(id));
    bucket.objects.delete(receiptKey(id));

    expect((await night()).findings).toMatchObject([{ code: 'lost', atTelnyx: true }]);
    expect(repaired).toEqual([]);
  });
});

describe('the manifest', () => {
  it('is written by the first run and then weekly, and names every document', async () => {
    const { fill, night, nextDay, bucket } = createAuditedArchive();
    const ids = fill(3);
    const written: boolean[] = [];

    for (let count = 0; count < 9; count += 1) {
      const { summary } = await night();
      written.push(summary.wroteManifest);
      nextDay();
    }

    expect(written).toEqual([true, false, false, false, false, false, false, true, false]);
    const roots = [...bucket.objects.keys()].filter((key) => /\/manifest-sha256\.txt$/.test(key));
    const stretches = [...bucket.objects.keys()].filter((key) => /\/ids__\.txt$/.test(key));
    expect(roots).toHaveLength(2);
    const [first = '', second = ''] = roots;
    expect(bucket.text(first)).toContain(stretches[0]);
    // The second one names the first.
    expect(bucket.text(second).split('\n')[0]).toContain(first);
    for (const id of ids) {
      expect(bucket.text(stretches[1] ?? '')).toContain(documentKey(id));
      expect(bucket.text(stretches[1] ?? '')).toContain(receiptKey(id));
    }
  });

  it('shows that a document is lost of which nothing else is left', async () => {
    const { fill, bucket, account, night, nextDay } = createAuditedArchive();
    const [id = ''] = fill(3);
    await night();
    nextDay();
    bucket.objects.delete(documentKey(id));
    bucket.objects.delete(receiptKey(id));
    account.delete(id);

    for (let count = 0; count < 9; count += 1) {
      expect((await night()).findings).toMatchObject([{ code: 'lost', documentId: id }]);
      nextDay();
    }
  });
});

describe('evidence', () => {
  it('accepts contexts, and reports what is not one, each once', async () => {
    const { fill, bucket, night } = createAuditedArchive();
    const [id = ''] = fill(3);
    const fact = { documentId: id, kind: 'link', id: 'a resource' } as const;
    const about = { learntAt: new Date(noon).toISOString(), archiver: '0.2.0' };
    bucket.put(keyOfFact(fact), written({ v: 1, ...fact, ...about }), noon - day);
    const foreign = [
      'contexts/notes.txt',
      `contexts/${id}/notes.txt`,
      'contexts0',
      'context',
      contextKey(id, 'f'.repeat(64)),
    ];
    for (const key of foreign) bucket.put(key, 'x', noon - day);

    const { findings } = await night();

    expect(findings.map(({ code }) => code)).toEqual(foreign.map(() => 'foreign'));
  });

  it('holds no file name, no reference and no key that others chose', async () => {
    const { fill, bucket, account, night } = createAuditedArchive();
    const [id = '', other = ''] = fill(3);
    const personal = 'Jane Doe, passport';
    for (const documentId of [id, other]) {
      const record = account.get(documentId);
      if (record) account.set(documentId, { ...record, filename: personal, customer_reference: personal });
    }
    bucket.objects.delete(documentKey(id));
    bucket.put(`documents/${personal}.pdf`, 'x', noon - day);
    bucket.put(`${personal}/a`, 'x', noon - day);

    const { findings } = await night();

    expect(findings.map(({ code }) => code).sort()).toEqual(['foreign', 'foreign', 'no-object']);
    for (const key of [...bucket.objects.keys()].filter((each) => each.startsWith('audits/'))) {
      expect(bucket.text(key)).not.toContain('Jane');
    }
  });
});

/** Documents take longer and longer, so that two deliveries of a part get to different places. */
function slowHeads(time: Time) {
  let heads = 0;
  return async (command: unknown) => {
    if (!(command instanceof HeadObjectCommand) || !command.input.Key?.startsWith('documents/')) return;
    heads += 1;
    await sleep(time, 9_000 * (heads % 2) + (heads % 7) * 1_000);
  };
}

describe('a part', () => {
  it('ends early when its time is up, and later deliveries do what is left', async () => {
    const time = virtualTime(noon);
    const { fill, night, lines } = createAuditedArchive({ time, beforeRequest: slowHeads(time) });
    fill(900);

    const { summary, findings } = await night(true);

    expect(findings).toEqual([]);
    expect(summary).toMatchObject({ status: 'complete', tally: { documents: 900, counts: { same: 900 } } });
    const ofIds = summary.parts.filter(({ part }) => part.startsWith('ids_'));
    expect(ofIds.length).toBeGreaterThan(1);
    expect(ofIds.map(({ rest }) => rest)).toEqual([...ofIds.slice(1).map(({ part }) => part), undefined]);
    expect(lines.filter(({ code }) => code === 'OutOfTime')).toEqual([]);
  });

  it('that still fails six hours after the plan is recorded as unchecked', async () => {
    const { fill, bucket, night, metric, time } = createAuditedArchive();
    fill(3);
    bucket.refuse = (operation, key) =>
      operation === 'list-versions' && key === 'holds/' ? { name: 'InternalError', status: 500 } : undefined;

    const { summary, findings } = await night();

    expect(findings).toEqual([]);
    expect(summary).toMatchObject({
      status: 'complete',
      wroteManifest: false,
      tally: { counts: { unreadable: 1 } },
    });
    expect(time.now() - noon).toBeGreaterThanOrEqual(6 * 3_600_000);
    expect(metric('AuditFindings')).toMatchObject([{ AuditFindings: 1, Code: 'unreadable' }]);
  });

  it('that was unchecked is compared completely by the next run', async () => {
    const { fill, bucket, night, nextDay, requestsFor } = createAuditedArchive();
    const ids = fill(3);
    const refuse: typeof bucket.refuse = (operation, key) =>
      operation === 'list-versions' && key === 'holds/' ? { name: 'InternalError', status: 500 } : undefined;
    bucket.refuse = refuse;
    await night();
    bucket.refuse = () => undefined;
    nextDay();
    bucket.requests.length = 0;

    const { summary } = await night();

    expect(summary.tally.counts).toEqual({ same: 3 });
    for (const id of ids) expect(requestsFor('get', receiptKey(id))).toBeGreaterThan(0);
  });

  it('of a run that does not exist becomes a dead letter', async () => {
    const { queue, deliver, deadLetters, time } = createAuditedArchive();
    const message = {
      v: 1,
      kind: 'audit-part',
      run: '20261101T000000Z',
      part: 'others',
      requestedAt: '2026-11-01T00:00:00Z',
    };
    queue.push({ body: JSON.stringify(message), sentAt: time.now(), receives: 0 });

    await deliver();

    expect(deadLetters).toEqual([JSON.stringify(message)]);
  });
});

describe('wherever an invocation is killed,', () => {
  /** Runs a night in which the invocation dies at the request with this number. @returns undefined beyond the last one */
  async function nightWithDeathAt(death: number) {
    let requests = 0;
    let isDead = false;
    let die: () => void = () => undefined;
    const archive = createAuditedArchive({
      // Few days of Telnyx's list, so that there are few requests.
      fixityDays: 3_650,
      beforeRequest: async () => {
        requests += 1;
        if (requests === death) {
          isDead = true;
          die();
        }
        // A dead invocation sends nothing more.
        if (isDead) await new Promise(() => undefined);
      },
      killed: () =>
        new Promise((resolve) => {
          isDead = false;
          die = () => resolve(undefined);
        }),
    });
    const [lost = ''] = archive.fill(2);
    archive.bucket.objects.delete(documentKey(lost));
    const night = await archive.night();
    return requests < death ? undefined : { ...night, ...archive, requests };
  }

  it('the run completes with the same findings, and its metrics are published at least once', async () => {
    for (let death = 1; ; death += 1) {
      const outcome = await nightWithDeathAt(death);
      if (!outcome) break;
      const { summary, findings, metric, deadLetters } = outcome;
      expect(findings.map(({ code }) => code)).toEqual(['no-object']);
      expect(summary).toMatchObject({ status: 'complete', wroteManifest: true, tally: { documents: 2 } });
      expect(metric('AuditCompleted').length).toBeGreaterThan(0);
      expect(deadLetters).toEqual([]);
    }
  });

  it('a run whose messages are gone is closed as incomplete by the next night, and its findings are counted', async () => {
    const { fill, bucket, start, deliver, queue, nextDay, night, summaryOf, metric } = createAuditedArchive();
    const [lost = ''] = fill(6);
    bucket.objects.delete(documentKey(lost));
    const run = start();
    await deliver();
    await deliver();
    queue.length = 0;
    nextDay();

    const { summary } = await night();

    expect(summaryOf(run)).toMatchObject({ status: 'incomplete', tally: { counts: { 'no-object': 1 } } });
    expect(summaryOf(run)?.unfinished).toHaveLength(2);
    expect(summary.status).toBe('complete');
    expect(metric('AuditCompleted')).toHaveLength(1);
  });

  it('a run that is still being done is not closed', async () => {
    const { fill, start, deliver, queue, time, summaryOf } = createAuditedArchive();
    fill(6);
    const first = start();
    await deliver();
    const parts = queue.splice(0);
    time.set(time.now() + 3_600_000);
    start();
    while (await deliver());

    expect(summaryOf(first)).toBeUndefined();

    queue.push(...parts);
    while (await deliver());
    expect(summaryOf(first)?.status).toBe('complete');
  });
});

describe('two starts within one second', () => {
  it('make two runs if only one of them reads everything', async () => {
    const { fill, start, deliver, summaryOf } = createAuditedArchive();
    fill(3);
    const first = start();
    const second = start(true);

    while (await deliver());

    expect(summaryOf(first)).toMatchObject({ status: 'complete', full: false, tally: { documents: 3 } });
    expect(summaryOf(second)).toMatchObject({ status: 'complete', full: true, tally: { documents: 3 } });
  });
});

describe('two deliveries of everything at once', () => {
  it('make one run with one summary', async () => {
    const { fill, bucket, start, deliver, queue, summaryOf } = createAuditedArchive();
    const [lost = ''] = fill(6);
    bucket.objects.delete(documentKey(lost));
    const run = start();
    while (queue.length > 0) {
      const messages = queue.splice(0);
      await Promise.all(messages.flatMap((message) => [deliver({ ...message }), deliver({ ...message })]));
    }

    expect(summaryOf(run)).toMatchObject({
      status: 'complete',
      tally: { documents: 6, counts: { same: 5, 'no-object': 1 } },
    });
    expect(bucket.versioned.versions(`audits/${run}/summary.json`)).toHaveLength(1);
  });

  it('make one run even if the two end a piece at different documents', async () => {
    const time = virtualTime(noon);
    const { fill, start, deliver, queue, summaryOf } = createAuditedArchive({
      time,
      beforeRequest: slowHeads(time),
    });
    fill(900);
    const run = start();
    while (queue.length > 0) {
      const messages = queue.splice(0);
      await Promise.all(messages.flatMap((message) => [deliver({ ...message }), deliver({ ...message })]));
    }

    expect(summaryOf(run)).toMatchObject({
      status: 'complete',
      tally: { documents: 900, counts: { same: 900 } },
    });
  });
});
