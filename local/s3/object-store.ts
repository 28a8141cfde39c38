import { createHash, randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import { type FileHandle, link, open, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import * as v from 'valibot';
import { hasSystemCode } from '../../functions/errors.ts';
import { type Checksum, checksumAlgorithms } from './checksums.ts';
import { asDiskError, asFolderError } from './file-errors.ts';
import { KeyIndex } from './key-index.ts';
import { conditionalRequestConflict, invalidArgument, S3Error } from './s3-error.ts';
import { openScratch, type Scratch } from './scratch.ts';
import { fileMode, makeFolder, parentOf, UntrustedFolder } from './untrusted-folder.ts';

/**
 * A bucket in a directory: the object `a/b` is the file `<directory>/a/b` with exactly its bytes.
 *
 * Metadata is stored in `<directory>/.s3/metadata/<two digits>/…json`. A metadata file is named after the hash of the key
 * and the modification time and size of the data file. It is complete before the data file appears under its name, by one
 * `link` or `rename`. So whenever the process is killed, an object exists with its own metadata or not at all; metadata
 * without data is ignored. A file that the user added or edited matches no metadata: it is served with an opaque ETag and
 * no checksum.
 *
 * The directory may come from somebody else: metadata that this store would not write is ignored, and no symbolic link in
 * it is followed by default. Files and directories are created for their owner only.
 */
export class ObjectStore {
  readonly #folder: UntrustedFolder;
  readonly #index: KeyIndex;
  #scratch: Promise<Scratch> | undefined;

  /**
   * @param directory created if missing; nothing is written to it before the first upload
   * @param followLinks whether an object may be a link to a file elsewhere, which is read
   * @throws DiskError if it cannot be created
   */
  static async open(directory: string, followLinks = false): Promise<ObjectStore> {
    try {
      await makeFolder(directory);
    } catch (error) {
      throw asFolderError(error, directory);
    }
    return new ObjectStore(directory, followLinks);
  }

  private constructor(directory: string, followLinks: boolean) {
    this.#folder = new UntrustedFolder(directory, followLinks);
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
      const opened = await this.#folder.open(key);
      if (!opened) return undefined;
      const { handle, stats: found } = opened;
      try {
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

  /**
   * Starts an upload into a hidden file. Must be ended with `commit` or `discard`. Each of its steps throws DiskError if
   * the disk fails.
   */
  async upload(): Promise<ObjectUpload> {
    const scratch = await this.#openScratch();
    const path = scratch.newPath();
    const onDisk: OnDisk = async (step) => {
      try {
        return await step();
      } catch (error) {
        throw asDiskError(error, this.#folder.path);
      }
    };
    const handle = await onDisk(() => open(path, 'wx', fileMode));
    return new ObjectUpload(handle, path, onDisk, (description) => this.#commit(path, description, scratch));
  }

  /** Removes the directory for uploads. Call it when no upload is running. */
  async close(): Promise<void> {
    await (await this.#scratch)?.remove();
  }

  #openScratch(): Promise<Scratch> {
    this.#scratch ??= openScratch(this.#folder, `${privateFolder}/uploads`).catch((error: unknown) => {
      // Try again at the next upload, and remove nothing on close.
      this.#scratch = undefined;
      throw error;
    });
    return this.#scratch;
  }

  async #commit(path: string, upload: CommitOptions, scratch: Scratch): Promise<ObjectInfo | undefined> {
    const { key, ifAbsent } = upload;
    const { size } = await stat(path);
    const metadata: Metadata = {
      key,
      etag: upload.md5,
      versionId: randomBytes(24).toString('base64url'),
      headers: upload.headers,
      ...(upload.checksum && { checksum: upload.checksum }),
    };
    const claimed = await this.#claim(path, upload.lastModified, size, metadata);
    let published = false;
    try {
      await this.#folder.makeFolder(parentOf(key));
      const replaced = ifAbsent ? undefined : await this.#find(key);
      published = scratch.hasHardLinks
        ? await this.#publish(path, key, ifAbsent)
        : await this.#publishWithoutLinks(path, key, ifAbsent, scratch);
      if (!published) {
        if (await this.exists(key)) return undefined;
        throw keyConflict(key);
      }
      await syncDirectory(dirname(this.#folder.resolve(key)));
      if (replaced) await rm(this.#folder.resolve(metadataPath(key, replaced)), { force: true });
    } catch (error) {
      if (hasSystemCode(error, 'EEXIST', 'EISDIR', 'ENOTEMPTY', 'ENOTDIR')) throw keyConflict(key);
      if (hasSystemCode(error, 'ENAMETOOLONG')) throw keyTooLong(key);
      throw error;
    } finally {
      if (!published) await rm(claimed.metadataPath, { force: true });
    }
    return { ...metadata, size, lastModified: claimed.lastModified };
  }

  /** Moves the file to its name in one step. @returns false if `ifAbsent` is set and the name is taken */
  async #publish(path: string, key: string, ifAbsent: boolean): Promise<boolean> {
    if (!ifAbsent) {
      await rename(path, this.#folder.resolve(key));
      return true;
    }
    try {
      // Unlike `rename`, `link` never replaces a file.
      await link(path, this.#folder.resolve(key));
      return true;
    } catch (error) {
      if (hasSystemCode(error, 'EEXIST')) return false;
      throw error;
    }
  }

  /** As `#publish`, where only `rename` moves a file in one step: no other writer may have the key meanwhile. */
  async #publishWithoutLinks(
    path: string,
    key: string,
    ifAbsent: boolean,
    scratch: Scratch,
  ): Promise<boolean> {
    const published = await scratch.exclusively(hashOf(key), async () => {
      if (ifAbsent && (await this.#find(key))) return false;
      await rename(path, this.#folder.resolve(key));
      return true;
    });
    if (published === undefined) throw conditionalRequestConflict();
    // Where there are no links, a rename may leave the directory's time unchanged (exFAT), which the index relies on.
    const now = new Date();
    await utimes(dirname(this.#folder.resolve(key)), now, now);
    return published;
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
      const place = metadataPath(metadata.key, { size, mtimeMs: stamped.mtimeMs });
      await this.#folder.makeFolder(parentOf(place));
      try {
        const handle = await open(this.#folder.resolve(place), 'wx', fileMode);
        try {
          await handle.writeFile(`${JSON.stringify(metadata, undefined, 2)}\n`);
          await handle.datasync();
        } finally {
          await handle.close();
        }
        return { metadataPath: this.#folder.resolve(place), lastModified: Math.round(stamped.mtimeMs) };
      } catch (error) {
        if (!hasSystemCode(error, 'EEXIST')) throw error;
      }
    }
  }

  /** @returns undefined if there is none, or if it is not as this store writes it: damaged in a crash, or planted */
  async #metadataOf(key: string, found: Stats): Promise<ObjectInfo | undefined> {
    const opened = await this.#folder.open(metadataPath(key, found));
    if (!opened) return undefined;
    const { handle, stats } = opened;
    let text: string;
    try {
      if (stats.size > MAX_METADATA_BYTES) return undefined;
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(stats.size), 0, stats.size, 0);
      text = buffer.toString('utf8', 0, bytesRead);
    } finally {
      await handle.close();
    }
    const metadata = parseMetadata(text);
    return metadata?.key === key
      ? { ...metadata, size: found.size, lastModified: Math.round(found.mtimeMs) }
      : undefined;
  }

  #find(key: string): Promise<Stats | undefined> {
    return this.#folder.stat(key);
  }
}

/** Folder for metadata and uploads. Not accessible as a key. */
export const privateFolder = '.s3';

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
});

type Metadata = Readonly<v.InferOutput<typeof metadataFile>>;

/** Metadata headers have at most 2 kB, a key 1 kB. */
const MAX_METADATA_BYTES = 1024 ** 2;

function parseMetadata(text: string): Metadata | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // A crash can leave a file of NULs.
    return undefined;
  }
  const result = v.safeParse(metadataFile, json);
  return result.success ? result.output : undefined;
}

const hashOf = (key: string) => createHash('sha256').update(key).digest('hex');

/** Path in the bucket's directory of the metadata of one state of a data file. */
function metadataPath(key: string, file: { readonly mtimeMs: number; readonly size: number }): string {
  // Hash the key: it may be longer than a file name, and `a.json` and `a.json/b` would conflict.
  const hash = hashOf(key);
  const name = `${hash.slice(2)}.${Math.round(file.mtimeMs)}.${file.size}.json`;
  return `${privateFolder}/metadata/${hash.slice(0, 2)}/${name}`;
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

/** Runs one step of an upload; translates the failure of the disk. */
type OnDisk = <Result>(step: () => Promise<Result>) => Promise<Result>;

export class ObjectUpload {
  readonly #handle: FileHandle;
  readonly #path: string;
  readonly #onDisk: OnDisk;
  readonly #commit: (options: CommitOptions) => Promise<ObjectInfo | undefined>;

  constructor(
    handle: FileHandle,
    path: string,
    onDisk: OnDisk,
    commit: (options: CommitOptions) => Promise<ObjectInfo | undefined>,
  ) {
    this.#handle = handle;
    this.#path = path;
    this.#onDisk = onDisk;
    this.#commit = commit;
  }

  async write(chunk: Buffer): Promise<void> {
    await this.#onDisk(async () => {
      // One call may write only a part.
      for (let at = 0; at < chunk.length; ) at += (await this.#handle.write(chunk, at)).bytesWritten;
    });
  }

  /**
   * Makes the complete object visible with its metadata in one step.
   *
   * @returns undefined if `ifAbsent` is set and the object already exists
   */
  async commit(options: CommitOptions): Promise<ObjectInfo | undefined> {
    return await this.#onDisk(async () => {
      await this.#handle.datasync();
      return await this.#commit(options);
    });
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
    'This key conflicts with an existing key: a path cannot be both a file and a folder, nor a symbolic link.',
    'key',
    key,
  );

export const maxKeyBytes = 1024;

export const keyTooLong = (key: string) =>
  new S3Error(400, 'KeyTooLongError', 'Your key is too long', {
    Size: String(Buffer.byteLength(key)),
    MaxSizeAllowed: String(maxKeyBytes),
  });

/**
 * Rejects keys that cannot be a file path inside the bucket's directory.
 *
 * @throws {S3Error} KeyTooLongError or InvalidArgument
 */
export function checkKey(key: string): void {
  const bytes = Buffer.byteLength(key);
  // File systems allow 255 bytes per name; S3 allows 1,024 for the whole key.
  if (bytes > maxKeyBytes || key.split('/').some((segment) => Buffer.byteLength(segment) > 255)) {
    throw keyTooLong(key);
  }
  if (!isObjectPath(key)) {
    throw invalidArgument('This key is not a valid path inside the bucket.', 'key', key);
  }
}

/** Whether the key is the path of a file inside the bucket's directory. No object has any other key, such as `a//b`. */
export function isObjectPath(key: string): boolean {
  const segments = key.split('/');
  const isInvalid = segments.some((segment) => segment === '' || segment === '.' || segment === '..');
  return !isInvalid && !key.includes('\0') && segments[0]?.toLowerCase() !== privateFolder;
}
