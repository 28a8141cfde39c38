import { type FileHandle, link, open, rename, rm, utimes } from 'node:fs/promises';
import { hasSystemCode } from '../../functions/errors.ts';
import type { Checksum } from './checksums.ts';
import { type DeleteMarker, newVersionId } from './earlier-versions.ts';
import { asDiskError, asFolderError } from './file-errors.ts';
import { hashOfKey, type Metadata, writeNewFile } from './metadata.ts';
import { keyConflict, keyTooLong, privateFolder } from './object-key.ts';
import { type LockBypass, type LockState, requireDeletable } from './object-lock.ts';
import {
  isObject,
  isSameFile,
  notAnObject,
  type ObjectInfo,
  ObjectReader,
  objectOf,
  type Version,
  withId,
} from './object-reader.ts';
import { conditionalRequestConflict, noSuchKey, preconditionFailed } from './s3-error.ts';
import { openScratch, type Scratch } from './scratch.ts';
import { fileMode, makeFolder, parentOf } from './untrusted-folder.ts';

/**
 * A versioned bucket in a directory: the current object of the key `a/b` is the file `<directory>/a/b` with exactly its
 * bytes. Earlier versions and delete markers are files in `<directory>/.s3/versions`, metadata in `.s3/metadata`.
 *
 * The versions of a key are, newest first, the file in the place of the key, if any, and then its files in
 * `.s3/versions`. So if nothing is in the place of the key, the newest file in `.s3/versions` is the latest version. Each
 * write first makes room, which changes no version, and then does one `link`, `rename` or `rm`. Whenever the process is
 * killed, the write is done or not done. What is left to tidy up is done after each write, and before the first write of
 * the next process.
 *
 * A metadata file is named after the hash of the key and the modification time and size of the data file. It is complete
 * before the data file appears under its name; metadata without data is ignored. A file that the user added or edited
 * matches no metadata: it is served as the version `null`, with an opaque ETag and no checksum.
 *
 * The directory may come from somebody else: what this store would not write to `.s3` is ignored, and no symbolic link in
 * it is followed by default. Files and directories are created for their owner only.
 */
export class ObjectStore extends ObjectReader {
  #scratch: Promise<Scratch> | undefined;

  /**
   * @param directory created if missing; nothing is written to it before the first write
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

  /**
   * Checks whether the key may be written now.
   *
   * @throws {S3Error} PreconditionFailed or NoSuchKey
   */
  async requireCondition(key: string, condition: WriteCondition | undefined): Promise<void> {
    if (condition) requireMet(condition, key, await this.describe(key));
  }

  /**
   * Starts an upload into a hidden file. Must be ended with `commit` or `discard`. Each of its steps throws DiskError if
   * the disk fails.
   */
  async upload(): Promise<ObjectUpload> {
    const scratch = await this.#openScratch();
    const path = scratch.newPath();
    const handle = await this.#onDisk(() => open(path, 'wx', fileMode));
    return new ObjectUpload(handle, path, this.#onDisk, (description) => this.#commit(path, description));
  }

  /**
   * Hides the object behind a delete marker, which is the latest version then.
   *
   * @param lastModified milliseconds since the epoch
   * @throws {S3Error} ConditionalRequestConflict, or InvalidArgument if a symbolic link is in the place of the object
   * @throws DiskError
   */
  async putDeleteMarker(key: string, lastModified: number): Promise<DeleteMarker> {
    const marker: DeleteMarker = { versionId: newVersionId(), lastModified };
    await this.#exclusively(key, async (scratch) => {
      const draft = scratch.newPath();
      await writeNewFile(draft, JSON.stringify(marker));
      // A link to a file elsewhere, which is not this store's to delete, would stay the current object.
      if ((await this.own.stat(key))?.isSymbolicLink()) throw keyConflict(key);
      await this.earlier.prepare(key, scratch.newPath());
      await this.#makeRoom(key, scratch, false);
      const place = await this.earlier.nextPath(key, '.marker');
      await rename(draft, this.own.resolve(place));
      await this.#sync(parentOf(place), scratch);
    });
    return marker;
  }

  /**
   * Deletes a version for good.
   *
   * @returns the version; undefined if it did not exist
   * @throws {S3Error} AccessDenied if it is locked, or ConditionalRequestConflict
   * @throws DiskError
   */
  async deleteVersion(key: string, versionId: string, bypass: LockBypass): Promise<Version | undefined> {
    return await this.#exclusively(key, async (scratch) => {
      const files = await this.filesOf(key);
      // The newest last: while one is left, the version is still there.
      const deleted = files.filter(({ version }) => version.versionId === versionId).reverse();
      for (const { version } of deleted) if (isObject(version)) requireDeletable(version.lock, bypass);
      if (deleted.length === 0) return undefined;
      // What a crash leaves behind is found by this folder.
      await this.earlier.prepare(key, scratch.newPath());
      for (const { path } of deleted) {
        const below = files.find(({ version }) => version.versionId !== versionId);
        // In one step, so that the key is never without the object that is the current one then.
        const place = this.own.resolve(path);
        if (path === key && below && isObject(below.version))
          await rename(this.own.resolve(below.path), place);
        else await rm(place);
        await this.#sync(parentOf(path), scratch);
      }
      return deleted[0]?.version;
    });
  }

  /**
   * Changes the lock of a version, or of the latest.
   *
   * @param change gets the lock as it is; what it throws is passed on
   * @throws {S3Error} NoSuchKey, NoSuchVersion, MethodNotAllowed for a delete marker, or ConditionalRequestConflict
   * @throws DiskError
   */
  async changeLock(
    key: string,
    versionId: string | undefined,
    change: (lock: LockState) => LockState,
  ): Promise<void> {
    await this.#exclusively(key, async (scratch) => {
      const file = withId(await this.filesOf(key), versionId);
      if (!file || !isObject(file.version)) throw notAnObject(key, versionId, file?.version);
      const { size: _size, lastModified: _lastModified, ...metadata } = file.version;
      const changed = { ...metadata, key, lock: change(metadata.lock ?? {}) };
      await this.metadata.replace(file.stats, changed, scratch.newPath());
    });
  }

  /** Removes the directory for uploads. Call it when no upload is running. */
  async close(): Promise<void> {
    await (await this.#scratch)?.remove();
  }

  readonly #onDisk: OnDisk = async (step) => {
    try {
      return await step();
    } catch (error) {
      throw asDiskError(error, this.own.path);
    }
  };

  #openScratch(): Promise<Scratch> {
    const opened = async () => {
      const scratch = await openScratch(this.own, `${privateFolder}/uploads`);
      for (const key of await this.earlierKeys('')) {
        await scratch.exclusively(hashOfKey(key), () => this.#settle(key, scratch));
      }
      return scratch;
    };
    this.#scratch ??= opened().catch((error: unknown) => {
      // Try again at the next write, and remove nothing on close.
      this.#scratch = undefined;
      throw error;
    });
    return this.#scratch;
  }

  /** Runs a write of a key while no other write of the key runs, and brings its files to rest. */
  async #exclusively<Result>(key: string, write: (scratch: Scratch) => Promise<Result>): Promise<Result> {
    return await this.#onDisk(async () => {
      const scratch = await this.#openScratch();
      const outcome = await scratch.exclusively(hashOfKey(key), async () => {
        let hasFailed = true;
        try {
          const result = await write(scratch);
          hasFailed = false;
          return { result };
        } finally {
          await this.#settle(key, scratch, hasFailed);
        }
      });
      if (!outcome) throw conditionalRequestConflict();
      return outcome.result;
    });
  }

  async #commit(path: string, upload: CommitOptions): Promise<ObjectInfo> {
    const { key, condition, lock } = upload;
    return await this.#exclusively(key, async (scratch) => {
      const files = await this.filesOf(key);
      if (condition) requireMet(condition, key, files[0]?.version);
      const metadata: Metadata = {
        key,
        etag: upload.md5,
        versionId: newVersionId(),
        headers: upload.headers,
        ...(upload.checksum && { checksum: upload.checksum }),
        ...(lock && { lock }),
      };
      const others = files.filter(({ version }) => isObject(version)).map(({ stats }) => stats);
      const claimed = await this.metadata.claim(path, upload.lastModified, metadata, others);
      try {
        await this.own.makeFolder(parentOf(key));
        await this.#makeRoom(key, scratch, scratch.hasHardLinks);
        if (await this.#publish(path, key, condition === 'absent', scratch)) {
          return objectOf(metadata, claimed);
        }
      } catch (error) {
        if (hasSystemCode(error, ...folderConflicts)) throw keyConflict(key);
        if (hasSystemCode(error, 'ENAMETOOLONG')) throw keyTooLong(key);
        throw error;
      }
      throw (await this.own.stat(key))?.isFile() ? preconditionFailed() : keyConflict(key);
    });
  }

  /**
   * Moves the object in the place of the key to the earlier versions. Changes no version.
   *
   * @param leaveName whether it keeps its name in place as well, for the next object to replace
   */
  async #makeRoom(key: string, scratch: Scratch, leaveName: boolean): Promise<void> {
    if (!(await this.own.stat(key))?.isFile()) return;
    await this.earlier.prepare(key, scratch.newPath());
    const place = await this.earlier.nextPath(key);
    const [from, to] = [this.own.resolve(key), this.own.resolve(place)];
    if (leaveName) await link(from, to);
    else await rename(from, to);
    await this.#sync(parentOf(place), scratch);
  }

  /** Moves the file to its name in one step. @returns false if `ifAbsent` is set and the name is taken */
  async #publish(path: string, key: string, ifAbsent: boolean, scratch: Scratch): Promise<boolean> {
    const place = this.own.resolve(key);
    if (!ifAbsent) {
      await rename(path, place);
      return true;
    }
    if (!scratch.hasHardLinks) {
      if (await this.own.stat(key)) return false;
      await rename(path, place);
      return true;
    }
    try {
      // Unlike `rename`, `link` never replaces a file, whoever creates it.
      await link(path, place);
      return true;
    } catch (error) {
      if (hasSystemCode(error, 'EEXIST')) return false;
      throw error;
    }
  }

  /**
   * Brings the files of a key to rest: the current object is in the place of the key, no file has a second name, and
   * metadata and folders that are not needed any more are removed. Changes no version.
   *
   * @param hasFailed whether the write before did: it may have left metadata without data
   */
  async #settle(key: string, scratch: Scratch, hasFailed = false): Promise<void> {
    const hasEarlier = await this.earlier.has(key);
    if (hasEarlier || hasFailed) {
      const files = await this.filesOf(key);
      const [latest, ...earlier] = files;
      if (latest?.path === key) {
        for (const { path, stats } of earlier) {
          if (isSameFile(stats, latest.stats)) await rm(this.own.resolve(path));
        }
      } else if (latest && isObject(latest.version)) await this.#restore(key, latest.path);
      const kept = files.filter(({ version }) => isObject(version)).map(({ stats }) => stats);
      await this.metadata.removeExcept(key, kept);
    }
    if (hasEarlier) await this.earlier.tidy(key);
    await this.#sync(parentOf(key), scratch);
  }

  /** Moves an object from the earlier versions to the place of its key, unless another key needs a folder there. */
  async #restore(key: string, path: string): Promise<void> {
    if (await this.own.stat(key)) return;
    try {
      await this.own.makeFolder(parentOf(key));
      await rename(this.own.resolve(path), this.own.resolve(key));
    } catch (error) {
      if (!hasSystemCode(error, ...folderConflicts)) throw error;
    }
  }

  async #sync(folder: string, scratch: Scratch): Promise<void> {
    const place = this.own.resolve(folder);
    if (!(await this.own.stat(folder))?.isDirectory()) return;
    if (!scratch.hasHardLinks) {
      // Where there are no links, a rename may leave the directory's time unchanged (exFAT), which the index relies on.
      const now = new Date();
      await utimes(place, now, now);
    }
    await syncDirectory(place);
  }
}

/** Codes of a file operation on a path that is both a file and a folder. */
const folderConflicts = ['EEXIST', 'EISDIR', 'ENOTEMPTY', 'ENOTDIR'];

/** `If-None-Match: *`, or `If-Match` with an ETag without quotes. A delete marker counts as no object. */
export type WriteCondition = 'absent' | { readonly etag: string };

function requireMet(condition: WriteCondition, key: string, latest: Version | undefined): void {
  const current = isObject(latest) ? latest : undefined;
  if (condition === 'absent') {
    if (current) throw preconditionFailed();
    return;
  }
  if (!current) throw noSuchKey(key);
  if (current.etag !== condition.etag) throw preconditionFailed('If-Match');
}

export interface CommitOptions {
  readonly key: string;
  readonly md5: string;
  readonly checksum: Checksum | undefined;
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly lastModified: number;
  readonly condition?: WriteCondition | undefined;
  readonly lock?: LockState | undefined;
}

/** Runs one step of an upload; translates the failure of the disk. */
type OnDisk = <Result>(step: () => Promise<Result>) => Promise<Result>;

export class ObjectUpload {
  readonly #handle: FileHandle;
  readonly #path: string;
  readonly #onDisk: OnDisk;
  readonly #commit: (options: CommitOptions) => Promise<ObjectInfo>;

  constructor(
    handle: FileHandle,
    path: string,
    onDisk: OnDisk,
    commit: (options: CommitOptions) => Promise<ObjectInfo>,
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
   * Makes the complete object the latest version, with its metadata, in one step.
   *
   * @throws {S3Error} PreconditionFailed, NoSuchKey, ConditionalRequestConflict, InvalidArgument or KeyTooLongError
   */
  async commit(options: CommitOptions): Promise<ObjectInfo> {
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
