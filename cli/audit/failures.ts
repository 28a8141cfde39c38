import { holdDeadLetters, letGo } from '../dead-letters.ts';
import { laneNames, type Surroundings } from '../deployment.ts';
import { NameCounts } from './html/histograms.ts';
import type { DeadLetters } from './html/page.ts';

/** Long enough to look at all of them, short enough that nobody waits for one that was not let go. */
const lookSeconds = 60;
const mostCodes = 12;

/**
 * The dead letters of all lanes by their codes. They are looked at and let go, not consumed.
 *
 * @returns undefined where the queues cannot be reached or looked into: a report is still a report without
 * @throws the signal's reason
 */
export async function failuresByCode({
  deployment,
  signal,
}: Pick<Surroundings, 'deployment' | 'signal'>): Promise<DeadLetters[] | undefined> {
  const codes = new NameCounts();
  try {
    const queues = await deployment.queues();
    for (const lane of laneNames) {
      const letters = await holdDeadLetters(queues, lane, { forSeconds: lookSeconds, signal });
      await letGo(queues.sqs, queues.lanes[lane].deadLetterQueueUrl, letters);
      for (const { code = 'no code' } of letters) codes.add(code);
    }
  } catch {
    // No queues where nothing runs, no right to look into them: the report says that it does not show them.
    signal.throwIfAborted();
    return undefined;
  }
  return codes.top(mostCodes, 'others').map(({ name, count }) => ({ code: name, count }));
}
