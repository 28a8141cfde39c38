import { rename, writeFile } from 'node:fs/promises';
import packageJson from '../../package.json' with { type: 'json' };
import { failuresByCode } from '../report/failures.ts';
import { reportPage } from '../report/page.ts';
import type { AuditScope } from '../report/summary.ts';
import type { AuditRun } from './run.ts';

/** Writes the HTML report, and replaces an existing file only when the new one is complete. */
export async function writeReport(file: string, scope: AuditScope, run: AuditRun): Promise<void> {
  const { tally, statistics, context } = run;
  const { terminal, time } = context;
  const page = await reportPage({
    tally,
    scope,
    statistics,
    deadLetters: await failuresByCode(context),
    now: time.now(),
    version: packageJson.version,
  });
  await writeFile(`${file}.part`, page);
  await rename(`${file}.part`, file);
  terminal.print('', `Report: ${file}`);
  terminal.record({ type: 'report', file });
}
