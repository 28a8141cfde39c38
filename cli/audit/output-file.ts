/** Files that a command writes at its end, checked before it begins. */
import { randomBytes } from 'node:crypto';
import { open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { hasSystemCode } from '../../functions/errors.ts';
import { UsageError } from '../command.ts';
import type { BucketAccess } from '../target/target.ts';

/**
 * Proves that a file can be written by creating a temporary one beside it.
 *
 * @param archive whose files must not be replaced
 * @throws UsageError that names the option and the reason
 */
export async function checkOutputFile(
  option: string,
  file: string,
  archive: Pick<NonNullable<BucketAccess['localFolder']>, 'contains'> | undefined,
): Promise<void> {
  const refused = (reason: string) => new UsageError(`${option}: cannot write ${file}: ${reason}.`);
  if (await archive?.contains(dirname(file))) throw refused('it is inside the archive');
  // If the file exists but cannot be examined, creating one beside it fails for the same reason.
  const existing = await stat(file).catch(() => undefined);
  if (existing && !existing.isFile()) throw refused('it is not a regular file');
  try {
    const temporary = await createBeside(file);
    await temporary.handle.close();
    await rm(temporary.path);
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT')) throw refused(`the folder ${dirname(file)} does not exist`);
    if (hasSystemCode(error, 'ENOTDIR')) throw refused(`${dirname(file)} is not a folder`);
    throw refused(error instanceof Error ? error.message : String(error));
  }
}

/** Writes the text, and replaces an existing file only when the new one is complete. */
export async function writeOutputFile(file: string, text: string): Promise<void> {
  const { handle, path } = await createBeside(file);
  try {
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(path, file);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

/** Opened exclusively under a random name, so that it follows no link and overwrites nothing. */
async function createBeside(file: string) {
  const path = `${file}.${randomBytes(6).toString('hex')}.part`;
  return { path, handle: await open(path, 'wx') };
}
