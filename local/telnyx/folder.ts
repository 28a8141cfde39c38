/** A folder of files as the documents of an account: a file that appears is an upload, one that goes is deleted. */
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
   * Brings the documents in line with what the folder holds at some moment after the call; a folder of thousands of
   * files may have been looked through shortly before instead.
   */
  refresh(): Promise<void>;
}

export interface FolderOptions {
  /** Absolute path. */
  path: string;
  /** Absolute paths of folders that are left out, with all that is in them. @default none */
  exclude?: readonly string[];
  documents: Documents;
  time: Time;
  /** Told once of each file or folder that is left out, and why. */
  onUnreadable: (path: string, error: unknown) => void;
  /** Told of each document after the first look. */
  onAppeared?: (document: Document) => void;
}

const statsAtOnce = 16;
const hashedAtOnce = 4;
/** A file that appears is taken once it has stayed the same for so long: before, it may be half a copy. */
const settleMs = 200;
/** With more files than these, looking through them may take a tenth of the time and no more. */
const manyFiles = 1_000;
const restPerLook = 9;

export function openFolder(options: FolderOptions): Folder {
  const { path: root, exclude = [], documents, time, onUnreadable, onAppeared } = options;
  const known = new Map<string, { version: string; id: string }>();
  const reported = new Set<string>();
  let looked = false;
  let restUntil = Number.NEGATIVE_INFINITY;
  let looking: Promise<void> = Promise.resolve();
  let next: Promise<void> | undefined;

  const leaveOut = (path: string, error: unknown) => {
    // What went away meanwhile is not there to be told of.
    if (isMissing(error) && path !== root) return;
    if (!reported.has(path)) onUnreadable(path, error);
    reported.add(path);
  };

  const filesIn = async (folder: string): Promise<string[]> => {
    if (exclude.some((path) => `${folder}${sep}`.startsWith(`${path}${sep}`))) {
      leaveOut(folder, new Error('It is not to be taken.'));
      return [];
    }
    let entries: Dirent[];
    try {
      entries = await readdir(folder, { withFileTypes: true });
    } catch (error) {
      leaveOut(folder, error);
      return [];
    }
    const files: string[] = [];
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) files.push(...(await filesIn(path)));
      else if (entry.isFile()) files.push(path);
      else leaveOut(path, new Error(entry.isSymbolicLink() ? 'It is a symbolic link.' : 'It is no file.'));
    }
    return files;
  };

  /** The file's version, where it is not the known one. */
  const newVersion = async (path: string): Promise<string | undefined> => {
    const version = await versionOf(path);
    return version === known.get(path)?.version ? undefined : version;
  };

  const take = async (path: string, version: string) => {
    if ((await versionOf(path)) !== version) return;
    const sha256 = await hashOf(path);
    const { size, mtimeMs } = await stat(path);
    // Still being written: the next look takes it.
    if ((await versionOf(path)) !== version) return;
    const name = relative(root, path);
    const id = idOf(name, sha256);
    const before = known.get(path);
    known.set(path, { version, id });
    if (before?.id === id) return;
    if (before !== undefined) await documents.remove(before.id);
    // The modification time may be years ago: Telnyx has the document since it appeared here.
    const createdAt = looked ? time.now() : Math.round(mtimeMs);
    const document = await documents.addFile(name, path, size, sha256, { id, linked: true, createdAt });
    if (looked) onAppeared?.(document);
  };

  const look = async () => {
    const began = time.monotonic();
    const paths = await filesIn(root);
    const changed: [path: string, version: string][] = [];
    await pLimit(statsAtOnce).map(paths, async (path) => {
      try {
        const version = await newVersion(path);
        if (version !== undefined) changed.push([path, version]);
      } catch (error) {
        leaveOut(path, error);
      }
    });
    if (looked && changed.length > 0) await sleep(time, settleMs);
    await pLimit(hashedAtOnce).map(changed, async ([path, version]) => {
      try {
        await take(path, version);
      } catch (error) {
        leaveOut(path, error);
      }
    });
    const here = new Set(paths);
    for (const [path, { id }] of known) {
      if (here.has(path)) continue;
      known.delete(path);
      await documents.remove(id);
    }
    looked = true;
    const ended = time.monotonic();
    if (paths.length > manyFiles) restUntil = ended + restPerLook * (ended - began);
  };

  return {
    refresh: () => {
      if (time.monotonic() < restUntil) return Promise.resolve();
      // A look under way may have passed by what is there now.
      next ??= looking.then(() => {
        next = undefined;
        looking = look();
        return looking;
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

/** The same file with the same bytes has the same id at the next start (RFC 9562, version 8). */
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
