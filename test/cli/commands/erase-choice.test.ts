/** What `erase`, `hold` and `release` choose, ask and say: on an archive in memory. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { Command } from 'commander';
import { describe, expect, it, vi } from 'vitest';
import { eraseCommand } from '../../../cli/commands/erase.ts';
import { hold, holdCommand } from '../../../cli/commands/hold.ts';
import { release, releaseCommand } from '../../../cli/commands/release.ts';
import { documentKey } from '../../../functions/bucket/keys.ts';
import packageJson from '../../../package.json' with { type: 'json' };
import { day } from '../../fakes/documents.ts';
import { serviceError } from '../../fakes/service-error.ts';
import { createArchive, id, otherId, runErase, runInMemory, secret } from '../erasure/world.ts';
import { newFolder } from '../world.ts';

const role = 'arn:aws:sts::1:assumed-role/BreakGlass';
const idAt = (n: number) => `6e0c8a55-0000-4000-8000-${String(n).padStart(12, '0')}`;
const denied = { name: 'AccessDenied', status: 403 };
type World = ReturnType<typeof createArchive>;

const holdAll = (world: World, documentIds: string[], reason = 'Case 1') =>
  runInMemory(world, (context) => hold({ documentIds, reason }, context));
const releaseAll = (world: World, documentIds: string[]) =>
  runInMemory(world, (context) => release({ documentIds, reason: 'closed' }, context));

describe('archiver erase', () => {
  it('prints each document with its outcome and its name, and the number of each outcome', async () => {
    const world = createArchive();
    world.archive();

    const { ended, result, purposes, progresses } = runErase(world, { documentIds: [id, otherId] });

    expect(await ended).toBe(1);
    expect(purposes).toEqual(['write']);
    expect(result.printed).toBe(
      `${otherId}  <yellow>not-archived  nothing to erase; --include-unarchived keeps it from ever being archived\n` +
        `${id}  <green>erased  2 versions deleted  6e0c.pdf\n` +
        '\n1 erased · 1 not-archived\n',
    );
    expect(result.noted).toBe('');
    expect(result.records).toEqual([
      {
        type: 'erasure',
        documentId: otherId,
        outcome: 'not-archived',
        detail: 'nothing to erase; --include-unarchived keeps it from ever being archived',
        versions: 0,
      },
      { type: 'erasure', documentId: id, outcome: 'erased', detail: '2 versions deleted', versions: 2 },
      {
        type: 'end',
        erased: 1,
        'already-erased': 0,
        'would-be-erased': 0,
        'not-archived': 1,
        refused: 0,
        unfinished: 0,
      },
    ]);
    expect(progresses).toEqual([
      { ended: 2, total: 2, text: '2 documents examined' },
      { ended: 1, total: 1, text: '1 document erased' },
    ]);
  });

  it('writes role and basis into the tombstone', async () => {
    const world = createArchive();
    world.archive();

    await runErase(world, { documentIds: [id] }).ended;

    const tombstone = JSON.parse(world.versions()[1]?.[0] ?? '');
    expect(tombstone).toMatchObject({ erasedBy: role, basis: 'DSR-1', archiver: packageJson.version });
  });

  it('only reads in a dry run, and says how much would be deleted', async () => {
    const world = createArchive();
    world.archive();
    const size = world.versions().flat().join('').length;

    const { ended, result, purposes, progresses } = runErase(world, { documentIds: [id], dryRun: true });

    expect(await ended).toBe(0);
    expect(purposes).toEqual(['read']);
    expect(result.printed).toBe(
      `${id}  <bold>would-be-erased  2 versions, ${size} B  6e0c.pdf\n\n1 would-be-erased\n`,
    );
    expect(result.questions).toEqual([]);
    expect(progresses).toHaveLength(1);
    expect(world.bucket.requests.filter((request) => /^(put|delete|hold) /.test(request))).toEqual([]);
  });

  it('refuses a GOVERNANCE lock, and erases it with --bypass-governance', async () => {
    const world = createArchive();
    world.bucket.versioned.defaultRetention = { mode: 'GOVERNANCE', days: 30 };
    world.archive();

    const refused = runErase(world, { documentIds: [id] });
    expect(await refused.ended).toBe(1);
    const kept = world.versions()[0];
    world.bucket.versioned.defaultRetention = undefined;
    const bypassed = runErase(world, { documentIds: [id], bypassGovernance: true });

    expect(await bypassed.ended).toBe(0);
    expect(refused.result.printed).toContain(
      `${id}  <red>refused  GOVERNANCE lock until 2026-12-24T12:00:00.000Z; pass --bypass-governance`,
    );
    expect(kept).toEqual([secret]);
    expect(world.versions().map((versions) => versions.length)).toEqual([1, 1]);
  });

  it('refuses nothing for a lock that has ended', async () => {
    const world = createArchive();
    world.bucket.versioned.defaultRetention = { mode: 'COMPLIANCE', days: 1 };
    world.archive();
    world.bucket.versioned.defaultRetention = undefined;
    world.advance(day);

    expect(await runErase(world, { documentIds: [id] }).ended).toBe(0);
  });

  it('does not delete what was locked in GOVERNANCE mode after the examination', async () => {
    const world = createArchive();
    world.archive();
    const [original] = world.bucket.versioned.versions(documentKey(id));
    world.bucket.refuse = (operation) => {
      const retention = { mode: 'GOVERNANCE', until: world.time.now() + day };
      if (operation === 'put') Object.assign(original ?? {}, { retention });
      return undefined;
    };

    const { ended, result } = runErase(world, { documentIds: [id] });

    expect(await ended).toBe(1);
    expect(result.printed).toContain('unfinished  GOVERNANCE lock until 2026-11-25T12:00:00.000Z');
    expect(world.versions()[0]).toContain(secret);
  });

  it('ends with 1 and says why for a document whose lock came after the examination', async () => {
    const world = createArchive();
    world.archive();
    const held = idAt(1);
    world.archive(held);
    await holdAll(world, [held]).ended;
    const [original] = world.bucket.versioned.versions(documentKey(id));
    world.bucket.refuse = (operation) => {
      if (operation === 'put')
        world.bucket.versioned.setLegalHold(documentKey(id), original?.versionId, 'ON');
      return undefined;
    };
    const evidence = join(await newFolder(), 'erasure.txt');

    const { ended, result } = runErase(world, { documentIds: [id, held], evidence });

    expect(await ended).toBe(1);
    expect(result.printed).toContain(`${id}  <red>unfinished  on legal hold in S3  6e0c.pdf\n`);
    expect(result.records.at(-1)).toMatchObject({ type: 'end', erased: 0, refused: 1, unfinished: 1 });
    expect(result.noted).toBe('');
    expect(world.versions()[0]).toContain(secret);
    expect(await readFile(evidence, 'utf8')).toContain('not finished: on legal hold in S3');
  });

  it('goes on with an erasure that was interrupted, without --include-unarchived', async () => {
    const world = createArchive();
    let puts = 0;
    world.bucket.refuse = (operation) => {
      if (operation === 'put') puts += 1;
      return operation === 'put' && puts > 1 ? denied : undefined;
    };
    await expect(runErase(world, { documentIds: [id], includeUnarchived: true }).ended).rejects.toThrow();
    world.bucket.refuse = () => undefined;

    const { ended, result } = runErase(world, { documentIds: [id] });

    expect(await ended).toBe(0);
    expect(result.printed).toContain(`${id}  <green>erased  0 versions deleted\n`);
  });

  it('goes on with an erasure that has deleted nothing yet, and states it once', async () => {
    const world = createArchive();
    world.archive();
    const evidence = join(await newFolder(), 'erasure.txt');
    world.bucket.refuse = (operation) => (operation === 'delete' ? denied : undefined);
    await expect(runErase(world, { documentIds: [id] }).ended).rejects.toThrow();
    world.bucket.refuse = () => undefined;

    const { ended, result } = runErase(world, { documentIds: [id], evidence });

    expect(await ended).toBe(0);
    expect(result.printed).toContain(`${id}  <green>erased  2 versions deleted`);
    expect(await readFile(evidence, 'utf8')).toMatch(/Result +1 document erased\n/);
    expect(world.versions().map((versions) => versions.length)).toEqual([1, 1]);
  });

  it('ends with 0 for documents that are erased already, and states them in the statement', async () => {
    const world = createArchive();
    world.archive();
    await runErase(world, { documentIds: [id] }).ended;
    const evidence = join(await newFolder(), 'erasure.txt');

    const { ended, result } = runErase(world, { documentIds: [id], basis: 'DSR-2', evidence });

    expect(await ended).toBe(0);
    expect(result.printed).toBe(
      `${id}  <green>already-erased  on 2026-11-24T12:00:00.000Z, basis DSR-1\n` +
        `Statement of the erasure: ${evidence}\n\n1 already-erased\n`,
    );
    expect(result.records).toContainEqual({ type: 'report', file: evidence });
    const text = await readFile(evidence, 'utf8');
    expect(text).toMatch(/Result +1 document erased\n/);
    expect(text).toContain('Deleted by this run: nothing; an earlier run did.');
    expect(text).not.toContain('NOT ERASED');
  });

  it('states in the statement where, by whom and why, and each document that is not erased', async () => {
    const world = createArchive();
    world.archive();
    const [held, unknown] = [idAt(1), idAt(2)] as const;
    world.archive(held);
    await holdAll(world, [held]).ended;
    const evidence = join(await newFolder(), 'erasure.txt');

    const { ended } = runErase(world, { documentIds: [id, held, unknown], evidence });

    expect(await ended).toBe(1);
    const text = await readFile(evidence, 'utf8');
    expect(text).toMatch(/Archive +memory\n +Bucket +s3:\/\/archive\n +Written +2026-11-24T12:00:00\.000Z\n/);
    expect(text).toMatch(/assumed-role\/BreakGlass, session jo\n +Basis +DSR-1\n/);
    expect(text).toContain(`telnyx-document-archiver ${packageJson.version}\n`);
    expect(text).toMatch(/Result +1 document erased, 2 documents not erased\n/);
    expect(text).toContain(
      `\nNOT ERASED\n\n${held}  refused: on hold since 2026-11-24T12:00:00.000Z: Case 1\n` +
        `${unknown}  not-archived: nothing to erase; --include-unarchived keeps it from ever being archived\n\n`,
    );
  });

  it('writes the statement of what it has erased when it fails, and says how many documents are left', async () => {
    const world = createArchive();
    const broken = idAt(1);
    for (const documentId of [id, broken]) world.archive(documentId);
    const evidence = join(await newFolder(), 'erasure.txt');
    const { send } = world.bucket;
    const isErased = () => run.result.records.some(({ documentId }) => documentId === id);
    Object.assign(world.bucket, {
      send: async (command: unknown) => {
        if (command instanceof DeleteObjectCommand && command.input.Key?.includes(broken)) {
          await vi.waitUntil(isErased, { interval: 1 });
          throw serviceError('AccessDenied', 403);
        }
        return send(command);
      },
    });

    const run = runErase(world, { documentIds: [id, broken], evidence });

    await expect(run.ended).rejects.toThrow('S3 denies access.');
    expect(run.result.noted).toBe('1 document not erased yet. To go on, run the same command again.\n');
    expect(run.progresses.at(-1)).toEqual({ ended: 1, total: 2, text: '1 document erased' });
    const text = await readFile(evidence, 'utf8');
    expect(text).toMatch(/Result +1 document erased, 1 document not erased\n/);
    expect(text).toContain(`${broken}  interrupted: run the command again\n`);
    expect(run.result.records.some(({ type }) => type === 'end')).toBe(false);
  });

  it('writes the statement of nothing for documents that are not archived', async () => {
    const evidence = join(await newFolder(), 'erasure.txt');

    const { ended } = runErase(createArchive(), { documentIds: [id], evidence });

    expect(await ended).toBe(1);
    expect(await readFile(evidence, 'utf8')).toMatch(/Result +0 documents erased, 1 document not erased\n/);
  });

  it('refuses a statement that cannot be written, and one of a dry run, before it reads anything', async () => {
    const world = createArchive();

    await expect(
      runErase(world, { documentIds: [id], evidence: '/nowhere/erasure.txt' }).ended,
    ).rejects.toThrow('--evidence: cannot write /nowhere/erasure.txt: the folder /nowhere does not exist.');
    await expect(runErase(world, { documentIds: [id], evidence: 'x', dryRun: true }).ended).rejects.toThrow(
      '--evidence cannot be combined with --dry-run.',
    );

    expect(world.bucket.requests).toEqual([]);
  });

  it('stops its progress when an examination fails', async () => {
    const world = createArchive();
    world.bucket.refuse = () => denied;

    const { ended, progresses } = runErase(world, { documentIds: [id] });

    await expect(ended).rejects.toThrow('S3 denies access.');
    expect(progresses).toEqual([{ ended: 0, total: 1, text: '0 documents examined' }]);
  });
});

describe('archiver erase asks', () => {
  function worldOf(count: number) {
    const world = createArchive();
    const documentIds = Array.from({ length: count }, (_, n) => idAt(n));
    for (const documentId of documentIds) world.archive(documentId);
    return { world, documentIds };
  }

  it('with each document, its name and what is deleted, and erases nothing for another number', async () => {
    const { world, documentIds } = worldOf(1);
    const evidence = join(await newFolder(), 'erasure.txt');
    const size = world.versions(idAt(0)).flat().join('').length;

    const { ended, result } = runErase(world, { documentIds, yes: false, evidence }, { line: '2' });

    expect(await ended).toBe(1);
    expect(result.questions).toEqual([
      'Delete 1 document from s3://archive for good? Type the number of documents to confirm:',
    ]);
    expect(result.noted).toBe(`${idAt(0)}  6e0c.pdf  2 versions, ${size} B\nNothing was erased.\n`);
    expect(world.versions(idAt(0))[0]).toEqual([secret]);
    await expect(readFile(evidence)).rejects.toThrow('ENOENT');
  });

  it('with twenty documents and the number of the others', async () => {
    const { world, documentIds } = worldOf(22);

    const { ended, result } = runErase(world, { documentIds, yes: false }, { line: '' });

    expect(await ended).toBe(1);
    expect(result.noted.split('\n').slice(18)).toEqual([
      expect.stringContaining(idAt(18)),
      expect.stringContaining(idAt(19)),
      'and 2 more documents',
      'Nothing was erased.',
      '',
    ]);
  });

  it('with all of twenty documents', async () => {
    const { world, documentIds } = worldOf(20);

    const { ended, result } = runErase(world, { documentIds, yes: false }, { line: '20' });

    expect(await ended).toBe(0);
    expect(result.noted).not.toContain('more document');
    expect(result.printed).toContain('\n20 erased\n');
  });

  it('nothing if there is nothing to erase', async () => {
    const { ended, result } = runErase(createArchive(), { documentIds: [id], yes: false });

    expect(await ended).toBe(1);
    expect(result.questions).toEqual([]);
  });

  it('for a number that may have commas, and erases no more than 16 documents at the same time', async () => {
    const { world, documentIds } = worldOf(40);
    let most = 0;
    const open = new Set<string>();
    world.bucket.refuse = (operation, key) => {
      // Between its first put and its last deletion.
      if (operation === 'put' && key.startsWith('receipts/')) open.add(key.slice(9, 45));
      if (operation === 'delete' && key.startsWith('receipts/')) open.delete(key.slice(9, 45));
      most = Math.max(most, open.size);
      return undefined;
    };

    const { ended, result } = runErase(world, { documentIds, yes: false }, { line: '4,0' });

    expect(await ended).toBe(0);
    expect(result.printed).toContain('\n40 erased\n');
    expect(most).toBe(16);
  });
});

describe('archiver hold and release', () => {
  it('print each document with its outcome, and the number of each', async () => {
    const world = createArchive();
    for (const documentId of [id, idAt(1)]) world.archive(documentId);
    await holdAll(world, [id]).ended;

    const held = holdAll(world, [id, idAt(1), otherId]);
    const heldCode = await held.ended;
    const released = releaseAll(world, [id, otherId]);
    const releasedCode = await released.ended;
    const again = releaseAll(world, [id]);

    expect([heldCode, releasedCode, await again.ended]).toEqual([1, 1, 0]);
    expect(held.purposes).toEqual(['write']);
    const [lines, summary] = held.result.printed.split('\n\n');
    expect(lines?.split('\n').sort()).toEqual([
      `${idAt(1)}  <green>held`,
      `${id}  <green>already-held`,
      `${otherId}  <yellow>not-archived`,
    ]);
    expect(summary).toBe('1 not-archived · 1 already-held · 1 held\n');
    expect(held.result.records).toContainEqual({ type: 'hold', documentId: id, outcome: 'already-held' });
    expect(held.result.records).toHaveLength(3);
    expect(released.result.printed).toContain(`${id}  <green>released\n`);
    expect(again.result.printed).toBe(`${id}  <yellow>not-held\n\n1 not-held\n`);
  });

  it('end with 0 if all documents are held afterwards', async () => {
    const world = createArchive();
    for (const documentId of [id, otherId]) world.archive(documentId);
    await holdAll(world, [id]).ended;

    const { ended, result } = holdAll(world, [id, otherId]);

    expect(await ended).toBe(0);
    expect(result.printed).toMatch(/\n\n1 already-held · 1 held\n$/);
  });

  it('write who and why into the record', async () => {
    const world = createArchive();
    world.archive();

    await holdAll(world, [id], 'Case 9').ended;

    const record = JSON.parse(world.bucket.text(`holds/${id}/2026-11-24T12:00:00.000Z.json`));
    expect(record).toMatchObject({ by: role, reason: 'Case 9', archiver: packageJson.version });
  });

  it('of an erased document end with 1 and 0', async () => {
    const world = createArchive();
    world.archive();
    await runErase(world, { documentIds: [id] }).ended;

    const held = holdAll(world, [id]);
    const heldCode = await held.ended;
    const released = releaseAll(world, [id]);

    expect([heldCode, await released.ended]).toEqual([1, 0]);
    expect(held.result.printed).toContain(`${id}  <red>erased\n`);
  });

  it('hold what is left of a document that is being erased, and end with 1', async () => {
    const world = createArchive();
    world.archive();
    world.bucket.refuse = (operation, key) => {
      if (operation === 'put' && key.startsWith('holds/')) world.bucket.versioned.remove(documentKey(id));
      return undefined;
    };

    const { ended, result } = holdAll(world, [id]);

    expect(await ended).toBe(1);
    expect(result.printed).toContain(`${id}  <red>partly-erased\n`);
  });

  it.each(['AccessDenied', 'AccessDeniedException'])(
    'say which role they need where S3 answers %s',
    async (name) => {
      const world = createArchive();
      world.archive();
      world.bucket.refuse = (operation) => (operation === 'put' ? { name, status: 403 } : undefined);

      await expect(holdAll(world, [id]).ended).rejects.toMatchObject({
        message: expect.stringContaining('Use a role that `breakGlassArns`'),
        code: 'BucketMisconfigured',
        cause: { code: 'BucketMisconfigured' },
      });
    },
  );

  it('report any other error as it is', async () => {
    const world = createArchive();
    world.archive();
    world.bucket.refuse = (operation) =>
      operation === 'put' ? { name: 'NoSuchBucket', status: 404 } : undefined;
    const stopped = new AbortController();
    stopped.abort(new Error('Interrupted.'));

    await expect(holdAll(world, [id]).ended).rejects.toThrow(/^(?!S3 denies)/);
    const interrupted = runInMemory(world, (context) => hold({ documentIds: [id], reason: 'x' }, context), {
      signal: stopped.signal,
    });
    await expect(interrupted.ended).rejects.toThrow('Interrupted.');
  });
});

describe('the command line of', () => {
  const parse = (command: typeof eraseCommand, ...args: string[]) =>
    command
      .configure(new Command(command.name).exitOverride().configureOutput({ writeErr: () => undefined }))
      .parse(args, { from: 'user' });

  it('erase takes IDs, a basis and the options of its help', async () => {
    const world = createArchive();
    world.archive();
    const evidence = join(await newFolder(), 'erasure.txt');
    const parsed = parse(
      eraseCommand,
      ...[id, otherId, '--basis', ' DSR-7 ', '--bypass-governance', '--include-unarchived', '--yes'],
      ...['--evidence', evidence],
    );

    const { ended } = runInMemory(world, (context) => eraseCommand.run(context, parsed));

    expect(await ended).toBe(0);
    expect(parsed.opts()).toEqual({
      basis: 'DSR-7',
      bypassGovernance: true,
      includeUnarchived: true,
      evidence,
      yes: true,
    });
    expect(parse(eraseCommand, '--ids', '-', '--basis', 'x', '--dry-run').opts()).toEqual({
      basis: 'x',
      ids: '-',
      dryRun: true,
    });
    expect(JSON.parse(world.versions(otherId)[0]?.[0] ?? '')).toMatchObject({ basis: 'DSR-7' });
  });

  it.each([[holdCommand, 'held'] as const, [releaseCommand, 'not-held'] as const])(
    '$0.name takes IDs and a reason',
    async (command, outcome) => {
      const world = createArchive();
      world.archive();
      const parsed = parse(command, id, '--reason', ' Case 1 ');

      const { ended, result } = runInMemory(world, (context) => command.run(context, parsed));

      expect(await ended).toBe(0);
      expect(result.records).toEqual([{ type: 'hold', documentId: id, outcome }]);
      expect(parsed.opts()).toEqual({ reason: 'Case 1' });
      expect(parse(command, '--ids', 'file', '--reason', 'x').opts()).toEqual({ ids: 'file', reason: 'x' });
      expect(() => parse(command, id)).toThrow('--reason');
    },
  );

  it.each(['', ' \t', 'x'.repeat(201), 'a\u001b[2Jb', 'a\nb'])('erase refuses the basis %j', (basis) => {
    expect(() => parse(eraseCommand, id, '--basis', basis)).toThrow(
      'Must have 1 to 200 printable characters, such as the number of a ticket.',
    );
  });

  it('erase accepts a basis of 200 characters, and requires one', () => {
    const basis = 'x'.repeat(200);

    expect(parse(eraseCommand, id, '--basis', basis).opts()).toEqual({ basis });
    expect(() => parse(eraseCommand, id)).toThrow('--basis');
  });
});
