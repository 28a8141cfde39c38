/** The objects of the archive bucket: versioned and never deleted. */
import { createHash } from 'node:crypto';
import type { Invocation } from './container.ts';
import type { SimulationContext } from './context.ts';

export interface ObjectVersion {
  key: string;
  bytes: Buffer;
  /** SHA-256 of the bytes, lower-case hex. */
  sha256: string;
  /** Whether S3 returns the digest. It does not for multipart uploads and uploads without a checksum. */
  statesDigest: boolean;
  etag: string;
  versionId: string;
  /** The invocation that wrote it; undefined if the archiver did not. */
  writtenBy: Invocation | undefined;
}

export class ObjectStore {
  readonly #versions = new Map<string, ObjectVersion[]>();
  readonly #keys: string[] = [];
  readonly #context: SimulationContext;
  #count = 0;

  constructor(context: SimulationContext) {
    this.#context = context;
  }

  current(key: string): ObjectVersion | undefined {
    return this.#versions.get(key)?.at(-1);
  }

  versions(key: string): readonly ObjectVersion[] {
    return this.#versions.get(key) ?? [];
  }

  /** All keys, ascending. */
  keys(): readonly string[] {
    return this.#keys;
  }

  put(key: string, bytes: Buffer, writtenBy: Invocation | undefined, statesDigest = true): ObjectVersion {
    this.#count += 1;
    const version: ObjectVersion = {
      key,
      bytes,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      statesDigest,
      etag: `"etag-${this.#count}"`,
      versionId: `version-${this.#count}`,
      writtenBy,
    };
    const versions = this.#versions.get(key);
    if (versions) versions.push(version);
    else {
      this.#versions.set(key, [version]);
      this.#keys.splice(this.#indexOf(key), 0, key);
    }
    this.#context.eventLog.add(key, `stored as ${version.versionId} by ${writtenBy?.id ?? 'another writer'}`);
    this.#context.monitor.stored(version);
    return version;
  }

  list(prefix: string, startAfter: string | undefined, max = 1_000): string[] {
    const found: string[] = [];
    const from = startAfter === undefined || startAfter < prefix ? prefix : startAfter;
    for (let at = this.#indexOf(from); at < this.#keys.length && found.length < max; at += 1) {
      const key = this.#keys[at] ?? '';
      if (key > prefix && !key.startsWith(prefix)) break;
      if (key.startsWith(prefix) && (startAfter === undefined || key > startAfter)) found.push(key);
    }
    return found;
  }

  /** Index of the key in `#keys`, or the index where it belongs. */
  #indexOf(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#keys[middle] ?? '') < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
