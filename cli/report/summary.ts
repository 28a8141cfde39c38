/** What an audit prints on the terminal, and the verdict that the report shares with it. */

import {
  countDefects,
  countUnchecked,
  type Finding,
  type FindingCode,
  findingCodes,
  findingKinds,
  formatFindingCount,
  type Mark,
  type Tally,
} from '../../functions/audit/findings.ts';
import { formatBytes } from '../../terminal/bytes.ts';
import { formatCount, formatNumber } from '../../terminal/counts.ts';
import { type Printable, type StyledText, styled } from '../../terminal/styled.ts';
import type { Style, Terminal } from '../../terminal/terminal.ts';
import { wrapped } from '../../terminal/wrap.ts';
import { formatName } from '../document-name.ts';
import type { AuditAdvice } from './advice.ts';

const markStyles: Record<Mark, Style> = { '=': 'dim', '+': 'green', '-': 'red', '*': 'red', '!': 'yellow' };

/**
 * In the format of `rclone check --combined`: mark, space, key; then the code and, if there is one, the reason. File name
 * and reference of a document, if known, follow on an indented line.
 */
export function findingLine(finding: Finding, paint: Terminal['paint']): StyledText {
  const { code, key, detail } = finding;
  const { mark } = findingKinds[code];
  const reason = detail === '' ? code : `${code}: ${detail}`;
  const line = styled`${paint(markStyles[mark], mark)} ${key}  ${paint('dim', reason)}`;
  const names = formatName(finding);
  return names === '' ? line : styled`${line}\n  ${names}`;
}

export function findingRecord(finding: Finding): object {
  const { code, key, documentId, fileName, customerReference, versionId, atTelnyx, detail } = finding;
  const { mark, weight } = findingKinds[code];
  const document = { documentId, fileName, customerReference, versionId, atTelnyx };
  return { type: 'finding', mark, code, weight, key, ...document, detail };
}

/** What an audit covered. */
export interface AuditScope {
  /** The target's name. */
  archive: string;
  /** Number of documents on Telnyx's list; undefined if the audit did not compare with it. */
  listedAtTelnyx: number | undefined;
  quick: boolean;
  manifests: number;
  newestManifest: { key: string; sha256: string } | undefined;
  seconds: number;
}

export interface AuditVerdict {
  state: 'ok' | 'problems' | 'incomplete';
  /** Such as `3 problems found in 6 archived documents (20.1 MB)`, without a full stop. */
  text: string;
}

export function verdictOf(
  tally: Tally,
  { listedAtTelnyx, quick }: Pick<AuditScope, 'listedAtTelnyx' | 'quick'>,
): AuditVerdict {
  const defects = countDefects(tally);
  const unchecked = countUnchecked(tally);
  const archive = describeArchive(tally);
  // What a problem could hide behind.
  const limitations = [
    quick && tally.archived > 0 ? ' by listing only; bytes were not compared' : '',
    listedAtTelnyx === undefined ? '; not compared with Telnyx' : '',
  ].join('');
  const uncheckedItems = `${formatCount(unchecked, 'item')} could not be checked`;
  if (defects > 0) {
    const problems = `${formatCount(defects, 'problem')} found in ${archive}`;
    return { state: 'problems', text: unchecked > 0 ? `${problems}; ${uncheckedItems}` : problems };
  }
  if (unchecked > 0) {
    return { state: 'incomplete', text: `${uncheckedItems}; no problems found in ${archive}${limitations}` };
  }
  const isEmpty = tally.archived === 0 && tally.counts.erased === 0;
  const result = isEmpty ? 'The archive is empty' : `No problems found in ${archive}`;
  return { state: 'ok', text: result + limitations };
}

/** Such as `6 archived documents (20.1 MB), erased 2, held 1`. */
export function describeArchive({ archived, bytes, counts: { erased }, held }: Tally): string {
  return [
    `${formatCount(archived, 'archived document')} (${formatBytes(bytes)})`,
    ...(erased > 0 ? [`erased ${formatNumber(erased)}`] : []),
    ...(held > 0 ? [`held ${formatNumber(held)}`] : []),
  ].join(', ');
}

const verdictStyles: Record<AuditVerdict['state'], Style> = {
  ok: 'green',
  problems: 'red',
  incomplete: 'yellow',
};

/** The verdict, then each kind of finding with what to do about it. @param verdict of the same tally */
export function verdictLines(
  { state, text }: AuditVerdict,
  tally: Pick<Tally, 'counts'>,
  advice: AuditAdvice,
  paint: Terminal['paint'],
): Printable[] {
  const lines: Printable[] = [];
  for (const code of findingCodes) {
    const count = tally.counts[code];
    if (count === 0) continue;
    const { mark, weight, meaning } = findingKinds[code];
    const description = weight === 'fine' ? meaning : `${meaning} (${code})`;
    const [first = '', ...rest] = wrapped(
      `${formatFindingCount(count, code)}: ${description}`,
      terminalWidth - 2,
    );
    lines.push(styled`${paint(markStyles[mark], mark)} ${first}`, ...rest.map((line) => `  ${line}`));
    for (const { text: step, commands = [] } of advice.of(code)) {
      lines.push(
        ...wrapped(step, terminalWidth - 4).map((line) => styled`    ${paint('dim', line)}`),
        ...commands.map((command) => `      ${command}`),
      );
    }
  }
  if (lines.length > 0) lines.push('');
  return [paint(verdictStyles[state], `${text}.`), '', ...lines];
}

/** In characters. */
const terminalWidth = 80;

/** What an audit covered, in the order of the terminal's lines. */
export function coverageLines(tally: Tally, scope: AuditScope): Printable[] {
  const { listedAtTelnyx, quick, manifests, newestManifest, seconds } = scope;
  return [
    `Archive    ${scope.archive}`,
    listedAtTelnyx === undefined
      ? 'Telnyx     not compared; missing documents are not detected'
      : `Telnyx     ${formatCount(listedAtTelnyx, 'document')} listed`,
    quick
      ? 'Bytes      not checked, nor are tombstones read; only listings were compared'
      : `Bytes      SHA-256 that S3 verified; ${formatCount(tally.objectsRead, 'object')} downloaded and hashed (${formatBytes(tally.bytesRead)})`,
    newestManifest === undefined
      ? 'Manifests  none; write one with --manifest'
      : styled`Manifests  ${formatNumber(manifests)}, newest ${newestManifest.key}\n           SHA-256 ${newestManifest.sha256}`,
    `Duration   ${seconds.toFixed(1)} s, ${formatCount(tally.requests, 'request')} to S3`,
  ];
}

/** The line of `--json` about the audit. `counts` has every code, also those with 0. */
export function summaryRecord(tally: Tally, scope: AuditScope): object {
  const counts: Partial<Record<FindingCode, number>> = tally.counts;
  const { archived, held, bytes, objectsRead, bytesRead, requests } = tally;
  return {
    type: 'summary',
    findings: countDefects(tally),
    unchecked: countUnchecked(tally),
    counts,
    archived,
    held,
    bytes,
    objectsRead,
    bytesRead,
    requests,
    ...scope,
  };
}
