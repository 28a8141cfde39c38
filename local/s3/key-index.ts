import type { BigIntStats, Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hasSystemCode } from '../../functions/errors.ts';

/**
 * The keys of a bucket in S3's order, which is that of their UTF-8 bytes, read from its directory.
 *
 * Each directory's sorted entries are kept and believed for as long as its modification time says that
 * nothing came or went, be it through the server or by hand; so a page of a large listing costs one `stat`
 * per directory on its way, not one per object.
 */
export class KeyIndex {
  readonly #root: string;
  readonly #hidden: string;
  readonly #directories = new Map<string, CachedDirectory>();

  /** @param hidden name of the one entry of the root that holds no objects */
  constructor(root: string, hidden: string) {
    this.#root = root;
    this.#hidden = hidden;
  }

  /** Keys that start with `prefix` and come after `after`, in order. */
  async *keys(prefix: string, after: string): AsyncGenerator<string, void, undefined> {
    yield* this.#walk('', prefix, after);
  }

  async *#walk(path: string, prefix: string, after: string): AsyncGenerator<string, void, undefined> {
    const entries = await this.#entries(path);
    // Every key from the first one that can match on; both bounds seen from within this directory.
    const from = [prefix, after]
      .filter((bound) => bound.startsWith(path))
      .map((bound) => bound.slice(path.length))
      .reduce((later, bound) => (compareUtf8(later, bound) < 0 ? bound : later), '');
    for (let at = firstThatReaches(entries, from); at < entries.length; at += 1) {
      const key = path + entries[at];
      if (!key.startsWith(prefix) && !prefix.startsWith(key)) {
        if (compareUtf8(key, prefix) > 0) return;
        continue;
      }
      if (key.endsWith('/')) yield* this.#walk(key, prefix, after);
      else if (key.startsWith(prefix) && compareUtf8(key, after) > 0) yield key;
    }
  }

  async #entries(path: string): Promise<readonly string[]> {
    const directory = join(this.#root, path);
    // The file system's stamps are the machine's time, so they are compared with that and no other clock.
    const readAt = Date.now();
    let state: BigIntStats;
    let found: Dirent[];
    try {
      state = await stat(directory, { bigint: true });
      const cached = this.#directories.get(path);
      if (cached?.mtimeNs === state.mtimeNs) return cached.entries;
      found = await readdir(directory, { withFileTypes: true });
    } catch (error) {
      // Removed since its parent was read: no keys.
      if (hasSystemCode(error, 'ENOENT', 'ENOTDIR')) return [];
      throw error;
    }
    const entries = found
      .filter(
        (entry) => (entry.isFile() || entry.isDirectory()) && (path !== '' || entry.name !== this.#hidden),
      )
      // A directory sorts as what its keys start with: `a.txt` before `a/b`.
      .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name))
      .sort(compareUtf8);
    // A change within the stamp's granularity would not show: only a directory that has settled is kept.
    if (readAt - Number(state.mtimeNs / 1_000_000n) > SETTLED_MS) {
      this.#directories.set(path, { mtimeNs: state.mtimeNs, entries });
    } else this.#directories.delete(path);
    return entries;
  }
}

interface CachedDirectory {
  readonly mtimeNs: bigint;
  /** Sorted; names of directories end in a slash. */
  readonly entries: readonly string[];
}

/** Longer than the coarsest stamp of a common file system (FAT: 2 s). */
const SETTLED_MS = 2500;

/** Index of the first entry that is, or as a directory may hold, something not before `from`. */
function firstThatReaches(entries: readonly string[], from: string): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const entry = entries[middle] ?? '';
    const mayHold = entry.endsWith('/') && from.startsWith(entry);
    if (compareUtf8(entry, from) < 0 && !mayHold) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Order of the strings' UTF-8 bytes. It is that of UTF-16 units, but for surrogates, which come last. */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at += 1) {
    const left = a.charCodeAt(at);
    const right = b.charCodeAt(at);
    if (left === right) continue;
    const leftSurrogate = left >= 0xd800 && left <= 0xdfff;
    const rightSurrogate = right >= 0xd800 && right <= 0xdfff;
    if (leftSurrogate !== rightSurrogate) return leftSurrogate ? 1 : -1;
    return left - right;
  }
  return a.length - b.length;
}
