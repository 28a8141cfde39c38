/**
 * A fake of the SDK's S3 client for one container: takes SDK commands and responds as recorded from S3. Like the SDK, it
 * repeats requests after temporary failures unless the body is a stream, and hangs if a stream ends before its announced
 * length.
 */
import { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  GetObjectLegalHoldCommand,
  GetObjectRetentionCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  PutObjectLegalHoldCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { statusOf } from '../../functions/bucket/s3-errors.ts';
import { answerS3, conditionOf, hasWrongDigest, putOptionsOf, storedAnswer } from '../fakes/s3-answers.ts';
import { serviceError } from '../fakes/service-error.ts';
import type { StoredVersion } from '../fakes/versioned-objects.ts';
import { type Container, connectionReset, type Invocation, type Reply, timeoutError } from './container.ts';
import type { SimulationContext } from './context.ts';
import type { ObjectStore } from './object-store.ts';
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
const changeFaults = ['s3-no-response', 's3-response-lost'] as const;
const archiverCommands = [PutObjectCommand, HeadObjectCommand, GetObjectCommand, ListObjectsV2Command];
/** The commands that each role allows. */
const allowed = {
  archiver: archiverCommands,
  auditor: [
    ...archiverCommands,
    ListObjectVersionsCommand,
    GetObjectLegalHoldCommand,
    GetObjectRetentionCommand,
  ],
  eraser: [
    ...archiverCommands,
    ListObjectVersionsCommand,
    GetObjectLegalHoldCommand,
    GetObjectRetentionCommand,
    DeleteObjectCommand,
    PutObjectLegalHoldCommand,
  ],
} as const;
/** The client's timeout for an idle connection. */
const idleMs = 15_000;
/** Including the first attempt. */
const attemptsOfSdk = 3;

export interface Bucket {
  name: string;
  owner: string;
  store: ObjectStore;
  /** What happens to the audit function when it reads an object. */
  hazardOf?: (key: string) => 'audit-object-kills-function' | 'audit-object-unreadable' | undefined;
}

/** A client of several buckets. That of the first one reports a request to a bucket that is none of them. */
export function createS3OfAll(
  container: Container,
  [first, ...others]: readonly [Bucket, ...Bucket[]],
  context: SimulationContext,
  role: keyof typeof allowed,
): Pick<S3Client, 'send'> {
  const clientOf = (bucket: Bucket) => createS3(container, bucket, context, role);
  const firstClient = clientOf(first);
  const clients = new Map(others.map((bucket) => [bucket.name, clientOf(bucket)]));
  const send = (command: { input: { Bucket?: string } }, ...parameters: unknown[]) => {
    const { send: sendToBucket } = clients.get(command.input.Bucket ?? '') ?? firstClient;
    return (sendToBucket as (...all: unknown[]) => unknown)(command, ...parameters);
  };
  return { send: send as S3Client['send'] };
}

export function createS3(
  container: Container,
  { name, owner, store, hazardOf }: Bucket,
  { clock, random, eventLog, monitor }: SimulationContext,
  role: keyof typeof allowed = 'archiver',
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
  const recognise = (invocation: Invocation, object: StoredVersion): void => {
    const attempts = (tried.get(invocation) ?? []).filter(({ key }) => key === object.key);
    const own = attempts.find(({ bytes, read }) => !read && bytes.equals(object.body));
    if (!own) return;
    own.read = true;
    // If a batch has two messages about one document, either may be the one that reads.
    if (attempts.length === 1) monitor.storeConfirmed(object, invocation);
    else monitor.storePossiblyConfirmed(object, invocation);
  };
  const stalls = (reply: Reply<unknown>) => reply.failAfter(idleMs, timeoutError);

  /** Returns what S3 answers, an output or an error. */
  const carryOut = (command: unknown): object => {
    try {
      return answerS3(store, command);
    } catch (error) {
      if (error instanceof Error && statusOf(error) !== undefined) return error;
      throw error;
    }
  };
  const respond = (
    command: unknown,
    reply: Reply<unknown>,
    onDelivered?: (invocation: Invocation) => void,
  ) => {
    const answer = carryOut(command);
    if (answer instanceof Error) reply.fail(answer);
    else reply.succeed(answer, onDelivered);
  };
  const get = (command: GetObjectCommand, reply: Reply<unknown>) => {
    const object = store.current(command.input.Key ?? '');
    respond(command, reply, (invocation) => {
      if (object) recognise(invocation, object);
    });
  };
  const change = (command: DeleteObjectCommand | PutObjectLegalHoldCommand, reply: Reply<unknown>) => {
    const fault = container.firstToInject(changeFaults);
    if (fault) eventLog.add(command.input.Key ?? '', `${fault} from ${container.id}`);
    // Either before the change, or after.
    if (fault === 's3-no-response' && random.chance(0.5)) return stalls(reply);
    if (fault) carryOut(command);
    if (fault === 's3-no-response') return stalls(reply);
    // After a lost response, the SDK repeats the request.
    respond(command, reply);
  };

  /** @param sentBy the invocation, which may have ended when the request arrives */
  const put = ({ input }: PutObjectCommand, reply: Reply<unknown>, sentBy: Invocation | undefined) => {
    const key = input.Key ?? '';
    const conditionError = () => {
      if (store.current(key) && monitor.collided.has(key.replace(/^documents\//, ''))) {
        container.recordCause('key holds other bytes');
      }
      return store.conditionError(key, conditionOf(input));
    };
    const fault = container.firstToInject(putFaults);
    if (fault) eventLog.add(key, `${fault} from ${container.id}`);
    // Either before it reads the body, or after.
    if (fault === 's3-no-response' && random.chance(0.5)) return stalls(reply);
    const refuseCondition = (error: Error) => {
      if (sentBy && Buffer.isBuffer(input.Body)) {
        tried.set(sentBy, [...(tried.get(sentBy) ?? []), { key, bytes: input.Body, read: false }]);
      }
      reply.fail(error);
    };
    const early = conditionError();
    if (early && container.shouldInject('s3-responds-before-body')) return refuseCondition(early);
    readBody(input, reply, (sent) => {
      if (fault === 's3-no-response') return stalls(reply);
      if (fault === 's3-conflict') return reply.fail(serviceError('ConditionalRequestConflict', 409));
      const bytes = fault === 's3-bit-flipped' ? flipped(sent, random.integer(0, 7)) : sent;
      if (hasWrongDigest(input, bytes, sent)) return reply.fail(serviceError('BadDigest', 400));
      const storeOrRefuse = () => {
        const error = conditionError();
        if (error) return refuseCondition(error);
        const options = putOptionsOf(input, bytes);
        const omitsChecksum = options.verified !== undefined && container.shouldInject('s3-omits-checksum');
        const verified = omitsChecksum ? undefined : options.verified;
        return store.put(key, bytes, { ...options, verified }, sentBy);
      };
      let object = storeOrRefuse();
      if (object && fault === 's3-response-lost') {
        if (input.Body instanceof Readable) return reply.fail(connectionReset());
        // Unless the body is a stream, the SDK repeats the request.
        object = storeOrRefuse();
      }
      if (!object) return;
      const stored = object;
      reply.succeed(storedAnswer(stored), (invocation) => monitor.storeConfirmed(stored, invocation));
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

  const meetsHazard = (command: unknown, reply: Reply<unknown>): boolean => {
    if (!(command instanceof GetObjectCommand || command instanceof HeadObjectCommand)) return false;
    const hazard = hazardOf?.(command.input.Key ?? '');
    if (hazard === undefined) return false;
    container.recordCause('s3-access-denied');
    if (hazard === 'audit-object-unreadable') reply.fail(serviceError('AccessDenied', 403));
    else container.kill(`while reading ${command.input.Key}`);
    return true;
  };

  const send = (command: unknown, { abortSignal }: { abortSignal?: AbortSignal } = {}) => {
    const verb = commandName(command);
    const sentBy = container.invocation;
    return container.call(verb, abortSignal, (reply) => {
      if (!allowed[role].some((type) => command instanceof type)) {
        monitor.forbidden(verb);
        return;
      }
      const { input } = command as PutObjectCommand;
      if (input.Bucket !== name || input.ExpectedBucketOwner !== owner)
        monitor.forbidden(`${verb} on another bucket`);
      if (role === 'auditor' && meetsHazard(command, reply)) return;
      const isStream = command instanceof PutObjectCommand && command.input.Body instanceof Readable;
      if (refuse(reply, !isStream)) return;
      if (command instanceof PutObjectCommand) return put(command, reply, sentBy);
      if (command instanceof DeleteObjectCommand || command instanceof PutObjectLegalHoldCommand) {
        return change(command, reply);
      }
      if (container.shouldInject('s3-no-response')) return;
      if (command instanceof GetObjectCommand) return get(command, reply);
      respond(command, reply);
    });
  };
  return { send: send as unknown as S3Client['send'] };
}

/** A copy with one bit of the middle byte flipped; a single byte if `bytes` is empty. */
export function flipped(bytes: Buffer, bit: number): Buffer {
  if (bytes.length === 0) return Buffer.from('?');
  const copy = Buffer.from(bytes);
  const middle = copy.length >> 1;
  copy[middle] = (copy[middle] ?? 0) ^ (1 << bit);
  return copy;
}
