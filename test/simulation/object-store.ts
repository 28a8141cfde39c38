/** What is in the archive bucket: versioned, never deleted from. */
import { createHash } from 'node:crypto';
import type { Invocation } from './container.ts';
import type { Surroundings } from './surroundings.ts';

export interface ObjectVersion {
  key: string;
  bytes: Buffer;
  /** SHA-256 of the bytes, lower-case hex. */
  sha256: string;
  /** Whether S3 states the digest: not of an object that came in parts, or without one. */
  statesDigest: boolean;
  etag: string;
  versionId: string;
  /** Undefined for what somebody else has put there. */
  by: Invocation | undefined;
}

export class ObjectStore {
  readonly #versions = new Map<string, ObjectVersion[]>();
  readonly #keys: string[] = [];
  readonly #surroundings: Surroundings;
  #count = 0;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  current(key: string): ObjectVersion | undefined {
    return this.#versions.get(key)?.at(-1);
  }

  versions(key: string): readonly ObjectVersion[] {
    return this.#versions.get(key) ?? [];
  }

  /** All keys, in order. */
  keys(): readonly string[] {
    return this.#keys;
  }

  put(key: string, bytes: Buffer, by: Invocation | undefined, statesDigest = true): ObjectVersion {
    this.#count += 1;
    const version: ObjectVersion = {
      key,
      bytes,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      statesDigest,
      etag: `"etag-${this.#count}"`,
      versionId: `version-${this.#count}`,
      by,
    };
    const versions = this.#versions.get(key);
    if (versions) versions.push(version);
    else {
      this.#versions.set(key, [version]);
      this.#keys.splice(this.#placeOf(key), 0, key);
    }
    this.#surroundings.journal.note(key, `stored as ${version.versionId} by ${by?.id ?? 'somebody else'}`);
    this.#surroundings.watch.stored(version);
    return version;
  }

  list(prefix: string, startAfter: string | undefined, most = 1_000): string[] {
    const found: string[] = [];
    const from = startAfter === undefined || startAfter < prefix ? prefix : startAfter;
    for (let at = this.#placeOf(from); at < this.#keys.length && found.length < most; at += 1) {
      const key = this.#keys[at] ?? '';
      if (key > prefix && !key.startsWith(prefix)) break;
      if (key.startsWith(prefix) && (startAfter === undefined || key > startAfter)) found.push(key);
    }
    return found;
  }

  /** Where in the order of keys it is, or would be. */
  #placeOf(key: string): number {
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
