/**
 * After a pause of a container, all of its connections are dead. The next documents must still be archived at the first
 * attempt. All other faults have stopped by then, so that every failure is due to the connections.
 */
import { randomBytes } from 'node:crypto';
import type { Time } from '../../functions/time.ts';
import type { ServiceName } from '../../local/services.ts';
import type { Stack } from '../../local/stack.ts';
import type { Drop, DroppingTcpProxy } from './dropping-tcp-proxy.ts';
import type { LogWatch } from './log-watch.ts';

export interface PauseCheckOptions {
  stack: Stack;
  proxies: ReadonlyMap<ServiceName, DroppingTcpProxy>;
  watch: LogWatch;
  time: Time;
  /** Advances the monotonic clock of the functions by `ms` while nothing is running. */
  pause: (ms: number) => void;
  /** Resolves when no work is left; false if that takes too long. */
  untilQuiet: () => Promise<boolean>;
}

const documentsAtOnce = 20;
const anHour = 3_600_000;

/** @returns the problems found */
export async function checkPauses(options: PauseCheckOptions): Promise<string[]> {
  const { proxies, pause } = options;
  const drop = (how: Drop) => {
    for (const proxy of proxies.values()) proxy.drop(how);
  };
  // Replace the connections from the time of the faults: the TLS proxy would reset them later.
  drop('reset');
  pause(anHour);
  const problems = await archiveSome('with new connections', options);

  let usedSince = countUses(proxies);
  drop('reset');
  problems.push(...(await archiveSome('after all connections were reset', options)));
  // On a busy machine, some connections were idle for too long to be reused anyway.
  if (usedSince().every(([, used]) => used === 0))
    problems.push('no connection was used after its reset: the check proves nothing');

  if ([...proxies.values()].every((proxy) => proxy.openConnections() === 0))
    problems.push('no connection is open before the pause: the check proves nothing');
  usedSince = countUses(proxies);
  drop('silence');
  pause(anHour);
  problems.push(...(await archiveSome('after all connections were dropped silently', options)));
  for (const [neighbour, used] of usedSince()) {
    if (used > 0) problems.push(`${used} connections to ${neighbour} were used after a pause`);
  }
  return problems;
}

/** @returns a function that returns, by service, on how many dropped connections the functions have written since */
function countUses(proxies: PauseCheckOptions['proxies']): () => [ServiceName, number][] {
  const before = new Map([...proxies].map(([neighbour, { seen }]) => [neighbour, seen.usedAfterDrop]));
  return () =>
    [...proxies].map(([neighbour, { seen }]) => [
      neighbour,
      seen.usedAfterDrop - (before.get(neighbour) ?? 0),
    ]);
}

/** Adds documents, has them archived by a span, and reports failures. As many as fill the connection pools. */
async function archiveSome(
  when: string,
  { stack, watch, time, untilQuiet }: PauseCheckOptions,
): Promise<string[]> {
  const failed = watch.expectNoFailures();
  const archivedBefore = watch.archived;
  const createdAfter = new Date(time.now() - 1).toISOString();
  for (let number = 0; number < documentsAtOnce; number += 1) {
    await stack.standIn?.documents.add(`${when} ${number}.pdf`, randomBytes(5_000), { linked: true });
  }
  const requestedAt = new Date(time.now()).toISOString();
  const createdBefore = new Date(time.now() + 1).toISOString();
  await stack.send(
    stack.lanes.spans.queueUrl,
    [{ v: 1, kind: 'span', createdAfter, createdBefore, requestedAt }],
    new AbortController().signal,
  );
  const isQuiet = await untilQuiet();
  const archived = watch.archived - archivedBefore;
  return [
    ...(isQuiet && archived === documentsAtOnce ? [] : [`${archived} of ${documentsAtOnce} were archived`]),
    ...failed(),
  ].map((what) => `${when}: ${what}`);
}
