/**
 * A TCP proxy that drops connections as a network does while a client is frozen: the client gets no FIN. What it
 * then writes is answered by a reset, or by nothing at all.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export type Drop = 'reset' | 'silence';

export type DroppingProxy = Awaited<ReturnType<typeof startDroppingProxy>>;

/**
 * @param target such as `http://127.0.0.1:4566`
 * @param gather nothing is passed on before there are so many connections, so that the client's pool holds them all
 */
export async function startDroppingProxy(target: string, gather = 0) {
  const open = new Map<Socket, Drop | undefined>();
  const held: (() => void)[] = [];
  const seen = { connections: 0, usedAfterDrop: 0 };
  const server = createServer((client) => {
    seen.connections += 1;
    open.set(client, undefined);
    const upstream = connect(Number(new URL(target).port), '127.0.0.1');
    upstream.cork();
    held.push(() => upstream.uncork());
    if (seen.connections >= gather) for (const release of held.splice(0)) release();
    let used = false;
    client.on('data', (bytes) => {
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
      if (open.get(client) === undefined) client.write(bytes);
    });
    upstream.on('close', () => {
      if (open.get(client) === undefined) client.destroy();
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
  onTestFinished(() => {
    server.close();
    for (const client of open.keys()) client.destroy();
  });
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    /** Connections that the client has not closed. */
    openConnections: () => open.size,
    /** Drops every connection that is open now; later ones work. */
    drop: (how: Drop) => {
      for (const client of open.keys()) open.set(client, how);
    },
  };
}
