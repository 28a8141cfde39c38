/** Serves the files of a folder as documents of an account. A new file is an upload, a removed file a deletion. */
import { createHash } from 'node:crypto';
import { createReadStream, type Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import pLimit from 'p-limit';
import { sleep, type Time } from '../../functions/time.ts';
import type { Document, Documents } from './documents.ts';

export interface Folder {
  /**
   * Updates the documents to the state of the folder after the call. A folder with thousands of files is scanned less
   * often, so its state may be slightly older.
   */
  refresh(): Promise<void>;
}

export interface FolderOptions {
  /** Absolute path. */
  path: string;
  /** Absolute paths of folders to skip, including their contents. @default none */
  exclude?: readonly string[];
  documents: Documents;
  time: Time;
  /** Called once for each file or folder that is skipped, with the reason. */
  onSkipped: (path: string, error: unknown) => void;
  /** Called during the first scan with the number of files read so far and of all files. */
  onRead?: ((read: number, total: number) => void) | undefined;
  /** Ends a running scan. The first one then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Called for each document that is added after the first scan. */
  onAppeared?: (document: Document) => void;
}

const statsAtOnce = 16;
const hashedAtOnce = 4;
/** A new file is added after it was unchanged for this long, because it may still be being copied. */
const stableMs = 200;
/** A new file that was last changed longer ago is dated to the scan: sweeps look for documents of the last two minutes. */
const recentMs = 60_000;
/** With more files than this, scans take at most a tenth of the time. */
const manyFiles = 1_000;
const pausePerScan = 9;

export function openFolder(options: FolderOptions): Folder {
  const { path: root, exclude = [], documents, time, onRead, signal, onSkipped, onAppeared } = options;
  const known = new Map<string, { version: string; id: string }>();
  const reported = new Set<string>();
  let hasScanned = false;
  let pauseUntil = Number.NEGATIVE_INFINITY;
  let scanning: Promise<void> = Promise.resolve();
  let next: Promise<void> | undefined;

  const skip = (path: string, error: unknown) => {
    // Ignore files that were removed during the scan.
    if (isMissing(error) && path !== root) return;
    if (!reported.has(path)) onSkipped(path, error);
    reported.add(path);
  };

  const filesIn = async (folder: string): Promise<string[]> => {
    if (exclude.some((path) => `${folder}${sep}`.startsWith(`${path}${sep}`))) {
      skip(folder, new Error('Excluded folder.'));
      return [];
    }
    let entries: Dirent[];
    try {
      entries = await readdir(folder, { withFileTypes: true });
    } catch (error) {
      skip(folder, error);
      return [];
    }
    const files: string[] = [];
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) files.push(...(await filesIn(path)));
      else if (entry.isFile()) files.push(path);
      else skip(path, new Error(entry.isSymbolicLink() ? 'Symbolic link.' : 'Not a regular file.'));
    }
    return files;
  };

  /** Version of the file if it is new or has changed. */
  const newVersion = async (path: string): Promise<string | undefined> => {
    const version = await versionOf(path);
    return version === known.get(path)?.version ? undefined : version;
  };

  const addIfStable = async (path: string, version: string) => {
    if ((await versionOf(path)) !== version) return;
    const sha256 = await hashOf(path);
    const { size, ctimeMs } = await stat(path);
    // Still being written: the next scan adds it.
    if ((await versionOf(path)) !== version) return;
    const name = relative(root, path);
    const id = idOf(name, sha256);
    const before = known.get(path);
    known.set(path, { version, id });
    if (before?.id === id) return;
    if (before !== undefined) await documents.remove(before.id);
    // Not the modification time, which is years ago when an older file is moved here. Unlike the time of the scan, this
    // time is the same at the next start, so that an audit finds no difference. Some file systems do not record it.
    const changedAt = Math.round(ctimeMs);
    const now = time.now();
    const createdAt = hasScanned && now - changedAt > recentMs ? now : changedAt;
    const document = await documents.addFile(name, path, size, sha256, { id, linked: true, createdAt });
    if (hasScanned) onAppeared?.(document);
  };

  const scan = async () => {
    const startedAt = time.monotonic();
    const paths = await filesIn(root);
    const changed: [path: string, version: string][] = [];
    await pLimit(statsAtOnce).map(paths, async (path) => {
      if (signal?.aborted) return;
      try {
        const version = await newVersion(path);
        if (version !== undefined) changed.push([path, version]);
      } catch (error) {
        skip(path, error);
      }
    });
    if (hasScanned && changed.length > 0) await sleep(time, stableMs);
    let read = 0;
    await pLimit(hashedAtOnce).map(changed, async ([path, version]) => {
      if (signal?.aborted) return;
      try {
        await addIfStable(path, version);
      } catch (error) {
        skip(path, error);
      }
      read += 1;
      if (!hasScanned) onRead?.(read, changed.length);
    });
    if (signal?.aborted) {
      if (!hasScanned) throw signal.reason;
      return;
    }
    const here = new Set(paths);
    for (const [path, { id }] of known) {
      if (here.has(path)) continue;
      known.delete(path);
      await documents.remove(id);
    }
    hasScanned = true;
    const ended = time.monotonic();
    if (paths.length > manyFiles) pauseUntil = ended + pausePerScan * (ended - startedAt);
  };

  return {
    refresh: () => {
      if (time.monotonic() < pauseUntil) return Promise.resolve();
      // A running scan may have missed recent changes, so wait for it and scan again.
      next ??= scanning.then(() => {
        next = undefined;
        scanning = scan();
        return scanning;
      });
      return next;
    },
  };
}

async function versionOf(path: string): Promise<string> {
  const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
  return [ino, size, mtimeNs, ctimeNs].join(' ');
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** Derives a stable ID from path and content, so that it is the same at the next start (RFC 9562, version 8). */
function idOf(path: string, sha256: string): string {
  const digest = createHash('sha256').update(`${sha256} ${path}`).digest();
  digest[6] = ((digest[6] ?? 0) & 0x0f) | 0x80;
  digest[8] = ((digest[8] ?? 0) & 0x3f) | 0x80;
  const hex = digest.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    '-',
  );
}

const isMissing = (error: unknown) => error instanceof Error && 'code' in error && error.code === 'ENOENT';
