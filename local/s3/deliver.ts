import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Time } from '../../functions/time.ts';
import type { Delivery, NoResponse } from './faults.ts';
import type { RequestBody } from './request-body.ts';

export interface ClientConnection {
  readonly response: ServerResponse;
  readonly body: RequestBody;
  readonly time: Time;
  /** Aborts when the connection is closed. */
  readonly closed: AbortSignal;
}

/** Writes a response with backpressure and ends the connection as `delivery.ending` says. */
export async function deliver(
  delivery: Delivery,
  { response, body, time, closed }: ClientConnection,
): Promise<void> {
  const withBody = response.req.method !== 'HEAD';
  const isBodyUnread = !body.isComplete;
  const headers: Record<string, string> = { ...delivery.headers };
  if (delivery.framing === 'content-length') headers['content-length'] = String(delivery.length);
  else response.useChunkedEncodingByDefault = false;
  // If the request body was not read completely, the connection cannot be reused for another request.
  if (isBodyUnread || delivery.framing === 'connection-close') headers.connection = 'close';
  response.writeHead(delivery.status, headers);
  response.flushHeaders();

  let sent = 0;
  if (withBody) {
    for await (const chunk of delivery.body()) {
      sent += chunk.length;
      if (!response.write(chunk)) await once(response, 'drain', { signal: closed });
    }
  }
  if (delivery.ending !== 'finished') {
    await endEarly(delivery.ending, response, closed);
    return;
  }
  const isShort = withBody && delivery.framing === 'content-length' && sent !== delivery.length;
  if (isShort) {
    // The file shrank while it was read. Only a broken connection signals that to the client.
    await endEarly('closed', response, closed);
    return;
  }
  // Closing the socket while the client is still sending would reset it, and the client would lose the response.
  if (isBodyUnread && body.isComing) await linger(response, time, closed);
  response.end();
}

/** Ends the connection without completing the response, after the written data has been sent. */
export async function endEarly(
  how: NoResponse,
  response: ServerResponse,
  closed: AbortSignal,
): Promise<void> {
  const { socket } = response;
  if (!socket || closed.aborted) return;
  if (how === 'silence') {
    await once(closed, 'abort');
    return;
  }
  await new Promise<void>((resolve) => {
    // Queue behind the data of the response, which Node passes to the socket in the next tick.
    setImmediate(() => (socket.writable ? socket.write('', () => resolve()) : resolve()));
  });
  if (how === 'reset') socket.resetAndDestroy();
  else socket.destroySoon();
}

/** Limits for reading and discarding the rest of a request body, so that the client receives the response. */
const LINGER_BYTES = 64 * 1024 ** 2;
const LINGER_MS = 5_000;

async function linger(response: ServerResponse, time: Time, closed: AbortSignal): Promise<void> {
  const message = response.req;
  const limit = new AbortController();
  const cancel = time.after(LINGER_MS, () => limit.abort());
  let discarded = 0;
  const count = (chunk: Buffer) => {
    discarded += chunk.length;
    if (discarded > LINGER_BYTES) limit.abort();
  };
  try {
    const ended = once(message, 'end', { signal: AbortSignal.any([limit.signal, closed]) });
    message.on('data', count);
    message.resume();
    await ended;
  } catch (error) {
    if (!limit.signal.aborted && !closed.aborted) throw error;
  } finally {
    message.off('data', count);
    cancel();
  }
}
