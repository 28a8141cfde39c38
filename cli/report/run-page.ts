/** The report on runs of the audit function: the last one, or those of a period. */
import {
  countDefects,
  countUnchecked,
  type Finding,
  type FindingCode,
  findingKinds,
  type Tally,
} from '../../functions/audit/findings.ts';
import { runRequestedAt } from '../../functions/audit-names.ts';
import { formatBytes } from '../../terminal/bytes.ts';
import { formatCount, formatNumber } from '../../terminal/counts.ts';
import { formatName } from '../document-name.ts';
import type { AuditAdvice } from './advice.ts';
import {
  findingsTable,
  formatTime,
  framedPage,
  problemsSection,
  rowsTable,
  tile,
  unlistedNote,
} from './frame.ts';
import { html, type Markup } from './markup.ts';
import type { AuditVerdict } from './summary.ts';

/** A run in the table. */
export interface HistoryRow {
  /** Name of the run. */
  run: string;
  state: string;
  /** Undefined, like the numbers, if the run has no valid summary. */
  tally?: Tally;
  problems?: number;
  unchecked?: number;
}

export interface RunPageOptions {
  /** Follows the name of the program in the line above the verdict. */
  kicker: string;
  /** The archiver or the folder. */
  archive: string;
  verdict: AuditVerdict;
  /** What is archived at the end; undefined if no run says. */
  archived: Tally | undefined;
  /** As `problemsOfRun` or `problemsOfPeriod` returns it. */
  problems: Markup | undefined;
  /** Newest first. */
  history: readonly HistoryRow[];
  /** Objects that these runs have read back, and how much of the archive that is, in words. */
  readBack: { objects: number; bytes: number; share: string };
  factsHeading: string;
  facts: readonly (readonly [string, string])[];
  /** What is confidential on the page; follows `This page contains`. */
  contains: string;
  /** Version of the archiver. */
  version: string;
}

export async function runPage(options: RunPageOptions): Promise<string> {
  const { kicker, problems, history, ...frame } = options;
  return await framedPage({
    ...frame,
    title: `${frame.verdict.text} · ${frame.archive}`,
    kicker: `Telnyx document archive · ${kicker}`,
    main: html`${tiles(options)}
${problems ?? html`<p class="aside">No problems found.</p>`}
${historySection(history)}`,
  });
}

function tiles({ archived, history, readBack }: RunPageOptions): Markup {
  const complete = history.filter(({ state }) => state.startsWith('complete')).length;
  return html`<dl class="tiles">
${archived && tile('Archived', formatNumber(archived.archived), formatBytes(archived.bytes))}
${tile('Runs', formatNumber(history.length), `${formatNumber(complete)} complete`)}
${tile('Read back', formatNumber(readBack.objects), `${formatBytes(readBack.bytes)}: ${readBack.share}`)}
</dl>`;
}

/** The problems of one run, with names. Undefined without problems. @param findings all, or the first ones */
export function problemsOfRun(
  tally: Tally,
  advice: AuditAdvice,
  findings: readonly Finding[],
): Markup | undefined {
  const unlisted = countDefects(tally) + countUnchecked(tally) - findings.length;
  return problemsSection(
    tally,
    advice,
    html`<details${findings.length <= 12 ? html` open` : undefined}><summary>${formatCount(findings.length, 'finding')}</summary>
${findingsTable(findings, formatName)}</details>
${unlistedNote(unlisted)}`,
  );
}

/** A code in the runs of a period. */
export interface CodeOfPeriod {
  code: FindingCode;
  /** How many runs have such findings. */
  runs: number;
  /** Dates of the first and of the last of them. */
  from: string;
  to: string;
  /** Most findings in one run. */
  most: number;
  /** Findings in the last run of the period. */
  inLast: number;
}

/** Undefined without problems. */
export function problemsOfPeriod(codes: readonly CodeOfPeriod[]): Markup | undefined {
  if (codes.length === 0) return undefined;
  const table = rowsTable(
    'Problems by code',
    ['Finding', 'Meaning', 'Runs', 'First', 'Last', 'Most in a run', 'In the last run'],
    codes.map(
      ({ code, runs, from, to, most, inLast }) =>
        html`<tr><td><code>${code}</code></td><td>${findingKinds[code].meaning}</td>${number(runs)}<td>${from}</td><td>${to}</td>${number(most)}${number(inLast)}</tr>`,
    ),
  );
  return html`<section class="wide" aria-labelledby="findings"><h2 id="findings">Problems</h2>
${table}</section>`;
}

function historySection(history: readonly HistoryRow[]): Markup {
  const table = rowsTable(
    'Runs of the audit function',
    ['Run', 'Result', 'Documents', 'Problems', 'Not checked', 'Read back'],
    history.map(
      ({ run, state, tally, problems, unchecked }) =>
        html`<tr><td>${formatTime(runRequestedAt(run))}</td><td>${state}</td>${number(tally?.documents)}${number(problems)}${number(unchecked)}<td class="number">${tally ? `${formatNumber(tally.objectsRead)} (${formatBytes(tally.bytesRead)})` : '–'}</td></tr>`,
    ),
  );
  return html`<section class="wide" aria-labelledby="history"><h2 id="history">Runs</h2>
${table}</section>`;
}

function number(value: number | undefined): Markup {
  return html`<td class="number">${value === undefined ? '–' : formatNumber(value)}</td>`;
}
