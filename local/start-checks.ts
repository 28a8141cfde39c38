/** What `npm start` checks before it starts anything. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { isInside, statOrNothing } from './s3/is-inside.ts';

export interface Folders {
  /** Absolute path of the archive's folder, which may not exist yet. */
  archive: string;
  /** Absolute path of the folder with the stand-in's documents, without symbolic links. */
  documents: string | undefined;
}

/**
 * @param options paths as on the command line
 * @throws Error if the folder of the documents does not exist, or if what is written would become a document itself
 */
export async function checkFolders(options: {
  archive: string;
  documents?: string;
  log?: string;
}): Promise<Folders> {
  const archive = resolve(options.archive);
  if (options.documents === undefined) return { archive, documents: undefined };
  const documents = resolve(options.documents);
  const found = await statOrNothing(documents);
  if (!found?.isDirectory()) throw new Error(`--documents ${options.documents}: folder not found.`);
  if (await isInside(archive, documents))
    throw new Error(
      '--archive is inside --documents: each copy would be archived again. Pass folders apart from each other.',
    );
  if (await isInside(documents, archive))
    throw new Error(
      '--documents is inside --archive: the archive would copy its own files. Pass folders apart from each other.',
    );
  if (options.log !== undefined && (await isInside(resolve(options.log), documents)))
    throw new Error('--log is inside --documents: each line would make a new document. Pass another file.');
  return { archive, documents: await realpath(documents) };
}

/**
 * Opens the file of `--log` to append to it. Lines are written at once, so that none is lost when the process ends.
 *
 * @param onError called once, with the first line that could not be written; the later ones are dropped
 * @throws Error if the file cannot be opened
 */
export function openLogFile(path: string, onError: (error: unknown) => void): (line: string) => void {
  let file: number | undefined;
  try {
    file = openSync(path, 'a', 0o600);
  } catch (error) {
    throw new Error(`--log ${path}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
  return (line) => {
    if (file === undefined) return;
    try {
      writeSync(file, `${line}\n`);
    } catch (error) {
      closeSync(file);
      file = undefined;
      onError(error);
    }
  };
}
