import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { open, rename, rm, stat, utimes } from 'node:fs/promises';
import * as v from 'valibot';
import { hasSystemCode } from '../../functions/errors.ts';
import { checksumAlgorithms } from './checksums.ts';
import { lockState } from './object-lock.ts';
import { fileMode, parentOf, type UntrustedFolder } from './untrusted-folder.ts';

/** What identifies one state of a data file. A file keeps it when it is moved. */
export interface FileState {
  readonly mtimeMs: number;
  /** Bytes. */
  readonly size: number;
}

/** Headers that S3 stores and returns with the object. */
export const storedHeader =
  /^(content-type|content-disposition|content-encoding|content-language|cache-control|expires|x-amz-meta-.+|x-amz-server-side-encryption(-aws-kms-key-id|-bucket-key-enabled)?)$/;

/** Value of a header (RFC 9110, section 5.5). */
const headerValue = v.pipe(v.string(), v.regex(/^[\t\x20-\x7e\x80-\xff]*$/));

const metadataFile = v.strictObject({
  key: v.string(),
  /** MD5 in hex, without quotes. */
  etag: headerValue,
  versionId: headerValue,
  /** Response headers of a GET or HEAD, such as Content-Type and x-amz-meta-*. */
  headers: v.record(v.pipe(v.string(), v.regex(storedHeader)), headerValue),
  checksum: v.optional(v.strictObject({ algorithm: v.picklist(checksumAlgorithms), value: headerValue })),
  lock: v.optional(lockState),
});

export type Metadata = Readonly<v.InferOutput<typeof metadataFile>>;

/** Metadata headers have at most 2 kB, a key 1 kB. */
const MAX_METADATA_BYTES = 1024 ** 2;

export const hashOfKey = (key: string) => createHash('sha256').update(key).digest('hex');

/**
 * Metadata of the data files of a bucket: one file for each, in `<two digits>/…json`, named after the hash of the key and
 * the modification time and size of the data file.
 */
export class MetadataFiles {
  readonly #folder: UntrustedFolder;
  readonly #path: string;

  /** @param path in `folder` */
  constructor(folder: UntrustedFolder, path: string) {
    this.#folder = folder;
    this.#path = path;
  }

  /** @returns undefined if there is none, or if it is not as this store writes it: damaged in a crash, or planted */
  async read(key: string, file: FileState): Promise<Metadata | undefined> {
    const text = await this.#folder.readText(this.#pathOf(key, file), MAX_METADATA_BYTES);
    const metadata = text === undefined ? undefined : parseJson(metadataFile, text);
    return metadata?.key === key ? metadata : undefined;
  }

  /**
   * Writes the metadata of a new data file under an unused name, by moving the file's modification time if necessary. If
   * two data files of one key had the same modification time and size, the metadata of one would describe the other.
   *
   * @param path absolute path of the data file
   * @param lastModified milliseconds since the epoch
   * @param others data files of the key
   * @returns the data file as it is then
   */
  async claim(
    path: string,
    lastModified: number,
    metadata: Metadata,
    others: readonly FileState[],
  ): Promise<Stats> {
    const taken = new Set(others.map((other) => this.#pathOf(metadata.key, other)));
    for (let later = 0; ; later = later * 2 + 1) {
      const wanted = (lastModified + later) / 1000;
      await utimes(path, wanted, wanted);
      // Read it back: a file system may only store whole seconds.
      const stamped = await stat(path);
      const place = this.#pathOf(metadata.key, stamped);
      if (taken.has(place)) continue;
      await this.#folder.makeFolder(parentOf(place));
      try {
        await writeNewFile(this.#folder.resolve(place), jsonOf(metadata));
        return stamped;
      } catch (error) {
        if (!hasSystemCode(error, 'EEXIST')) throw error;
      }
    }
  }

  /**
   * Replaces the metadata of a data file in one step.
   *
   * @param draft absolute path of a file to create
   */
  async replace(file: FileState, metadata: Metadata, draft: string): Promise<void> {
    const place = this.#pathOf(metadata.key, file);
    await this.#folder.makeFolder(parentOf(place));
    await writeNewFile(draft, jsonOf(metadata));
    await rename(draft, this.#folder.resolve(place));
  }

  /** Removes the metadata of all data files that the key no longer has. */
  async removeExcept(key: string, files: readonly FileState[]): Promise<void> {
    const kept = new Set(files.map((file) => this.#pathOf(key, file)));
    const [shard, stem] = [this.#shardOf(key), hashOfKey(key).slice(2)];
    for (const name of await this.#folder.names(shard)) {
      const place = `${shard}/${name}`;
      if (name.startsWith(`${stem}.`) && !kept.has(place)) await rm(this.#folder.resolve(place));
    }
  }

  #shardOf(key: string): string {
    return `${this.#path}/${hashOfKey(key).slice(0, 2)}`;
  }

  #pathOf(key: string, { mtimeMs, size }: FileState): string {
    // Hash the key: it may be longer than a file name, and `a.json` and `a.json/b` would conflict.
    return `${this.#shardOf(key)}/${hashOfKey(key).slice(2)}.${Math.round(mtimeMs)}.${size}.json`;
  }
}

const jsonOf = (value: object) => `${JSON.stringify(value, undefined, 2)}\n`;

/** @throws the error of `open` with the code EEXIST if the file exists */
export async function writeNewFile(path: string, text: string): Promise<void> {
  const handle = await open(path, 'wx', fileMode);
  try {
    await handle.writeFile(text);
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

/** @returns undefined if the text is not JSON of this shape: a crash can leave a file of NULs */
export function parseJson<Schema extends v.GenericSchema>(
  schema: Schema,
  text: string,
): v.InferOutput<Schema> | undefined {
  const result = v.safeParse(v.pipe(v.string(), v.parseJson(), schema), text);
  return result.success ? result.output : undefined;
}
