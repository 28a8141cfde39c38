/**
 * Keep-alive connections that survive a pause. While Lambda freezes a container, peers drop its idle connections,
 * no timer runs, and the FINs may be lost. Afterwards a write to such a connection is reset, or never answered.
 */
import { type ClientRequest, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Duplex } from 'node:stream';
import { calls } from './limits.ts';
import { systemTime } from './time.ts';

export interface Agents {
  https: HttpsAgent;
  /** Without it, plain HTTP fails. */
  http?: HttpAgent;
}

/** What `node:http` calls for each request. Not in Node's documentation, so the tests must notice if it goes. */
interface RequestTaker {
  addRequest(request: ClientRequest, ...rest: unknown[]): void;
}

/**
 * Keep-alive agents for one neighbour, as `dropStaleSockets` returns them.
 *
 * @param maxSockets connections per origin
 * @param monotonic milliseconds
 */
export function createAgents(
  maxSockets = Number.POSITIVE_INFINITY,
  monotonic = systemTime.monotonic,
): Required<Agents> {
  const options = { keepAlive: true, maxSockets };
  return {
    https: dropStaleSockets(new HttpsAgent(options), monotonic),
    http: dropStaleSockets(new HttpAgent(options), monotonic),
  };
}

/** Errors of requests that had a connection which had served another request before. */
const failuresOnReusedSockets = new WeakSet<Error>();

/**
 * Makes an agent destroy idle sockets that may be dead, and returns it: before each request those that were idle
 * for longer than `calls.socketIdleMs`, and all of them once a request has failed on a reused socket.
 *
 * @param monotonic milliseconds
 */
export function dropStaleSockets<AnyAgent extends HttpAgent>(
  agent: AnyAgent,
  monotonic = systemTime.monotonic,
): AnyAgent {
  const idleSince = new WeakMap<Duplex, number>();
  const dropIdle = (isStale: (socket: Duplex) => boolean) => {
    const pools = agent.freeSockets as Readonly<Record<string, readonly Duplex[]>>;
    for (const socket of Object.values(pools).flat()) {
      if (isStale(socket)) socket.destroy();
    }
  };
  agent.on('free', (socket: Duplex) => idleSince.set(socket, monotonic()));

  const taker = agent as unknown as RequestTaker;
  const addRequest = taker.addRequest.bind(agent);
  taker.addRequest = (request, ...rest) => {
    // Not by a timer: none runs during a freeze, and the request may come before a timer that is due.
    // The longest idle ones stand first in the pool, where Node passes over what is destroyed.
    const now = monotonic();
    dropIdle((socket) => now - (idleSince.get(socket) as number) > calls.socketIdleMs);
    request.once('socket', (socket) => {
      if (!idleSince.has(socket)) return;
      request.once('error', (error) => {
        failuresOnReusedSockets.add(error);
        dropIdle(() => true);
      });
    });
    addRequest(request, ...rest);
  };
  return agent;
}

/**
 * Calls `send`, and once more at once if it fails on a reused socket: the agent has no idle sockets left by then, so
 * the second request gets a fresh connection. For requests that may be repeated.
 *
 * @param send makes one request through an agent of `dropStaleSockets`; rejects with the request's own error
 * @param signal after its abort nothing is repeated
 */
export async function retryOnFreshConnection<Result>(
  send: () => Promise<Result>,
  signal: { readonly aborted: boolean } | undefined,
): Promise<Result> {
  try {
    return await send();
  } catch (error) {
    const repeatable = error instanceof Error && failuresOnReusedSockets.has(error) && !signal?.aborted;
    if (!repeatable) throw error;
    return send();
  }
}
