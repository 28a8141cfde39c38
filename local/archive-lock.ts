/** At most one local stack per archive: an exclusive lock, which the system releases however the process ends. */
import { lstat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { hasSystemCode } from '../functions/errors.ts';
import { privateFolder } from './s3/object-key.ts';
import { UntrustedFolder } from './s3/untrusted-folder.ts';

/** Result code SQLITE_BUSY: another connection holds the lock (https://sqlite.org/rescode.html#busy). */
const busy = 5;

/**
 * Locks the archive for this process. Node has no file locks of its own, so an empty SQLite database is locked instead.
 *
 * @param archive absolute path of its folder; created if missing
 * @returns releases the lock; undefined if another stack holds it
 * @throws Error if the folder cannot be written to
 */
export async function lockArchive(archive: string): Promise<(() => void) | undefined> {
  const path = join(archive, privateFolder, 'stack.lock');
  await new UntrustedFolder(archive).makeFolder(privateFolder);
  await createEmpty(path);
  const database = new DatabaseSync(path);
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (error instanceof Error && Reflect.get(error, 'errcode') === busy) return undefined;
    throw new Error(`Cannot lock ${path}: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
  return () => database.close();
}

/** A folder may come from somebody else, so anything but an empty file is refused: SQLite would follow or read it. */
async function createEmpty(path: string): Promise<void> {
  try {
    await writeFile(path, '', { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if (!hasSystemCode(error, 'EEXIST')) throw error;
    const found = await lstat(path);
    if (!found.isFile() || found.size > 0)
      throw new Error(`${path} is not an empty file. Remove it to use this archive.`, { cause: error });
  }
}
