import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Time } from '../../functions/time.ts';
import type { Delivery, Silence } from './faults.ts';
import type { RequestBody } from './request-body.ts';

export interface ClientConnection {
  readonly response: ServerResponse;
  readonly body: RequestBody;
  readonly time: Time;
  /** Aborts when the connection is gone. */
  readonly gone: AbortSignal;
}

/** Writes an answer to the wire, at the pace of the client, and ends the connection as it says. */
export async function deliver(
  delivery: Delivery,
  { response, body, time, gone }: ClientConnection,
): Promise<void> {
  const withBody = response.req.method !== 'HEAD';
  const early = !body.isComplete;
  const headers: Record<string, string> = { ...delivery.headers };
  if (delivery.framing === 'content-length') headers['content-length'] = String(delivery.length);
  else response.useChunkedEncodingByDefault = false;
  // Nobody can tell where a body that was not read ends, so the connection carries no other request.
  if (early || delivery.framing === 'connection-close') headers.connection = 'close';
  response.writeHead(delivery.status, headers);
  response.flushHeaders();

  let sent = 0;
  if (withBody) {
    for await (const chunk of delivery.body()) {
      sent += chunk.length;
      if (!response.write(chunk)) await once(response, 'drain', { signal: gone });
    }
  }
  if (delivery.ending !== 'finished') {
    await leave(delivery.ending, response, gone);
    return;
  }
  const isShort = withBody && delivery.framing === 'content-length' && sent !== delivery.length;
  if (isShort) {
    // The file shrank while it was read: only a broken connection tells the client.
    await leave('closed', response, gone);
    return;
  }
  // A client in the middle of its body would lose the answer to a reset if the socket closed now.
  if (early && body.isComing) await linger(response, time, gone);
  response.end();
}

/** Ends the connection without finishing the answer, after what was written is on its way. */
export async function leave(how: Silence, response: ServerResponse, gone: AbortSignal): Promise<void> {
  const { socket } = response;
  if (!socket || gone.aborted) return;
  if (how === 'silence') {
    await once(gone, 'abort');
    return;
  }
  await new Promise<void>((resolve) => {
    // Behind everything that the answer wrote, which Node passes on in the next tick.
    setImmediate(() => (socket.writable ? socket.write('', () => resolve()) : resolve()));
  });
  if (how === 'reset') socket.resetAndDestroy();
  else socket.destroySoon();
}

/** How much of an unwanted body is read and thrown away, and for how long, so that the answer gets through. */
const LINGER_BYTES = 64 * 1024 ** 2;
const LINGER_MS = 5_000;

async function linger(response: ServerResponse, time: Time, gone: AbortSignal): Promise<void> {
  const message = response.req;
  const enough = new AbortController();
  const cancel = time.after(LINGER_MS, () => enough.abort());
  let thrownAway = 0;
  const count = (chunk: Buffer) => {
    thrownAway += chunk.length;
    if (thrownAway > LINGER_BYTES) enough.abort();
  };
  try {
    const ended = once(message, 'end', { signal: AbortSignal.any([enough.signal, gone]) });
    message.on('data', count);
    message.resume();
    await ended;
  } catch (error) {
    if (!enough.signal.aborted && !gone.aborted) throw error;
  } finally {
    message.off('data', count);
    cancel();
  }
}
