/** `audit --latest`: what the last run of the audit function found. */

import {
  countDefects,
  countUnchecked,
  createTally,
  type Finding,
  findingCodes,
  type Tally,
} from '../../functions/audit/findings.ts';
import { runRequestedAt } from '../../functions/audit-names.ts';
import { nightlyAudit } from '../../functions/limits.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { formatBytes } from '../../terminal/bytes.ts';
import { formatCount, formatNumber } from '../../terminal/counts.ts';
import { formatDuration } from '../../terminal/durations.ts';
import { formatPairs } from '../../terminal/tables.ts';
import type { CommandContext } from '../command.ts';
import { commandLine } from '../command-line.ts';
import { checkOutputFile, writeOutputFile } from '../output-file.ts';
import { AuditAdvice } from '../report/advice.ts';
import { problemsOfRun, runPage } from '../report/run-page.ts';
import { maxFindings } from '../report/statistics.ts';
import { findingLine, findingRecord, verdictLines, verdictOf } from '../report/summary.ts';
import { exitCodeOf, exitCodes } from './options.ts';
import {
  describeShares,
  type EndedRun,
  findingsOfRun,
  historyRows,
  openRunRecord,
  openRuns,
  type RunArchive,
  type RunHistory,
  readBackOf,
  readHistory,
  runRecord,
  sharesOfRun,
  tallyOfRun,
  unreadableSummary,
  withNames,
} from './runs.ts';

/**
 * @param html path of the page to write
 * @returns the exit code
 * @throws UsageError if the page cannot be written; ArchiverError if the bucket cannot be read
 */
export async function auditLatest(html: string | undefined, context: CommandContext): Promise<number> {
  const { target, terminal, time } = context;
  const runs = await openRuns(context);
  if (html !== undefined) await checkOutputFile('--html', html, runs.archive.localFolder);
  const now = time.now();
  const recent = await readHistory({ since: now - nightlyAudit.lastRunWithinMs }, runs);
  const history = recent.ended.length > 0 ? recent : await readHistory({}, runs);
  const latest = history.ended.at(-1);
  const isNewer = (run: string) => latest === undefined || run > latest.run;
  const unreadable = history.unreadable.filter(isNewer);
  const unfinished = history.unfinished.filter(isNewer);

  const found = await showFindings(latest, unreadable, runs, context);
  if (latest) await showRun(latest, found, history, html, now, context);
  else terminal.print(terminal.paint('yellow', 'No run of the audit has ended.'));
  for (const run of unreadable) terminal.record(openRunRecord(run, 'unreadable'));
  for (const run of unfinished) {
    terminal.record(openRunRecord(run, 'unfinished'));
    const ageMs = now - runRequestedAt(run);
    const late = ageMs > nightlyAudit.unfinishedAfterMs ? '; the next run closes it as incomplete' : '';
    const age = formatDuration(Math.max(0, ageMs) / 1_000);
    terminal.print(terminal.paint('yellow', `The run ${run} began ${age} ago and has not ended${late}.`));
  }
  if (latest) return exitCodeOf(found.tally);
  terminal.print(`To start a run, use \`${commandLine(target, 'audit --start')}\`.`);
  return exitCodes.incomplete;
}

interface FoundInRun {
  tally: Tally;
  advice: AuditAdvice;
  /** At most `maxFindings`. */
  findings: Finding[];
}

async function showFindings(
  latest: EndedRun | undefined,
  unreadable: readonly string[],
  runs: RunArchive,
  { terminal }: CommandContext,
): Promise<FoundInRun> {
  const { archive } = runs;
  const tally = latest ? tallyOfRun(latest) : createTally();
  async function* all(): AsyncGenerator<Finding> {
    for (const run of unreadable) yield unreadableSummary(run);
    if (latest && countDefects(tally) + countUnchecked(tally) > 0) yield* await findingsOfRun(latest, runs);
  }
  const advice = new AuditAdvice({ ...archive, folder: archive.localFolder?.path });
  const { counts } = createTally();
  const findings: Finding[] = [];
  const named = withNames(all(), runs, ({ code, message }) =>
    terminal.note(`File names and references are not shown. ${code}: ${message}`),
  );
  for await (const finding of named) {
    counts[finding.code] += 1;
    advice.add(finding);
    if (findings.length < maxFindings) findings.push(finding);
    terminal.print(findingLine(finding, terminal.paint));
    terminal.record(findingRecord(finding));
  }
  // Summary and results are separate objects. If one was altered, the other still counts.
  for (const code of findingCodes) tally.counts[code] = Math.max(tally.counts[code], counts[code]);
  return { tally, advice, findings };
}

async function showRun(
  latest: EndedRun,
  { tally, advice, findings }: FoundInRun,
  history: RunHistory,
  html: string | undefined,
  now: number,
  { target, terminal }: CommandContext,
): Promise<void> {
  const { listedAtTelnyx } = latest.summary.tally;
  const verdict = verdictOf(tally, { listedAtTelnyx, quick: false });
  terminal.print('', ...verdictLines(verdict, tally, advice, terminal.paint));
  const facts = [['Archive', target.name] as const, ...runFacts(latest, now)];
  terminal.print(...formatPairs(facts));
  terminal.record(runRecord(latest));
  if (html === undefined) return;
  const page = await runPage({
    kicker: `audit of ${latest.summary.startedAt}`,
    archive: target.name,
    verdict,
    archived: tally,
    problems: problemsOfRun(tally, advice, findings),
    history: historyRows(history),
    readBack: readBackOf(history.ended),
    factsHeading: 'The last run',
    facts,
    contains: 'file names and document IDs',
    version: packageJson.version,
  });
  await writeOutputFile(html, page);
  terminal.print('', `Report: ${html}`);
  terminal.record({ type: 'report', file: html });
}

function runFacts(ended: EndedRun, now: number): (readonly [string, string])[] {
  const { run, summary } = ended;
  const { status, startedAt, endedAt, full, tally, manifest } = summary;
  const end = Date.parse(endedAt);
  const age = formatDuration(Math.max(0, now - end) / 1_000);
  const duration = formatDuration(Math.max(0, end - Date.parse(startedAt)) / 1_000);
  return [
    ['Run', `${run}, ${status}${full ? ', full' : ''}; ended ${endedAt}, ${age} ago, after ${duration}`],
    [
      'Compared',
      `${formatCount(tally.documents, 'document')}, and ${formatNumber(tally.listedAtTelnyx)} of Telnyx's list; ${formatCount(tally.receiptsRead, 'receipt')} read`,
    ],
    [
      'Read back',
      `${formatCount(tally.objectsRead, 'object')} (${formatBytes(tally.bytesRead)}): ${describeShares(sharesOfRun(ended), summary.readsBytes)}`,
    ],
    ...(tally.repaired > 0
      ? [['Repair', `${formatCount(tally.repaired, 'document')} queued for archiving`] as const]
      : []),
    ['Manifest', manifest?.key ?? 'none'],
    ...(manifest ? [['SHA-256', manifest.sha256] as const] : []),
  ];
}
