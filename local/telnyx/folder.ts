/** A folder of files as the documents of an account: a file that appears is an upload, one that goes is deleted. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import pLimit from 'p-limit';
import type { Document, Documents } from './documents.ts';

export interface Folder {
  /** Brings the documents in line with what the folder holds now; one look at a time. */
  refresh(): Promise<void>;
}

export interface FolderOptions {
  /** Absolute path. */
  path: string;
  documents: Documents;
  /** Told once of each file that cannot be read. */
  onUnreadable: (path: string, error: unknown) => void;
  /** Told of each document after the first look. */
  onAppeared?: (document: Document) => void;
}

const hashedAtOnce = 4;

export function openFolder({ path: root, documents, onUnreadable, onAppeared }: FolderOptions): Folder {
  const known = new Map<string, { version: string; id: string }>();
  const reported = new Set<string>();
  let looked = false;
  let looking: Promise<void> | undefined;

  const take = async (path: string) => {
    const { size, mtimeMs } = await stat(path);
    const version = `${size} ${mtimeMs}`;
    const before = known.get(path);
    if (before?.version === version) return;
    const sha256 = await hashOf(path);
    const id = idOf(relative(root, path), sha256);
    if (before !== undefined && before.id !== id) await documents.remove(before.id);
    known.set(path, { version, id });
    // The modification time may be years ago: Telnyx has the document since it appeared here.
    const createdAt = looked ? {} : { createdAt: Math.round(mtimeMs) };
    const document = await documents.addFile(relative(root, path), path, size, sha256, {
      id,
      linked: true,
      ...createdAt,
    });
    if (looked) onAppeared?.(document);
  };

  const look = async () => {
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    const paths = entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    await pLimit(hashedAtOnce).map(paths, async (path) => {
      try {
        await take(path);
      } catch (error) {
        if (!reported.has(path)) onUnreadable(path, error);
        reported.add(path);
      }
    });
    const here = new Set(paths);
    for (const [path, { id }] of known) {
      if (here.has(path)) continue;
      known.delete(path);
      await documents.remove(id);
    }
    looked = true;
  };

  return {
    refresh: () => {
      looking ??= look().finally(() => {
        looking = undefined;
      });
      return looking;
    },
  };
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
