import { createHash, randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import { type FileHandle, link, mkdir, open, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { hasSystemCode } from '../../functions/errors.ts';
import type { Checksum } from './checksums.ts';
import { KeyIndex } from './key-index.ts';
import { invalidArgument, S3Error } from './s3-error.ts';
import { openScratch, type Scratch } from './scratch.ts';

/**
 * A bucket in a directory: the object `a/b` is the file `<directory>/a/b` with exactly its bytes.
 *
 * Metadata is stored in `<directory>/.s3/metadata/<two digits>/…json`. A metadata file is named after the hash of the key
 * and the modification time and size of the data file. It is complete before the data file appears under its name, by one
 * `link` or `rename`. So whenever the process is killed, an object exists with its own metadata or not at all; metadata
 * without data is ignored. A file that the user added or edited matches no metadata: it is served with an opaque ETag and
 * no checksum.
 */
export class ObjectStore {
  readonly #directory: string;
  readonly #index: KeyIndex;
  #scratch: Promise<Scratch> | undefined;

  /** @param directory created if missing; nothing is written to it before the first upload */
  static async open(directory: string): Promise<ObjectStore> {
    await mkdir(directory, { recursive: true });
    return new ObjectStore(directory);
  }

  private constructor(directory: string) {
    this.#directory = directory;
    this.#index = new KeyIndex(directory, privateFolder);
  }

  /** Keys that start with `prefix` and sort after `after`, in the order of their UTF-8 bytes. */
  keys(prefix: string, after: string): AsyncGenerator<string, void, undefined> {
    return this.#index.keys(prefix, after);
  }

  async exists(key: string): Promise<boolean> {
    return (await this.#find(key))?.isFile() ?? false;
  }

  /** Metadata of the object; undefined if it does not exist. */
  async describe(key: string): Promise<ObjectInfo | undefined> {
    for (;;) {
      const found = await this.#find(key);
      if (!found?.isFile()) return undefined;
      const described = await this.#metadataOf(key, found);
      if (described) return described;
      if (isSameFile(found, await this.#find(key))) return unmanagedFile(found);
    }
  }

  /** Opens the object. Later overwrites do not affect it. Must be closed. */
  async read(key: string): Promise<OpenObject | undefined> {
    for (;;) {
      const handle = await this.#openFile(key);
      if (!handle) return undefined;
      try {
        const found = await handle.stat();
        const described =
          (await this.#metadataOf(key, found)) ??
          (isSameFile(found, await this.#find(key)) ? unmanagedFile(found) : undefined);
        if (described) return { object: described, ...reader(handle) };
      } catch (error) {
        await handle.close();
        throw error;
      }
      // Overwritten between opening the file and reading its metadata: try again.
      await handle.close();
    }
  }

  /** Starts an upload into a hidden file. Must be ended with `commit` or `discard`. */
  async upload(): Promise<ObjectUpload> {
    this.#scratch ??= openScratch(join(this.#directory, privateFolder, 'uploads'));
    const scratch = await this.#scratch;
    const path = scratch.newPath();
    const handle = await open(path, 'wx');
    return new ObjectUpload(handle, path, (description) => this.#commit(path, description));
  }

  /** Removes the directory for uploads. Call it when no upload is running. */
  async close(): Promise<void> {
    await (await this.#scratch)?.remove();
  }

  async #commit(path: string, upload: CommitOptions): Promise<ObjectInfo | undefined> {
    const { key, ifAbsent } = upload;
    const target = this.#path(key);
    const { size } = await stat(path);
    const metadata: Metadata = {
      key,
      etag: upload.md5,
      versionId: randomBytes(24).toString('base64url'),
      headers: upload.headers,
      ...(upload.checksum && { checksum: upload.checksum }),
    };
    const claimed = await this.#claim(path, upload.lastModified, size, metadata);
    try {
      await this.#makeDirectory(dirname(target), key);
      const replaced = ifAbsent ? undefined : await this.#find(key);
      if (ifAbsent) await link(path, target);
      else await rename(path, target);
      await syncDirectory(dirname(target));
      if (replaced) await rm(this.#metadataPath(key, replaced), { force: true });
    } catch (error) {
      await rm(claimed.metadataPath, { force: true });
      if (hasSystemCode(error, 'EEXIST') && (await this.exists(key))) return undefined;
      if (hasSystemCode(error, 'EEXIST', 'EISDIR', 'ENOTEMPTY', 'ENOTDIR')) throw keyConflict(key);
      throw error;
    }
    return { ...metadata, size, lastModified: claimed.lastModified };
  }

  /**
   * Writes the metadata under an unused name, by moving the modification time if necessary. If two uploads of one key had
   * the same modification time and size, the metadata of the later would describe the data of the earlier.
   */
  async #claim(
    path: string,
    lastModified: number,
    size: number,
    metadata: Metadata,
  ): Promise<{ metadataPath: string; lastModified: number }> {
    for (let later = 0; ; later = later * 2 + 1) {
      const wanted = (lastModified + later) / 1000;
      await utimes(path, wanted, wanted);
      // Read it back: a file system may only store whole seconds.
      const stamped = await stat(path);
      const metadataPath = this.#metadataPath(metadata.key, { size, mtimeMs: stamped.mtimeMs });
      await mkdir(dirname(metadataPath), { recursive: true });
      try {
        const handle = await open(metadataPath, 'wx');
        try {
          await handle.writeFile(`${JSON.stringify(metadata, undefined, 2)}\n`);
          await handle.datasync();
        } finally {
          await handle.close();
        }
        return { metadataPath, lastModified: Math.round(stamped.mtimeMs) };
      } catch (error) {
        if (!hasSystemCode(error, 'EEXIST')) throw error;
      }
    }
  }

  async #makeDirectory(directory: string, key: string): Promise<void> {
    try {
      await mkdir(directory, { recursive: true });
    } catch (error) {
      if (hasSystemCode(error, 'EEXIST', 'ENOTDIR')) throw keyConflict(key);
      throw error;
    }
  }

  async #metadataOf(key: string, found: Stats): Promise<ObjectInfo | undefined> {
    try {
      const metadata: Metadata = JSON.parse(await readFile(this.#metadataPath(key, found), 'utf8'));
      return { ...metadata, size: found.size, lastModified: Math.round(found.mtimeMs) };
    } catch (error) {
      if (hasSystemCode(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  #metadataPath(key: string, file: { readonly mtimeMs: number; readonly size: number }): string {
    // Hash the key: it may be longer than a file name, and `a.json` and `a.json/b` would conflict.
    const hash = createHash('sha256').update(key).digest('hex');
    const name = `${hash.slice(2)}.${Math.round(file.mtimeMs)}.${file.size}.json`;
    return join(this.#directory, privateFolder, 'metadata', hash.slice(0, 2), name);
  }

  async #find(key: string): Promise<Stats | undefined> {
    try {
      return await stat(this.#path(key));
    } catch (error) {
      if (hasSystemCode(error, 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG')) return undefined;
      throw error;
    }
  }

  async #openFile(key: string): Promise<FileHandle | undefined> {
    // Check first: opening a pipe or a device in the folder could block forever.
    if (!(await this.exists(key))) return undefined;
    try {
      return await open(this.#path(key), 'r');
    } catch (error) {
      if (hasSystemCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
      throw error;
    }
  }

  #path(key: string): string {
    return join(this.#directory, ...key.split('/'));
  }
}

/** Folder for metadata and uploads. Not accessible as a key. */
export const privateFolder = '.s3';

interface Metadata {
  readonly key: string;
  /** MD5 in hex, without quotes. */
  readonly etag: string;
  readonly versionId: string;
  /** Response headers of a GET or HEAD, such as Content-Type and x-amz-meta-*. */
  readonly headers: Readonly<Record<string, string>>;
  readonly checksum?: Checksum;
}

export interface ObjectInfo extends Omit<Metadata, 'key'> {
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly lastModified: number;
}

export interface OpenObject {
  readonly object: ObjectInfo;
  /** Bytes from `start`, inclusive, to `end`, exclusive. */
  stream(start: number, end: number): Readable;
  close(): Promise<void>;
}

export interface CommitOptions {
  readonly key: string;
  readonly md5: string;
  readonly checksum: Checksum | undefined;
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly lastModified: number;
  /** `If-None-Match: *` */
  readonly ifAbsent: boolean;
}

export class ObjectUpload {
  readonly #handle: FileHandle;
  readonly #path: string;
  readonly #commit: (options: CommitOptions) => Promise<ObjectInfo | undefined>;

  constructor(
    handle: FileHandle,
    path: string,
    commit: (options: CommitOptions) => Promise<ObjectInfo | undefined>,
  ) {
    this.#handle = handle;
    this.#path = path;
    this.#commit = commit;
  }

  async write(chunk: Buffer): Promise<void> {
    // One call may write only a part.
    for (let at = 0; at < chunk.length; ) at += (await this.#handle.write(chunk, at)).bytesWritten;
  }

  /**
   * Makes the complete object visible with its metadata in one step.
   *
   * @returns undefined if `ifAbsent` is set and the object already exists
   */
  async commit(options: CommitOptions): Promise<ObjectInfo | undefined> {
    await this.#handle.datasync();
    return this.#commit(options);
  }

  /** Closes and removes the hidden file. After a commit, removes only its second name, if any. */
  async discard(): Promise<void> {
    await this.#handle.close();
    await rm(this.#path, { force: true });
  }
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

const isSameFile = (a: Stats, b: Stats | undefined) =>
  b !== undefined && a.ino === b.ino && a.mtimeMs === b.mtimeMs && a.size === b.size;

function reader(handle: FileHandle): Omit<OpenObject, 'object'> {
  return {
    stream: (start, end) =>
      handle.createReadStream({ start, end: end - 1, autoClose: false, highWaterMark: READ_BYTES }),
    close: () => handle.close(),
  };
}

const READ_BYTES = 256 * 1024;

async function syncDirectory(directory: string): Promise<void> {
  // Windows cannot open a directory; the sync of the file itself must suffice there.
  if (process.platform === 'win32') return;
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const keyConflict = (key: string) =>
  invalidArgument(
    'This key conflicts with an existing key: a path cannot be both a file and a folder.',
    'key',
    key,
  );

/**
 * Rejects keys that cannot be a file path inside the bucket's directory.
 *
 * @throws {S3Error} KeyTooLongError or InvalidArgument
 */
export function checkKey(key: string): void {
  const bytes = Buffer.byteLength(key);
  const segments = key.split('/');
  // File systems allow 255 bytes per name; S3 allows 1,024 for the whole key.
  if (bytes > 1024 || segments.some((segment) => Buffer.byteLength(segment) > 255)) {
    throw new S3Error(400, 'KeyTooLongError', 'Your key is too long', {
      Size: String(bytes),
      MaxSizeAllowed: '1024',
    });
  }
  const isInvalid = segments.some((segment) => segment === '' || segment === '.' || segment === '..');
  if (isInvalid || key.includes('\0') || segments[0]?.toLowerCase() === privateFolder) {
    throw invalidArgument('This key is not a valid path inside the bucket.', 'key', key);
  }
}
