import { randomUUID } from 'node:crypto';
import { link, lstat, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hasSystemCode } from '../../functions/errors.ts';
import { asFolderError } from './file-errors.ts';
import { fileMode, type UntrustedFolder } from './untrusted-folder.ts';

/** Directory of one process for incomplete files. */
export interface Scratch {
  /** Whether a file can have a second name. Not so on exFAT, FAT and many mounted file systems. */
  readonly hasHardLinks: boolean;
  /** Returns an unused path that nobody can guess. */
  newPath(): string;
  /**
   * Runs `work` while no other server of the same parent directory, in this process or another, runs work under the same
   * name. Waits for those of this process.
   *
   * @param name valid file name
   * @returns undefined, without running `work`, if another process holds the name
   */
  exclusively<Result>(name: string, work: () => Promise<Result>): Promise<Result | undefined>;
  /** Removes the directory and its contents. */
  remove(): Promise<void>;
}

/** Directories of this process, which may serve several buckets, or one bucket twice. */
const inUse = new Set<string>();
/** Work of this process under a name, by path of the name. */
const turns = new Map<string, Promise<unknown>>();

/** A name is held for milliseconds. A power failure may leave it behind, with the ID of a process that exists again. */
const maxHeldMs = 60_000;

/**
 * Creates a directory of this process and removes those of processes that no longer exist: their files were never
 * completed. Follows no link.
 *
 * @param parent path in `folder` where the directories are; empty for `folder` itself
 * @param prefix of the directories' names
 * @throws DiskError if nothing can be written there
 */
export async function openScratch(folder: UntrustedFolder, parent: string, prefix = ''): Promise<Scratch> {
  const name = `${prefix}${process.pid}-${randomUUID()}`;
  const parentPath = folder.resolve(parent);
  const directory = join(parentPath, name);
  inUse.add(name);
  try {
    await folder.makeFolder(`${parent}/${name}`);
    for (const other of await readdir(parentPath)) {
      const pid = ownerOf(other, prefix);
      if (pid !== undefined && !inUse.has(other) && !isAnotherLiveProcess(pid)) {
        await rm(join(parentPath, other), { recursive: true, force: true });
      }
    }
    const newPath = () => join(directory, randomUUID());
    return {
      hasHardLinks: await canLink(newPath(), newPath()),
      newPath,
      exclusively: (claim, work) => exclusively(parentPath, name, claim, work),
      remove: async () => {
        await rm(directory, { recursive: true, force: true });
        inUse.delete(name);
      },
    };
  } catch (error) {
    throw asFolderError(error, folder.path);
  }
}

/** The process ID in the name of a scratch directory; undefined for any other name. */
function ownerOf(name: string, prefix: string): number | undefined {
  const match = name.startsWith(prefix) ? /^(\d+)-[0-9a-f-]{36}$/.exec(name.slice(prefix.length)) : null;
  return match ? Number(match[1]) : undefined;
}

function isAnotherLiveProcess(pid: number): boolean {
  // Our process ID on a directory that we did not create is from an earlier process, as in a container.
  if (!(pid > 0) || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !hasSystemCode(error, 'ESRCH');
  }
}

async function canLink(from: string, to: string): Promise<boolean> {
  await createEmpty(from);
  try {
    await link(from, to);
    return true;
  } catch (error) {
    // On Windows, libuv reports EISDIR for a file system without links (ERROR_INVALID_FUNCTION).
    if (hasSystemCode(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EACCES', 'EISDIR')) return false;
    throw error;
  } finally {
    await rm(from, { force: true });
    await rm(to, { force: true });
  }
}

const createEmpty = async (path: string) => (await open(path, 'wx', fileMode)).close();

function exclusively<Result>(
  parent: string,
  directory: string,
  name: string,
  work: () => Promise<Result>,
): Promise<Result | undefined> {
  const subject = join(parent, name);
  const ownTurn = async () => {
    const claim = join(parent, directory, name);
    await createEmpty(claim);
    try {
      // Each process creates its own claim before it looks for others: of two, at least one sees the other.
      return (await isHeldElsewhere(parent, directory, name)) ? undefined : await work();
    } finally {
      await rm(claim, { force: true });
    }
  };
  const turn = (turns.get(subject) ?? Promise.resolve()).then(ownTurn, ownTurn);
  turns.set(subject, turn);
  return turn.finally(() => {
    if (turns.get(subject) === turn) turns.delete(subject);
  });
}

async function isHeldElsewhere(parent: string, directory: string, name: string): Promise<boolean> {
  const { mtimeMs: now } = await lstat(join(parent, directory, name));
  for (const other of await readdir(parent)) {
    if (other === directory) continue;
    try {
      // Both times are from the clock of the file system.
      if (now - (await lstat(join(parent, other, name))).mtimeMs < maxHeldMs) return true;
    } catch (error) {
      if (!hasSystemCode(error, 'ENOENT', 'ENOTDIR')) throw error;
    }
  }
  return false;
}
