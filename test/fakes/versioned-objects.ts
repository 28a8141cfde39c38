/** A model of the objects of a versioned S3 bucket with Object Lock. Errors are those of the Amazon S3 API reference. */
import { compareUtf8 } from '../../local/s3/key-index.ts';
import { serviceError } from './service-error.ts';

export interface Retention {
  mode: 'GOVERNANCE' | 'COMPLIANCE';
  /** Milliseconds since the Unix epoch. */
  until: number;
}

export interface DeleteMarker {
  key: string;
  versionId: string;
  /** Milliseconds since the Unix epoch. */
  modified: number;
  body?: undefined;
}

export interface StoredVersion extends Omit<DeleteMarker, 'body'> {
  body: Buffer;
  /** In quotes. Opaque and never repeated, as with a KMS key. */
  etag: string;
  /** The bytes whose SHA-256 S3 verified at upload; undefined if S3 has no checksum. */
  verified: Buffer | undefined;
  metadata: Readonly<Record<string, string>>;
  /** Undefined until the first request that sets it. */
  legalHold: 'ON' | 'OFF' | undefined;
  retention: Retention | undefined;
}

/** The condition of a PUT. */
export interface WriteCondition {
  /** The ETag that the current version must have. */
  ifMatch?: string | undefined;
  /** Whether there must be no current object. */
  ifNoneMatch?: boolean | undefined;
}

export interface PutOptions
  extends WriteCondition,
    Partial<Pick<StoredVersion, 'verified' | 'metadata' | 'legalHold'>> {
  /** @default the default retention of the bucket */
  retention?: Retention | undefined;
  /** @default the time of the clock */
  modified?: number;
}

export interface VersionsPage {
  entries: { version: StoredVersion | DeleteMarker; isLatest: boolean }[];
  isTruncated: boolean;
}

const day = 24 * 60 * 60_000;

export class VersionedObjects {
  /** Applied to every new version that states no retention. */
  defaultRetention: { mode: Retention['mode']; days: number } | undefined;
  readonly #now: () => number;
  /** Versions of each key, newest first; never empty. */
  readonly #versions = new Map<string, (StoredVersion | DeleteMarker)[]>();
  /** The keys of `#versions` in the order of their UTF-8 bytes. */
  readonly #keys: string[] = [];
  #count = 0;

  /** @param now returns milliseconds since the Unix epoch */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** The object that a request without version ID reads; undefined if there is none or its newest version is a marker. */
  current(key: string): StoredVersion | undefined {
    const newest = this.#versions.get(key)?.[0];
    return newest?.body && newest;
  }

  /** All versions and delete markers of a key, newest first. */
  versions(key: string): readonly (StoredVersion | DeleteMarker)[] {
    return this.#versions.get(key) ?? [];
  }

  /** @throws NoSuchKey, NoSuchVersion; MethodNotAllowed if the version ID is that of a delete marker */
  read(key: string, versionId?: string): StoredVersion {
    if (versionId === undefined) {
      const current = this.current(key);
      if (!current) throw serviceError('NoSuchKey', 404);
      return current;
    }
    const version = this.versions(key).find((candidate) => candidate.versionId === versionId);
    if (!version) throw serviceError('NoSuchVersion', 404);
    if (!version.body) throw serviceError('MethodNotAllowed', 405);
    return version;
  }

  /** The error of a PUT whose condition does not hold: PreconditionFailed or NoSuchKey. */
  conditionError(key: string, { ifMatch, ifNoneMatch }: WriteCondition): Error | undefined {
    const current = this.current(key);
    if (ifNoneMatch && current) return serviceError('PreconditionFailed', 412);
    if (ifMatch === undefined || current?.etag === ifMatch) return undefined;
    return current ? serviceError('PreconditionFailed', 412) : serviceError('NoSuchKey', 404);
  }

  /** @throws the error of `conditionError` */
  put(key: string, body: Buffer, options: PutOptions = {}): StoredVersion {
    const error = this.conditionError(key, options);
    if (error) throw error;
    const version: StoredVersion = {
      ...this.#newVersion(key, options.modified),
      body,
      etag: `"etag-${this.#count}"`,
      verified: options.verified,
      metadata: options.metadata ?? {},
      legalHold: options.legalHold,
      retention: options.retention ?? this.#retentionByDefault(),
    };
    this.#add(version);
    return version;
  }

  /**
   * Without version ID, adds a delete marker, whatever there is. With one, deletes that version for good, if it exists.
   *
   * @returns the new marker or what was deleted
   * @throws AccessDenied if the version is locked
   */
  delete(
    key: string,
    versionId?: string,
    { bypassGovernance = false } = {},
  ): StoredVersion | DeleteMarker | undefined {
    if (versionId === undefined) {
      const marker = this.#newVersion(key);
      this.#add(marker);
      return marker;
    }
    const version = this.versions(key).find((candidate) => candidate.versionId === versionId);
    if (version?.body && this.#isLocked(version, bypassGovernance)) throw serviceError('AccessDenied', 403);
    if (version) {
      this.#keep(
        key,
        this.versions(key).filter((kept) => kept !== version),
      );
    }
    return version;
  }

  /** @throws the errors of `read` */
  setLegalHold(key: string, versionId: string | undefined, status: 'ON' | 'OFF'): void {
    this.read(key, versionId).legalHold = status;
  }

  /** Removes a key with all its versions, locked or not, as no S3 request can. */
  remove(key: string): boolean {
    const existed = this.#versions.has(key);
    this.#keep(key, []);
    return existed;
  }

  /** The current objects whose key starts with `prefix` and comes after `after`, in the order of the keys' UTF-8 bytes. */
  list(prefix: string, after: string, max: number): { objects: StoredVersion[]; isTruncated: boolean } {
    const objects: StoredVersion[] = [];
    for (const key of this.#keysFrom(prefix, after)) {
      const object = key === after ? undefined : this.current(key);
      if (object && objects.length === max) return { objects, isTruncated: max > 0 };
      if (object) objects.push(object);
    }
    return { objects, isTruncated: false };
  }

  /**
   * Versions and delete markers in the order of the keys' UTF-8 bytes, those of a key from the newest to the oldest.
   * Begins after the version `after.versionId` of the key, which may have been deleted since; without it, after the key.
   *
   * @throws InvalidArgument if the version ID of `after` is malformed
   */
  listVersions(prefix: string, after: { key: string; versionId?: string }, max: number): VersionsPage {
    const number = after.versionId === undefined ? 0 : numberOf(after.versionId);
    const entries: VersionsPage['entries'] = [];
    for (const key of this.#keysFrom(prefix, after.key)) {
      for (const [index, version] of this.versions(key).entries()) {
        if (key === after.key && numberOf(version.versionId) >= number) continue;
        if (entries.length === max) return { entries, isTruncated: max > 0 };
        entries.push({ version, isLatest: index === 0 });
      }
    }
    return { entries, isTruncated: false };
  }

  *#keysFrom(prefix: string, after: string): Generator<string> {
    const from = compareUtf8(after, prefix) < 0 ? prefix : after;
    for (let at = this.#indexOf(from); at < this.#keys.length; at += 1) {
      const key = this.#keys[at] ?? '';
      if (!key.startsWith(prefix)) return;
      yield key;
    }
  }

  #newVersion(key: string, modified = this.#now()): DeleteMarker {
    this.#count += 1;
    return { key, versionId: `version-${this.#count}`, modified };
  }

  #retentionByDefault(): Retention | undefined {
    if (!this.defaultRetention) return undefined;
    const { mode, days } = this.defaultRetention;
    return { mode, until: this.#now() + days * day };
  }

  #isLocked({ legalHold, retention }: StoredVersion, bypassGovernance: boolean): boolean {
    if (legalHold === 'ON') return true;
    if (!retention || retention.until <= this.#now()) return false;
    return retention.mode === 'COMPLIANCE' || !bypassGovernance;
  }

  #add(version: StoredVersion | DeleteMarker): void {
    this.#keep(version.key, [version, ...this.versions(version.key)]);
  }

  #keep(key: string, versions: (StoredVersion | DeleteMarker)[]): void {
    const existed = this.#versions.has(key);
    if (versions.length > 0) this.#versions.set(key, versions);
    else this.#versions.delete(key);
    if (existed === versions.length > 0) return;
    if (existed) this.#keys.splice(this.#indexOf(key), 1);
    else this.#keys.splice(this.#indexOf(key), 0, key);
  }

  /** Index of the key in `#keys`, or the index where it belongs. */
  #indexOf(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareUtf8(this.#keys[middle] ?? '', key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Version IDs contain the number of their creation, so that a listing knows the place of a deleted version. */
function numberOf(versionId: string): number {
  const [, number] = /^version-(\d+)$/.exec(versionId) ?? [];
  if (number === undefined) throw serviceError('InvalidArgument', 400);
  return Number(number);
}
