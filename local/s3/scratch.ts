import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hasSystemCode } from '../../functions/errors.ts';

/** A directory of one process for files that are not finished. */
export interface Scratch {
  /** A path that nobody else uses. */
  newPath(): string;
  /** Removes the directory with whatever is left in it. */
  remove(): Promise<void>;
}

/** Those of this very process, which may serve several buckets, or one bucket twice. */
const inUse = new Set<string>();

/**
 * Opens a directory of this process's own below `parent` and clears away those of processes that are gone:
 * what they left was never finished.
 */
export async function openScratch(parent: string): Promise<Scratch> {
  const name = `${process.pid}-${randomUUID()}`;
  const directory = join(parent, name);
  inUse.add(name);
  await mkdir(directory, { recursive: true });
  for (const other of await readdir(parent)) {
    if (!inUse.has(other) && !isOfAnotherLiveProcess(other)) {
      await rm(join(parent, other), { recursive: true, force: true });
    }
  }
  return {
    newPath: () => join(directory, randomUUID()),
    remove: async () => {
      await rm(directory, { recursive: true, force: true });
      inUse.delete(name);
    },
  };
}

function isOfAnotherLiveProcess(name: string): boolean {
  const pid = Number.parseInt(name, 10);
  // Our own number on a directory that is not ours: a process before us had it, as in a container.
  if (!(pid > 0) || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !hasSystemCode(error, 'ESRCH');
  }
}
