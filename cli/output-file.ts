/** Files that a command writes at its end, checked before it begins. */
import { randomBytes } from 'node:crypto';
import { rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { hasSystemCode } from '../functions/errors.ts';
import { UsageError } from './command.ts';
import type { BucketAccess } from './target/target.ts';

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
    const path = pathBeside(file);
    // Stryker disable next-line StringLiteral: the file is removed at once.
    await create(path, '');
    await rm(path);
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT')) throw refused(`the folder ${dirname(file)} does not exist`);
    if (hasSystemCode(error, 'ENOTDIR')) throw refused(`${dirname(file)} is not a folder`);
    throw refused(error instanceof Error ? error.message : String(error));
  }
}

/** Writes the text, and replaces an existing file only when the new one is complete. */
export async function writeOutputFile(file: string, text: string): Promise<void> {
  const path = pathBeside(file);
  try {
    await create(path, text);
    await rename(path, file);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

/** Random, so that no file or link can wait there. */
function pathBeside(file: string): string {
  return `${file}.${randomBytes(6).toString('hex')}.part`;
}

async function create(path: string, text: string): Promise<void> {
  // Stryker disable next-line ObjectLiteral,BooleanLiteral,StringLiteral: no file is at a random path, and only a power failure shows an unflushed one.
  await writeFile(path, text, { flag: 'wx', flush: true });
}
