/** A proxy in front of a server, for one test. It drops connections as a network does while a client is frozen. */
import { onTestFinished } from 'vitest';
import { type DroppingTcpProxy, openDroppingTcpProxy } from './soak/dropping-tcp-proxy.ts';

/**
 * @param target such as `http://127.0.0.1:4566`
 * @param gather number of connections that must be open before the proxy forwards anything, so that the client's pool
 *   has them all
 */
export async function startDroppingProxy(target: string, gather = 0): Promise<DroppingTcpProxy> {
  const proxy = await openDroppingTcpProxy(target, { gather });
  onTestFinished(() => proxy.close());
  return proxy;
}
