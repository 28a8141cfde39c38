/** The command whole: what it asks for, what it survives, how it ends. */

import { readdirSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { documentKey, receiptKey } from '../../../functions/bucket/keys.ts';
import { day, documentOf, noon } from '../../fakes/documents.ts';
import { propertyRuns } from '../../fuzz-runs.ts';
import { createWorld, defectsAmong } from './world.ts';

const id = (number: number) => `${number.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`;
const some = (number: number, createdAt?: number) =>
  documentOf(id(number), Buffer.from(`document ${number}`), createdAt === undefined ? {} : { createdAt });

/** A world of sound documents. */
function worldOf(count: number) {
  const world = createWorld();
  for (let number = 0; number < count; number += 1)
    world.archive(some(number, noon - 9 * day + number * 1_000));
  return world;
}

describe('An audit', () => {
  it('of nothing finds nothing', async () => {
    const { exitCode, findings, printed } = await createWorld().run({ all: true });

    expect(exitCode).toBe(0);
    expect(findings).toEqual([]);
    expect(printed).toContain('All is well. 0 documents archived (0 B).');
  });

  it('says what is as it should be only when asked', async () => {
    const world = worldOf(2);

    const quiet = await world.run();
    const told = await world.run({ all: true });

    expect(quiet.printed).not.toContain('documents/');
    expect(told.printed).toContain(`= ${documentKey(id(0))}  same\n`);
  });

  it('prints keys so that a terminal does not obey them', async () => {
    const world = worldOf(1);
    world.bucket.put('documents/\u001b]0;hacked\u0007\u202efdp', 'x', noon);

    const { printed } = await world.run();

    expect(printed).toContain('* documents/\\u{1b}]0;hacked\\u{7}\\u{202e}fdp  foreign: 1 B');
  });

  it('writes nothing and changes nothing unless told to', async () => {
    const world = worldOf(3);
    world.bucket.objects.delete(documentKey(id(1)));
    const before = new Map(world.bucket.objects);

    const { queued } = await world.run({ readData: 100 });

    expect(world.bucket.objects).toEqual(before);
    expect(world.bucket.requests.filter((request) => request.startsWith('put'))).toEqual([]);
    expect(queued).toEqual([]);
  });

  it('takes one listing each of the halves of the bucket, and two requests a document', async () => {
    const world = worldOf(40);

    await world.run();

    const of = (operation: string) =>
      world.bucket.requests.filter((request) => request.startsWith(operation)).length;
    expect({ list: of('list'), get: of('get'), head: of('head') }).toEqual({ list: 3, get: 40, head: 40 });
  });

  it('is not misled by two of Telnyx’s rows for one document', async () => {
    const world = worldOf(3);
    const row = world.account.get(id(1));
    if (row) world.account.set('again', row);

    expect((await world.run({ all: true })).findings).toEqual(
      [0, 1, 2].map((n) => `same ${documentKey(id(n))}`),
    );
  });

  it('reads back as many percent of the objects as told, others on another day', async () => {
    const world = worldOf(400);

    const told = await world.run({ readData: 25 });
    const again = await world.run({ readData: 25 });

    const read = [told, again].map(({ records }) =>
      Number(records.find(({ type }) => type === 'summary')?.objectsRead),
    );
    expect(Math.min(...read)).toBeGreaterThan(50);
    expect(Math.max(...read)).toBeLessThan(160);
    const asked = world.bucket.requests.filter((request) => request.startsWith('get documents/'));
    expect(new Set(asked).size).toBeGreaterThan(Math.max(...read));
  });
});

describe('A quick audit', () => {
  it('finds with listings alone what is not there, what is not ours, and what has another size than Telnyx states', async () => {
    const keys = ['sound', 'missing', 'no-object', 'no-receipt', 'size', 'young', 'kept'] as const;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...keys), { maxLength: 30 }),
        fc.integer({ min: 1, max: 9 }),
        async (plan, pageKeys) => {
          const world = createWorld();
          world.bucket.pageKeys = pageKeys;
          const expected = plan.flatMap((plant, number): string[] => {
            const key = documentKey(id(number));
            const archived = some(number, plant === 'young' ? noon - 60_000 : noon - 9 * day);
            world.archive(archived);
            const gone = (...parts: string[]) => {
              for (const part of parts) world.bucket.objects.delete(part);
            };
            if (plant === 'missing' || plant === 'young') gone(key, receiptKey(id(number)));
            if (plant === 'no-object') gone(key);
            if (plant === 'no-receipt') gone(receiptKey(id(number)));
            if (plant === 'size') world.bucket.put(key, 'x', noon - day);
            if (plant === 'kept') world.account.delete(id(number));
            const found = { sound: 'same', size: 'telnyx-differs', young: 'pending' } as Record<
              string,
              string
            >;
            return [`${found[plant] ?? plant} ${key}`];
          });
          world.bucket.requests.length = 0;

          const { findings } = await world.run({ quick: true, all: true });

          expect(findings).toEqual(expected.sort());
          const inDoubt = plan.filter((plant) => plant === 'no-object' || plant === 'no-receipt').length;
          const others = world.bucket.requests.filter((request) => !request.startsWith('list'));
          expect(others.length).toBeLessThanOrEqual(2 * inDoubt);
        },
      ),
      { numRuns: propertyRuns(60) },
    );
  });
});

describe('While the archiver is at work', () => {
  it('what is archived between one listing and the other is not found amiss', async () => {
    const world = worldOf(5);
    const late = some(3, noon - 9 * day + 3_000);
    for (const key of [documentKey(id(3)), receiptKey(id(3))]) world.bucket.objects.delete(key);
    let listings = 0;
    world.bucket.refuse = (operation) => {
      // The object's half was listed; the receipt's half is about to be.
      if (operation === 'list' && ++listings === 3) world.archive(late);
      return undefined;
    };

    const { exitCode, findings } = await world.run({ all: true });

    expect(exitCode).toBe(0);
    expect(findings).toContain(`same ${documentKey(id(3))}`);
  });

  it('what is archived after both listings is not missing', async () => {
    const world = worldOf(5);
    for (const key of [documentKey(id(3)), receiptKey(id(3))]) world.bucket.objects.delete(key);
    world.bucket.refuse = (operation, key) => {
      if (operation === 'get' && key === receiptKey(id(4))) world.archive(some(3, noon - 9 * day + 3_000));
      return undefined;
    };

    const { exitCode, findings } = await world.run({ all: true });

    expect(exitCode).toBe(0);
    expect(findings).toContain(`pending ${documentKey(id(3))}`);
  });

  it('what has come since Telnyx was listed is not called kept', async () => {
    const world = worldOf(1);
    const { record, body } = some(7, noon + 1_000);
    world.archive({ record, body });
    world.account.delete(id(7));

    const { findings } = await world.run({ all: true });

    expect(findings).toEqual([`same ${documentKey(id(0))}`, `same ${documentKey(id(7))}`]);
  });

  it('a document may take as long as --grace says', async () => {
    const world = createWorld();
    world.account.set(id(1), some(1, noon - 20 * 60_000).record);

    const strict = await world.run();
    const patient = await world.run({ graceMinutes: 30, all: true });

    expect(strict.findings).toEqual([`missing ${documentKey(id(1))}`]);
    expect(patient.findings).toEqual([`pending ${documentKey(id(1))}`]);
  });
});

describe('When something is in the way', () => {
  it('S3’s passing refusals are waited out', async () => {
    const world = worldOf(30);
    let count = 0;
    world.bucket.refuse = () => (++count % 3 === 0 ? { name: 'SlowDown', status: 503 } : undefined);

    const { exitCode, findings } = await world.run({ manifest: 'bucket' });

    expect(findings).toEqual([]);
    expect(exitCode).toBe(0);
  });

  it('what cannot be read is said to be unchecked, and is neither well nor a defect', async () => {
    const world = worldOf(3);
    world.bucket.refuse = (operation, key) =>
      operation === 'head' && key === documentKey(id(1)) ? { name: 'AccessDenied', status: 403 } : undefined;

    const { exitCode, findings, details, printed } = await world.run();

    expect(exitCode).toBe(3);
    expect(findings).toEqual([`unreadable ${documentKey(id(1))}`]);
    expect(details.get(`unreadable ${documentKey(id(1))}`)).toMatch(/^BucketMisconfigured: S3 denies access/);
    expect(printed).toContain('Incomplete: 1 could not be checked');
  });

  it('a defect counts for more than what could not be checked', async () => {
    const world = worldOf(3);
    world.bucket.put('strange', 'x', noon);
    world.bucket.refuse = (operation) =>
      operation === 'head' ? { name: 'AccessDenied', status: 403 } : undefined;

    expect((await world.run()).exitCode).toBe(1);
  });

  it('it gives up early where nothing at all can be read', async () => {
    const world = worldOf(400);
    world.bucket.refuse = (operation) =>
      operation === 'get' ? { name: 'AccessDenied', status: 403 } : undefined;

    await expect(world.run()).rejects.toThrow(
      /None of the first 50 documents could be read\. BucketMisconfigured/,
    );
  });

  it('a listing that breaks off ends it, since nothing could be said of the rest', async () => {
    const world = worldOf(3);
    world.bucket.refuse = (operation) =>
      operation === 'list' ? { name: 'NoSuchBucket', status: 404 } : undefined;

    await expect(world.run()).rejects.toThrow(/bucket does not exist/);
  });

  it('a bucket that lists in another order is refused', async () => {
    const world = worldOf(3);
    const { send } = world.bucket;
    const s3 = {
      send: async (command: unknown) => {
        const answer = (await send(command)) as { Contents?: unknown[] };
        answer.Contents?.reverse();
        return answer;
      },
    };

    await expect(
      world.run({}, undefined, {
        bucket: async () => ({ s3: s3 as never, name: 'archive', bucket: undefined as never }),
      }),
    ).rejects.toThrow(/order/);
  });

  it('Telnyx’s refusal leaves the archive checked in itself, and nothing called kept', async () => {
    const world = worldOf(3);
    world.bucket.objects.delete(documentKey(id(1)));
    world.breakTelnyx();

    const { findings } = await world.run({ all: true });

    expect(defectsAmong(findings)).toEqual([`no-object ${documentKey(id(1))}`, 'unreadable telnyx']);
    expect(findings.some((finding) => finding.startsWith('kept'))).toBe(false);
  });

  it('an archive on which nothing runs is checked without Telnyx, and the summary says so', async () => {
    const world = worldOf(3);

    const { exitCode, printed } = await world.run({}, undefined, { telnyx: async () => undefined });

    expect(exitCode).toBe(0);
    expect(printed).toContain('Telnyx     not asked: what is missing does not show');
    expect(printed).toContain('All that is archived is well. 3 documents archived');
  });

  it('Ctrl-C ends it with nothing left behind', async () => {
    const world = worldOf(300);
    const folder = await mkdtemp(join(tmpdir(), 'audit-interrupted-'));
    vi.stubEnv('TMPDIR', folder);
    onTestFinished(async () => {
      vi.unstubAllEnvs();
      await rm(folder, { recursive: true, force: true });
    });
    const interrupt = new AbortController();
    let requests = 0;
    let duringIt: string[] = [];
    world.bucket.refuse = () => {
      if (++requests === 40) {
        duringIt = readdirSync(folder);
        interrupt.abort(new Error('Stopped.'));
      }
      return undefined;
    };
    const keys = [...world.bucket.objects.keys()];

    await expect(world.run({ manifest: 'bucket' }, interrupt.signal)).rejects.toThrow('Stopped.');

    expect(duringIt).toHaveLength(1);
    expect(await readdir(folder)).toEqual([]);
    expect([...world.bucket.objects.keys()]).toEqual(keys);
  });
});

describe('--repair', () => {
  it('queues what the archiver can put right, and nothing else', async () => {
    const world = worldOf(8);
    const gone = (...keys: string[]) => {
      for (const key of keys) world.bucket.objects.delete(key);
    };
    gone(documentKey(id(1)), receiptKey(id(1)));
    gone(receiptKey(id(2)));
    gone(documentKey(id(3)));
    gone(receiptKey(id(4)));
    world.account.delete(id(4));
    world.bucket.put(documentKey(id(5)), 'other', noon - day);

    const { exitCode, queued } = await world.run({ repair: true });

    expect(exitCode).toBe(1);
    expect(queued.sort((a, b) => (a.documentId < b.documentId ? -1 : 1))).toEqual([
      { lane: 'documents', documentId: id(1) },
      { lane: 'documents', documentId: id(2) },
    ]);
  });

  it('leaves the live lane to live documents where there are many', async () => {
    const world = createWorld();
    for (let number = 0; number < 1_001; number += 1) world.account.set(id(number), some(number).record);

    const { queued } = await world.run({ repair: true });

    expect(queued).toHaveLength(1_001);
    expect(new Set(queued.map(({ lane }) => lane))).toEqual(new Set(['backfill']));
  });

  it('says so before anything is done where there are no queues', async () => {
    const world = worldOf(3);
    const queues = async () => {
      throw new Error('Nothing runs here.');
    };

    await expect(world.run({ repair: true }, undefined, { queues })).rejects.toThrow('Nothing runs here.');

    expect(world.bucket.requests).toEqual([]);
  });
});
