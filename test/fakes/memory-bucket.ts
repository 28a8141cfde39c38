/** An S3 bucket in memory, for the SDK commands that the archiver sends. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import type { Time } from '../../functions/time.ts';

interface MemoryObject {
  body: Buffer;
  modified: number;
  /** The bytes whose SHA-256 S3 verified at upload; undefined if S3 has no checksum. */
  verified: Buffer | undefined;
}

/** An SDK error for an error response of S3. */
class S3Error extends Error {
  readonly $metadata: { httpStatusCode: number };
  constructor(name: string, status: number) {
    super(name);
    this.name = name;
    this.$metadata = { httpStatusCode: status };
  }
}

export class MemoryBucket {
  readonly objects = new Map<string, MemoryObject>();
  readonly requests: string[] = [];
  /** Number of keys per page of a listing. */
  pageKeys = 1_000;
  /** Returns the error with which a request fails; undefined if it succeeds. */
  refuse: (operation: string, key: string) => { name: string; status: number } | undefined = () => undefined;
  readonly #time: Time;

  constructor(time: Time) {
    this.#time = time;
  }

  put(key: string, body: Buffer | string, modified: number, { verified = true } = {}): void {
    const bytes = Buffer.from(body);
    this.objects.set(key, { body: bytes, modified, verified: verified ? bytes : undefined });
  }

  text(key: string): string {
    return this.objects.get(key)?.body.toString('utf8') ?? '';
  }

  readonly send = async (command: unknown): Promise<unknown> => {
    if (command instanceof ListObjectsV2Command) {
      this.#request('list', command.input.Prefix ?? '');
      return this.#list(command.input.Prefix ?? '', command.input.StartAfter, command.input.EncodingType);
    }
    if (command instanceof HeadObjectCommand) {
      this.#request('head', command.input.Key ?? '');
      const { body, verified } = this.#existing(command.input.Key);
      return { ContentLength: body.length, ...(verified && { ChecksumSHA256: sha256(verified, 'base64') }) };
    }
    if (command instanceof GetObjectCommand) {
      this.#request('get', command.input.Key ?? '');
      const { body } = this.#existing(command.input.Key);
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(command.input.Range ?? '') ?? [];
      if (from !== undefined && body.length === 0) throw new S3Error('InvalidRange', 416);
      const part = from === undefined ? body : body.subarray(Number(from), Number(to) + 1);
      return {
        Body: Object.assign(Readable.from([part]), {
          transformToByteArray: async () => part,
          transformToString: async () => part.toString('utf8'),
        }),
      };
    }
    if (command instanceof PutObjectCommand) {
      const { Key = '', Body, IfNoneMatch } = command.input;
      this.#request('put', Key);
      if (IfNoneMatch === '*' && this.objects.has(Key)) throw new S3Error('PreconditionFailed', 412);
      const chunks: Buffer[] = [];
      if (Buffer.isBuffer(Body)) chunks.push(Body);
      else for await (const chunk of Body as AsyncIterable<Buffer>) chunks.push(chunk);
      const body = Buffer.concat(chunks);
      this.put(Key, body, this.#time.now());
      return {};
    }
    throw new S3Error('NotImplemented', 501);
  };

  #request(operation: string, key: string): void {
    this.requests.push(`${operation} ${key}`);
    const error = this.refuse(operation, key);
    if (error) throw new S3Error(error.name, error.status);
  }

  #existing(key = ''): MemoryObject {
    const object = this.objects.get(key);
    if (!object) throw new S3Error('NoSuchKey', 404);
    return object;
  }

  #list(prefix: string, after: string | undefined, encoding: string | undefined) {
    const bytes = (key: string) => Buffer.from(key);
    const keys = [...this.objects.keys()]
      .filter((key) => key.startsWith(prefix))
      .filter((key) => after === undefined || Buffer.compare(bytes(key), bytes(after)) > 0)
      .sort((a, b) => Buffer.compare(bytes(a), bytes(b)));
    const page = keys.slice(0, this.pageKeys);
    const encoded = (key: string) =>
      encoding === 'url' ? encodeURIComponent(key).replaceAll('%2F', '/').replaceAll('%20', '+') : key;
    return {
      IsTruncated: keys.length > page.length,
      Contents: page.map((key) => {
        const { body, modified } = this.#existing(key);
        return { Key: encoded(key), Size: body.length, LastModified: new Date(modified) };
      }),
    };
  }
}

export function sha256(bytes: Buffer | string, encoding: 'hex' | 'base64' = 'hex'): string {
  return createHash('sha256').update(bytes).digest(encoding);
}
