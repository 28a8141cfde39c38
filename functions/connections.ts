/**
 * Keep-alive connections that are safe to use after a pause. While Lambda freezes a container, peers close its idle
 * connections, no timer runs, and the FINs may be lost. A later write to such a connection is reset or never answered.
 */
import { type ClientRequest, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Duplex } from 'node:stream';
import { calls } from './limits.ts';
import { systemTime } from './time.ts';

export interface Agents {
  https: HttpsAgent;
  /** Without it, requests over plain HTTP fail. */
  http?: HttpAgent;
}

/** The method that `node:http` calls for each request. Undocumented, so the tests must fail if Node removes it. */
interface AgentInternals {
  addRequest(request: ClientRequest, ...rest: unknown[]): void;
}

/**
 * Creates keep-alive agents for one service, with `dropStaleSockets` applied.
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

/** Errors of requests on a connection that had served another request before. */
const failuresOnReusedSockets = new WeakSet<Error>();

/**
 * Makes an agent destroy idle sockets that may be dead: before each request, those idle for longer than
 * `calls.socketIdleMs`; and all of them when a request fails on a reused socket. Returns the same agent.
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

  const internals = agent as unknown as AgentInternals;
  const addRequest = internals.addRequest.bind(agent);
  internals.addRequest = (request, ...rest) => {
    // Not by a timer: none runs during a freeze, and the request may run before an overdue timer.
    // The sockets idle for longest are first in the pool, and Node skips destroyed ones.
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
 * Calls `send`, and a second time, without delay, if it fails on a reused socket. The agent has no idle sockets left by
 * then, so the second request gets a fresh connection. Only for requests that are safe to repeat.
 *
 * @param send makes one request through an agent of `dropStaleSockets`; rejects with the request's own error
 * @param signal prevents the second call once it has aborted
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
