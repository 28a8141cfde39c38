import { randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import { rename, rm, rmdir } from 'node:fs/promises';
import * as v from 'valibot';
import { compareUtf8 } from './key-index.ts';
import { hashOfKey, parseJson, writeNewFile } from './metadata.ts';
import type { UntrustedFolder } from './untrusted-folder.ts';

const markerFile = v.strictObject({
  versionId: v.pipe(v.string(), v.regex(/^[\w-]{1,64}$/)),
  /** Milliseconds since the epoch. */
  lastModified: v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(8.64e15)),
});

/** The version that hides an object which was deleted without a version ID. */
export type DeleteMarker = Readonly<v.InferOutput<typeof markerFile>>;

/** A file of a version that has not the place of its key. */
export interface EarlierFile {
  /** In the bucket's directory. */
  readonly path: string;
  readonly stats: Stats;
  readonly isMarker: boolean;
}

/** `7` or `7.marker`. */
const earlierFileName = /^([1-9]\d{0,14})(\.marker)?$/;
/** File with the key itself. The name of the folder, its hash, proves it. */
const keyFileName = 'key';
const maxKeyFileBytes = 1024;
const maxMarkerBytes = 1024;

export const newVersionId = () => randomBytes(24).toString('base64url');

/**
 * Files of all versions of a bucket that have not the place of their key: earlier objects, with exactly their bytes, and
 * delete markers. Each key that has any has a folder, named after its hash. The files in it are numbered: the highest is
 * the newest.
 */
export class EarlierVersions {
  readonly #folder: UntrustedFolder;
  readonly #path: string;
  /** By folder name. */
  readonly #keys = new Map<string, string>();

  /** @param path in `folder` */
  constructor(folder: UntrustedFolder, path: string) {
    this.#folder = folder;
    this.#path = path;
  }

  /** Keys that may have earlier versions, in the order of their UTF-8 bytes. */
  async keys(): Promise<string[]> {
    const keys: string[] = [];
    for (const name of await this.#folder.names(this.#path)) {
      const key = this.#keys.get(name) ?? (await this.#readKey(name));
      if (key === undefined) continue;
      this.#keys.set(name, key);
      keys.push(key);
    }
    return keys.sort(compareUtf8);
  }

  async has(key: string): Promise<boolean> {
    return (await this.#folder.stat(this.#folderOf(key)))?.isDirectory() ?? false;
  }

  /** Newest first. Contains everything that is named like a version's file, also if it is not one. */
  async list(key: string): Promise<EarlierFile[]> {
    const folder = this.#folderOf(key);
    const files: EarlierFile[] = [];
    const names = (await this.#folder.names(folder)).filter((name) => numberOf(name) > 0);
    for (const name of names.sort((a, b) => numberOf(b) - numberOf(a))) {
      const path = `${folder}/${name}`;
      const stats = await this.#folder.stat(path);
      if (stats?.isFile()) files.push({ path, stats, isMarker: name.endsWith('.marker') });
    }
    return files;
  }

  /** @returns undefined if it is not as this store writes it */
  async readMarker(path: string): Promise<DeleteMarker | undefined> {
    const text = await this.#folder.readText(path, maxMarkerBytes);
    return text === undefined ? undefined : parseJson(markerFile, text);
  }

  /**
   * Creates the folder of a key, and its key file, unless they exist.
   *
   * @param draft absolute path of a file to create
   */
  async prepare(key: string, draft: string): Promise<void> {
    const folder = this.#folderOf(key);
    await this.#folder.makeFolder(folder);
    if ((await this.#readKey(hashOfKey(key))) === key) return;
    await writeNewFile(draft, key);
    await rename(draft, this.#folder.resolve(`${folder}/${keyFileName}`));
  }

  /** Path in the bucket's directory of a file that is newer than all others of the key. */
  async nextPath(key: string, suffix: '' | '.marker' = ''): Promise<string> {
    const folder = this.#folderOf(key);
    const next = Math.max(0, ...(await this.#folder.names(folder)).map(numberOf)) + 1;
    const name = `${next}${suffix}`;
    // Only a file that somebody planted has such a number.
    if (numberOf(name) === 0) throw new Error('A key has a version with too high a number.');
    return `${folder}/${name}`;
  }

  /** Removes the folder of a key, which exists, if no version is left in it. */
  async tidy(key: string): Promise<void> {
    const folder = this.#folderOf(key);
    const names = await this.#folder.names(folder);
    if (names.some((name) => name !== keyFileName)) return;
    await rm(this.#folder.resolve(`${folder}/${keyFileName}`), { force: true });
    await rmdir(this.#folder.resolve(folder));
  }

  #folderOf(key: string): string {
    return `${this.#path}/${hashOfKey(key)}`;
  }

  async #readKey(name: string): Promise<string | undefined> {
    const key = await this.#folder.readText(`${this.#path}/${name}/${keyFileName}`, maxKeyFileBytes);
    return key !== undefined && hashOfKey(key) === name ? key : undefined;
  }
}

/** 0 for any other name. */
function numberOf(name: string): number {
  return Number(earlierFileName.exec(name)?.[1] ?? 0);
}
