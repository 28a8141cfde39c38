import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../../cli/command.ts';
import type { FindOptions } from '../../../cli/commands/find.ts';
import { type CatalogueRow, stampOf } from '../../../functions/bucket/catalogue-rows.ts';
import { receiptKey } from '../../../functions/bucket/keys.ts';
import { listVersions } from '../../../functions/bucket/listing.ts';
import { ArchiverError } from '../../../functions/errors.ts';
import { systemTime } from '../../../functions/time.ts';
import { DiskError } from '../../../local/s3/file-errors.ts';
import { collected } from '../../collected.ts';
import { putRun } from '../../fakes/audit-runs.ts';
import { noon } from '../../fakes/documents.ts';
import { sha256 } from '../../fakes/memory-bucket.ts';
import { newFolder } from '../world.ts';
import { createFindWorld, parseFind } from './world.ts';

const idOf = (number: number, shard = '5a3') =>
  `${shard}b1e00-0000-4000-8000-${String(number).padStart(12, '0')}`;
const instant = (number: number) => new Date(noon + number * 1_000).toISOString();
const rowOf = (number: number, fields: Partial<CatalogueRow> = {}, shard?: string): CatalogueRow => ({
  id: idOf(number, shard),
  state: 'archived',
  stamp: 's',
  name: `loa ${number}.pdf`,
  archived: instant(number),
  ...fields,
});

describe('without --fresh', () => {
  it('finds the rows that match all words and options, newest first', async () => {
    const { catalogue, run } = createFindWorld();
    catalogue.put([
      rowOf(1, { reference: 'Acme' }),
      rowOf(2, { reference: 'acme' }, '5a4'),
      rowOf(3),
      rowOf(4, { reference: 'Acme', held: true }, '5a5'),
    ]);

    const both = await run({ words: ['LOA', 'acme'] });
    const held = await run({ words: ['acme'], options: { held: true } });
    const period = await run({ options: { since: instant(2), until: instant(4) } });

    expect(both).toMatchObject({ exitCode: 0, ids: [idOf(4, '5a5'), idOf(2, '5a4'), idOf(1)] });
    expect(held.ids).toEqual([idOf(4, '5a5')]);
    expect(period.ids).toEqual([idOf(3), idOf(2, '5a4')]);
  });

  it('returns 1 and says as of when the answer is when nothing is found', async () => {
    const { catalogue, run } = createFindWorld();
    catalogue.put([rowOf(1)]);

    const result = await run({ words: ['nowhere'] });

    expect(result.exitCode).toBe(1);
    expect(result.printed).toBe(
      [
        'Nothing found.',
        `As of ${instant(0)}, when the oldest part of the catalogue was written. Later changes may be missing.`,
        'With --fresh, the answer is exact.\n',
      ].join('\n'),
    );
    expect(result.end).toEqual({
      type: 'end',
      found: 0,
      shown: 0,
      exact: false,
      asOf: instant(0),
      audited: false,
      missing: 0,
      corrupt: 0,
    });
  });

  it.each([
    [
      'the start of the last audit that updated the catalogue',
      true,
      '20261124T121500Z',
      '2026-11-24T12:15:00.000Z',
    ],
    ['the write of the oldest part, if the last audit began earlier', true, '20261124T021500Z', instant(0)],
    ['the write of the oldest part, if the last audit began then', true, '20261124T120000Z', instant(0)],
    [
      'the write of the oldest part, if the last audit could not update the catalogue',
      false,
      '20261124T121500Z',
      instant(0),
    ],
  ])('says that the answer is as of %s', async (_what, isWritten, audit, asOf) => {
    const { bucket, catalogue, advance, run } = createFindWorld();
    catalogue.put([rowOf(1)]);
    advance(3_600_000);
    putRun(bucket, audit, { parts: { ids__: isWritten ? { catalogue: true } : {} } });

    const { end, printed } = await run({ words: ['loa'] });

    expect(end).toMatchObject({ asOf, audited: asOf !== instant(0) });
    expect(printed).toContain(`As of ${asOf}, when the`);
  });

  it('finds by each option alone', async () => {
    const { catalogue, run } = createFindWorld();
    catalogue.put([
      rowOf(1, { type: 'application/pdf' }),
      rowOf(2, { type: 'text/plain' }),
      { id: idOf(3), state: 'erased', stamp: 's' },
    ]);
    const idsOf = async (options: FindOptions) => (await run({ options })).ids;

    expect(await idsOf({ type: 'application/pdf' })).toEqual([idOf(1)]);
    expect(await idsOf({ erased: true })).toEqual([idOf(3)]);
    expect(await idsOf({ since: instant(2) })).toEqual([idOf(2)]);
    expect(await idsOf({ until: instant(2) })).toEqual([idOf(1)]);
  });

  it('throws an error that is no sign of a corrupt part', async () => {
    const { catalogue, run } = createFindWorld();
    catalogue.putBody('5a3', 5 as never);

    await expect(run({ words: ['loa'] })).rejects.toThrow(TypeError);
  });

  it('states when the oldest part was written', async () => {
    const { catalogue, advance, run } = createFindWorld();
    catalogue.put([rowOf(1)]);
    advance(5_000);
    catalogue.put([rowOf(2, {}, '5a4')]);

    expect((await run({ words: ['loa'] })).end).toMatchObject({ found: 2, asOf: instant(0) });
  });

  it('finds whether exactly the bytes of a file are archived', async () => {
    const { catalogue, run } = createFindWorld();
    catalogue.put([rowOf(1, { sha256: sha256('the letter') }), rowOf(2, { sha256: sha256('another') })]);
    const file = join(await newFolder(), 'letter.pdf');
    await writeFile(file, 'the letter');

    const found = await run({ options: { digestOf: file } });
    await writeFile(file, 'the letter!');
    const changed = await run({ options: { digestOf: file } });

    expect([found.exitCode, found.ids]).toEqual([0, [idOf(1)]]);
    expect([changed.exitCode, changed.ids]).toEqual([1, []]);
  });

  it('says how many parts are missing or corrupt, and finds what is in the others', async () => {
    const { catalogue, archive, run } = createFindWorld();
    catalogue.put([rowOf(1), rowOf(2, {}, '5a4'), rowOf(3, {}, '5a5')]);
    catalogue.putBody('5a4', (catalogue.shards.get('5a4')?.body ?? Buffer.of()).subarray(0, -9));
    catalogue.putBody('5a5', Buffer.alloc(0));
    archive(idOf(4, '777'));

    const result = await run({ words: ['loa'] });

    expect(result).toMatchObject({ exitCode: 0, ids: [idOf(1)], end: { missing: 1, corrupt: 2 } });
    expect(result.printed).toContain('The answer is incomplete. Catalogue parts missing: 1, corrupt: 2.');
  });

  it('refuses a part that would fill the memory', async () => {
    const { catalogue, run } = createFindWorld();
    catalogue.put([rowOf(1)]);
    catalogue.putBody('5a4', gzipSync(Buffer.alloc(64 * 1_024 ** 2 + 1, '\n')));

    expect(await run({ words: ['loa'] })).toMatchObject({ ids: [idOf(1)], end: { corrupt: 1 } });
  });

  it('sorts documents that were archived at the same time by ID', async () => {
    const { catalogue, run } = createFindWorld();
    const numbers = [3, 1, 5, 2, 4];
    catalogue.put(
      numbers.map((number) => rowOf(number, { archived: instant(0) }, number % 2 ? '5a4' : '5a3')),
    );

    const { ids } = await run({ words: ['loa'], options: { limit: 4 } });

    expect(ids).toEqual([idOf(2), idOf(4), idOf(1, '5a4'), idOf(3, '5a4')]);
  });

  it('counts a part that has rows of another part as corrupt', async () => {
    const { catalogue, run } = createFindWorld();
    catalogue.put([rowOf(1)]);
    catalogue.putBody('5a4', catalogue.shards.get('5a3')?.body ?? Buffer.of());

    expect(await run({ words: ['loa'] })).toMatchObject({ ids: [idOf(1)], end: { corrupt: 1 } });
  });

  it.each<[string, (put: ReturnType<typeof createFindWorld>) => void, string]>([
    ['only corrupt ones', ({ catalogue }) => catalogue.putBody('5a4', Buffer.alloc(0)), 'corrupt: 1.'],
    ['only missing ones', ({ archive }) => archive(idOf(2, '777')), 'missing: 1.'],
  ])('names of the parts that it has not searched %s', async (_which, damage, gaps) => {
    const world = createFindWorld();
    world.catalogue.put([rowOf(1)]);
    damage(world);

    const { printed } = await world.run({ words: ['loa'] });

    expect(printed).toContain(`\nThe answer is incomplete. Catalogue parts ${gaps}\n`);
  });

  it('says that nothing could be read when all parts were deleted after they were listed', async () => {
    const { catalogue, run } = createFindWorld();
    catalogue.put([rowOf(1)]);
    catalogue.read = async () => undefined;

    const { exitCode, printed, end } = await run({ words: ['loa'] });

    expect(exitCode).toBe(1);
    expect(printed).toBe(
      'Nothing found.\nNo part of the catalogue could be read.\nWith --fresh, the answer is exact.\n',
    );
    expect(end).toMatchObject({ corrupt: 0, asOf: undefined });
  });

  it('shows how many parts it has searched, and stops its progress when it fails', async () => {
    const { catalogue, run, progresses } = createFindWorld();
    catalogue.put([rowOf(1), rowOf(2, {}, '5a4')]);

    await run({ words: ['loa'] });
    catalogue.refuse = (method) => (method === 'read' ? new TypeError('a defect') : undefined);
    await expect(run({ words: ['loa'] })).rejects.toThrow('a defect');

    const [complete, failed] = progresses;
    expect(complete).toEqual({
      ended: 2,
      total: 2,
      text: '2 of 2 parts of the catalogue searched',
      lineKey: '',
    });
    expect(failed).toMatchObject({ ended: 0 });
  });

  it('throws the error of a catalogue that cannot be read', async () => {
    const { catalogue, run } = createFindWorld();
    catalogue.put([rowOf(1)]);
    catalogue.refuse = (method) =>
      method === 'read' ? new ArchiverError('BucketMisconfigured', 'S3 denies access.') : undefined;

    await expect(run({ words: ['loa'] })).rejects.toThrow('S3 denies access.');
  });
});

describe('with --fresh', () => {
  it('finds what the archive has, whatever is in the catalogue, and corrects the catalogue', async () => {
    const { archive, erase, remove, record, catalogue, rows, run } = createFindWorld();
    archive(idOf(1), { name: 'loa one.pdf' });
    archive(idOf(2), { name: 'loa two.pdf' });
    archive(idOf(3), { name: 'loa three.pdf' });
    archive(idOf(4, '777'), { name: 'loa four.pdf' });
    await run({ words: ['loa'], options: { fresh: true } });
    remove(idOf(1));
    erase(idOf(2));
    record(idOf(3), 'hold', noon);
    archive(idOf(5, '888'), { name: 'loa five.pdf' });
    catalogue.putBody('777', Buffer.from('half a shard'));
    catalogue.put([rowOf(6, { name: 'loa six.pdf' }, '999')]);

    const result = await run({ words: ['loa'], options: { fresh: true } });

    const expected = [idOf(3), idOf(4, '777'), idOf(5, '888')];
    expect(result.ids.toSorted()).toEqual(expected);
    expect(result.end).toEqual({
      type: 'end',
      found: 3,
      shown: 3,
      exact: true,
      asOf: instant(0),
      invalid: 0,
    });
    expect((await rows()).map(({ id, state, held }) => [id, state, held])).toEqual([
      [idOf(2), 'erased', undefined],
      [idOf(3), 'archived', true],
      [idOf(4, '777'), 'archived', undefined],
      [idOf(5, '888'), 'archived', undefined],
    ]);
    expect((await run({ words: ['loa'] })).ids.toSorted()).toEqual(expected);
  });

  it('finds a document by a context that is newer than its row', async () => {
    const { archive, learn, run } = createFindWorld();
    archive(idOf(1));
    await run({ words: ['loa'], options: { fresh: true } });
    const fact = { kind: 'porting-order' as const, id: 'b0f6a2d4-1111-4222-8333-444455556666' };
    learn({ documentId: idOf(1), ...fact, reference: 'Port 77', numbers: ['+493012345678'] });

    const stale = await run({ words: ['030 12345678'] });
    const fresh = await run({ words: ['030 12345678', 'port 77'], options: { fresh: true } });

    expect([stale.exitCode, stale.ids]).toEqual([1, []]);
    expect([fresh.exitCode, fresh.ids]).toEqual([0, [idOf(1)]]);
    expect((await run({ words: ['b0f6a2d4'] })).ids).toEqual([idOf(1)]);
  });

  it('reads only receipts that have changed since their rows were made', async () => {
    const { archive, bucket, run } = createFindWorld();
    archive(idOf(1));
    archive(idOf(2));
    await run({ words: ['loa'], options: { fresh: true } });
    archive(idOf(2), { name: 'another.pdf' });
    const before = bucket.requests.length;

    const result = await run({ words: ['loa'], options: { fresh: true } });

    expect(result.ids).toEqual([idOf(1)]);
    expect(bucket.requests.slice(before).filter((request) => request.startsWith('get'))).toEqual([
      `get receipts/${idOf(2)}.json`,
    ]);
  });

  it('keeps a row whose receipt is newer than the listing', async () => {
    const { archive, bucket, catalogue, rows, run } = createFindWorld();
    archive(idOf(1));
    catalogue.put([rowOf(0), rowOf(2)]);
    bucket.refuse = (operation, key) => {
      if (operation === 'get' && key.includes(idOf(1))) for (const number of [0, 2]) archive(idOf(number));
      return undefined;
    };

    await run({ words: ['loa'], options: { fresh: true } });

    expect((await rows()).map(({ id }) => id)).toEqual([idOf(0), idOf(1), idOf(2)]);
  });

  it('makes the rows that an audit makes, from the same listings', async () => {
    const { archive, bucket, rows, run } = createFindWorld();
    archive(idOf(1));
    await run({ words: ['loa'], options: { fresh: true } });
    const listed = await collected(
      listVersions(
        {
          s3: bucket as never,
          name: 'archive',
          time: systemTime,
          retry: (work) => work(new AbortController().signal),
          onRequest: () => undefined,
        },
        { prefix: 'receipts/' },
      ),
    );

    const [receipt] = listed;

    expect((await rows())[0]?.stamp).toBe(receipt && stampOf({ receipt, contexts: [], holds: [] }));
    const listings = bucket.requests.filter((request) => request.startsWith('list-versions')).slice(0, 3);
    expect(listings.sort()).toEqual([
      'list-versions contexts/',
      'list-versions holds/',
      'list-versions receipts/',
    ]);
  });

  it('does not undo an erasure that runs at the same time', async () => {
    const { archive, bucket, catalogue, rows, run } = createFindWorld();
    archive(idOf(1));
    const erased: CatalogueRow = { id: idOf(1), state: 'erased', stamp: '' };
    bucket.refuse = (operation) => {
      // After the receipt was read: the error of a read would not be repeated.
      if (operation === 'get') queueMicrotask(() => catalogue.put([erased]));
      return undefined;
    };

    await run({ words: ['loa'], options: { fresh: true } });

    expect(await rows()).toEqual([erased]);
  });

  it.each([
    ['permission', new ArchiverError('BucketMisconfigured', 'S3 denies access.'), 'S3 denies access.'],
    [
      'space',
      new DiskError('/archive', 'ENOSPC', undefined),
      'Cannot write to /archive: the disk is full (ENOSPC).',
    ],
  ])('answers, and says that the catalogue was not updated, without %s', async (_lack, error, reason) => {
    const { archive, catalogue, run } = createFindWorld();
    archive(idOf(1));
    archive(idOf(2, '777'));
    catalogue.refuse = (method) => (method === 'write' ? error : undefined);

    const result = await run({ words: ['loa'], options: { fresh: true } });

    expect(result).toMatchObject({ exitCode: 0, end: { found: 2, exact: true, notUpdated: reason } });
    expect(result.printed).toContain(`The catalogue was not updated: ${reason}`);
  });

  it('throws any other error of a write', async () => {
    const { archive, catalogue, run } = createFindWorld();
    archive(idOf(1));
    catalogue.refuse = (method) => (method === 'write' ? new TypeError('a defect') : undefined);

    await expect(run({ words: ['loa'], options: { fresh: true } })).rejects.toThrow('a defect');
  });

  it('takes neither keys that the archiver does not write, nor records without a receipt, for documents', async () => {
    const { archive, bucket, record, learn, run, progresses } = createFindWorld();
    archive(idOf(1));
    archive(idOf(2));
    bucket.versioned.delete(receiptKey(idOf(2)));
    bucket.put(`receipts/${idOf(1)}.json.bak`, '{}', noon);
    bucket.put('receipts/notes.txt', '{}', noon);
    record(idOf(3), 'hold', noon);
    learn({ documentId: idOf(4), kind: 'link', id: 'Res-9' });

    const { ids, end } = await run({ words: ['loa'], options: { fresh: true } });

    expect(ids).toEqual([idOf(1)]);
    expect(end).toMatchObject({ found: 1, invalid: 0 });
    expect(progresses[0]?.text).toBe('1 document listed · 2 read');
  });

  it('does not try to write further parts once one could not be written', async () => {
    const { archive, catalogue, run } = createFindWorld();
    const shards = Array.from({ length: 20 }, (_, number) => `5${String(number).padStart(2, '0')}`);
    for (const shard of shards) archive(idOf(1, shard));
    catalogue.refuse = (method) =>
      method === 'write' ? new ArchiverError('BucketMisconfigured', 'S3 denies access.') : undefined;

    const { end } = await run({ words: ['loa'], options: { fresh: true } });

    expect(end).toMatchObject({ found: 20, notUpdated: 'S3 denies access.' });
    // Four parts are worked on at the same time.
    expect(catalogue.requests.filter((request) => request.startsWith('write')).length).toBeLessThan(8);
  });

  it('counts receipts that are not valid', async () => {
    const { archive, bucket, run } = createFindWorld();
    archive(idOf(1));
    bucket.put(`receipts/${idOf(2)}.json`, '{}', noon);

    const one = await run({ words: ['loa'], options: { fresh: true } });
    bucket.put(`receipts/${idOf(3)}.json`, '{}', noon);
    const two = await run({ words: ['loa'], options: { fresh: true } });

    expect(one).toMatchObject({ ids: [idOf(1)], end: { invalid: 1 } });
    expect(one.printed).toContain(
      '\n1 receipt is not valid and could not be searched. Run `archiver audit`.\n',
    );
    expect(two.printed).toContain('\n2 receipts are not valid and could not be searched.');
  });

  it('says of what time the answer is, and nothing else when all is well', async () => {
    const { archive, run } = createFindWorld();
    archive(idOf(1));

    const { printed, noted } = await run({ words: ['loa'], options: { fresh: true } });

    expect(printed.split('\n').slice(-3)).toEqual([
      '1 document found.',
      `Compared with the archive at ${instant(0)}.`,
      '',
    ]);
    expect(noted).toBe('');
  });

  it('shows how far it is, and stops its progress when it fails', async () => {
    const { archive, bucket, run, progresses } = createFindWorld();
    for (const [number, shard] of ['5a3', '5a3', '777'].entries()) archive(idOf(number, shard));

    await run({ words: ['loa'], options: { fresh: true } });
    archive(idOf(0), { name: 'another.pdf' });
    await run({ words: ['loa'], options: { fresh: true } });
    bucket.refuse = () => ({ name: 'AccessDenied', status: 403 });
    await expect(run({ words: ['loa'], options: { fresh: true } })).rejects.toThrow('S3 denies access');

    expect(progresses).toEqual([
      { ended: 0x778, total: 4_096, text: '3 documents listed · 3 read' },
      { ended: 0x778, total: 4_096, text: '3 documents listed · 1 read' },
      { ended: 0, total: 4_096, text: '0 documents listed · 0 read' },
    ]);
  });

  it('repeats what fails for a short time, in the archive and in the catalogue', async () => {
    const { archive, bucket, catalogue, run, rows } = createFindWorld();
    archive(idOf(1));
    await run({ words: ['loa'], options: { fresh: true } });
    archive(idOf(2));
    const failed = new Set<string>();
    const failsFirst = (request: string) => failed.size < failed.add(request).size;
    bucket.refuse = (operation) =>
      failsFirst(operation) ? { name: 'InternalError', status: 500 } : undefined;
    catalogue.refuse = (method) =>
      failsFirst(`catalogue ${method}`) ? new ArchiverError('BucketUnavailable', 'S3 is busy.') : undefined;

    const { exitCode, end } = await run({ words: ['loa'], options: { fresh: true } });

    expect(exitCode).toBe(0);
    expect(end).toEqual({ type: 'end', found: 2, shown: 2, exact: true, asOf: instant(0), invalid: 0 });
    expect(await rows()).toHaveLength(2);
    expect([...failed].sort()).toEqual([
      'catalogue list',
      'catalogue read',
      'catalogue write',
      'get',
      'list-versions',
    ]);
  });

  it('throws the error of a bucket that cannot be listed', async () => {
    const { archive, bucket, run } = createFindWorld();
    archive(idOf(1));
    bucket.refuse = (operation) =>
      operation === 'list-versions' ? { name: 'AccessDenied', status: 403 } : undefined;

    await expect(run({ words: ['loa'], options: { fresh: true } })).rejects.toThrow('S3 denies access');
  });
});

it('builds a catalogue when there is none', async () => {
  const { archive, rows, run } = createFindWorld();
  archive(idOf(1), { name: 'loa.pdf' });

  const result = await run({ words: ['loa'] });

  expect(result).toMatchObject({ ids: [idOf(1)], end: { exact: true } });
  expect(result.noted).toBe('There is no catalogue yet. Building it from the receipts.\n');
  expect((await rows()).map(({ name }) => name)).toEqual(['loa.pdf']);
});

it('reads all receipts if the archiver keeps no catalogue', async () => {
  const { archive, run } = createFindWorld();
  archive(idOf(1));

  expect(await run({ words: ['loa'], catalogue: undefined })).toMatchObject({
    ids: [idOf(1)],
    end: { exact: true },
    noted: '',
    progresses: [{ ended: 0x5a4, total: 4_096, text: '1 document listed · 1 read' }],
  });
});

describe('the output', () => {
  const hostile = rowOf(1, {
    name: '=cmd|"/c calc"!A1\n\u001b[2J, "x"',
    reference: '+1+1',
    relations: [
      {
        kind: 'porting-order',
        id: 'b0f6a2d4-1111-4222-8333-444455556666',
        reference: 'PO-1',
        numbers: ['+493012345678', '+493012345679'],
      },
    ],
  });

  it('is a table as wide as the terminal, without control characters', async () => {
    const { catalogue, run } = createFindWorld();
    catalogue.put([hostile, rowOf(2, { held: true }), { id: idOf(3), state: 'erased', stamp: 's' }]);

    const { printed } = await run({ words: ['5a3b1e00'], json: false, columns: 80 });
    const wide = await run({ words: ['=cmd'], json: false });

    expect(printed.split('\n').slice(0, 8)).toEqual([
      '┌──────────────────────────────────────┬─────────────────┬──────────┬──────────┐',
      '│ document                             │ archived        │ file na… │ for      │',
      '├──────────────────────────────────────┼─────────────────┼──────────┼──────────┤',
      '│ 5a3b1e00-0000-4000-8000-000000000002 │ 2026-11-24 held │ loa 2.p… │          │',
      '│ 5a3b1e00-0000-4000-8000-000000000001 │ 2026-11-24      │ =cmd|"/… │ +1+1 · … │',
      '│ 5a3b1e00-0000-4000-8000-000000000003 │ erased          │          │          │',
      '└──────────────────────────────────────┴─────────────────┴──────────┴──────────┘',
      '3 documents found.',
    ]);
    expect(wide.printed).toContain('=cmd|"/c calc"!A1\\u{a}\\u{1b}[2J');
    expect(wide.printed).toContain('+1+1 · PO-1 · +493012345678 · 1 more number');
  });

  it('shows the newest 50 in a table, or as many as --limit says, and says how many there are', async () => {
    const { catalogue, run } = createFindWorld();
    catalogue.put(Array.from({ length: 120 }, (_, number) => rowOf(number, {}, number % 2 ? '5a3' : '5a4')));

    const table = await run({ words: ['loa'], json: false });
    const two = await run({ words: ['loa'], options: { limit: 2 } });
    const all = await run({ words: ['loa'] });

    expect(table.printed.match(/loa \d+\.pdf/g)).toHaveLength(50);
    expect(table.printed).toContain('The newest 50 of 120 documents found. For more, pass --limit.');
    expect(two.ids).toEqual([idOf(119), idOf(118, '5a4')]);
    expect(two.end).toMatchObject({ found: 120, shown: 2 });
    expect(all.ids).toHaveLength(120);
  });

  it('is comma-separated values without formulas, and all else on stderr', async () => {
    const { catalogue, run } = createFindWorld();
    catalogue.put([hostile, { id: idOf(3), state: 'erased', stamp: 's' }]);

    const { printed, noted } = await run({ words: ['5a3b1e00'], options: { csv: true }, json: false });

    expect(printed.split('\r\n')).toEqual([
      'document,state,held,archived,created,file name,reference,content type,bytes,sha256,trigger,belongs to,order references,numbers',
      `${idOf(1)},archived,,${instant(1)},,"'=cmd|""/c calc""!A1\\u{a}\\u{1b}[2J, ""x""",'+1+1,,,,,porting-order:b0f6a2d4-1111-4222-8333-444455556666,PO-1,tel:+493012345678 tel:+493012345679`,
      `${idOf(3)},erased,,,,,,,,,,,,`,
      '',
    ]);
    expect(noted).toContain('With --fresh, the answer is exact.');
  });

  const whole = rowOf(1, {
    held: true,
    reference: 'PO-7',
    type: 'application/pdf',
    bytes: 1_234,
    sha256: 'a'.repeat(64),
    created: instant(-5),
    trigger: 'webhook',
    relations: [
      { kind: 'porting-order', id: 'order-1', reference: 'Port 1', numbers: ['+493012345678'] },
      { kind: 'port-out', id: 'order-2', reference: 'Port 2', numbers: ['+493012345678', '+12025550123'] },
      { kind: 'number-order', id: 'order-3', reference: 'Port 1' },
      { kind: 'link', id: 'Res-9', type: 'requirement_group' },
      { kind: 'port-out', id: 'order-4' },
    ],
  });

  it('names for whom a document is, each once, and a resource without a reference by its kind', async () => {
    const { catalogue, run } = createFindWorld();
    catalogue.put([
      whole,
      { id: idOf(2), state: 'archived', stamp: 's', name: 'loa', relations: [{ kind: 'link', id: 'Res-8' }] },
    ]);

    const { printed } = await run({ words: ['loa'], json: false });

    expect(printed).toMatch(/│ {12,}│ loa +│ link Res-8 +│/);
    expect(printed).toContain(
      '│ PO-7 · Port 1 · +493012345678 · Port 2 · 1 more number · requirement group Res-9 · port out order-4 │',
    );
    expect(printed).toContain('│ 2026-11-24 held │');
  });

  it('has all fields as comma-separated values, the texts of all relations in one column each', async () => {
    const { catalogue, run } = createFindWorld();
    catalogue.put([whole]);

    const { printed } = await run({ words: ['loa'], options: { csv: true }, json: false });

    expect(printed.split('\r\n')[1]).toBe(
      [
        idOf(1),
        'archived,held',
        instant(1),
        instant(-5),
        'loa 1.pdf,PO-7,application/pdf,1234',
        'a'.repeat(64),
        'webhook',
        'porting-order:order-1 port-out:order-2 number-order:order-3 requirement_group:Res-9 port-out:order-4',
        'Port 1; Port 2',
        'tel:+493012345678 tel:+12025550123',
      ].join(','),
    );
  });

  it('has all fields as JSON', async () => {
    const { catalogue, run } = createFindWorld();
    catalogue.put([whole]);

    expect((await run({ words: ['loa'] })).records[0]).toEqual({
      type: 'found',
      documentId: idOf(1),
      state: 'archived',
      held: true,
      fileName: 'loa 1.pdf',
      customerReference: 'PO-7',
      contentType: 'application/pdf',
      bytes: 1_234,
      sha256: 'a'.repeat(64),
      createdAt: instant(-5),
      archivedAt: instant(1),
      trigger: 'webhook',
      relations: whole.relations,
    });
  });

  it('is no table when nothing is found', async () => {
    const { catalogue, run } = createFindWorld();
    catalogue.put([whole]);

    const { printed } = await run({ words: ['nowhere'], json: false });

    expect(printed).toMatch(/^Nothing found\.\n/);
  });

  it('has the fields of a row and of what it belongs to as JSON', async () => {
    const { catalogue, run } = createFindWorld();
    catalogue.put([hostile]);

    const { records } = await run({ words: ['b0f6a2d4'] });

    expect(records[0]).toEqual({
      type: 'found',
      documentId: hostile.id,
      state: 'archived',
      fileName: hostile.name,
      customerReference: '+1+1',
      archivedAt: instant(1),
      relations: hostile.relations,
    });
  });
});

describe('the command line', () => {
  it.each([
    ['nothing to look for', { options: { fresh: true } }, 'Pass what to look for'],
    ['an empty word', { words: ['loa', ' '] }, 'A search word must not be empty.'],
    ['CSV and JSON', { words: ['loa'], options: { csv: true } }, '--csv and --json cannot be combined.'],
    ['an end that is not valid', { options: { until: 'soon' } }, '--until soon: must be a date'],
    ['an instant that is not valid', { options: { since: 'soon' } }, '--since soon: must be a date'],
    [
      'a file that does not exist',
      { options: { digestOf: '/nowhere/x' } },
      '--digest-of /nowhere/x: file not found.',
    ],
    ['a folder', { options: { digestOf: tmpdir() } }, `--digest-of ${tmpdir()}: cannot be read: EISDIR`],
  ])('refuses %s', async (_what, request, message) => {
    const { run } = createFindWorld();

    const refused = run(request);

    await expect(refused).rejects.toThrow(UsageError);
    await expect(refused).rejects.toThrow(message);
  });

  it('takes words and the options of its help', async () => {
    const { catalogue, runTyped } = createFindWorld();
    catalogue.put([rowOf(1), rowOf(2), rowOf(3, { name: 'letter.pdf' })]);

    const { exitCode, ids, end } = await runTyped('loa', 'pdf', '--limit', '1');
    const parsed = parseFind(
      ...['x', '--digest-of', 'letter.pdf', '--since', '90d', '--until', '1d', '--type', 'text/plain'],
      ...['--erased', '--held', '--fresh', '--limit', '999999999', '--csv'],
    );

    expect([exitCode, ids]).toEqual([0, [idOf(2)]]);
    expect(end).toMatchObject({ found: 2, shown: 1 });
    expect(parsed.args).toEqual(['x']);
    expect(parsed.opts()).toEqual({
      digestOf: 'letter.pdf',
      since: '90d',
      until: '1d',
      type: 'text/plain',
      erased: true,
      held: true,
      fresh: true,
      limit: 999_999_999,
      csv: true,
    });
  });

  it.each(['0', '-1', '1.5', 'x1', '1x', '1000000000'])('refuses the limit %s', (limit) => {
    expect(() => parseFind('loa', `--limit=${limit}`)).toThrow('Must be a whole number, at least 1.');
  });
});
