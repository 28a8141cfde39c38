/** `audit --since`: a dated statement of the audits in a period, such as a quarter. It has no file names and no references. */

import { findingCodes, weightOf } from '../../functions/audit/findings.ts';
import type { RunSummary } from '../../functions/audit/records.ts';
import { runRequestedAt } from '../../functions/audit-names.ts';
import { auditSummaryKey } from '../../functions/bucket/keys.ts';
import { nightlyAudit } from '../../functions/limits.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { formatBytes } from '../../terminal/bytes.ts';
import { formatCount, formatNumber } from '../../terminal/counts.ts';
import { formatPairs } from '../../terminal/tables.ts';
import { type CommandContext, UsageError } from '../command.ts';
import { shellWord } from '../command-line.ts';
import { instantOption } from '../instants.ts';
import { checkOutputFile, writeOutputFile } from '../output-file.ts';
import { type CodeOfPeriod, type HistoryRow, problemsOfPeriod, runPage } from '../report/run-page.ts';
import { type AuditVerdict, describeArchive } from '../report/summary.ts';
import { exitCodes } from './options.ts';
import {
  type EndedRun,
  historyRows,
  openRunRecord,
  openRuns,
  type ReadBack,
  type RunHistory,
  readBackOf,
  readHistory,
  runRecord,
  tallyOfRun,
} from './runs.ts';

export interface PeriodOptions {
  /** As typed: an instant, or an age. */
  since: string;
  /** Exclusive. @default now */
  until: string | undefined;
  /** Path of the page to write. */
  html: string | undefined;
}

/**
 * @returns the exit code
 * @throws UsageError for instants that are not valid, or a page that cannot be written; ArchiverError if the bucket
 *   cannot be read
 */
export async function auditPeriod(options: PeriodOptions, context: CommandContext): Promise<number> {
  const { target, terminal, time } = context;
  const now = time.now();
  const since = instantOption('--since', options.since, now);
  const until = options.until === undefined ? now : instantOption('--until', options.until, now);
  if (since >= until) throw new UsageError('--since must be before --until.');
  const runs = await openRuns(context);
  const { archive } = runs;
  if (options.html !== undefined) await checkOutputFile('--html', options.html, archive.localFolder);
  const operator = await target.operator();
  const history = await readHistory({ since, until }, runs);

  const period = examinePeriod({ since, until: Math.min(until, now) }, history);
  const statement: Statement = {
    archive: target.name,
    bucket: archive.localFolder?.path ?? `s3://${archive.name}`,
    since: new Date(since).toISOString(),
    until: new Date(until).toISOString(),
    writtenAt: new Date(now).toISOString(),
    writtenBy: operator.role + (operator.session === undefined ? '' : `, session ${operator.session}`),
  };
  const facts = statementFacts(statement, period);
  const rows = historyRows(history);
  terminal.print(...statementLines(facts, statement, period, rows));
  for (const ended of history.ended) terminal.record(runRecord(ended));
  for (const run of history.unreadable) terminal.record(openRunRecord(run, 'unreadable'));
  for (const run of history.unfinished) terminal.record(openRunRecord(run, 'unfinished'));
  terminal.record(statementRecord(statement, period));
  if (options.html !== undefined) {
    const page = await runPage({
      kicker: `audits from ${statement.since} to ${statement.until}`,
      archive: target.name,
      verdict: period.verdict,
      archived: period.last && tallyOfRun(period.last),
      problems: problemsOfPeriod(period.codes),
      history: rows,
      readBack: period.readBack,
      factsHeading: 'Statement',
      facts,
      contains: 'no file names',
      version: packageJson.version,
    });
    await writeOutputFile(options.html, page);
    terminal.print('', `Report: ${options.html}`);
    terminal.record({ type: 'report', file: options.html });
  }
  return exitCodeOfState[period.verdict.state];
}

const exitCodeOfState: Record<AuditVerdict['state'], number> = {
  ok: exitCodes.success,
  problems: exitCodes.problems,
  incomplete: exitCodes.incomplete,
};

interface Statement {
  /** The archiver or the folder. */
  archive: string;
  bucket: string;
  since: string;
  until: string;
  writtenAt: string;
  writtenBy: string;
}

interface Period {
  verdict: AuditVerdict;
  complete: number;
  incomplete: number;
  unfinished: number;
  unreadable: number;
  /** Number of nights in which a run was due. */
  nights: number;
  /** Dates of the nights without a complete run. */
  missed: string[];
  /** The first and the last complete run. */
  first: EndedRun | undefined;
  last: EndedRun | undefined;
  codes: CodeOfPeriod[];
  readBack: ReadBack;
  /** The newest manifest that a run wrote or found. */
  manifest: RunSummary['manifest'];
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** @param period as far as it is over; milliseconds since the Unix epoch */
function examinePeriod({ since, until }: { since: number; until: number }, history: RunHistory): Period {
  const { ended, unfinished, unreadable } = history;
  const complete = ended.filter(({ summary }) => summary.status === 'complete');
  const days = new Set(complete.map(({ run }) => Math.floor(runRequestedAt(run) / dayMs)));
  const due: number[] = [];
  for (let day = Math.floor(since / dayMs); day * dayMs + nightlyAudit.hour * hourMs < until; day += 1) {
    if (day * dayMs + nightlyAudit.hour * hourMs >= since) due.push(day);
  }
  const missed = due.filter((day) => !days.has(day)).map((day) => dateOf(day * dayMs));
  const codes = codesOfPeriod(ended);
  const isProblem = ({ code }: CodeOfPeriod) => weightOf(code) === 'defect';
  const withProblems = ended.filter(({ summary }) =>
    findingCodes.some((code) => weightOf(code) === 'defect' && (summary.tally.counts[code] ?? 0) > 0),
  );
  const gaps = [
    ...(missed.length > 0 ? [`${formatCount(missed.length, 'night')} without a complete run`] : []),
    ...(codes.some((code) => !isProblem(code)) ? ['some items could not be checked'] : []),
    ...(unreadable.length > 0 ? [`${formatCount(unreadable.length, 'summary')} not readable`] : []),
  ];
  const runs = formatCount(complete.length, 'complete run');
  const state = withProblems.length > 0 ? 'problems' : gaps.length > 0 ? 'incomplete' : 'ok';
  const result =
    withProblems.length > 0
      ? `problems found in ${formatCount(withProblems.length, 'run')}`
      : 'no problems found';
  return {
    verdict: { state, text: [`${runs}, ${result}`, ...gaps].join('; ') },
    complete: complete.length,
    incomplete: ended.length - complete.length,
    unfinished: unfinished.length,
    unreadable: unreadable.length,
    nights: due.length,
    missed,
    first: complete[0],
    last: complete.at(-1),
    codes,
    readBack: readBackOf(ended),
    manifest: ended.findLast(({ summary }) => summary.manifest)?.summary.manifest,
  };
}

/** The problems of a period by code. What could not be checked has the code `unreadable`. */
function codesOfPeriod(ended: readonly EndedRun[]): CodeOfPeriod[] {
  const tallies = ended.map((entry) => ({ run: entry.run, counts: tallyOfRun(entry).counts }));
  const last = tallies.at(-1);
  return findingCodes
    .filter((code) => weightOf(code) !== 'fine')
    .flatMap((code): CodeOfPeriod[] => {
      const having = tallies.filter(({ counts }) => counts[code] > 0);
      const [first] = having;
      const newest = having.at(-1);
      if (!first || !newest) return [];
      return [
        {
          code,
          runs: having.length,
          from: dateOf(runRequestedAt(first.run)),
          to: dateOf(runRequestedAt(newest.run)),
          most: Math.max(...having.map(({ counts }) => counts[code])),
          inLast: last?.counts[code] ?? 0,
        },
      ];
    });
}

function dateOf(instant: number): string {
  return new Date(instant).toISOString().slice(0, 10);
}

function statementFacts(statement: Statement, period: Period): (readonly [string, string])[] {
  const { archive, bucket, since, until, writtenAt, writtenBy } = statement;
  const { verdict, complete, incomplete, unfinished, unreadable, nights, missed, readBack, manifest } =
    period;
  const others = [
    [incomplete, 'incomplete'],
    [unfinished, 'not ended'],
    [unreadable, 'with a summary that is not readable'],
  ] as const;
  return [
    ['Archive', archive],
    ...(bucket === archive ? [] : [['Bucket', bucket] as const]),
    ['Period', `from ${since}, until before ${until}`],
    ['Written', writtenAt],
    ['Written by', writtenBy],
    ['Program', `telnyx-document-archiver ${packageJson.version}`],
    ['Result', verdict.text],
    [
      'Runs',
      [
        `${formatNumber(complete)} complete`,
        ...others.flatMap(([count, what]) => (count > 0 ? [`${formatNumber(count)} ${what}`] : [])),
      ].join(', '),
    ],
    [
      'Nights',
      `${formatNumber(nights)}, ${missed.length === 0 ? 'each with a complete run' : `${formatNumber(missed.length)} without a complete run: ${datesInWords(missed)}`}`,
    ],
    ['At the beginning', stateOf(period.first)],
    ['At the end', stateOf(period.last)],
    [
      'Read back',
      `${formatCount(readBack.objects, 'object')} (${formatBytes(readBack.bytes)}): ${readBack.share}`,
    ],
    ['Manifest', manifest?.key ?? 'none'],
    ...(manifest ? [['SHA-256', manifest.sha256] as const] : []),
  ];
}

function stateOf(ended: EndedRun | undefined): string {
  return ended === undefined
    ? 'unknown: no complete run'
    : `${describeArchive(tallyOfRun(ended))}; run ${ended.run}`;
}

/** Such as `2026-08-03, 2026-08-10 to 2026-08-12`. @param dates ascending */
function datesInWords(dates: readonly string[]): string {
  const spans: [string, string][] = [];
  for (const date of dates) {
    const last = spans.at(-1);
    if (last && Date.parse(date) - Date.parse(last[1]) === dayMs) last[1] = date;
    else spans.push([date, date]);
  }
  return spans.map(([from, to]) => (from === to ? from : `${from} to ${to}`)).join(', ');
}

function statementLines(
  facts: readonly (readonly [string, string])[],
  { bucket }: Statement,
  { codes, last }: Period,
  rows: readonly HistoryRow[],
): string[] {
  const indented = (pairs: readonly (readonly [string, string])[]) =>
    formatPairs(pairs).map((line) => `  ${line}`);
  return [
    'STATEMENT OF AUDITS',
    '',
    ...indented(facts),
    '',
    'PROBLEMS, AND WHAT COULD NOT BE CHECKED',
    '',
    ...(codes.length === 0 ? ['  none'] : indented(codes.map((code) => [code.code, describeCode(code)]))),
    '',
    'RUNS',
    '',
    ...(rows.length === 0 ? ['  none'] : indented(rows.map((row) => [row.run, describeRow(row)]))),
    '',
    'HOW TO VERIFY',
    '',
    'The audit function writes plan, results and summary of each run once, under audits/<run>/. They hold no file name',
    'and no reference, and are kept as long as the documents.',
    ...(last ? ['', `  ${readCommand(bucket, auditSummaryKey(last.run))}`] : []),
    '',
    'WHAT THIS STATEMENT DOES NOT COVER',
    '',
    'What an audit does not detect. docs/audit.md lists it.',
  ];
}

function readCommand(bucket: string, key: string): string {
  const place = shellWord(`${bucket}/${key}`);
  return bucket.startsWith('s3://') ? `aws s3 cp ${place} -` : `cat ${place}`;
}

function describeCode({ runs, from, to, most, inLast }: CodeOfPeriod): string {
  const when = from === to ? from : `${from} to ${to}`;
  return `in ${formatCount(runs, 'run')}, ${when}; at most ${formatNumber(most)} in a run, ${formatNumber(inLast)} in the last one`;
}

function describeRow({ state, tally, problems = 0, unchecked = 0 }: HistoryRow): string {
  if (!tally) return state;
  return [
    state,
    formatCount(tally.documents, 'document'),
    formatCount(problems, 'problem'),
    `${formatNumber(unchecked)} not checked`,
    `${formatCount(tally.objectsRead, 'object')} read back (${formatBytes(tally.bytesRead)})`,
  ].join(', ');
}

function statementRecord(statement: Statement, period: Period): object {
  const { verdict, codes, first, last, readBack, ...numbers } = period;
  const documents = (ended: EndedRun | undefined) => ended && { run: ended.run, ...archiveOf(ended) };
  return {
    type: 'statement',
    ...statement,
    state: verdict.state,
    ...numbers,
    beginning: documents(first),
    end: documents(last),
    readBack: { objects: readBack.objects, bytes: readBack.bytes, shares: readBack.shares },
    codes,
  };
}

function archiveOf({ summary: { tally } }: EndedRun) {
  const { documents, archived, held, bytes } = tally;
  return { documents, archived, held, bytes };
}
