/** The folder of one proof. It is written under a hidden name, and renamed when it is complete. */
import { createHash } from 'node:crypto';
import { mkdir, open, rename, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { formatLine } from '../../functions/bucket/manifest-text.ts';
import { hasSystemCode } from '../../functions/errors.ts';
import { asDiskError, asFolderError, DiskError } from '../../local/s3/file-errors.ts';
import { openScratch } from '../../local/s3/scratch.ts';
import { fileMode, makeFolder, UntrustedFolder } from '../../local/s3/untrusted-folder.ts';
import { FileError } from '../export/folder.ts';

export const checksumsName = 'checksums.txt';

/** Where the folders of proofs are written. */
export interface ProofPlace {
  /** A new, empty folder under a hidden name. */
  newFolder(): ProofFolder;
  /** Removes folders that were not published, and the place itself if it is new and empty. */
  close(): Promise<void>;
}

/** @param to absolute path; created if missing @throws DiskError if nothing can be written there */
export async function openProofPlace(to: string): Promise<ProofPlace> {
  const isNew = !(await stat(to).catch((error: unknown) => {
    if (hasSystemCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw asFolderError(error, to);
  }));
  await makeFolder(to).catch((error: unknown) => {
    throw hasSystemCode(error, 'EEXIST', 'ENOTDIR')
      ? new Error(`${to} is not a folder.`)
      : asFolderError(error, to);
  });
  const scratch = await openScratch(new UntrustedFolder(to), '', '.prove-');
  return {
    newFolder: () => new ProofFolder(scratch.newPath()),
    close: async () => {
      await scratch.remove();
      if (!isNew) return;
      await rmdir(to).catch((error: unknown) => {
        if (!hasSystemCode(error, 'ENOTEMPTY', 'EEXIST')) throw error;
      });
    },
  };
}

/** The folder of a proof. Only its owner can open it. All paths are relative, with `/` between names. */
export class ProofFolder {
  readonly #path: string;
  /** SHA-256 of each file of evidence, by path. */
  readonly #digests = new Map<string, string>();

  /** @param path absolute; nothing is there yet, and nobody else writes there */
  constructor(path: string) {
    this.#path = path;
  }

  /** Writes a file of evidence. @throws DiskError or FileError */
  async write(path: string, content: Buffer | string): Promise<void> {
    await this.receive(path, [Buffer.from(content)]);
  }

  /**
   * Writes a stream to a file of evidence, or to several with the same bytes. Leaves none of them after an error.
   *
   * @returns size and SHA-256 in lower-case hex
   * @throws DiskError, FileError, or the error of the stream
   */
  async receive(
    path: string,
    source: Readable | Buffer[],
    copies: readonly string[] = [],
    signal?: AbortSignal,
  ): Promise<{ bytes: number; sha256: string }> {
    const hash = createHash('sha256');
    let bytes = 0;
    const handles = await Promise.all([path, ...copies].map((each) => this.#create(each)));
    try {
      await pipeline(
        source,
        async (chunks: AsyncIterable<Buffer>) => {
          for await (const chunk of chunks) {
            hash.update(chunk);
            bytes += chunk.length;
            for (const handle of handles) await this.#onDisk(path, handle.writeFile(chunk));
          }
        },
        { ...(signal && { signal }) },
      );
      for (const handle of handles) await this.#onDisk(path, handle.sync());
    } catch (error) {
      for (const each of [path, ...copies]) await rm(join(this.#path, each), { force: true });
      throw error;
    } finally {
      await Promise.all(handles.map((handle) => handle.close()));
    }
    const sha256 = hash.digest('hex');
    for (const each of [path, ...copies]) this.#digests.set(each, sha256);
    return { bytes, sha256 };
  }

  /** Writes `checksums.txt` with all files of evidence, for `sha256sum --check`. @returns its SHA-256 in lower-case hex */
  async seal(): Promise<string> {
    const lines = [...this.#digests].map(([key, sha256]) => formatLine({ sha256, key })).sort();
    const text = lines.join('');
    await this.explain(checksumsName, text);
    return createHash('sha256').update(text).digest('hex');
  }

  /** Writes a file that is not evidence. @throws DiskError or FileError */
  async explain(path: string, text: string): Promise<void> {
    const handle = await this.#create(path);
    try {
      await this.#onDisk(path, handle.writeFile(text));
      await this.#onDisk(path, handle.sync());
    } finally {
      await handle.close();
    }
  }

  /** Gives the folder its name. @param path absolute; a folder with files there is not replaced */
  async publish(path: string): Promise<void> {
    await this.#onDisk(path, rename(this.#path, path));
  }

  async #create(path: string) {
    const file = join(this.#path, path);
    await this.#onDisk(path, mkdir(dirname(file), { recursive: true, mode: 0o700 }));
    return this.#onDisk(path, open(file, 'wx', fileMode));
  }

  async #onDisk<Result>(path: string, work: Promise<Result>): Promise<Result> {
    try {
      return await work;
    } catch (error) {
      const translated = asDiskError(error, this.#path);
      if (translated instanceof DiskError) throw translated;
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unexpected error';
      throw new FileError(`Cannot write ${path}: ${code}. Pass another folder.`, { cause: error });
    }
  }
}
