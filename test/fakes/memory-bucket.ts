/** An S3 bucket in memory, for the SDK commands that the archiver sends. */
import { createHash } from 'node:crypto';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  GetObjectLegalHoldCommand,
  GetObjectRetentionCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectCommand,
  PutObjectLegalHoldCommand,
} from '@aws-sdk/client-s3';
import type { Time } from '../../functions/time.ts';
import { answerPut, answerS3 } from './s3-answers.ts';
import { serviceError } from './service-error.ts';
import { type StoredVersion, VersionedObjects } from './versioned-objects.ts';

const operations = [
  ['put', PutObjectCommand],
  ['get', GetObjectCommand],
  ['head', HeadObjectCommand],
  ['list', ListObjectsV2Command],
  ['list-versions', ListObjectVersionsCommand],
  ['delete', DeleteObjectCommand],
  ['hold', PutObjectLegalHoldCommand],
  ['get-hold', GetObjectLegalHoldCommand],
  ['get-retention', GetObjectRetentionCommand],
] as const;

export class MemoryBucket {
  readonly versioned: VersionedObjects;
  readonly objects: CurrentObjects;
  /** Operation and key of each request; for a listing, the prefix. */
  readonly requests: string[] = [];
  /** Number of keys per page of a listing. */
  pageKeys = 1_000;
  /** Returns the error with which a request fails; undefined if it succeeds. */
  refuse: (operation: string, key: string) => { name: string; status: number } | undefined = () => undefined;

  constructor(time: Time) {
    this.versioned = new VersionedObjects(() => time.now());
    this.objects = new CurrentObjects(this.versioned);
  }

  /** @param options `verified`: whether S3 has a checksum, or the bytes whose checksum it has */
  put(
    key: string,
    body: Buffer | string,
    modified: number,
    { verified = true }: { verified?: boolean | Buffer } = {},
  ): void {
    const bytes = Buffer.from(body);
    const checked = verified === true ? bytes : verified || undefined;
    this.versioned.put(key, bytes, { modified, verified: checked });
  }

  text(key: string): string {
    return this.objects.get(key)?.body.toString('utf8') ?? '';
  }

  readonly send = async (command: unknown): Promise<unknown> => {
    const [operation] = operations.find(([, type]) => command instanceof type) ?? [];
    if (operation === undefined) throw serviceError('NotImplemented', 501);
    const { input } = command as { input: { Key?: string; Prefix?: string } };
    this.#request(operation, input.Key ?? input.Prefix ?? '');
    if (!(command instanceof PutObjectCommand)) return answerS3(this.versioned, command, this.pageKeys);
    const { Body } = command.input;
    const chunks: Buffer[] = [];
    if (Buffer.isBuffer(Body)) chunks.push(Body);
    else for await (const chunk of Body as AsyncIterable<Buffer>) chunks.push(chunk);
    return answerPut(this.versioned, command.input, Buffer.concat(chunks));
  };

  #request(operation: string, key: string): void {
    this.requests.push(`${operation} ${key}`);
    const error = this.refuse(operation, key);
    if (error) throw serviceError(error.name, error.status);
  }
}

/** The current objects by key. */
class CurrentObjects implements Iterable<[string, StoredVersion]> {
  readonly #versioned: VersionedObjects;

  constructor(versioned: VersionedObjects) {
    this.#versioned = versioned;
  }

  get(key: string): StoredVersion | undefined {
    return this.#versioned.current(key);
  }

  /** Removes all versions of the key, without a delete marker. */
  delete(key: string): boolean {
    return this.#versioned.remove(key);
  }

  *keys(): Generator<string> {
    for (const [key] of this) yield key;
  }

  *[Symbol.iterator](): Generator<[string, StoredVersion]> {
    const { objects } = this.#versioned.list('', '', Number.POSITIVE_INFINITY);
    for (const object of objects) yield [object.key, object];
  }
}

export function sha256(bytes: Buffer | string, encoding: 'hex' | 'base64' = 'hex'): string {
  return createHash('sha256').update(bytes).digest(encoding);
}
