import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { sleep, type Time } from '../../functions/time.ts';
import type { RequestBody } from './request-body.ts';
import { bytesOf, errorResponse, type RequestId, type S3Response } from './response.ts';
import { S3Error } from './s3-error.ts';

/**
 * One thing that goes wrong with one request. Byte counts are of the body, offsets start at 0; on the
 * request side they are approximate, as they end where a piece that arrived ends.
 */
export type S3Fault =
  /** Refused with this error, before or after the body was read; nothing is stored. */
  | {
      readonly kind: 'error';
      readonly status: number;
      readonly code: string;
      readonly message?: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly when: 'before-body' | 'after-body';
    }
  /** The connection is reset (RST) after so many bytes of the request or the answer. */
  | { readonly kind: 'reset'; readonly during: 'request' | 'response'; readonly afterBytes: number }
  /** The operation is done, but the socket closes without an answer. */
  | { readonly kind: 'lose-reply' }
  /**
   * After so many bytes of the request or the answer nothing happens any more; the connection stays open.
   * An upload that is no longer read counts as open until the server closes, even if its client has left.
   */
  | { readonly kind: 'stall'; readonly during: 'request' | 'response'; readonly afterBytes: number }
  /**
   * The answer ends early. With length: Content-Length says more than comes. Without: the end of the
   * connection marks the end of the body, so that the cut looks like success.
   */
  | { readonly kind: 'truncate'; readonly afterBytes: number; readonly withLength: boolean }
  /** The lowest bit of one byte of the answer is flipped. */
  | { readonly kind: 'corrupt'; readonly atByte: number }
  /** The answer comes at this pace, a piece every tenth of a second or, if slower, a byte at a time. */
  | { readonly kind: 'drip'; readonly bytesPerSecond: number }
  /** More bytes than the object has; with length: after the Content-Length, which is the object's. */
  | { readonly kind: 'longer'; readonly extraBytes: number; readonly withLength: boolean }
  | { readonly kind: 'redirect'; readonly location: string; readonly status?: 301 | 302 | 303 | 307 | 308 }
  /** `Content-Encoding: gzip`, with bytes that are so encoded or, if not real, are as ever. */
  | { readonly kind: 'gzip'; readonly real: boolean }
  /** Nothing wrong, only later. */
  | { readonly kind: 'latency'; readonly ms: number };

/** An answer as it goes over the wire. */
export interface Delivery extends S3Response {
  /** What tells the client where the body ends. */
  readonly framing: 'content-length' | 'connection-close';
  /** What becomes of the connection after the last byte; `finished` is the right end. */
  readonly ending: 'finished' | 'closed' | 'reset' | 'silence';
}

/** A request in the hands of the server. */
export interface Exchange {
  readonly body: RequestBody;
  readonly requestId: RequestId;
  /** Aborts when the connection is gone. */
  readonly gone: AbortSignal;
  readonly time: Time;
  /** Serves the request as if nothing were wrong. */
  serve(): Promise<S3Response>;
}

/** No answer: how the connection ends instead. */
export type Silence = 'closed' | 'reset' | 'silence';

/** The one place where a fault is applied: what to deliver, or how to leave without an answer. */
export async function underFault(
  fault: S3Fault | undefined,
  exchange: Exchange,
): Promise<Delivery | Silence> {
  switch (fault?.kind) {
    case undefined:
      return delivery(await exchange.serve());
    case 'latency':
      await sleep(exchange.time, fault.ms, exchange.gone);
      return delivery(await exchange.serve());
    case 'error': {
      if (fault.when === 'after-body') await exchange.body.skip(Number.POSITIVE_INFINITY);
      const { status, code, message = 'A fault that was asked for.', headers } = fault;
      const answer = errorResponse(new S3Error(status, code, message), exchange.requestId);
      return delivery({ ...answer, headers: { ...answer.headers, ...headers } });
    }
    case 'redirect': {
      const { status = 307, location } = fault;
      const error = new S3Error(status, 'TemporaryRedirect', 'Please re-send this request.');
      const answer = errorResponse(error, exchange.requestId);
      return delivery({ ...answer, headers: { ...answer.headers, location } });
    }
    case 'lose-reply':
      await (await exchange.serve()).release?.();
      return 'closed';
    case 'reset':
    case 'stall': {
      const ending = fault.kind === 'reset' ? 'reset' : 'silence';
      if (fault.during === 'request') {
        await exchange.body.skip(fault.afterBytes);
        return ending;
      }
      return { ...distorted(await exchange.serve(), (body) => first(body, fault.afterBytes)), ending };
    }
    case 'truncate': {
      const answer = distorted(await exchange.serve(), (body) => first(body, fault.afterBytes));
      return fault.withLength ? { ...answer, ending: 'closed' } : { ...answer, framing: 'connection-close' };
    }
    case 'longer': {
      const extra = Buffer.alloc(fault.extraBytes, 'x');
      const answer = distorted(await exchange.serve(), (body) => followed(body, extra));
      // Bytes after the announced end leave the connection in no state to be used again.
      return fault.withLength ? { ...answer, ending: 'closed' } : { ...answer, framing: 'connection-close' };
    }
    case 'corrupt':
      return distorted(await exchange.serve(), (body) => flipped(body, fault.atByte));
    case 'drip':
      return distorted(await exchange.serve(), (body) =>
        dripped(body, fault.bytesPerSecond, exchange.time, exchange.gone),
      );
    case 'gzip': {
      const answer = distorted(await exchange.serve(), (body) => (fault.real ? gzipped(body) : body));
      return {
        ...answer,
        headers: { ...answer.headers, 'content-encoding': 'gzip' },
        framing: fault.real ? 'connection-close' : 'content-length',
      };
    }
  }
}

const delivery = (answer: S3Response): Delivery => ({
  ...answer,
  framing: 'content-length',
  ending: 'finished',
});

function distorted(
  answer: S3Response,
  distort: (body: AsyncIterable<Buffer>) => AsyncIterable<Buffer>,
): Delivery {
  return { ...delivery(answer), body: () => distort(answer.body()) };
}

async function* first(body: AsyncIterable<Buffer>, bytes: number): AsyncGenerator<Buffer> {
  let left = bytes;
  if (left <= 0) return;
  for await (const chunk of body) {
    yield chunk.subarray(0, left);
    left -= chunk.length;
    if (left <= 0) return;
  }
}

async function* followed(body: AsyncIterable<Buffer>, extra: Buffer): AsyncGenerator<Buffer> {
  yield* body;
  yield* bytesOf(extra);
}

async function* flipped(body: AsyncIterable<Buffer>, atByte: number): AsyncGenerator<Buffer> {
  let start = 0;
  for await (const chunk of body) {
    const at = atByte - start;
    start += chunk.length;
    const byte = chunk[at];
    if (byte === undefined) {
      yield chunk;
      continue;
    }
    const copy = Buffer.from(chunk);
    copy[at] = byte ^ 1;
    yield copy;
  }
}

async function* dripped(
  body: AsyncIterable<Buffer>,
  bytesPerSecond: number,
  time: Time,
  gone: AbortSignal,
): AsyncGenerator<Buffer> {
  const size = Math.max(1, Math.round(bytesPerSecond / 10));
  for await (const chunk of body) {
    for (let at = 0; at < chunk.length; at += size) {
      yield chunk.subarray(at, at + size);
      await sleep(time, (size / bytesPerSecond) * 1000, gone);
    }
  }
}

function gzipped(body: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  return Readable.from(body, { objectMode: false }).pipe(createGzip());
}
