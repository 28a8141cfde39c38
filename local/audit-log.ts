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
  /** Its findings, without those that are no problem. */
  problems?: number;
}

/**
 * Reads one log line of a function.
 *
 * @returns undefined if it completes no run
 */
export function readAuditLine(text: string): StartEventOf<'audit'> | undefined {
  const { lane, status, run, found = 0, problems = 0 }: Line = JSON.parse(text);
  if (lane !== 'audit' || status !== 'complete' || run === undefined) return undefined;
  return { type: 'audit', run, documents: found, findings: problems };
}
