import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { sleep, type Time } from '../../functions/time.ts';
import type { RequestBody } from './request-body.ts';
import { bytesOf, errorResponse, type RequestId, type S3Response } from './response.ts';
import { S3Error } from './s3-error.ts';

/**
 * A fault of one request. Byte counts refer to the body, offsets start at 0. For request bodies they are approximate:
 * they are rounded up to the received piece.
 */
export type S3Fault =
  /** Fails with this error, before or after the body is read. Nothing is stored. */
  | {
      readonly kind: 'error';
      readonly status: number;
      readonly code: string;
      readonly message?: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly when: 'before-body' | 'after-body';
    }
  /** Resets the connection (RST) after this many bytes of the request or the response. */
  | { readonly kind: 'reset'; readonly during: 'request' | 'response'; readonly afterBytes: number }
  /** Performs the operation, then closes the socket without a response. */
  | { readonly kind: 'lose-reply' }
  /**
   * Stops after this many bytes of the request or the response; the connection stays open. A stalled upload counts as
   * open until the server closes, even if its client has disconnected.
   */
  | { readonly kind: 'stall'; readonly during: 'request' | 'response'; readonly afterBytes: number }
  /**
   * Ends the response early. With length: Content-Length states more than is sent. Without: the end of the connection
   * marks the end of the body, so that the client cannot detect the truncation.
   */
  | { readonly kind: 'truncate'; readonly afterBytes: number; readonly withLength: boolean }
  /** Flips the lowest bit of one byte of the response. */
  | { readonly kind: 'corrupt'; readonly atByte: number }
  /** Sends the response at this rate: a piece every 100 ms, or single bytes at lower rates. */
  | { readonly kind: 'drip'; readonly bytesPerSecond: number }
  /** Sends more bytes than the object has. With length: beyond the Content-Length, which is the object's. */
  | { readonly kind: 'longer'; readonly extraBytes: number; readonly withLength: boolean }
  | { readonly kind: 'redirect'; readonly location: string; readonly status?: 301 | 302 | 303 | 307 | 308 }
  /** Sets `Content-Encoding: gzip`. The body is compressed if `real`, otherwise unchanged. */
  | { readonly kind: 'gzip'; readonly real: boolean }
  /** Delays the request; otherwise it succeeds. */
  | { readonly kind: 'latency'; readonly ms: number };

/** A response with how it is sent. */
export interface Delivery extends S3Response {
  /** How the client detects the end of the body. */
  readonly framing: 'content-length' | 'connection-close';
  /** What happens to the connection after the last byte; `finished` is the normal end. */
  readonly ending: 'finished' | 'closed' | 'reset' | 'silence';
}

/** A request that is being served. */
export interface Exchange {
  readonly body: RequestBody;
  readonly requestId: RequestId;
  /** Aborts when the connection is closed. */
  readonly closed: AbortSignal;
  readonly time: Time;
  /** Serves the request without a fault. */
  serve(): Promise<S3Response>;
}

/** How the connection ends without a response. */
export type NoResponse = 'closed' | 'reset' | 'silence';

/** Applies a fault: returns the response to deliver, or how to end the connection without one. */
export async function applyFault(
  fault: S3Fault | undefined,
  exchange: Exchange,
): Promise<Delivery | NoResponse> {
  switch (fault?.kind) {
    case undefined:
      return delivery(await exchange.serve());
    case 'latency':
      await sleep(exchange.time, fault.ms, exchange.closed);
      return delivery(await exchange.serve());
    case 'error': {
      if (fault.when === 'after-body') await exchange.body.skip(Number.POSITIVE_INFINITY);
      const { status, code, message = 'Simulated fault.', headers } = fault;
      const response = errorResponse(new S3Error(status, code, message), exchange.requestId);
      return delivery({ ...response, headers: { ...response.headers, ...headers } });
    }
    case 'redirect': {
      const { status = 307, location } = fault;
      const error = new S3Error(status, 'TemporaryRedirect', 'Please re-send this request.');
      const response = errorResponse(error, exchange.requestId);
      return delivery({ ...response, headers: { ...response.headers, location } });
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
      return {
        ...withTransformedBody(await exchange.serve(), (body) => firstBytes(body, fault.afterBytes)),
        ending,
      };
    }
    case 'truncate': {
      const response = withTransformedBody(await exchange.serve(), (body) =>
        firstBytes(body, fault.afterBytes),
      );
      return fault.withLength
        ? { ...response, ending: 'closed' }
        : { ...response, framing: 'connection-close' };
    }
    case 'longer': {
      const extra = Buffer.alloc(fault.extraBytes, 'x');
      const response = withTransformedBody(await exchange.serve(), (body) => withExtraBytes(body, extra));
      // After extra bytes the connection cannot be reused.
      return fault.withLength
        ? { ...response, ending: 'closed' }
        : { ...response, framing: 'connection-close' };
    }
    case 'corrupt':
      return withTransformedBody(await exchange.serve(), (body) => withFlippedBit(body, fault.atByte));
    case 'drip':
      return withTransformedBody(await exchange.serve(), (body) =>
        atRate(body, fault.bytesPerSecond, exchange.time, exchange.closed),
      );
    case 'gzip': {
      const response = withTransformedBody(await exchange.serve(), (body) =>
        fault.real ? compressed(body) : body,
      );
      return {
        ...response,
        headers: { ...response.headers, 'content-encoding': 'gzip' },
        framing: fault.real ? 'connection-close' : 'content-length',
      };
    }
  }
}

const delivery = (response: S3Response): Delivery => ({
  ...response,
  framing: 'content-length',
  ending: 'finished',
});

function withTransformedBody(
  response: S3Response,
  transform: (body: AsyncIterable<Buffer>) => AsyncIterable<Buffer>,
): Delivery {
  return { ...delivery(response), body: () => transform(response.body()) };
}

async function* firstBytes(body: AsyncIterable<Buffer>, bytes: number): AsyncGenerator<Buffer> {
  let left = bytes;
  if (left <= 0) return;
  for await (const chunk of body) {
    yield chunk.subarray(0, left);
    left -= chunk.length;
    if (left <= 0) return;
  }
}

async function* withExtraBytes(body: AsyncIterable<Buffer>, extra: Buffer): AsyncGenerator<Buffer> {
  yield* body;
  yield* bytesOf(extra);
}

async function* withFlippedBit(body: AsyncIterable<Buffer>, atByte: number): AsyncGenerator<Buffer> {
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

async function* atRate(
  body: AsyncIterable<Buffer>,
  bytesPerSecond: number,
  time: Time,
  closed: AbortSignal,
): AsyncGenerator<Buffer> {
  const size = Math.max(1, Math.round(bytesPerSecond / 10));
  for await (const chunk of body) {
    for (let at = 0; at < chunk.length; at += size) {
      yield chunk.subarray(at, at + size);
      await sleep(time, (size / bytesPerSecond) * 1000, closed);
    }
  }
}

function compressed(body: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  return Readable.from(body, { objectMode: false }).pipe(createGzip());
}
