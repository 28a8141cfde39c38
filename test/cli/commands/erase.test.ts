import { randomUUID } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { audit } from '../../../cli/audit/audit.ts';
import { type EraseOptions, erase } from '../../../cli/commands/erase.ts';
import { hold } from '../../../cli/commands/hold.ts';
import { release } from '../../../cli/commands/release.ts';
import { parseTombstone } from '../../../functions/bucket/tombstones.ts';
import { createArchive, runErase } from '../erasure/world.ts';
import { newFolder, runOn, startArchive } from '../world.ts';

const secret = 'the bytes of a passport';
const unknownId = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7fff';
const auditOptions = {
  quick: false,
  readData: 100,
  all: false,
  repair: false,
  dryRun: false,
  telnyx: false,
  graceMinutes: 15,
  manifest: undefined,
  acceptReceipts: false,
  expectManifest: undefined,
  html: undefined,
} as const;

/** An archive of one document and another, whose stack has been stopped. */
async function stoppedArchive() {
  const { archive, archiveAll, stop, ids } = await startArchive({
    'passport.txt': secret,
    'other.txt': 'other',
  });
  await archiveAll();
  await stop();
  const documentIds = ids();
  const bodies = await Promise.all(documentIds.map((id) => readFile(join(archive, 'documents', id), 'utf8')));
  const documentId = documentIds[bodies.indexOf(secret)] ?? '';
  const run = (options: Partial<EraseOptions> = {}, line?: string) =>
    runOn(
      archive,
      (context) => erase({ documentIds: [documentId], basis: 'DSR-2026-114', ...options }, context),
      line === undefined ? {} : { line },
    );
  return {
    archive,
    documentId,
    run,
    hold: (reason: string) =>
      runOn(archive, (context) => hold({ documentIds: [documentId], reason }, context)),
    release: () =>
      runOn(archive, (context) => release({ documentIds: [documentId], reason: 'closed' }, context)),
    audit: () => runOn(archive, (context) => audit(auditOptions, context)),
    readObject: () => readFile(join(archive, 'documents', documentId)),
  };
}

/** Files below a folder that contain a text. */
async function filesWith(text: string, folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
  const found = await Promise.all(
    paths.map(async (path) => ((await readFile(path)).includes(text) ? [path] : [])),
  );
  return found.flat();
}

describe('archiver erase', () => {
  it('deletes the bytes and the file name from the whole disk, and leaves a tombstone', async () => {
    const { archive, documentId, run, readObject } = await stoppedArchive();
    expect(await filesWith('passport', archive)).not.toEqual([]);

    const result = await run({ yes: true });

    expect(result).toMatchObject({
      exitCode: 0,
      records: [
        { type: 'erasure', documentId, outcome: 'erased' },
        { type: 'end', erased: 1 },
      ],
    });
    expect(await filesWith('passport', archive)).toEqual([]);
    expect(parseTombstone(documentId, await readObject())).toMatchObject({
      basis: 'DSR-2026-114',
      erasedBy: 'local',
    });
  });

  it('is a clean audit that says erased 1', async () => {
    const { run, audit: runAudit } = await stoppedArchive();

    await run({ yes: true });
    const result = await runAudit();

    expect(result.exitCode).toBe(0);
    expect(result.printed).toContain('erased 1');
  });

  it('asks for the number of documents, and erases nothing for any other answer', async () => {
    const { run, readObject } = await stoppedArchive();

    const refused = await run({}, 'y');
    const before = await readObject();
    const confirmed = await run({}, '1');

    expect(refused).toMatchObject({ exitCode: 1, noted: expect.stringContaining('Nothing was erased.') });
    expect(refused.questions).toEqual([
      expect.stringMatching(/^Delete 1 document from .+ for good\? Type the number/),
    ]);
    expect(before.toString()).toBe(secret);
    expect(confirmed).toMatchObject({ exitCode: 0, noted: expect.stringContaining('passport.txt') });
  });

  it('changes nothing in a dry run, and says what would be deleted', async () => {
    const { run, readObject } = await stoppedArchive();

    const result = await run({ dryRun: true });

    expect(result).toMatchObject({ exitCode: 0, questions: [] });
    expect(result.printed).toMatch(/would-be-erased {2}2 versions, .*passport\.txt/);
    expect((await readObject()).toString()).toBe(secret);
  });

  it('says when and why a document was erased if it is erased again', async () => {
    const { run } = await stoppedArchive();
    await run({ yes: true });

    const again = await run({ basis: 'another', yes: true });

    expect(again.exitCode).toBe(0);
    expect(again.printed).toMatch(/already-erased {2}on 20\S+Z, basis DSR-2026-114/);
  });

  it('refuses a document on hold with the reason of the hold, and erases it after its release', async () => {
    const world = await stoppedArchive();
    expect(await world.hold('Case 12 O 345/26')).toMatchObject({
      exitCode: 0,
      printed: expect.stringContaining('1 held'),
    });

    const refused = await world.run({ yes: true });
    const held = await world.audit();
    const released = await world.release();
    const erased = await world.run({ yes: true });

    expect(refused.exitCode).toBe(1);
    expect(refused.printed).toMatch(/refused {2}on hold since 20\S+Z: Case 12 O 345\/26/);
    expect(held.printed).toContain('held 1');
    expect(released).toMatchObject({ exitCode: 0, printed: expect.stringContaining('1 released') });
    expect(erased.exitCode).toBe(0);
  });

  it('erases nothing of a document that was put on hold while the confirmation was open', async () => {
    const { archive, documentId, run, hold: placeHold, readObject } = await stoppedArchive();
    const evidence = join(await newFolder(), 'erasure.txt');
    const options = { documentIds: [documentId], basis: 'DSR-2026-114', evidence };
    const ask = async () => {
      await placeHold('Case 12 O 345/26');
      return '1';
    };

    const refused = await runOn(archive, (context) =>
      erase(options, { ...context, terminal: { ...context.terminal, ask } }),
    );

    expect(refused.exitCode).toBe(1);
    expect(refused.printed).toMatch(/refused {2}on hold since 20\S+Z: Case 12 O 345\/26/);
    expect(await readFile(evidence, 'utf8')).toMatch(
      new RegExp(`0 documents erased, 1 document not erased[^]*${documentId}  refused: on hold since`),
    );
    expect((await readObject()).toString()).toBe(secret);
    expect((await run({ dryRun: true })).printed).toContain('refused');
  });

  it('never replaces a file of the archive with the statement', async () => {
    const { archive, documentId, run, readObject } = await stoppedArchive();

    await expect(
      run({ documentIds: [unknownId], evidence: join(archive, 'documents', documentId), yes: true }),
    ).rejects.toThrow('it is inside the archive');

    expect((await readObject()).toString()).toBe(secret);
  });

  it('leaves an unknown ID alone, unless it shall never be archived', async () => {
    const { archive, run, audit: runAudit } = await stoppedArchive();

    const skipped = await run({ documentIds: [unknownId], yes: true });
    const prevented = await run({ documentIds: [unknownId], includeUnarchived: true, yes: true });

    expect(skipped).toMatchObject({ exitCode: 1, printed: expect.stringContaining('not-archived') });
    expect(prevented).toMatchObject({ exitCode: 0, printed: expect.stringContaining('1 erased') });
    expect(await readdir(join(archive, 'receipts'))).toContain(`${unknownId}.json`);
    expect((await runAudit()).exitCode).toBe(0);
  });

  it('reads IDs from a file, and refuses both at once, none, and IDs that are none', async () => {
    const { archive, documentId, run } = await stoppedArchive();
    const ids = join(await newFolder(), 'ids.txt');
    await writeFile(ids, `# order\n${documentId.toUpperCase()}\n\n`);

    await expect(run({ ids })).rejects.toThrow('Pass the document IDs as arguments, or a file');
    await expect(run({ documentIds: [] })).rejects.toThrow('Pass the document IDs as arguments, or a file');
    await expect(run({ documentIds: ['x'] })).rejects.toThrow('Not a valid document ID');
    expect(await run({ documentIds: [], ids, yes: true })).toMatchObject({ exitCode: 0 });
    expect(await filesWith('passport', archive)).toEqual([]);
  });

  it('writes a statement with role, basis, digests and what was deleted, but no file name', async () => {
    const { documentId, run } = await stoppedArchive();
    const evidence = join(await newFolder(), 'erasure.txt');

    await run({ documentIds: [documentId, unknownId], evidence, yes: true });

    const text = await readFile(evidence, 'utf8');
    expect(text).toContain('1 document erased, 1 document not erased');
    expect(text).toContain(`documents/${documentId}  version `);
    expect(text).toContain(`receipts/${documentId}.json  version `);
    expect(text).toMatch(/Basis +DSR-2026-114/);
    expect(text).toContain(`${unknownId}  not-archived`);
    expect(text).not.toContain('passport');
  });

  it('rejects a statement that cannot be written before anything is erased', async () => {
    const { run, readObject } = await stoppedArchive();

    await expect(run({ evidence: '/nowhere/erasure.txt', yes: true })).rejects.toThrow(
      '/nowhere does not exist',
    );
    await expect(run({ evidence: 'x', dryRun: true })).rejects.toThrow('--evidence cannot be combined');

    expect((await readObject()).toString()).toBe(secret);
  });
});

describe('an erasure of many documents', () => {
  it('that is interrupted says how many are left, and ends with the same command', async () => {
    const world = createArchive();
    const documentIds = Array.from({ length: 600 }, () => randomUUID());
    for (const documentId of documentIds) world.archive(documentId);
    const evidence = join(await newFolder(), 'erasure.txt');
    const end = new AbortController();
    const first = runErase(world, { documentIds, evidence }, { signal: end.signal });
    const send = world.bucket.refuse;
    let deleted = 0;
    world.bucket.refuse = (operation, key) => {
      if (operation === 'delete') deleted += 1;
      if (deleted === 500) end.abort(new Error('Interrupted; safe to run again.'));
      return send(operation, key);
    };

    await expect(first.ended).rejects.toThrow('Interrupted; safe to run again.');
    const left = Number(/([\d,]+) documents not erased yet/.exec(first.result.noted)?.[1]?.replace(',', ''));
    const second = runErase(world, { documentIds, evidence });
    const exitCode = await second.ended;

    expect(left).toBeGreaterThan(300);
    expect(left).toBeLessThan(400);
    expect(exitCode).toBe(0);
    const { erased, 'already-erased': already } = second.result.records.at(-1) as Record<string, number>;
    // The last deletions of the first run may have ended without having been proven.
    expect(erased).toBeLessThanOrEqual(left);
    expect((erased ?? 0) + (already ?? 0)).toBe(600);
    expect(documentIds.every((id) => world.versions(id).every((versions) => versions.length === 1))).toBe(
      true,
    );
    const statement = await readFile(evidence, 'utf8');
    expect(statement).toContain('600 documents erased');
    expect(statement).toContain('assumed-role/BreakGlass, session jo');
  });

  it('without a break-glass role says which role it needs, and erases nothing', async () => {
    const world = createArchive();
    const documentId = randomUUID();
    world.archive(documentId);
    world.bucket.refuse = (operation) =>
      operation === 'put' ? { name: 'AccessDenied', status: 403 } : undefined;

    const { ended } = runErase(world, { documentIds: [documentId] });

    await expect(ended).rejects.toThrow('Use a role that `breakGlassArns` in the deployed stage.json names');
    expect(world.versions(documentId)[0]).toEqual([secret]);
  });
});
