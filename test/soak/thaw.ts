/**
 * What a container meets after a pause: every connection that it has kept was dropped. Its next documents must not
 * notice. The faults of the soak are over by then, so that whatever fails is due to the connections.
 */
import { randomBytes } from 'node:crypto';
import type { Time } from '../../functions/time.ts';
import type { Neighbour } from '../../local/neighbours.ts';
import type { Stack } from '../../local/stack.ts';
import type { Drop, DroppingFront } from './dropping-front.ts';
import type { LogWatch } from './log-watch.ts';

export interface ThawOptions {
  stack: Stack;
  fronts: ReadonlyMap<Neighbour, DroppingFront>;
  watch: LogWatch;
  time: Time;
  /** Lets so many milliseconds pass, as the functions measure them, while nothing is under way. */
  pause: (ms: number) => void;
  /** Resolves with whether nothing is left to do. */
  untilQuiet: () => Promise<boolean>;
}

const documentsAtOnce = 20;
const anHour = 3_600_000;

/** @returns what was not as it should be */
export async function checkThaws(options: ThawOptions): Promise<string[]> {
  const { fronts, pause } = options;
  const drop = (how: Drop) => {
    for (const front of fronts.values()) front.drop(how);
  };
  // Replaces what was opened while faults were about: broken by TLS at some later byte, or idle for long.
  drop('reset');
  pause(anHour);
  const problems = await archiveSome('with new connections', options);

  let usedSince = countUses(fronts);
  drop('reset');
  problems.push(...(await archiveSome('after all connections were reset', options)));
  // On a busy machine some were idle for so long that they are not trusted anyway.
  if (usedSince().every(([, used]) => used === 0))
    problems.push('no connection was used after it was reset, so that nothing is shown');

  if ([...fronts.values()].every((front) => front.openConnections() === 0))
    problems.push('no connection is kept, so that a pause shows nothing');
  usedSince = countUses(fronts);
  drop('silence');
  pause(anHour);
  problems.push(...(await archiveSome('after all connections fell silent', options)));
  for (const [neighbour, used] of usedSince()) {
    if (used > 0) problems.push(`${used} connections to ${neighbour} were used after a pause`);
  }
  return problems;
}

/** @returns tells how many dropped connections the functions have written to since, by neighbour */
function countUses(fronts: ThawOptions['fronts']): () => [Neighbour, number][] {
  const before = new Map([...fronts].map(([neighbour, { seen }]) => [neighbour, seen.usedAfterDrop]));
  return () =>
    [...fronts].map(([neighbour, { seen }]) => [
      neighbour,
      seen.usedAfterDrop - (before.get(neighbour) ?? 0),
    ]);
}

/** Has new documents found by their span and archived, as many at once as fill the connection pools. */
async function archiveSome(when: string, { stack, watch, time, untilQuiet }: ThawOptions): Promise<string[]> {
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
