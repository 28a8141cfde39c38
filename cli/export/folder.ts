/** The folder that documents are exported to: each file appears complete or not at all, and none is replaced. */
import { createHash } from 'node:crypto';
import { link, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { hasSystemCode } from '../../functions/errors.ts';
import { asDiskError, asFolderError, DiskError } from '../../local/s3/file-errors.ts';
import { openScratch, type Scratch } from '../../local/s3/scratch.ts';
import { fileMode, makeFolder, UntrustedFolder } from '../../local/s3/untrusted-folder.ts';
import type { Exported } from './journal.ts';
import { alternativePaths, type ExportPaths } from './paths.ts';

/** One file cannot be written or read; others can. */
export class FileError extends Error {
  override readonly name = 'FileError';
}

export interface ReceivedFile {
  /** Absolute path of the hidden file. */
  part: string;
  /** SHA-256 of its bytes, in lower-case hex. */
  sha256: string;
}

export interface ExportFolder {
  /**
   * Whether the document's file is at this path.
   *
   * @param verify compares the SHA-256 and not only the size
   * @throws FileError if the file cannot be read
   */
  isComplete(path: string, document: Pick<Exported, 'bytes' | 'sha256'>, verify: boolean): Promise<boolean>;
  /**
   * Writes a stream to a hidden file and syncs it.
   *
   * @param path of the document, to name it in an error
   * @throws DiskError, FileError, or the stream's error. Nothing is left behind then
   */
  receive(source: Readable, path: string, signal: AbortSignal): Promise<ReceivedFile>;
  /**
   * Gives the hidden file its path: that of the document, or one with the document's ID if it is taken by another file or
   * not possible on this file system.
   *
   * @returns the path
   * @throws DiskError or FileError
   */
  publish(part: string, document: Exported, paths: ExportPaths): Promise<string>;
  /**
   * Writes a small file, unless it is there with the same bytes.
   *
   * @throws DiskError, or FileError if another file has this path
   */
  add(path: string, content: Buffer, signal: AbortSignal): Promise<void>;
  /** Whether something has this path. No link is followed. */
  has(path: string): Promise<boolean>;
  discard(part: string): Promise<void>;
  close(): Promise<void>;
}

/**
 * Creates the folder unless it exists. Writes nothing else before the first file, so that a read-only folder can be
 * verified.
 *
 * @param folder absolute path
 * @param isCreated whether to create it; without, it may be missing and nothing can be written
 * @throws DiskError if it cannot be created
 */
export async function openExportFolder(folder: string, isCreated = true): Promise<ExportFolder> {
  if (isCreated)
    await makeFolder(folder).catch((error: unknown) => {
      throw hasSystemCode(error, 'EEXIST', 'ENOTDIR')
        ? new Error(`${folder} is not a folder.`)
        : asFolderError(error, folder);
    });
  const files = new UntrustedFolder(folder);
  let scratch: Promise<Scratch> | undefined;
  const write = async <Result>(path: string, step: () => Promise<Result>): Promise<Result> => {
    try {
      return await step();
    } catch (error) {
      throw asWriteError(error, folder, path);
    }
  };

  const isComplete: ExportFolder['isComplete'] = async (path, { bytes, sha256 }, verify) => {
    try {
      const opened = await files.open(path);
      if (!opened) return false;
      const { handle, stats } = opened;
      try {
        if (stats.size !== bytes) return false;
        if (!verify) return true;
        const hash = createHash('sha256');
        await pipeline(handle.createReadStream(), hash);
        return hash.digest('hex') === sha256;
      } finally {
        await handle.close();
      }
    } catch (error) {
      throw new FileError(`Cannot read ${path}: ${reasonOf(error)}.`, { cause: error });
    }
  };

  /** @returns false if something else has the path */
  const claim = async (part: string, path: string, hasHardLinks: boolean): Promise<boolean> => {
    await files.makeFolder(dirname(path));
    const target = join(folder, path);
    try {
      // Unlike `rename`, neither of the two replaces a file.
      if (hasHardLinks) await link(part, target);
      else await (await open(target, 'wx', fileMode)).close();
    } catch (error) {
      if (hasSystemCode(error, 'EEXIST')) return false;
      throw error;
    }
    // Stryker disable next-line ConditionalExpression,BooleanLiteral: renaming a file to its other name does nothing, and the file is complete.
    if (hasHardLinks) return true;
    try {
      // Replaces the empty file that has just reserved the name. A kill in between leaves it: the next run then uses a
      // name with the ID.
      await rename(part, target);
    } catch (error) {
      await rm(target, { force: true });
      throw error;
    }
    // Stryker disable next-line BooleanLiteral: the file that has just been moved is complete; only saves reading it.
    return true;
  };

  const receive: ExportFolder['receive'] = async (source, path, signal) => {
    try {
      scratch ??= openScratch(files, '', '.export-');
      const opened = scratch;
      const part = (await write(path, () => opened)).newPath();
      const handle = await write(path, () => open(part, 'wx', fileMode));
      const hash = createHash('sha256');
      try {
        await pipeline(
          source,
          async (chunks: AsyncIterable<Buffer>) => {
            for await (const chunk of chunks) {
              hash.update(chunk);
              await write(path, () => handle.writeFile(chunk));
            }
          },
          { signal },
        );
        await write(path, () => handle.sync());
        await write(path, () => handle.close());
      } catch (error) {
        await handle.close();
        await rm(part, { force: true });
        throw error;
      }
      return { part, sha256: hash.digest('hex') };
    } finally {
      source.destroy();
    }
  };

  return {
    isComplete,
    receive,
    publish: async (part, document, paths) => {
      const { hasHardLinks } = await (scratch as Promise<Scratch>);
      for (const path of [document.path, ...alternativePaths(document.path, document.documentId)]) {
        if (path !== document.path && !paths.claim(path)) continue;
        try {
          if (await claim(part, path, hasHardLinks)) return path;
        } catch (error) {
          if (hasSystemCode(error, 'ENAMETOOLONG', 'EILSEQ', 'EINVAL')) continue;
          throw asWriteError(error, folder, path);
        }
        // Another file, or one that an interrupted run did not add to the journal.
        if (await isComplete(path, document, true)) return path;
      }
      throw new FileError(`Cannot write ${document.path}: other files have this name and the document ID.`);
    },
    add: async (path, content, signal) => {
      const sha256 = createHash('sha256').update(content).digest('hex');
      const wanted = { bytes: content.length, sha256 };
      if (await isComplete(path, wanted, true)) return;
      const { part } = await receive(Readable.from([content]), path, signal);
      try {
        const { hasHardLinks } = await (scratch as Promise<Scratch>);
        if (await write(path, () => claim(part, path, hasHardLinks))) return;
      } finally {
        await rm(part, { force: true });
      }
      throw new FileError(`Cannot write ${path}: another file has this name.`);
    },
    has: async (path) => (await files.stat(path)) !== undefined,
    discard: (part) => rm(part, { force: true }),
    close: async () => {
      // Its failure has been thrown by `receive`.
      const opened = await scratch?.catch(() => undefined);
      await opened?.remove();
    },
  };
}

function asWriteError(error: unknown, folder: string, path: string): Error {
  const translated = asDiskError(error, folder);
  if (translated instanceof DiskError) return translated;
  return new FileError(`Cannot write ${path}: ${reasonOf(error)}.`, { cause: error });
}

const reasons: ReadonlyMap<string, string> = new Map([
  ['EACCES', 'permission denied'],
  ['EPERM', 'permission denied'],
  ['EFBIG', 'the file is too large for this file system'],
  ['ENOTDIR', 'a file or a symbolic link has the place of its folder'],
  ['EIO', 'the disk reports an input/output error'],
]);

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unexpected error';
  const reason = reasons.get(code);
  return reason === undefined ? code : `${reason} (${code})`;
}
