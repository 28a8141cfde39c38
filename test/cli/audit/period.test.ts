/** `audit --since`: the statement of a period, on a bucket in memory. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { auditPeriod, type PeriodOptions } from '../../../cli/audit/period.ts';
import type { CommandContext } from '../../../cli/command.ts';
import { runName } from '../../../functions/audit-names.ts';
import { auditPlanKey, auditSummaryKey, documentKey } from '../../../functions/bucket/keys.ts';
import packageJson from '../../../package.json' with { type: 'json' };
import type { RunOptions } from '../../fakes/audit-runs.ts';
import { noon } from '../../fakes/documents.ts';
import { sha256 } from '../../fakes/memory-bucket.ts';
import { newFolder } from '../world.ts';
import { documentId, startRunsWorld } from './runs-world.ts';

const parts = (archived: number): NonNullable<RunOptions['parts']> => ({
  ids__: {
    tally: { documents: archived, archived, bytes: 14 * archived, objectsRead: 1, bytesRead: 14 },
  },
  others: {},
});
const manifest = (name: string) => ({
  key: `manifests/${name}/manifest-sha256.txt`,
  sha256: sha256(name),
});
const nightOf = (date: string) => runName(Date.parse(`${date}T02:15:00Z`));
const statement =
  (options: Partial<PeriodOptions> = {}) =>
  (context: CommandContext) =>
    auditPeriod({ since: '2026-11-01', until: '2026-11-06', html: undefined, ...options }, context);
/** The value of a line of the statement. */
const factIn = (printed: string, name: string) => new RegExp(`^  ${name} +(.*)$`, 'm').exec(printed)?.[1];

/** A run on each of the first five nights of November, and on the nights before and after them. */
function startFiveNights(changes: Record<string, RunOptions> = {}) {
  const world = startRunsWorld();
  const dates = ['10-31', '11-01', '11-02', '11-03', '11-04', '11-05', '11-06'].map((date) => `2026-${date}`);
  for (const [position, date] of dates.entries()) {
    world.putRun(nightOf(date), { parts: parts(10 + position), ...changes[date] });
  }
  return world;
}

describe('archiver audit --since', () => {
  it('states the runs of the period, and nothing of the nights before and after it', async () => {
    const { run } = startFiveNights({
      '2026-11-02': { manifest: manifest('20261102T021500Z') },
      '2026-11-04': { manifest: manifest('20261104T021500Z') },
    });

    const { exitCode, printed, records } = await run(statement());

    expect(exitCode).toBe(0);
    expect(printed.replace(packageJson.version, '<version>')).toMatchInlineSnapshot(`
      "STATEMENT OF AUDITS

        Archive           telnyx-archiver in eu-central-1
        Bucket            s3://archive
        Period            from 2026-11-01T00:00:00.000Z, until before 2026-11-06T00:00:00.000Z
        Written           2026-11-24T12:00:00.000Z
        Written by        arn:aws:iam::123456789012:role/Auditor, session jo
        Program           telnyx-document-archiver <version>
        Result            5 complete runs, no problems found
        Runs              5 complete
        Nights            5, each with a complete run
        At the beginning  11 archived documents (154 B); run 20261101T021500Z
        At the end        15 archived documents (210 B); run 20261105T021500Z
        Read back         5 objects (70 B): 5 of 30 daily shares (16 %)
        Manifest          manifests/20261104T021500Z/manifest-sha256.txt
        SHA-256           3d996ed455fba6a427a35049f5c32c383ddf463bff2cd1bc0babc6074520c459

      PROBLEMS, AND WHAT COULD NOT BE CHECKED

        none

      RUNS

        20261105T021500Z  complete, 15 documents, 0 problems, 0 not checked, 1 object read back (14 B)
        20261104T021500Z  complete, 14 documents, 0 problems, 0 not checked, 1 object read back (14 B)
        20261103T021500Z  complete, 13 documents, 0 problems, 0 not checked, 1 object read back (14 B)
        20261102T021500Z  complete, 12 documents, 0 problems, 0 not checked, 1 object read back (14 B)
        20261101T021500Z  complete, 11 documents, 0 problems, 0 not checked, 1 object read back (14 B)

      HOW TO VERIFY

      The audit function writes plan, results and summary of each run once, under audits/<run>/. They hold no file name
      and no reference, and are kept as long as the documents.

        aws s3 cp s3://archive/audits/20261105T021500Z/summary.json -

      WHAT THIS STATEMENT DOES NOT COVER

      What an audit does not detect. docs/audit.md lists it.
      "
    `);
    const [beginning] = printed.replace(packageJson.version, '<version>').split('\n\nPROBLEMS');
    expect(await readFile(new URL('../../../docs/audit.md', import.meta.url), 'utf8')).toContain(
      `\`\`\`\n${beginning}\n\`\`\`\n`,
    );
    expect(records.map(({ type }) => type)).toEqual(['run', 'run', 'run', 'run', 'run', 'statement']);
    expect(records.at(-1)).toEqual({
      type: 'statement',
      archive: 'telnyx-archiver in eu-central-1',
      bucket: 's3://archive',
      since: '2026-11-01T00:00:00.000Z',
      until: '2026-11-06T00:00:00.000Z',
      writtenAt: '2026-11-24T12:00:00.000Z',
      writtenBy: 'arn:aws:iam::123456789012:role/Auditor, session jo',
      state: 'ok',
      complete: 5,
      incomplete: 0,
      unfinished: 0,
      unreadable: 0,
      nights: 5,
      missed: [],
      beginning: { run: nightOf('2026-11-01'), documents: 11, archived: 11, held: 0, bytes: 154 },
      end: { run: nightOf('2026-11-05'), documents: 15, archived: 15, held: 0, bytes: 210 },
      readBack: { objects: 5, bytes: 70, shares: { read: 5, of: 30 } },
      manifest: manifest('20261104T021500Z'),
      codes: [],
    });
  });

  it('counts no run for a night on which it is dated, but did not take place', async () => {
    const { run } = startFiveNights({
      '2026-11-03': { parts: parts(12), startedAtMs: Date.parse('2026-10-20T00:00:00Z') },
    });

    const { exitCode, printed } = await run(statement());

    expect(exitCode).toBe(3);
    expect(factIn(printed, 'Nights')).toBe('5, 1 without a complete run: 2026-11-03');
  });

  it('lists the nights without a complete run, and ends with 3', async () => {
    const world = startRunsWorld();
    for (const date of ['2026-11-02', '2026-11-05']) world.putRun(nightOf(date), { parts: parts(3) });
    world.putRun(nightOf('2026-11-03'), { parts: { ...parts(3), ids_8_: undefined } });
    world.putRun(nightOf('2026-11-04'), { ended: false });

    const { exitCode, printed, records } = await world.run(statement());

    expect(exitCode).toBe(3);
    expect(factIn(printed, 'Result')).toBe(
      '2 complete runs, no problems found; 3 nights without a complete run; some items could not be checked',
    );
    expect(factIn(printed, 'Runs')).toBe('2 complete, 1 incomplete, 1 not ended');
    expect(factIn(printed, 'Nights')).toBe(
      '5, 3 without a complete run: 2026-11-01, 2026-11-03 to 2026-11-04',
    );
    expect(factIn(printed, nightOf('2026-11-04'))).toBe('not ended');
    expect(records.at(-1)).toMatchObject({ missed: ['2026-11-01', '2026-11-03', '2026-11-04'] });
  });

  it('counts a run by hand for its night, and no night that has not begun', async () => {
    const world = startRunsWorld();
    world.putRun('20261123T160000Z', { parts: parts(3) });
    world.putRun(nightOf('2026-11-24'), { parts: parts(3) });

    const { exitCode, printed } = await world.run(statement({ since: '2026-11-23', until: '2027-01-01' }));

    expect(exitCode).toBe(0);
    expect(factIn(printed, 'Nights')).toBe('2, each with a complete run');
  });

  it.each<[string, string, number, string[]]>([
    ['2026-11-02T02:00:00Z', '2026-11-04T02:00:00Z', 2, []],
    ['2026-11-02T02:00:01Z', '2026-11-04T02:00:01Z', 2, ['2026-11-04']],
    ['2026-11-02T02:15:00Z', '2026-11-02T02:15:01Z', 0, []],
  ])(
    'counts the nights in which a run was due from %s until before %s: %i',
    async (since, until, nights, missed) => {
      const { run } = startFiveNights();

      const { records } = await run(statement({ since, until }));

      expect(records.at(-1)).toMatchObject({ nights, missed });
    },
  );

  it('begins with a run that was requested in its first second, and ends before its last', async () => {
    const { run } = startFiveNights();
    const periodOf = async (since: string, until: string) =>
      (await run(statement({ since, until }))).records.flatMap(({ type, run: name }) =>
        type === 'run' ? [name] : [],
      );

    expect(await periodOf('2026-11-02T02:15:00Z', '2026-11-03T02:15:00Z')).toEqual([nightOf('2026-11-02')]);
    expect(await periodOf('2026-11-02T02:15:00.001Z', '2026-11-03T02:15:00.001Z')).toEqual([
      nightOf('2026-11-03'),
    ]);
  });

  it('is not about a run of which there is only a result', async () => {
    const { run, bucket, putRun } = startRunsWorld();
    putRun(nightOf('2026-11-03'), { ended: false });
    bucket.objects.delete(auditPlanKey(nightOf('2026-11-03')));

    const { printed } = await run(statement());

    expect(factIn(printed, 'Runs')).toBe('0 complete');
    expect(factIn(printed, 'Read back')).toBe('0 objects (0 B): 0 of 1 daily share (0 %)');
  });

  it('throws when a record cannot be read, instead of a statement without it', async () => {
    const { run, bucket } = startFiveNights();
    bucket.refuse = (operation, key) =>
      operation === 'get' && key.endsWith('/summary.json')
        ? { name: 'AccessDenied', status: 403 }
        : undefined;

    await expect(run(statement())).rejects.toThrow('S3 denies access');
  });

  it('repeats what fails for a short time', async () => {
    const { run, bucket } = startFiveNights();
    const failed = new Set<string>();
    bucket.refuse = (operation) => {
      if (failed.has(operation)) return undefined;
      failed.add(operation);
      return { name: 'InternalError', status: 500 };
    };

    expect((await run(statement())).exitCode).toBe(0);
    expect([...failed].sort()).toEqual(['get', 'list']);
  });

  it('names no session if the operator has none', async () => {
    const { run } = startRunsWorld({ operator: { role: 'local' } });

    expect(factIn((await run(statement())).printed, 'Written by')).toBe('local');
  });

  it('states problems by code: in which runs, how many, and whether they are still there', async () => {
    const problem = (code: 'lost' | 'overwritten', number: number) => ({
      code,
      key: documentKey(documentId(number)),
      documentId: documentId(number),
      detail: '',
    });
    const { run } = startFiveNights({
      '2026-10-31': { findings: [problem('overwritten', 1)] },
      '2026-11-02': { findings: [problem('lost', 1)] },
      '2026-11-03': { findings: [problem('lost', 1), problem('lost', 2)] },
      '2026-11-05': { parts: { ...parts(3), others: { unchecked: { code: 'X', reason: 'y' } } } },
    });

    const { exitCode, printed, records } = await run(statement());

    expect(exitCode).toBe(1);
    expect(factIn(printed, 'Result')).toBe(
      '5 complete runs, problems found in 2 runs; some items could not be checked',
    );
    expect(printed).toContain(
      '\nPROBLEMS, AND WHAT COULD NOT BE CHECKED\n\n' +
        '  lost        in 2 runs, 2026-11-02 to 2026-11-03; at most 2 in a run, 0 in the last one\n' +
        '  unreadable  in 1 run, 2026-11-05; at most 1 in a run, 1 in the last one\n\n',
    );
    expect(printed).not.toContain(documentId(1));
    expect(records.at(-1)).toMatchObject({
      state: 'problems',
      codes: [{ code: 'lost', runs: 2, most: 2, inLast: 0 }, { code: 'unreadable' }],
    });
  });

  it('ends with 3 if a summary was altered', async () => {
    const { run, bucket } = startFiveNights();
    bucket.put(auditSummaryKey(nightOf('2026-11-03')), '{}', noon);

    const { exitCode, printed, records } = await run(statement());

    expect(exitCode).toBe(3);
    expect(factIn(printed, 'Result')).toContain('; 1 night without a complete run; 1 summary not readable');
    expect(records.filter(({ status }) => status === 'unreadable')).toEqual([
      { type: 'run', run: nightOf('2026-11-03'), status: 'unreadable' },
    ]);
  });

  it.each<[string, Record<string, RunOptions>, string]>([
    [
      'every share',
      { '2026-11-03': { shares: Array.from({ length: 30 }, (_, n) => n) } },
      'the whole archive',
    ],
    ['everything, at once', { '2026-11-03': { full: true } }, 'the whole archive'],
    [
      'the same share twice',
      { '2026-11-02': { shares: [7] }, '2026-11-03': { shares: [7] } },
      '4 of 30 daily shares (13 %)',
    ],
    ['shares of another length', { '2026-11-05': { shareDays: 7 } }, '1 of 7 daily shares (14 %)'],
    ['nothing on one night', { '2026-11-03': { readsBytes: false } }, '4 of 30 daily shares (13 %)'],
  ])('states what was read back: %s', async (_which, changes, share) => {
    const { run } = startFiveNights(changes);

    expect(factIn((await run(statement())).printed, 'Read back')).toBe(`5 objects (70 B): ${share}`);
  });

  it('states a period without any run', async () => {
    const { run } = startRunsWorld();

    const { exitCode, printed } = await run(statement());

    expect(exitCode).toBe(3);
    expect(factIn(printed, 'At the beginning')).toBe('unknown: no complete run');
    expect(factIn(printed, 'Nights')).toBe('5, 5 without a complete run: 2026-11-01 to 2026-11-05');
    expect(printed).toContain('\nRUNS\n\n  none\n');
  });

  it('ends now if nothing else is said, and accepts an age', async () => {
    const { run, putRun } = startRunsWorld();
    putRun(nightOf('2026-11-23'), { parts: parts(3) });
    putRun(nightOf('2026-11-24'), { parts: parts(3) });

    const { printed } = await run(statement({ since: '2d', until: undefined }));

    expect(factIn(printed, 'Period')).toBe(
      'from 2026-11-22T12:00:00.000Z, until before 2026-11-24T12:00:00.000Z',
    );
    expect(factIn(printed, 'Nights')).toBe('2, each with a complete run');
  });

  it.each<[Partial<PeriodOptions>, string]>([
    [{ since: 'x' }, '--since x: must be a date'],
    [{ until: '2026-02-30' }, '--until 2026-02-30: must be a date'],
    [{ since: '2026-11-06' }, '--since must be before --until.'],
    [{ html: '/nowhere/x.html' }, '--html: cannot write'],
  ])('refuses %j before it reads a run', async (options, message) => {
    const { run, bucket } = startFiveNights();

    await expect(run(statement(options))).rejects.toThrow(message);
    expect(bucket.requests).toEqual([]);
  });

  it('writes a page with the same facts', async () => {
    const { run } = startFiveNights({
      '2026-11-02': { findings: [{ code: 'foreign', key: 'x', detail: '' }] },
    });
    const file = join(await newFolder(), 'quarter.html');

    const { printed, records } = await run(statement({ html: file }));
    const page = await readFile(file, 'utf8');

    expect(printed).toMatch(new RegExp(`\nReport: ${file}\n$`));
    expect(records.at(-1)).toEqual({ type: 'report', file });
    expect(page).toContain('audits from 2026-11-01T00:00:00.000Z to 2026-11-06T00:00:00.000Z');
    expect(page).toContain('<dt>Written by</dt><dd>arn:aws:iam::123456789012:role/Auditor, session jo</dd>');
    expect(page).toContain('<td><code>foreign</code></td><td>not written by the archiver</td>');
    expect(page.match(/<td>2026-11-0\d 02:15 UTC<\/td>/g)).toHaveLength(5);
    expect(page).toContain('This page contains no file names.');
  });
});
