import { createHash } from 'node:crypto';
import {
  appendFile,
  chmod,
  lstat,
  mkdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { systemTime, type Time } from '../../../functions/time.ts';
import { Documents } from '../../../local/telnyx/documents.ts';
import { openFolder } from '../../../local/telnyx/folder.ts';
import { shiftedTime, startWorld, temporaryFolder, type World } from './world.ts';

const byName = async (world: World) =>
  new Map([...(await world.names())].map(([id, fileName]) => [fileName, id]));

/** Drops root privileges, since root can read all files. */
function withoutPrivilege() {
  if (process.geteuid?.() !== 0) return;
  process.seteuid?.(65_534);
  onTestFinished(() => process.seteuid?.(0));
}

describe('openFolder', () => {
  it('serves each file by a symbolic link, with its path, hash, size, type and time', async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'Ordner Ä'));
    await writeFile(join(folder, 'a.pdf'), 'a');
    await writeFile(join(folder, 'Ordner Ä', 'empty.txt'), '');
    await utimes(join(folder, 'a.pdf'), 1_000_000_000, 1_000_000_000);
    const world = await startWorld({ folder });

    const ids = await byName(world);
    const record = (await world.call(`documents/${ids.get('a.pdf')}`)).body.data;
    const links = await Promise.all(
      [...ids.values()].map(async (id) => (await world.call(`documents/${id}/download_link`)).body.data.url),
    );

    expect([...ids.keys()].sort()).toEqual(['Ordner Ä/empty.txt', 'a.pdf']);
    expect(record).toMatchObject({
      sha256: createHash('sha256').update('a').digest('hex'),
      size: { amount: 1 },
      content_type: 'application/pdf',
      created_at: new Date(Math.round((await stat(join(folder, 'a.pdf'))).ctimeMs)).toISOString(),
    });
    const downloads = await Promise.all(links.map(async (link) => (await fetch(link)).text()));
    expect(downloads.sort()).toEqual(['', 'a']);
    expect((await lstat(join(world.storage, record.id))).isSymbolicLink()).toBe(true);
  });

  it('lists added, removed and changed files, created now whatever their modification time', async () => {
    const folder = await temporaryFolder();
    for (const name of ['stays.txt', 'changes.txt', 'goes.txt']) await writeFile(join(folder, name), name);
    const world = await startWorld({ folder });
    const before = await byName(world);

    const droppedAt = Date.now();
    await writeFile(join(folder, 'comes.txt'), 'comes');
    await utimes(join(folder, 'comes.txt'), 1_000_000_000, 1_000_000_000);
    await writeFile(join(folder, 'changes.txt'), 'changed');
    await unlink(join(folder, 'goes.txt'));
    const after = await byName(world);

    expect([...after.keys()].sort()).toEqual(['changes.txt', 'comes.txt', 'stays.txt']);
    expect(after.get('stays.txt')).toBe(before.get('stays.txt'));
    expect(after.get('changes.txt')).not.toBe(before.get('changes.txt'));
    expect((await world.call(`documents/${before.get('changes.txt')}`)).status).toBe(404);
    expect(world.appeared.sort()).toEqual(['changes.txt', 'comes.txt']);
    const { created_at } = (await world.call(`documents/${after.get('comes.txt')}`)).body.data;
    // The file system's clock is a few milliseconds behind.
    expect(Date.parse(created_at)).toBeGreaterThan(droppedAt - 1_000);
  });

  it('keeps IDs after a restart, and when only the modification time of a file changes', async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'deep'));
    await writeFile(join(folder, 'same.txt'), 'same');
    await writeFile(join(folder, 'deep', 'same.txt'), 'same');
    const world = await startWorld({ folder });
    const first = await byName(world);

    await utimes(join(folder, 'same.txt'), 1, 1);
    const touched = await byName(world);
    const next = await byName(await startWorld({ folder }));

    expect(new Set(first.values()).size).toBe(2);
    for (const id of first.values()) {
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    }
    expect(touched).toEqual(first);
    expect(next).toEqual(first);
    expect(world.appeared).toEqual([]);
  });

  it('keeps the creation time of a file after a restart, also if an older file was moved into the folder', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'stays.txt'), 'stays');
    const world = await startWorld({ folder });
    const older = join(await temporaryFolder(), 'comes.txt');
    await writeFile(older, 'comes');
    await utimes(older, 1_000_000_000, 1_000_000_000);
    const createdAtIn = async (started: World) =>
      Promise.all(
        [...(await byName(started))].map(async ([name, id]) => [
          name,
          (await started.call(`documents/${id}`)).body.data.created_at,
        ]),
      ).then(Object.fromEntries);

    await rename(older, join(folder, 'comes.txt'));
    const first = await createdAtIn(world);
    const next = await createdAtIn(await startWorld({ folder }));

    expect(Object.keys(first).sort()).toEqual(['comes.txt', 'stays.txt']);
    expect(next).toEqual(first);
  });

  it('dates a new file that was last changed too long ago for a sweep to the scan', async () => {
    const folder = await temporaryFolder();
    const time = shiftedTime();
    const world = await startWorld({ folder, time });
    await writeFile(join(folder, 'comes.txt'), 'comes');

    time.offsetMs = 3_600_000;
    const id = (await byName(world)).get('comes.txt');

    const { created_at } = (await world.call(`documents/${id}`)).body.data;
    expect(time.now() - Date.parse(created_at)).toBeLessThan(60_000);
  });

  it('does not add a file that is still being copied', async () => {
    const folder = await temporaryFolder();
    const documents = new Documents({
      storage: await temporaryFolder(),
      time: systemTime,
      expire: false,
    });
    const path = join(folder, 'growing.pdf');
    let copying = false;
    // During each wait for a stable file, another piece is appended.
    const time: Time = {
      ...systemTime,
      after: (_, callback) => {
        const written = copying ? appendFile(path, 'more') : Promise.resolve();
        void written.then(callback);
        return () => undefined;
      },
    };
    const opened = openFolder({ path: folder, documents, time, onSkipped: expect.unreachable });
    await opened.refresh();

    copying = true;
    await writeFile(path, 'half');
    await opened.refresh();
    const whileCopying = documents.all();
    copying = false;
    await opened.refresh();

    expect(whileCopying).toEqual([]);
    expect(documents.all()).toMatchObject([{ fileName: 'growing.pdf', bytes: 8 }]);
  });

  it('scans again when it is called during a scan', async () => {
    const folder = await temporaryFolder();
    const documents = new Documents({ storage: await temporaryFolder(), time: systemTime, expire: false });
    const opened = openFolder({
      path: folder,
      documents,
      time: systemTime,
      onSkipped: expect.unreachable,
    });
    await opened.refresh();
    await writeFile(join(folder, 'first.txt'), '');
    let ended = false;
    const looking = opened.refresh().finally(() => {
      ended = true;
    });
    // The first scan has read the folder and now waits for a stable file.
    await new Promise((resolve) => setTimeout(resolve, 50));

    await writeFile(join(folder, 'second.txt'), '');
    expect(ended).toBe(false);
    await Promise.all([looking, opened.refresh()]);

    expect(documents.all()).toHaveLength(2);
  });

  it('reports each skipped path once and serves the other files', async () => {
    const folder = await temporaryFolder();
    const storage = await temporaryFolder();
    await writeFile(join(folder, 'good.txt'), 'good');
    await writeFile(join(folder, 'secret.txt'), 'secret');
    await mkdir(join(folder, 'closed'));
    await symlink('good.txt', join(folder, 'link.txt'));
    await symlink('.', join(folder, 'loop'));
    await chmod(folder, 0o755);
    await chmod(storage, 0o777);
    await chmod(join(folder, 'secret.txt'), 0);
    await chmod(join(folder, 'closed'), 0);
    withoutPrivilege();
    const documents = new Documents({ storage, time: systemTime, expire: false });
    const onSkipped = vi.fn();
    const opened = openFolder({ path: folder, documents, time: systemTime, onSkipped });

    await opened.refresh();
    await opened.refresh();

    expect(documents.all()).toMatchObject([{ fileName: 'good.txt' }]);
    expect(onSkipped.mock.calls.map(([path]) => path).sort()).toEqual(
      ['closed', 'link.txt', 'loop', 'secret.txt'].map((name) => join(folder, name)),
    );
  });

  it('serves no documents while the folder is missing, and the same ones afterwards', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'a.txt'), 'a');
    const world = await startWorld({ folder });
    const before = await world.names();
    const away = `${folder}-away`;
    onTestFinished(() => rm(away, { recursive: true, force: true }));

    await rename(folder, away);
    const without = await world.names();
    await rename(away, folder);

    expect([...without]).toEqual([]);
    expect(world.skipped).toEqual([folder]);
    expect(await world.names()).toEqual(before);
  });

  it('skips the archive, whether it is inside the folder or contains it', async () => {
    const folder = await temporaryFolder();
    const archive = join(folder, 'archive');
    await mkdir(join(archive, 'documents'), { recursive: true });
    await writeFile(join(folder, 'archive.txt'), 'not in it');
    await writeFile(join(archive, 'documents', 'x'), 'archived');

    const inside = await startWorld({ folder, exclude: [archive] });
    const around = await startWorld({ folder: join(archive, 'documents'), exclude: [archive] });

    expect([...(await inside.names()).values()]).toEqual(['archive.txt']);
    expect([...(await around.names())]).toEqual([]);
    expect(around.skipped).toEqual([join(archive, 'documents')]);
  });

  it('adds 500 files of up to 25 MB within seconds', { timeout: 30_000 }, async () => {
    const folder = await temporaryFolder();
    for (let i = 0; i < 500; i += 1) await writeFile(join(folder, `${i}.txt`), `${i}`.repeat(i * 10));
    await writeFile(join(folder, 'large.pdf'), Buffer.alloc(25_000_000));

    const world = await startWorld({ folder });
    const ids = await byName(world);

    expect(ids.size).toBe(501);
    const stored = await readFile(join(world.storage, ids.get('499.txt') ?? ''), 'utf8');
    expect(stored).toBe('499'.repeat(4_990));
  });
});
