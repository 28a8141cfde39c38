/** The folder of a local archive, for what the local S3 does not show. */
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  documentKey,
  documentPrefix,
  manifestPrefix,
  receiptKey,
  receiptPrefix,
} from '../../functions/bucket/keys.ts';
import { hasSystemCode } from '../../functions/errors.ts';
import { programs } from '../programs.ts';
import { isInside } from './is-inside.ts';
import { type UnlistedFile, unlistedFiles } from './key-index.ts';
import { privateFolder } from './object-key.ts';

export class ArchiveFolder {
  /** Absolute. */
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** @throws Error if the folder is not an archive, or the error of `readdir` if it cannot be read */
  async check(): Promise<void> {
    const names = await readdir(this.path);
    if (names.some((name) => expectedNames.includes(name))) return;
    throw new Error(
      `There is no archive in ${this.path}: it contains none of ${expectedNames.join(', ')}. ` +
        `Pass the folder of the archive, as in \`${programs.start} --archive\`.`,
    );
  }

  /** Whether a path, which need not exist, is this folder or below it, also through symbolic links. */
  contains(path: string): Promise<boolean> {
    return isInside(path, this.path);
  }

  /**
   * The files that the local S3 does not list.
   *
   * @throws the error of `readdir` for a folder that cannot be read
   */
  unlistedFiles(): AsyncIterable<UnlistedFile> {
    return unlistedFiles(this.path, privateFolder);
  }

  /**
   * Why a document or its receipt cannot be opened, in the words of the operating system.
   *
   * @returns undefined if the files can be opened or do not exist
   */
  async openError(documentId: string): Promise<string | undefined> {
    for (const key of [documentKey(documentId), receiptKey(documentId)]) {
      try {
        await (await open(join(this.path, key))).close();
      } catch (error) {
        if (!hasSystemCode(error, 'ENOENT')) return error instanceof Error ? error.message : String(error);
      }
    }
    return undefined;
  }
}

/** An archive has at least one of these; a copy without the server's own files may lack the first. */
const expectedNames: readonly string[] = [
  privateFolder,
  ...[documentPrefix, receiptPrefix, manifestPrefix].map((prefix) => prefix.slice(0, -1)),
];
