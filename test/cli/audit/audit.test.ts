/** The complete command: its requests, its behaviour under failures, and its exit codes. */

import { readdirSync, rmSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ListObjectVersionsCommand, type S3Client } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { auditPlanKey, auditSummaryKey, documentKey, receiptKey } from '../../../functions/bucket/keys.ts';
import { createBucket } from '../../../functions/bucket/store.ts';
import { ArchiveFolder } from '../../../local/s3/archive-folder.ts';
import type { UnlistedFile } from '../../../local/s3/key-index.ts';
import { putRun } from '../../fakes/audit-runs.ts';
import { virtualTime } from '../../fakes/clock.ts';
import { day, documentOf, noon, receiptOf, written } from '../../fakes/documents.ts';
import { sha256 } from '../../fakes/memory-bucket.ts';
import { propertyRuns } from '../../fuzz-runs.ts';
import { createWorld, problemsAmong } from './world.ts';

const id = (number: number) => `${number.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`;
const some = (number: number, createdAt?: number) =>
  documentOf(id(number), Buffer.from(`document ${number}`), createdAt === undefined ? {} : { createdAt });

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'audit-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A world with this many archived and unchanged documents. */
function worldOf(count: number) {
  const world = createWorld();
  for (let number = 0; number < count; number += 1)
    world.archive(some(number, noon - 9 * day + number * 1_000));
  return world;
}

describe('audit', () => {
  it('says that an archive without documents is empty', async () => {
    const { exitCode, findings, printed } = await createWorld().run({ all: true });

    expect(exitCode).toBe(0);
    expect(findings).toEqual([]);
    expect(printed).toMatch(/^\nThe archive is empty\.\n\nArchive/);
  });

  it('lists documents without problems only with --all', async () => {
    const world = worldOf(2);

    const standard = await world.run();
    const all = await world.run({ all: true });

    expect(standard.printed).not.toContain('documents/');
    expect(all.printed).toContain(`= ${documentKey(id(0))}  same\n`);
  });

  it('escapes control characters in printed keys', async () => {
    const world = worldOf(1);
    world.bucket.put('documents/\u001b]0;hacked\u0007\u202efdp', 'x', noon);

    const { printed } = await world.run();

    expect(printed).toContain('* documents/\\u{1b}]0;hacked\\u{7}\\u{202e}fdp  foreign: 1 B');
  });

  it('writes nothing without --manifest, and queues nothing without --repair', async () => {
    const world = worldOf(3);
    world.bucket.objects.delete(documentKey(id(1)));
    const before = new Map(world.bucket.objects);

    const { queued } = await world.run({ readData: 100 });

    expect(new Map(world.bucket.objects)).toEqual(before);
    expect(world.bucket.requests.filter((request) => request.startsWith('put'))).toEqual([]);
    expect(queued).toEqual([]);
  });

  it('sends one listing for manifests, four for the whole bucket, and two requests per document', async () => {
    const world = worldOf(40);

    await world.run();

    const of = (operation: string) =>
      world.bucket.requests.filter((request) => request.startsWith(`${operation} `)).length;
    expect({ list: of('list-versions'), get: of('get'), head: of('head') }).toEqual({
      list: 5,
      get: 40,
      head: 40,
    });
  });

  it('counts every request to S3, also for a document that is looked up again', async () => {
    const world = worldOf(2);
    world.account.set(id(7), some(7).record);

    const { records } = await world.run();

    const lookups = world.bucket.requests.filter((request) => request.startsWith('list '));
    expect(lookups).toHaveLength(1);
    expect(records.at(-1)).toMatchObject({ type: 'summary', requests: world.bucket.requests.length });
  });

  it.each([
    ['read', undefined],
    ['read', { file: '/tmp/manifest.txt' }],
    ['write', 'bucket'],
  ] as const)('asks for access to %s the bucket with the manifest %j', async (purpose, manifest) => {
    const asked: unknown[] = [];
    const bucket = async (given: unknown) => {
      asked.push(given);
      throw new Error('Denied.');
    };

    await expect(worldOf(1).run({ manifest }, undefined, { bucket })).rejects.toThrow('Denied.');

    expect(asked).toEqual([purpose]);
  });

  it('reports a document once if Telnyx lists it twice', async () => {
    const world = worldOf(3);
    const row = world.account.get(id(1));
    if (row) world.account.set('again', row);

    expect((await world.run({ all: true })).findings).toEqual(
      [0, 1, 2].map((n) => `same ${documentKey(id(n))}`),
    );
  });

  it('downloads the given percentage of the objects, and different objects in each run', async () => {
    const world = worldOf(400);

    const first = await world.run({ readData: 25 });
    const second = await world.run({ readData: 25 });

    const read = [first, second].map(({ records }) =>
      Number(records.find(({ type }) => type === 'summary')?.objectsRead),
    );
    expect(Math.min(...read)).toBeGreaterThan(50);
    expect(Math.max(...read)).toBeLessThan(160);
    const downloads = world.bucket.requests.filter((request) => request.startsWith('get documents/'));
    expect(new Set(downloads).size).toBeGreaterThan(Math.max(...read));
  });
});

describe('audit --read-data', () => {
  it.each([
    [0, 0, 0],
    [25, 0.249, 1],
    [25, 0.25, 0],
    [100, 0.999, 1],
  ])(
    'of %d percent and a random number of %d downloads %d objects',
    async (readData, number, objectsRead) => {
      const world = createWorld({ random: () => number });
      world.archive(some(1, noon - 9 * day));

      const { records } = await world.run({ readData });

      expect(records.at(-1)).toMatchObject({ type: 'summary', objectsRead });
    },
  );
});

describe('audit, for a person,', () => {
  /** A document that Telnyx lists and one that is archived, both with names by a hostile customer. */
  function worldWithNames() {
    const world = createWorld();
    const missing = some(1, noon - 9 * day).record;
    missing.filename = 'Letter of\u001b[2J authorisation.pdf';
    missing.customer_reference = 'PO-17\nNo problems found';
    world.account.set(missing.id, missing);
    const archived = some(2, noon - 9 * day);
    archived.record.filename = 'Invoice.pdf';
    archived.record.customer_reference = 'PO-18';
    world.archive(archived);
    world.replace(documentKey(id(2)), 'other bytes', noon);
    return world;
  }

  it('shows file name and reference with each document, missing ones included, through the escape filter', async () => {
    const { printed, records } = await worldWithNames().run();

    expect(printed).toContain(
      `- ${documentKey(id(1))}  missing: created 2026-11-15T12:00:00.000Z\n` +
        '  Letter of\\u{1b}[2J authorisation.pdf · reference PO-17\\u{a}No problems found\n',
    );
    expect(printed).toMatch(/ size-differs: .*\n {2}Invoice\.pdf · reference PO-18\n/);
    expect(records.filter(({ type }) => type === 'finding')).toMatchObject([
      { documentId: id(2), fileName: 'Invoice.pdf', customerReference: 'PO-18', atTelnyx: true },
      {
        documentId: id(1),
        fileName: 'Letter of\u001b[2J authorisation.pdf',
        customerReference: 'PO-17\nNo problems found',
      },
    ]);
  });

  it('names a document whose receipt is unreadable or was altered as Telnyx’s list does', async () => {
    const world = worldOf(2);
    const altered = receiptOf(some(0, noon - 9 * day));
    altered.documentId = id(9);
    altered.telnyx = { ...altered.telnyx, filename: 'forged.pdf' };
    world.replace(receiptKey(id(0)), written(altered), noon);
    world.bucket.refuse = (operation, key) =>
      operation === 'get' && key === receiptKey(id(1)) ? { name: 'AccessDenied', status: 403 } : undefined;

    const { records } = await world.run();

    expect(records.filter(({ type }) => type === 'finding')).toMatchObject([
      { code: 'receipt-altered', fileName: '0000.pdf' },
      { code: 'unreadable', fileName: '0000.pdf' },
    ]);
  });

  it('gives the number of documents in progress, by Telnyx’s list or the manifest', async () => {
    const world = worldOf(40);
    const listed = await world.run({ all: true, manifest: 'bucket' });
    const named = await world.run({ all: true }, undefined, { telnyx: async () => undefined });

    for (const { progress } of [listed, named]) {
      expect(progress.at(-1)).toEqual({ ended: 40, total: undefined, text: expect.any(String) });
      expect(progress).toContainEqual({
        ended: 20,
        total: 40,
        text: expect.stringMatching(/^20 documents checked · [\d,]+\/s · 0 problems$/),
      });
    }
  });

  it('states what it covered, and how long that took', async () => {
    const time = virtualTime(noon);
    let elapsed = 10_000;
    time.monotonic = () => elapsed;
    const world = createWorld({ time });
    for (let number = 0; number < 10; number += 1) world.archive(some(number, noon - 9 * day));
    await world.run({ manifest: 'bucket' });
    const [manifest = ''] = [...world.bucket.objects.keys()].filter((key) =>
      key.endsWith('/manifest-sha256.txt'),
    );
    world.bucket.refuse = (operation) => {
      // The listings take a second, reading the documents two more.
      elapsed = Math.max(elapsed, operation === 'head' ? 13_000 : 11_000);
      return undefined;
    };

    const { records, progress, printed } = await world.run({ all: true, readData: 100 });

    const covered = {
      archive: 'memory',
      listedAtTelnyx: 10,
      quick: false,
      manifests: 1,
      newestManifest: { key: manifest, sha256: sha256(world.bucket.text(manifest)) },
      seconds: 3,
    };
    expect(records.at(-1)).toMatchObject({
      type: 'summary',
      findings: 0,
      unchecked: 0,
      archived: 10,
      held: 0,
      bytes: 100,
      objectsRead: 10,
      bytesRead: 100,
      // Three listings and one of the manifests; the manifest and its tag file; three requests for each document.
      requests: 37,
      ...covered,
    });
    expect(progress.at(-1)?.text).toBe('10 documents checked · 5/s · 0 problems');
    // The summary follows the progress.
    expect(world.stoppedAfter.at(-2)).toMatch(/ 0000\.pdf\n$/);
    expect(world.stoppedAfter.at(-2)).not.toContain('No problems found');
    expect(printed).toMatch(/\n\nNo problems found in 10 archived documents/);
  });

  it('names the step in progress', async () => {
    const world = worldOf(1);
    await world.run({ manifest: 'bucket' });
    const [manifest = ''] = [...world.bucket.objects.keys()].filter((key) =>
      key.endsWith('/manifest-sha256.txt'),
    );
    world.replace(manifest, 'other bytes', noon);

    const { findings, progress } = await world.run();

    expect(findings).toContain(`manifest-altered ${manifest}`);
    expect(progress[0]?.text).toBe('Checking the manifests');
  });

  it('stops the progress also if it fails', async () => {
    const world = worldOf(1);
    world.bucket.refuse = () => ({ name: 'NoSuchBucket', status: 404 });

    await expect(world.run()).rejects.toThrow('bucket does not exist');

    expect(world.stoppedAfter).toHaveLength(1);
  });

  it('states of a foreign object its size, other versions and delete marker', async () => {
    const world = worldOf(1);
    world.bucket.put('a', 'x', noon);
    world.bucket.put('b', 'x', noon);
    world.bucket.put('b', 'xy', noon);
    world.bucket.put('c', 'x', noon);
    world.bucket.versioned.delete('c');

    const { details } = await world.run();

    expect([...details]).toEqual([
      ['foreign a', '1 B'],
      ['foreign b', '2 B, other versions: 1'],
      ['foreign c', 'hidden by a delete marker, other versions: 1'],
    ]);
  });

  it('takes the records of the audit function for the archiver’s, and judges their versions', async () => {
    const world = worldOf(1);
    const run = '20261124T021500Z';
    putRun(world.bucket, run);

    const before = await world.run();
    world.bucket.put(auditSummaryKey(run), 'forged', noon);
    world.bucket.versioned.delete(auditPlanKey(run));
    const after = await world.run();

    expect(before.findings.filter((finding) => finding.includes('audits/'))).toEqual([]);
    expect(before.exitCode).toBe(0);
    expect(after.exitCode).toBe(1);
    expect(problemsAmong(after.findings)).toEqual([
      `hidden ${auditPlanKey(run)}`,
      `overwritten ${auditSummaryKey(run)}`,
    ]);
    expect(after.details.get(`overwritten ${auditSummaryKey(run)}`)).toBe(
      'other versions: 1, delete markers: 0',
    );
  });

  it('says how many findings of a kind there are, and what to do about them in this bucket', async () => {
    const world = worldOf(4);
    for (const number of [1, 2]) world.bucket.objects.delete(documentKey(id(number)));

    const { printed } = await world.run();

    expect(printed).toContain('\n- 2 documents: the receipt exists, but the object is missing (no-object)\n');
    expect(printed).toContain(`      aws s3api put-object --bucket archive --key ${documentKey(id(1))} `);
    expect(printed).toContain('\n    Do the same for the other 1.\n');
  });

  it('does not speak of Telnyx in progress if it does not ask Telnyx', async () => {
    const world = worldOf(1);
    world.bucket.put('a', 'x', noon);

    const { progress } = await world.run({ telnyx: false });

    expect(progress[0]).toMatchObject({ ended: 0, total: undefined, text: 'Reading the list of documents' });
  });
});

describe('audit --html', () => {
  it.each(['constructor', '__proto__', 'toString', 'hasOwnProperty'])(
    'reports a document with the content type %s',
    async (contentType) => {
      const world = createWorld();
      const archived = some(1);
      archived.record.content_type = contentType;
      world.archive(archived);
      const file = join(await temporaryFolder(), 'report.html');

      const { printed, records } = await world.run({ html: file });

      expect(await readFile(file, 'utf8')).toContain(`<th scope="row">${contentType}</th>`);
      expect(printed).toMatch(new RegExp(`\\n\\nReport: ${file}\\n$`));
      expect(records.at(-1)).toEqual({ type: 'report', file });
    },
  );

  it('writes the manifest and queues repairs before the report', async () => {
    const world = worldOf(2);
    world.account.set(id(7), some(7).record);
    const folder = await temporaryFolder();
    world.bucket.refuse = (operation) => {
      if (operation === 'list-versions') rmSync(folder, { recursive: true, force: true });
      return undefined;
    };
    const queued: string[] = [];
    const sqs = {
      send: async ({ input }: { input: { Entries: { Id: string; MessageBody: string }[] } }) => {
        queued.push(...input.Entries.map(({ MessageBody }) => JSON.parse(MessageBody).documentId));
        return { Successful: input.Entries };
      },
    };

    const run = world.run(
      { html: join(folder, 'report.html'), manifest: 'bucket', repair: true },
      undefined,
      {
        queues: async () => ({ sqs, lanes: { documents: { queueUrl: 'documents' } } }) as never,
      },
    );

    await expect(run).rejects.toThrow(/ENOENT/);
    expect(queued).toEqual([id(7)]);
    expect([...world.bucket.objects.keys()].filter((key) => key.startsWith('manifests/'))).toHaveLength(2);
  });

  it('shows file name and reference of a missing document, through the escape filter', async () => {
    const world = createWorld();
    const { record } = some(1);
    record.filename = 'exe.\u202efdp';
    record.customer_reference = 'PO-17\u0007';
    world.account.set(record.id, record);
    const file = join(await temporaryFolder(), 'report.html');

    await world.run({ html: file });

    const text = await readFile(file, 'utf8');
    const [, json = ''] = /id="rows">(.*?)<\/script>/s.exec(text) ?? [];
    expect(JSON.parse(json).rows[0].slice(0, 5)).toEqual([
      record.id,
      ['missing'],
      'created 2026-11-14T12:00:00.000Z',
      'exe.\\u{202e}fdp',
      'PO-17\\u{7}',
    ]);
  });

  it('lists what is not about a document', async () => {
    const world = worldOf(1);
    world.bucket.put('strange', 'x', noon);
    const file = join(await temporaryFolder(), 'report.html');

    await world.run({ html: file });

    expect(await readFile(file, 'utf8')).toContain(
      '<td><code>foreign</code></td><td class="key">strange</td><td>1 B</td>',
    );
  });

  it.each([
    ['--html', { html: '/no/such/folder/report.html' }],
    ['--manifest', { manifest: { file: '/no/such/folder/manifest.txt' } }],
  ])('refuses an output path of %s in a missing folder before the first request', async (option, options) => {
    const world = worldOf(1);

    await expect(world.run(options)).rejects.toThrow(
      new RegExp(
        `^${option}: cannot write /no/such/folder/.*: the folder /no/such/folder does not exist\\.$`,
      ),
    );

    expect(world.bucket.requests).toEqual([]);
  });
});

describe('audit of a local archive', () => {
  /** A world whose archive is in a folder, with these files that are not objects. */
  function localWorld(files: AsyncIterable<UnlistedFile>) {
    const world = worldOf(1);
    const s3 = { send: world.bucket.send } as unknown as S3Client;
    const bucket = createBucket({ s3, name: 'archive', time: world.time });
    const localFolder = new ArchiveFolder('/srv/archive');
    localFolder.unlistedFiles = () => files;
    const run = (signal?: AbortSignal) =>
      world.run({}, signal, { bucket: async () => ({ s3, name: 'archive', bucket, localFolder }) });
    return { ...world, run };
  }

  it('reports files that are not objects before anything else', async () => {
    const { run } = localWorld(
      (async function* () {
        yield { path: 'documents/link', reason: 'a symbolic link' };
      })(),
    );

    const { exitCode, details, progress } = await run();

    expect(exitCode).toBe(1);
    expect([...details]).toEqual([
      ['foreign documents/link', 'a symbolic link, so it is not an object of the archive'],
    ]);
    expect(progress[0]?.text).toBe('Looking for other files in the folder');
  });

  it('stops at the next file when the signal aborts', async () => {
    const stop = new AbortController();
    const seen: string[] = [];
    const { run, bucket } = localWorld(
      (async function* () {
        for (const path of ['first', 'second', 'third']) {
          seen.push(path);
          if (path === 'second') stop.abort(new Error('Stopped.'));
          yield { path, reason: 'a symbolic link' };
        }
      })(),
    );

    await expect(run(stop.signal)).rejects.toThrow('Stopped.');

    expect(seen).toEqual(['first', 'second']);
    expect(bucket.requests).toEqual([]);
  });
});

describe('audit --quick', () => {
  it('says that bytes were not compared', async () => {
    const world = worldOf(2);
    world.replace(documentKey(id(0)), 'dokument 0', noon);

    const { printed } = await world.run({ quick: true });
    const offline = await world.run({ quick: true, telnyx: false });

    expect(printed).toContain(
      'No problems found in 2 archived documents (20 B) by listing only; bytes were not compared.',
    );
    expect(offline.printed).toContain('bytes were not compared; not compared with Telnyx.');
  });

  it('finds missing objects, missing receipts, missing documents and wrong sizes, and reads only these documents', async () => {
    const keys = ['unchanged', 'missing', 'no-object', 'no-receipt', 'size', 'young', 'kept'] as const;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...keys), { maxLength: 30 }),
        fc.integer({ min: 1, max: 9 }),
        async (plan, pageKeys) => {
          const world = createWorld();
          world.bucket.pageKeys = pageKeys;
          const expected = plan.flatMap((defect, number): string[] => {
            const key = documentKey(id(number));
            const archived = some(number, defect === 'young' ? noon - 60_000 : noon - 9 * day);
            world.archive(archived);
            const remove = (...removed: string[]) => {
              for (const each of removed) world.bucket.objects.delete(each);
            };
            if (defect === 'missing' || defect === 'young') remove(key, receiptKey(id(number)));
            if (defect === 'no-object') remove(key);
            if (defect === 'no-receipt') remove(receiptKey(id(number)));
            if (defect === 'size') world.replace(key, 'x', noon - day);
            if (defect === 'kept') world.account.delete(id(number));
            const found = { unchanged: 'same', size: 'size-differs', young: 'pending' } as Record<
              string,
              string
            >;
            return [`${found[defect] ?? defect} ${key}`];
          });
          world.bucket.requests.length = 0;

          const { findings } = await world.run({ quick: true, all: true });

          expect(findings).toEqual(expected.sort());
          const inspected = plan.filter((defect) => /^no-|size/.test(defect)).length;
          const others = world.bucket.requests.filter((request) => !request.startsWith('list'));
          expect(others.length).toBeLessThanOrEqual(2 * inspected);
        },
      ),
      { numRuns: propertyRuns(60) },
    );
  });
});

describe('audit while the archiver works', () => {
  it('reports no problem for a document archived between the two listings', async () => {
    const world = worldOf(5);
    const late = some(3, noon - 9 * day + 3_000);
    for (const key of [documentKey(id(3)), receiptKey(id(3))]) world.bucket.objects.delete(key);
    let listings = 0;
    world.bucket.refuse = (operation) => {
      // The objects are listed; the listing of the receipts follows.
      if (operation === 'list-versions' && ++listings === 3) world.archive(late);
      return undefined;
    };

    const { exitCode, findings } = await world.run({ all: true });

    expect(exitCode).toBe(0);
    expect(findings).toContain(`same ${documentKey(id(3))}`);
  });

  it('reports a document archived after both listings as pending', async () => {
    const world = worldOf(5);
    for (const key of [documentKey(id(3)), receiptKey(id(3))]) world.bucket.objects.delete(key);
    world.bucket.refuse = (operation, key) => {
      if (operation === 'get' && key === receiptKey(id(4))) world.archive(some(3, noon - 9 * day + 3_000));
      return undefined;
    };

    const { exitCode, findings, details, queued } = await world.run({ all: true, repair: true });

    expect(exitCode).toBe(0);
    expect(findings).toContain(`pending ${documentKey(id(3))}`);
    expect(details.get(`pending ${documentKey(id(3))}`)).toBe('archived during the audit');
    expect(queued).toEqual([]);
  });

  it('does not report a document archived after the listing of Telnyx as kept', async () => {
    const world = worldOf(1);
    const { record, body } = some(7, noon + 1_000);
    world.archive({ record, body });
    world.account.delete(id(7));

    const { findings } = await world.run({ all: true });

    expect(findings).toEqual([`same ${documentKey(id(0))}`, `same ${documentKey(id(7))}`]);
  });

  it('reports a document as missing only after the minutes of --grace', async () => {
    const world = createWorld();
    world.account.set(id(1), some(1, noon - 20 * 60_000).record);

    const standard = await world.run();
    const longer = await world.run({ graceMinutes: 30, all: true });

    expect(standard.findings).toEqual([`missing ${documentKey(id(1))}`]);
    expect(longer.findings).toEqual([`pending ${documentKey(id(1))}`]);
  });
});

describe('audit under failures', () => {
  it('repeats requests after temporary errors of S3', async () => {
    const world = worldOf(30);
    let count = 0;
    world.bucket.refuse = () => (++count % 3 === 0 ? { name: 'SlowDown', status: 503 } : undefined);

    const { exitCode, findings } = await world.run({ manifest: 'bucket' });

    expect(findings).toEqual([]);
    expect(exitCode).toBe(0);
  });

  it('reports an object that cannot be read as unreadable, with exit code 3', async () => {
    const world = worldOf(3);
    world.bucket.refuse = (operation, key) =>
      operation === 'head' && key === documentKey(id(1)) ? { name: 'AccessDenied', status: 403 } : undefined;

    const { exitCode, findings, details, printed } = await world.run();

    expect(exitCode).toBe(3);
    expect(findings).toEqual([`unreadable ${documentKey(id(1))}`]);
    expect(details.get(`unreadable ${documentKey(id(1))}`)).toMatch(/^BucketMisconfigured: S3 denies access/);
    expect(printed).toContain('1 item could not be checked; no problems found in 2 archived documents');
  });

  it('exits with 1 if there are both problems and unreadable objects', async () => {
    const world = worldOf(3);
    world.bucket.put('strange', 'x', noon);
    world.bucket.refuse = (operation, key) =>
      operation === 'head' && key !== documentKey(id(1)) ? { name: 'AccessDenied', status: 403 } : undefined;

    const { exitCode, printed } = await world.run();

    expect(exitCode).toBe(1);
    expect(printed).toContain('1 problem found in 1 archived document (10 B); 2 items could not be checked.');
  });

  it('stops after 50 documents if none of them can be read', async () => {
    const world = worldOf(400);
    world.bucket.refuse = (operation) =>
      operation === 'get' ? { name: 'AccessDenied', status: 403 } : undefined;

    await expect(world.run()).rejects.toThrow(
      /None of the first 50 documents could be read\. BucketMisconfigured/,
    );
  });

  it.each([
    [1, 'The only document could not be read. BucketMisconfigured'],
    [3, 'None of the 3 documents could be read. BucketMisconfigured'],
  ])('fails if none of %d documents can be read', async (count, message) => {
    const world = worldOf(count);
    world.bucket.refuse = (operation) =>
      operation === 'get' ? { name: 'AccessDenied', status: 403 } : undefined;

    await expect(world.run()).rejects.toThrow(message);
  });

  it('stops only if no document at all was readable, also if Telnyx failed', async () => {
    const world = worldOf(60);
    world.breakTelnyx();
    world.bucket.refuse = (operation, key) =>
      operation === 'get' && key !== receiptKey(id(0)) ? { name: 'AccessDenied', status: 403 } : undefined;

    expect((await world.run()).exitCode).toBe(3);
  });

  it('fails if a listing fails', async () => {
    const world = worldOf(3);
    world.bucket.refuse = (operation) =>
      operation === 'list-versions' ? { name: 'NoSuchBucket', status: 404 } : undefined;

    await expect(world.run()).rejects.toThrow(/bucket does not exist/);
  });

  it('fails if the bucket does not list its keys in byte order', async () => {
    const world = worldOf(3);
    world.bucket.pageKeys = 1;
    const { send } = world.bucket;
    const s3 = {
      send: async (command: unknown) => {
        // The second page of a listing is before the first one.
        if (command instanceof ListObjectVersionsCommand && command.input.KeyMarker === documentKey(id(0))) {
          return { Versions: [{ Key: 'a', IsLatest: true }] };
        }
        return send(command);
      },
    };

    await expect(
      world.run({}, undefined, {
        bucket: async () => ({ s3: s3 as never, name: 'archive', bucket: undefined as never }),
      }),
    ).rejects.toThrow(/order/);
  });

  it('checks the archive without Telnyx’s list if Telnyx fails, and reports no document as kept', async () => {
    const world = worldOf(3);
    world.bucket.objects.delete(documentKey(id(1)));
    world.breakTelnyx();

    const { findings } = await world.run({ all: true });

    expect(problemsAmong(findings)).toEqual([`no-object ${documentKey(id(1))}`, 'unreadable telnyx']);
    expect(findings.some((finding) => finding.startsWith('kept'))).toBe(false);
  });

  it('reports rows of Telnyx’s list without a valid ID, and no document as kept then', async () => {
    const world = worldOf(2);
    world.account.delete(id(0));
    world.account.set('odd', { ...some(1, noon - 9 * day).record, id: 'odd' });

    const { exitCode, findings, details } = await world.run({ all: true });

    expect(exitCode).toBe(3);
    expect(findings).toContain(`same ${documentKey(id(0))}`);
    expect(details.get('unreadable telnyx')).toBe('1 row without a valid ID.');
  });

  it('states why Telnyx’s list could not be read', async () => {
    const world = worldOf(1);
    world.breakTelnyx();

    const { details } = await world.run();

    expect(details.get('unreadable telnyx')).toBe('ApiKeyRejected: The API key is not valid.');
  });

  it('checks a local archive without Telnyx if no local stack is running, and says so in the summary', async () => {
    const world = worldOf(3);

    const { exitCode, printed } = await world.run({}, undefined, { telnyx: async () => undefined });

    expect(exitCode).toBe(0);
    expect(printed).toContain('Telnyx     not compared; missing documents are not detected');
    expect(printed).toMatch(
      /No problems found in 3 archived documents \(\d+ B\); not compared with Telnyx\./,
    );
  });

  it('ends normally if its temporary folder has been removed meanwhile', async () => {
    const world = worldOf(1);
    const folder = await temporaryFolder();
    vi.stubEnv('TMPDIR', folder);
    onTestFinished(() => void vi.unstubAllEnvs());
    world.bucket.refuse = () => {
      for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
      return undefined;
    };

    expect((await world.run()).exitCode).toBe(0);
  });

  it('leaves no temporary files and writes nothing after Ctrl-C', async () => {
    const world = worldOf(300);
    const folder = await mkdtemp(join(tmpdir(), 'audit-interrupted-'));
    vi.stubEnv('TMPDIR', folder);
    onTestFinished(async () => {
      vi.unstubAllEnvs();
      await rm(folder, { recursive: true, force: true });
    });
    const interrupt = new AbortController();
    let requests = 0;
    let temporaryFiles: string[] = [];
    world.bucket.refuse = () => {
      if (++requests === 40) {
        temporaryFiles = readdirSync(folder);
        interrupt.abort(new Error('Stopped.'));
      }
      return undefined;
    };
    const keys = [...world.bucket.objects.keys()];

    await expect(world.run({ manifest: 'bucket' }, interrupt.signal)).rejects.toThrow('Stopped.');

    expect(temporaryFiles).toHaveLength(1);
    expect(await readdir(folder)).toEqual([]);
    expect([...world.bucket.objects.keys()]).toEqual(keys);
  });
});

describe('audit --repair', () => {
  it('queues only the documents that the archiver can repair', async () => {
    const world = worldOf(8);
    const remove = (...keys: string[]) => {
      for (const key of keys) world.bucket.objects.delete(key);
    };
    remove(documentKey(id(1)), receiptKey(id(1)));
    remove(receiptKey(id(2)));
    remove(documentKey(id(3)));
    remove(receiptKey(id(4)));
    world.account.delete(id(4));
    world.replace(documentKey(id(5)), 'other', noon - day);
    remove(receiptKey(id(6)));
    world.bucket.put(documentKey(id(6)), 'written again', noon - day);

    const { exitCode, findings, queued } = await world.run({ repair: true });

    expect(exitCode).toBe(1);
    expect(queued.sort((a, b) => (a.documentId < b.documentId ? -1 : 1))).toEqual([
      { lane: 'documents', documentId: id(1) },
      { lane: 'documents', documentId: id(2) },
      { lane: 'documents', documentId: id(6) },
    ]);
    expect(findings).toContain(`overwritten ${documentKey(id(6))}`);
  });

  it('shows with --dry-run what it would queue, and needs no queues', async () => {
    const world = worldOf(3);
    world.bucket.objects.delete(documentKey(id(1)));
    world.bucket.objects.delete(receiptKey(id(1)));
    const queues = async () => {
      throw new Error('No local stack is running.');
    };

    const { exitCode, queued, printed, records } = await world.run(
      { repair: true, dryRun: true },
      undefined,
      {
        queues,
      },
    );

    expect(exitCode).toBe(1);
    expect(queued).toEqual([]);
    expect(printed).toContain(
      'Dry run: 1 document would be queued in the lane documents. Nothing was queued.',
    );
    expect(records.at(-1)).toEqual({
      type: 'repair',
      dryRun: true,
      repairable: 1,
      queued: 0,
      lane: 'documents',
    });
  });

  it('queues more than 1,000 documents in the backfill lane', async () => {
    const world = createWorld();
    for (let number = 0; number < 1_001; number += 1) world.account.set(id(number), some(number).record);

    const { queued } = await world.run({ repair: true });

    expect(queued).toHaveLength(1_001);
    expect(new Set(queued.map(({ lane }) => lane))).toEqual(new Set(['backfill']));
  });

  it('fails before the first request to S3 if no local stack is running', async () => {
    const world = worldOf(3);
    const queues = async () => {
      throw new Error('No local stack is running.');
    };

    await expect(world.run({ repair: true }, undefined, { queues })).rejects.toThrow(
      'No local stack is running.',
    );

    expect(world.bucket.requests).toEqual([]);
  });
});
