import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hasSystemCode } from '../../functions/errors.ts';

/** Directory of one process for incomplete files. */
export interface Scratch {
  /** Returns an unused path. */
  newPath(): string;
  /** Removes the directory and its contents. */
  remove(): Promise<void>;
}

/** Directories of this process, which may serve several buckets, or one bucket twice. */
const inUse = new Set<string>();

/**
 * Creates a directory of this process in `parent` and removes those of processes that no longer exist: their files were
 * never completed.
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
  // Our process ID on a directory that we did not create is from an earlier process, as in a container.
  if (!(pid > 0) || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !hasSystemCode(error, 'ESRCH');
  }
}
