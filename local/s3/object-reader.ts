import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { type DeleteMarker, EarlierVersions } from './earlier-versions.ts';
import { compareUtf8, KeyIndex } from './key-index.ts';
import { type FileState, type Metadata, MetadataFiles } from './metadata.ts';
import { isObjectPath, privateFolder } from './object-key.ts';
import { noSuchKey, noSuchVersion, S3Error } from './s3-error.ts';
import { UntrustedFolder } from './untrusted-folder.ts';

/** Reads a versioned bucket in a directory. `ObjectStore` describes its files. */
export class ObjectReader {
  /** Never follows links. */
  protected readonly own: UntrustedFolder;
  protected readonly metadata: MetadataFiles;
  protected readonly earlier: EarlierVersions;
  /** Follows links to objects, if wanted. */
  readonly #folder: UntrustedFolder;
  readonly #index: KeyIndex;

  protected constructor(directory: string, followLinks: boolean) {
    this.own = new UntrustedFolder(directory);
    this.metadata = new MetadataFiles(this.own, `${privateFolder}/metadata`);
    this.earlier = new EarlierVersions(this.own, `${privateFolder}/versions`);
    this.#folder = new UntrustedFolder(directory, followLinks);
    this.#index = new KeyIndex(directory, privateFolder);
  }

  /** Keys of current objects that start with `prefix` and sort after `after`, in the order of their UTF-8 bytes. */
  async *keys(prefix: string, after: string): AsyncGenerator<string, void, undefined> {
    const inPlace = this.#index.keys(prefix, after);
    let next = await inPlace.next();
    for (const key of await this.earlierKeys(prefix)) {
      if (compareUtf8(key, after) <= 0) continue;
      for (; !next.done && compareUtf8(next.value, key) < 0; next = await inPlace.next()) yield next.value;
      const isListed = !next.done && next.value === key;
      if (!isListed && isObject(await this.describe(key))) yield key;
    }
    for (; !next.done; next = await inPlace.next()) yield next.value;
  }

  /** @returns all versions that the listing has, or the first `limit` of them */
  async listVersions({ prefix, after, afterVersionId, limit }: VersionListing): Promise<ListedVersion[]> {
    const inPlace: string[] = [];
    for await (const key of this.#index.keys(prefix, after)) {
      if (inPlace.push(key) === limit) break;
    }
    const latest = new Map(
      await Promise.all(inPlace.map(async (key) => [key, await this.describe(key)] as const)),
    );
    const end = inPlace.length === limit ? inPlace.at(-1) : undefined;
    // Read after the current objects were described, so that none that was overwritten meanwhile is missing.
    const earlier = (await this.earlierKeys(prefix)).filter(
      (key) =>
        compareUtf8(key, after) >= (afterVersionId === undefined ? 1 : 0) &&
        (end === undefined || compareUtf8(key, end) <= 0),
    );
    const expanded = new Set(earlier);
    const listed: ListedVersion[] = [];
    for (const key of [...new Set([...inPlace, ...earlier])].sort(compareUtf8)) {
      const known = latest.get(key);
      const versions = expanded.has(key)
        ? distinct(await this.filesOf(key)).map(({ version }) => version)
        : known
          ? [known]
          : [];
      // If the version was deleted since, all of the key are listed again: none is missed.
      const start =
        key === after ? versions.findIndex(({ versionId }) => versionId === afterVersionId) + 1 : 0;
      const all = versions.map((version, at) => ({ key, version, isLatest: at === 0 }));
      listed.push(...all.slice(start));
      if (listed.length >= limit) break;
    }
    return listed.slice(0, limit);
  }

  /**
   * The version with this ID, or the latest.
   *
   * @returns undefined if it does not exist
   */
  async describe(key: string, versionId?: string): Promise<Version | undefined> {
    if (versionId === undefined) {
      const found = await this.#folder.stat(key);
      const described = found?.isFile() ? await this.#describeFile(key, key, found) : undefined;
      if (described) return described;
    }
    return withId(await this.filesOf(key), versionId)?.version;
  }

  /** As `describe`, but opens an object. Later writes do not affect it. Must be closed. */
  async read(key: string, versionId?: string): Promise<OpenObject | DeleteMarker | undefined> {
    if (versionId === undefined) {
      const opened = await this.#openFile(key, key);
      if (opened) return opened;
    }
    for (;;) {
      const file = withId(await this.filesOf(key), versionId);
      if (!file || !isObject(file.version)) return file?.version;
      const opened = await this.#openFile(key, file.path);
      if (opened?.object.versionId === file.version.versionId) return opened;
      // Moved meanwhile: try again.
      await opened?.close();
    }
  }

  /** Keys that may have earlier versions, in order. */
  protected async earlierKeys(prefix: string): Promise<string[]> {
    return (await this.earlier.keys()).filter((key) => key.startsWith(prefix) && isObjectPath(key));
  }

  /** Files of all versions of a key, newest first. After a crash a version may have two. */
  protected async filesOf(key: string): Promise<VersionFile[]> {
    for (;;) {
      const inPlace = await this.#folder.stat(key);
      const candidates = await this.earlier.list(key);
      if (inPlace?.isFile()) candidates.unshift({ path: key, stats: inPlace, isMarker: false });
      const files = await Promise.all(
        candidates.map(async ({ path, stats, isMarker }): Promise<VersionFile | undefined> => {
          const version = isMarker
            ? await this.earlier.readMarker(path)
            : await this.#describeFile(key, path, stats);
          return version && { path, stats, version };
        }),
      );
      // Moved meanwhile: a version may be missing.
      if (isSameFile(inPlace, await this.#folder.stat(key)))
        return files.filter((file) => file !== undefined);
    }
  }

  /** @returns undefined if the file is not as it was */
  async #describeFile(key: string, path: string, found: Stats): Promise<ObjectInfo | undefined> {
    const metadata = await this.metadata.read(key, found);
    if (metadata) return objectOf(metadata, found);
    return isSameFile(found, await this.#folderFor(key, path).stat(path)) ? unmanagedFile(found) : undefined;
  }

  /** @returns undefined if the file does not exist, or was replaced meanwhile */
  async #openFile(key: string, path: string): Promise<OpenObject | undefined> {
    const opened = await this.#folderFor(key, path).open(path);
    if (!opened) return undefined;
    const { handle, stats } = opened;
    try {
      const object = await this.#describeFile(key, path, stats);
      if (object) return { object, ...reader(handle) };
    } catch (error) {
      await handle.close();
      throw error;
    }
    await handle.close();
    return undefined;
  }

  #folderFor(key: string, path: string): UntrustedFolder {
    return path === key ? this.#folder : this.own;
  }
}

export interface VersionFile {
  /** In the bucket's directory. */
  readonly path: string;
  readonly stats: Stats;
  readonly version: Version;
}

export const withId = (files: readonly VersionFile[], versionId: string | undefined) =>
  versionId === undefined ? files[0] : files.find(({ version }) => version.versionId === versionId);

const distinct = (files: readonly VersionFile[]) =>
  files.filter(({ version: { versionId } }, at) => withId(files, versionId) === files[at]);

export type Version = ObjectInfo | DeleteMarker;

export const isObject = (version: Version | undefined): version is ObjectInfo =>
  version !== undefined && 'etag' in version;

/** S3's error for a version that is not an object. */
export function notAnObject(
  key: string,
  versionId: string | undefined,
  found: DeleteMarker | undefined,
): S3Error {
  if (!found) return versionId === undefined ? noSuchKey(key) : noSuchVersion(key, versionId);
  const headers = { 'x-amz-delete-marker': 'true', 'x-amz-version-id': found.versionId };
  if (versionId === undefined) return noSuchKey(key, headers);
  return new S3Error(
    405,
    'MethodNotAllowed',
    'The specified method is not allowed against this resource.',
    { Method: 'GET', ResourceType: 'DeleteMarker' },
    { ...headers, allow: 'DELETE', 'last-modified': new Date(found.lastModified).toUTCString() },
  );
}

export interface VersionListing {
  readonly prefix: string;
  /** Keys that sort after this one, and with `afterVersionId` also the rest of this one. */
  readonly after: string;
  readonly afterVersionId: string | undefined;
  /** Greater than 0. */
  readonly limit: number;
}

export interface ListedVersion {
  readonly key: string;
  readonly version: Version;
  readonly isLatest: boolean;
}

export interface ObjectInfo extends Omit<Metadata, 'key'> {
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly lastModified: number;
}

export const objectOf = ({ key: _key, ...metadata }: Metadata, { mtimeMs, size }: FileState): ObjectInfo => ({
  ...metadata,
  size,
  lastModified: Math.round(mtimeMs),
});

export interface OpenObject {
  readonly object: ObjectInfo;
  /** Bytes from `start`, inclusive, to `end`, exclusive. */
  stream(start: number, end: number): Readable;
  close(): Promise<void>;
}

/**
 * Metadata of a file that was not uploaded through the server. The ETag changes with the file and, like that of a
 * multipart upload, is not an MD5, so that a listing does not have to read the data. The version is `null`, as for an
 * object from before versioning was enabled.
 */
function unmanagedFile(found: Stats): ObjectInfo {
  const identity = `${found.ino} ${found.mtimeMs} ${found.size}`;
  return {
    etag: `${createHash('md5').update(identity).digest('hex')}-1`,
    versionId: 'null',
    headers: {},
    size: found.size,
    lastModified: Math.round(found.mtimeMs),
  };
}

/** Whether both are the same state of one file, or there is none. */
export const isSameFile = (a: Stats | undefined, b: Stats | undefined) =>
  a?.ino === b?.ino && a?.mtimeMs === b?.mtimeMs && a?.size === b?.size;

function reader(handle: FileHandle): Omit<OpenObject, 'object'> {
  return {
    stream: (start, end) =>
      handle.createReadStream({ start, end: end - 1, autoClose: false, highWaterMark: READ_BYTES }),
    close: () => handle.close(),
  };
}

const READ_BYTES = 256 * 1024;
