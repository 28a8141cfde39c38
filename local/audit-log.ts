/** Completed runs of the audit, read from the structured logs of the audit function. */
import type { LaneName } from '../functions/queue/lanes.ts';
import type { StartEventOf } from './start-lines.ts';

/** Fields of the log line of the receive that completed a run. */
interface Line {
  lane?: LaneName;
  status?: string;
  run?: string;
  /** Documents that the run compared. */
  found?: number;
  /** Number of problems, including what could not be checked. */
  problems?: number;
}

/**
 * Reads one log line of a function.
 *
 * @returns undefined if the line is not about a run that was completed
 */
export function readAuditLine(text: string): StartEventOf<'audit'> | undefined {
  const { lane, status, run, found = 0, problems = 0 }: Line = JSON.parse(text);
  if (lane !== 'audit' || status !== 'complete' || run === undefined) return undefined;
  return { type: 'audit', run, documents: found, findings: problems };
}
