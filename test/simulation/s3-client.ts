/**
 * A fake of the SDK's S3 client for one container: takes SDK commands and responds as recorded from S3. Like the SDK, it
 * repeats requests after temporary failures unless the body is a stream, and hangs if a stream ends before its announced
 * length.
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
import type { SimulationContext } from './context.ts';
import type { ObjectStore, ObjectVersion } from './object-store.ts';
import { serviceError } from './service-error.ts';
import { commandName } from './sqs-client.ts';

const refusals = {
  's3-slow-down': () => serviceError('SlowDown', 503),
  's3-internal-error': () => serviceError('InternalError', 500),
  's3-access-denied': () => serviceError('AccessDenied', 403),
  's3-key-disabled': () => serviceError('KMS.DisabledException', 400),
  's3-wrong-region': () => serviceError('PermanentRedirect', 301),
  's3-connection-reset': connectionReset,
} as const;
const refusalNames = Object.keys(refusals) as (keyof typeof refusals)[];
const putFaults = ['s3-conflict', 's3-no-response', 's3-response-lost', 's3-bit-flipped'] as const;
/** The client's timeout for an idle connection. */
const idleMs = 15_000;
/** Including the first attempt. */
const attemptsOfSdk = 3;

export interface Bucket {
  name: string;
  owner: string;
  store: ObjectStore;
}

export function createS3(
  container: Container,
  { name, owner, store }: Bucket,
  { clock, random, eventLog, monitor }: SimulationContext,
): Pick<S3Client, 'send'> {
  const refuse = (reply: Reply<unknown>, repeatable: boolean): boolean => {
    for (let attempt = 1; attempt <= attemptsOfSdk; attempt += 1) {
      const refusal = container.firstToInject(refusalNames);
      if (!refusal) return false;
      eventLog.add(container.id, refusal);
      const passing =
        refusal === 's3-slow-down' || refusal === 's3-internal-error' || refusal === 's3-connection-reset';
      if (passing && repeatable && attempt < attemptsOfSdk) continue;
      reply.fail(refusals[refusal]());
      return true;
    }
    return false;
  };
  /** Bytes that an invocation tried to store without a confirmation: it recognizes them when it reads the object. */
  const tried = new WeakMap<Invocation, { key: string; bytes: Buffer; read: boolean }[]>();
  const recognise = (invocation: Invocation, object: ObjectVersion): void => {
    const attempts = (tried.get(invocation) ?? []).filter(({ key }) => key === object.key);
    const own = attempts.find(({ bytes, read }) => !read && bytes.equals(object.bytes));
    if (!own) return;
    own.read = true;
    // If a batch has two messages about one document, either may be the one that reads.
    if (attempts.length === 1) monitor.storeConfirmed(object, invocation);
    else monitor.storePossiblyConfirmed(object, invocation);
  };
  const properties = (object: ObjectVersion, digest: boolean) => ({
    ContentLength: object.bytes.length,
    ETag: object.etag,
    VersionId: object.versionId,
    ...(digest && object.statesDigest && { ChecksumSHA256: base64(object.sha256) }),
  });

  const head = ({ input }: HeadObjectCommand, reply: Reply<unknown>) => {
    const object = store.current(input.Key ?? '');
    if (object) reply.succeed(properties(object, input.ChecksumMode === 'ENABLED'));
    // The response to a HEAD has no body, so the SDK uses this generic name.
    else reply.fail(serviceError('NotFound', 404));
  };
  const get = ({ input }: GetObjectCommand, reply: Reply<unknown>) => {
    const object = store.current(input.Key ?? '');
    if (!object) return reply.fail(serviceError('NoSuchKey', 404));
    const Body = Object.assign(Readable.from([object.bytes]), {
      transformToByteArray: () => Promise.resolve(new Uint8Array(object.bytes)),
    });
    reply.succeed({ ...properties(object, false), Body }, (invocation) => {
      recognise(invocation, object);
    });
  };
  const list = ({ input }: ListObjectsV2Command, reply: Reply<unknown>) => {
    reply.succeed({
      Contents: store.list(input.Prefix ?? '', input.StartAfter).map((Key) => ({ Key })),
    });
  };

  const put = ({ input }: PutObjectCommand, reply: Reply<unknown>) => {
    const key = input.Key ?? '';
    const isTaken = () => {
      const existing = store.current(key);
      if (existing && monitor.collided.has(key.replace(/^documents\//, ''))) {
        container.recordCause('key holds other bytes');
      }
      return input.IfNoneMatch === '*' && existing !== undefined;
    };
    const fault = container.firstToInject(putFaults);
    if (fault) eventLog.add(key, `${fault} from ${container.id}`);
    const stalls = () => reply.failAfter(idleMs, timeoutError);
    // Either before it reads the body, or after.
    if (fault === 's3-no-response' && random.chance(0.5)) return stalls();
    const { invocation } = container;
    const refuseTaken = () => {
      if (invocation && Buffer.isBuffer(input.Body)) {
        tried.set(invocation, [...(tried.get(invocation) ?? []), { key, bytes: input.Body, read: false }]);
      }
      reply.fail(serviceError('PreconditionFailed', 412));
    };
    if (isTaken() && container.shouldInject('s3-responds-before-body')) return refuseTaken();
    readBody(input, reply, (sent) => {
      if (fault === 's3-no-response') return stalls();
      if (fault === 's3-conflict') return reply.fail(serviceError('ConditionalRequestConflict', 409));
      const bytes = fault === 's3-bit-flipped' ? flipped(sent, random.integer(0, 7)) : sent;
      if (digestRefuses(input, sent, bytes)) return reply.fail(serviceError('BadDigest', 400));
      if (isTaken()) return refuseTaken();
      const statesDigest =
        input.ChecksumSHA256 !== undefined || input.ChecksumAlgorithm === 'SHA256'
          ? !container.shouldInject('s3-omits-checksum')
          : false;
      const object = store.put(key, bytes, container.invocation, statesDigest);
      if (fault === 's3-response-lost') {
        // Unless the body is a stream, the SDK repeats the request, which finds the object of the first one.
        return input.Body instanceof Readable ? reply.fail(connectionReset()) : refuseTaken();
      }
      reply.succeed(properties(object, true), (invocation) => monitor.storeConfirmed(object, invocation));
    });
  };

  /** Reads the body up to its announced length; further bytes are dropped silently. */
  const readBody = (
    { Body, ContentLength = 0, ChecksumSHA256 }: PutObjectCommandInput,
    reply: Reply<unknown>,
    onRead: (bytes: Buffer) => void,
  ) => {
    if (Buffer.isBuffer(Body)) return onRead(Body);
    if (!(Body instanceof Readable)) throw new TypeError('A body must be a buffer or a stream.');
    const chunks: Buffer[] = [];
    let length = 0;
    let over = false;
    // With a checksum in the header, S3 can respond after the last byte; a trailer comes only at the end of the stream.
    const withoutEnd = ChecksumSHA256 !== undefined && random.chance(0.5);
    const read = () => {
      if (over) return;
      over = true;
      clock.after(random.between(1, 30), () => onRead(Buffer.concat(chunks).subarray(0, ContentLength)));
    };
    const hang = () => {
      if (over) return;
      over = true;
      reply.failAfter(idleMs, timeoutError);
    };
    let cancelIdle = () => undefined as unknown;
    const watchIdle = () => {
      cancelIdle();
      cancelIdle = clock.after(idleMs, () => {
        if (over) return;
        over = true;
        reply.fail(timeoutError());
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
        monitor.forbidden(verb);
        return;
      }
      const { input } = command;
      if (input.Bucket !== name || input.ExpectedBucketOwner !== owner)
        monitor.forbidden(`${verb} on another bucket`);
      const isStream = command instanceof PutObjectCommand && command.input.Body instanceof Readable;
      if (refuse(reply, !isStream)) return;
      if (command instanceof PutObjectCommand) return put(command, reply);
      if (container.shouldInject('s3-no-response')) return;
      if (command instanceof HeadObjectCommand) return head(command, reply);
      if (command instanceof GetObjectCommand) return get(command, reply);
      return list(command, reply);
    });
  };
  return { send: send as unknown as S3Client['send'] };
}

/** Whether S3 has received other bytes than the checksum of the client states. */
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

/** A copy with one bit of the middle byte flipped; a single byte if `bytes` is empty. */
export function flipped(bytes: Buffer, bit: number): Buffer {
  if (bytes.length === 0) return Buffer.from('?');
  const copy = Buffer.from(bytes);
  const middle = copy.length >> 1;
  copy[middle] = (copy[middle] ?? 0) ^ (1 << bit);
  return copy;
}
