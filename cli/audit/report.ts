import packageJson from '../../package.json' with { type: 'json' };
import { writeOutputFile } from '../output-file.ts';
import { failuresByCode } from '../report/failures.ts';
import { reportPage } from '../report/page.ts';
import type { AuditScope } from '../report/summary.ts';
import type { AuditRun } from './run.ts';

/** Writes the HTML report. */
export async function writeReport(file: string, scope: AuditScope, run: AuditRun): Promise<void> {
  const { tally, statistics, advice, context } = run;
  const { terminal, time } = context;
  const page = await reportPage({
    tally,
    scope,
    statistics,
    advice,
    deadLetters: await failuresByCode(context),
    now: time.now(),
    version: packageJson.version,
  });
  await writeOutputFile(file, page);
  terminal.print('', `Report: ${file}`);
  terminal.record({ type: 'report', file });
}
