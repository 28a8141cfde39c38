/**
 * A TCP proxy that drops connections as a network does while a client is frozen: the client gets no FIN. What it
 * then writes is answered by a reset, or by nothing at all.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export type Drop = 'reset' | 'silence';

export interface DroppingFrontOptions {
  /** Nothing is passed on before there are so many connections, so that the client's pool holds them all. @default 0 */
  gather?: number;
  /**
   * Asked when a client that has had an answer on a connection sends more: whether the connection is dropped. Over TLS
   * a handshake counts, too.
   * @default never
   */
  dropNext?: () => Drop | undefined;
}

export interface DroppingFront {
  /** On the target's scheme. */
  origin: string;
  /** `usedAfterDrop`: connections that the client has written to after they were dropped. */
  seen: { connections: number; usedAfterDrop: number };
  /** Connections that the client has not closed. */
  openConnections(): number;
  /** Drops every connection that is open now; later ones work. */
  drop(how: Drop): void;
  close(): Promise<void>;
}

/** @param target such as `http://127.0.0.1:4566` */
export async function openDroppingFront(
  target: string,
  { gather = 0, dropNext = () => undefined }: DroppingFrontOptions = {},
): Promise<DroppingFront> {
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
      // A body without a length must not look whole if it is not: a reset is passed on, and so are the last bytes.
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
