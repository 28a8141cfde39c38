/**
 * Stands in for the SDK's S3 client in one container: takes the real commands, and answers as S3 has been recorded
 * to answer. As the SDK does, it repeats what failed in passing unless the body is a stream, and hangs where a
 * stream ends short of its announced length.
 */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
} from '@aws-sdk/client-s3';
import { type Container, connectionReset, type Invocation, type Reply, timeoutError } from './container.ts';
import type { ObjectStore, ObjectVersion } from './object-store.ts';
import { serviceError } from './service-error.ts';
import { commandName } from './sqs-client.ts';
import type { Surroundings } from './surroundings.ts';

const refusals = {
  's3-slow-down': () => serviceError('SlowDown', 503),
  's3-fails': () => serviceError('InternalError', 500),
  's3-denies': () => serviceError('AccessDenied', 403),
  's3-key-disabled': () => serviceError('KMS.DisabledException', 400),
  's3-bucket-elsewhere': () => serviceError('PermanentRedirect', 301),
  's3-resets': connectionReset,
} as const;
const refusalNames = Object.keys(refusals) as (keyof typeof refusals)[];
const putFaults = ['s3-conflict', 's3-stalls', 's3-answer-lost', 's3-bit-flipped'] as const;
/** The client's own limit for a connection on which nothing moves. */
const idleMs = 15_000;
/** How often the SDK asks in all. */
const attemptsOfSdk = 3;

export interface Bucket {
  name: string;
  owner: string;
  store: ObjectStore;
}

export function createS3(
  container: Container,
  { name, owner, store }: Bucket,
  { clock, random, journal, watch }: Surroundings,
): Pick<S3Client, 'send'> {
  const refuse = (reply: Reply<unknown>, repeatable: boolean): boolean => {
    for (let attempt = 1; attempt <= attemptsOfSdk; attempt += 1) {
      const refusal = container.oneOf(refusalNames);
      if (!refusal) return false;
      journal.note(container.id, refusal);
      const passing = refusal === 's3-slow-down' || refusal === 's3-fails' || refusal === 's3-resets';
      if (passing && repeatable && attempt < attemptsOfSdk) continue;
      reply.failing(refusals[refusal]());
      return true;
    }
    return false;
  };
  /** What an invocation has tried to store without being told that it is: it knows the bytes when it reads them. */
  const tried = new WeakMap<Invocation, { key: string; bytes: Buffer; read: boolean }[]>();
  const recognise = (invocation: Invocation, object: ObjectVersion): void => {
    const attempts = (tried.get(invocation) ?? []).filter(({ key }) => key === object.key);
    const own = attempts.find(({ bytes, read }) => !read && bytes.equals(object.bytes));
    if (!own) return;
    own.read = true;
    // With two messages about one document in a batch, either may be the one that reads.
    if (attempts.length === 1) watch.storeConfirmed(object, invocation);
    else watch.storePerhapsConfirmed(object, invocation);
  };
  const properties = (object: ObjectVersion, digest: boolean) => ({
    ContentLength: object.bytes.length,
    ETag: object.etag,
    VersionId: object.versionId,
    ...(digest && object.statesDigest && { ChecksumSHA256: base64(object.sha256) }),
  });

  const head = ({ input }: HeadObjectCommand, reply: Reply<unknown>) => {
    const object = store.current(input.Key ?? '');
    if (object) reply.with(properties(object, input.ChecksumMode === 'ENABLED'));
    // The answer to a HEAD has no body, so the SDK knows no better name.
    else reply.failing(serviceError('NotFound', 404));
  };
  const get = ({ input }: GetObjectCommand, reply: Reply<unknown>) => {
    const object = store.current(input.Key ?? '');
    if (!object) return reply.failing(serviceError('NoSuchKey', 404));
    const Body = Object.assign(Readable.from([object.bytes]), {
      transformToByteArray: () => Promise.resolve(new Uint8Array(object.bytes)),
    });
    reply.with({ ...properties(object, false), Body }, (invocation) => {
      recognise(invocation, object);
    });
  };
  const list = ({ input }: ListObjectsV2Command, reply: Reply<unknown>) => {
    reply.with({
      Contents: store.list(input.Prefix ?? '', input.StartAfter).map((Key) => ({ Key })),
    });
  };

  const put = ({ input }: PutObjectCommand, reply: Reply<unknown>) => {
    const key = input.Key ?? '';
    const taken = () => {
      const standing = store.current(key);
      if (standing && watch.collided.has(key.replace(/^documents\//, ''))) {
        container.suffers('other bytes stand there');
      }
      return input.IfNoneMatch === '*' && standing !== undefined;
    };
    const fault = container.oneOf(putFaults);
    if (fault) journal.note(key, `${fault} from ${container.id}`);
    const stalls = () => reply.failingAfter(idleMs, timeoutError);
    // Before it takes any bytes, or once it has them all.
    if (fault === 's3-stalls' && random.chance(0.5)) return stalls();
    const { invocation } = container;
    const refuseTaken = () => {
      if (invocation && Buffer.isBuffer(input.Body)) {
        tried.set(invocation, [...(tried.get(invocation) ?? []), { key, bytes: input.Body, read: false }]);
      }
      reply.failing(serviceError('PreconditionFailed', 412));
    };
    if (taken() && container.strikes('s3-answers-early')) return refuseTaken();
    readBody(input, reply, (sent) => {
      if (fault === 's3-stalls') return stalls();
      if (fault === 's3-conflict') return reply.failing(serviceError('ConditionalRequestConflict', 409));
      const bytes = fault === 's3-bit-flipped' ? flipped(sent, random.integer(0, 7)) : sent;
      if (digestRefuses(input, sent, bytes)) return reply.failing(serviceError('BadDigest', 400));
      if (taken()) return refuseTaken();
      const statesDigest =
        input.ChecksumSHA256 !== undefined || input.ChecksumAlgorithm === 'SHA256'
          ? !container.strikes('s3-states-no-digest')
          : false;
      const object = store.put(key, bytes, container.invocation, statesDigest);
      if (fault === 's3-answer-lost') {
        // Of what is no stream the SDK repeats the request, and finds its own object there.
        return input.Body instanceof Readable ? reply.failing(connectionReset()) : refuseTaken();
      }
      reply.with(properties(object, true), (invocation) => watch.storeConfirmed(object, invocation));
    });
  };

  /** All bytes of the body, up to its announced length: what comes after is cut off in silence. */
  const readBody = (
    { Body, ContentLength = 0, ChecksumSHA256 }: PutObjectCommandInput,
    reply: Reply<unknown>,
    onRead: (bytes: Buffer) => void,
  ) => {
    if (Buffer.isBuffer(Body)) return onRead(Body);
    if (!(Body instanceof Readable)) throw new TypeError('A body is a buffer or a stream.');
    const chunks: Buffer[] = [];
    let length = 0;
    let over = false;
    // With a checksum up front, S3 has all it needs with the last byte; a trailer comes only at the stream's end.
    const withoutEnd = ChecksumSHA256 !== undefined && random.chance(0.5);
    const read = () => {
      if (over) return;
      over = true;
      clock.after(random.between(1, 30), () => onRead(Buffer.concat(chunks).subarray(0, ContentLength)));
    };
    const hang = () => {
      if (over) return;
      over = true;
      reply.failingAfter(idleMs, timeoutError);
    };
    let cancelIdle = () => undefined as unknown;
    const watchIdle = () => {
      cancelIdle();
      cancelIdle = clock.after(idleMs, () => {
        if (over) return;
        over = true;
        reply.failing(timeoutError());
      });
    };
    watchIdle();
    Body.on('data', (chunk: Buffer) => {
      watchIdle();
      chunks.push(chunk);
      length += chunk.length;
      if (length >= ContentLength && withoutEnd) read();
    });
    Body.on('end', () => (length >= ContentLength ? read() : hang()));
    Body.on('close', () => {
      cancelIdle();
      hang();
    });
  };

  const send = (command: unknown, { abortSignal }: { abortSignal?: AbortSignal } = {}) => {
    const verb = commandName(command);
    return container.call(verb, abortSignal, (reply) => {
      if (
        !(command instanceof PutObjectCommand) &&
        !(command instanceof HeadObjectCommand) &&
        !(command instanceof GetObjectCommand) &&
        !(command instanceof ListObjectsV2Command)
      ) {
        watch.forbidden(verb);
        return;
      }
      const { input } = command;
      if (input.Bucket !== name || input.ExpectedBucketOwner !== owner) watch.forbidden(`${verb} elsewhere`);
      const isStream = command instanceof PutObjectCommand && command.input.Body instanceof Readable;
      if (refuse(reply, !isStream)) return;
      if (command instanceof PutObjectCommand) return put(command, reply);
      if (container.strikes('s3-stalls')) return;
      if (command instanceof HeadObjectCommand) return head(command, reply);
      if (command instanceof GetObjectCommand) return get(command, reply);
      return list(command, reply);
    });
  };
  return { send: send as unknown as S3Client['send'] };
}

/** Whether S3 finds that it has other bytes than the client says it sends. */
function digestRefuses(input: PutObjectCommandInput, sent: Buffer, received: Buffer): boolean {
  const stated =
    input.ChecksumSHA256 ?? (input.ChecksumAlgorithm === 'SHA256' ? base64(sha256(sent)) : undefined);
  return stated !== undefined && stated !== base64(sha256(received));
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function base64(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}

/** The bytes with one bit of the middle one turned over; of no bytes, one too many. */
export function flipped(bytes: Buffer, bit: number): Buffer {
  if (bytes.length === 0) return Buffer.from('?');
  const copy = Buffer.from(bytes);
  const middle = copy.length >> 1;
  copy[middle] = (copy[middle] ?? 0) ^ (1 << bit);
  return copy;
}
