/** Queues a port-out and a porting order. Their documents are also found by the sweep, so they are queued twice. */
import type { Time } from '../../functions/time.ts';
import type { Stack } from '../../local/stack.ts';
import type { Orders } from '../../local/telnyx/orders.ts';

/**
 * @param ids IDs of documents; the orders name up to five of them
 * @returns the number of documents that the order of each kind names
 */
export async function queueOrders(
  { send, lanes }: Pick<Stack, 'send' | 'lanes'>,
  orders: Orders,
  ids: readonly string[],
  time: Time,
): Promise<ReadonlyMap<string, number>> {
  const supporting = ids.slice(0, 2);
  const [loa, ...additional] = ids.slice(2, 5);
  const message = { v: 1, requestedAt: new Date(time.now()).toISOString() } as const;
  await send(
    lanes.discovery.queueUrl,
    [
      { ...message, kind: 'port-out', orderId: orders.addPortOut(supporting) },
      { ...message, kind: 'porting-order', orderId: orders.addPortingOrder({ loa, additional }) },
    ],
    new AbortController().signal,
  );
  return new Map([
    ['port-out', supporting.length],
    ['porting-order', additional.length + (loa === undefined ? 0 : 1)],
  ]);
}
