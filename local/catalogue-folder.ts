/** The catalogue of an archive on this machine: a folder beside the archive, with the same files as the bucket of a deployed one. */
import { createHash } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import type { CatalogueStore } from '../functions/bucket/catalogue.ts';
import { catalogueFolder, shardKey, shardOfKey } from '../functions/bucket/keys.ts';
import { ArchiverError } from '../functions/errors.ts';
import { asFolderError } from './s3/file-errors.ts';
import { openScratch, type Scratch } from './s3/scratch.ts';
import { fileMode, UntrustedFolder } from './s3/untrusted-folder.ts';

export interface CatalogueFolder extends CatalogueStore {
  /** Absolute. */
  readonly path: string;
  close(): Promise<void>;
}

/**
 * The folder is created by the first write. Symbolic links are never followed. Each write replaces a file as a whole, so several
 * processes can write at the same time.
 * Besides the errors of `CatalogueStore`, the methods throw those of the file system.
 *
 * @param archive absolute path of the archive's folder
 */
export function openCatalogueFolder(archive: string): CatalogueFolder {
  const path = `${archive}.catalogue`;
  const folder = new UntrustedFolder(path);
  let scratch: Promise<Scratch> | undefined;

  const read: CatalogueStore['read'] = async (shard, signal) => {
    signal.throwIfAborted();
    const opened = await folder.open(shardKey(shard));
    if (!opened) return undefined;
    const { handle, stats } = opened;
    try {
      const body = await handle.readFile();
      // A file that is written twice with the same bytes differs, too: every write makes a new one.
      const etag = createHash('sha256').update(`${stats.ino} ${stats.mtimeMs} `).update(body).digest('hex');
      return { body, etag, modified: Math.floor(stats.mtimeMs) };
    } finally {
      await handle.close();
    }
  };

  const replace = async (shard: string, body: Buffer, part: string): Promise<void> => {
    const handle = await open(part, 'wx', fileMode);
    try {
      await handle.writeFile(body);
      await handle.datasync();
    } finally {
      await handle.close();
    }
    await folder.makeFolder(catalogueFolder.slice(0, -1));
    await rename(part, folder.resolve(shardKey(shard)));
  };

  return {
    path,
    read,

    list: async (signal) => {
      signal.throwIfAborted();
      const names = await folder.names(catalogueFolder.slice(0, -1));
      return names.flatMap((name) => shardOfKey(catalogueFolder + name) ?? []).sort();
    },

    write: async (shard, body, etag, signal) => {
      scratch ??= openScratch(folder, '', '.writing-');
      try {
        const opened = await scratch;
        const isWritten = await opened.exclusively(shard, async () => {
          if ((await read(shard, signal))?.etag !== etag) return false;
          const part = opened.newPath();
          try {
            await replace(shard, body, part);
          } finally {
            await rm(part, { force: true });
          }
          return true;
        });
        if (isWritten !== undefined) return isWritten;
      } catch (error) {
        signal.throwIfAborted();
        throw asFolderError(error, path);
      }
      throw new ArchiverError('BucketConflict', 'Another process is writing the same part of the catalogue.');
    },

    close: async () => {
      // If opening has failed, `write` has thrown the error.
      const opened = await scratch?.catch(() => undefined);
      await opened?.remove();
    },
  };
}
