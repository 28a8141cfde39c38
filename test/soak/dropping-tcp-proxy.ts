/**
 * A TCP proxy that drops connections like a network does while a client is paused: the client receives no FIN, and what it
 * writes later is answered by a reset or not at all.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export type Drop = 'reset' | 'silence';

export interface DroppingTcpProxyOptions {
  /** Forwards nothing until this many connections are open, so that the client's pool holds all of them. @default 0 */
  gather?: number;
  /**
   * Called when a client sends on a connection that has already carried a response (over TLS, a handshake counts).
   * Returns how to drop the connection, or undefined to keep it.
   * @default () => undefined
   */
  dropNext?: () => Drop | undefined;
}

export interface DroppingTcpProxy {
  /** With the scheme of the target. */
  origin: string;
  /** `usedAfterDrop`: number of connections to which the client has written after they were dropped. */
  seen: { connections: number; usedAfterDrop: number };
  /** Number of connections that the client has not closed. */
  openConnections(): number;
  /** Drops every open connection; later ones work. */
  drop(how: Drop): void;
  close(): Promise<void>;
}

/** @param target such as `http://127.0.0.1:4566` */
export async function openDroppingTcpProxy(
  target: string,
  { gather = 0, dropNext = () => undefined }: DroppingTcpProxyOptions = {},
): Promise<DroppingTcpProxy> {
  const { port, protocol } = new URL(target);
  const open = new Map<Socket, Drop | undefined>();
  const held: (() => void)[] = [];
  const seen = { connections: 0, usedAfterDrop: 0 };
  const server = createServer((client) => {
    seen.connections += 1;
    open.set(client, undefined);
    const upstream = connect(Number(port), '127.0.0.1');
    upstream.cork();
    held.push(() => upstream.uncork());
    if (seen.connections >= gather) for (const release of held.splice(0)) release();
    let answered = false;
    let used = false;
    client.on('data', (bytes) => {
      if (answered && open.get(client) === undefined) open.set(client, dropNext());
      answered = false;
      const drop = open.get(client);
      if (drop === undefined) {
        upstream.write(bytes);
        return;
      }
      if (!used) seen.usedAfterDrop += 1;
      used = true;
      if (drop === 'reset') client.resetAndDestroy();
    });
    upstream.on('data', (bytes) => {
      answered = true;
      if (open.get(client) === undefined) client.write(bytes);
    });
    upstream.on('close', (hadError) => {
      if (open.get(client) !== undefined) return;
      // Forward a reset as a reset: a body without Content-Length would look complete otherwise.
      if (hadError) client.resetAndDestroy();
      else client.destroySoon();
    });
    client.on('close', () => {
      open.delete(client);
      upstream.destroy();
    });
    client.on('error', () => client.destroy());
    upstream.on('error', () => upstream.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `${protocol}//127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    openConnections: () => open.size,
    drop: (how) => {
      for (const client of open.keys()) open.set(client, how);
    },
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const client of open.keys()) client.destroy();
      await closed;
    },
  };
}
