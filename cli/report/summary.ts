/** What an audit prints on the terminal. */

import {
  type Code,
  codes,
  countOf,
  defectsIn,
  type Finding,
  kinds,
  type Mark,
  type Tally,
  uncheckedIn,
} from '../../functions/audit/findings.ts';
import { formatBytes } from '../../terminal/bytes.ts';
import { formatCount, formatNumber } from '../../terminal/counts.ts';
import { printable } from '../../terminal/escape.ts';
import type { Style, Terminal } from '../../terminal/terminal.ts';

const styles: Record<Mark, Style> = { '=': 'dim', '+': 'green', '-': 'red', '*': 'red', '!': 'yellow' };

/** After `rclone check --combined`: the mark, a blank, the key; then the code and, if there is more to say, why. */
export function findingLine({ code, key, detail }: Finding, paint: Terminal['paint']): string {
  const { mark } = kinds[code];
  const reason = detail === '' ? code : `${code}: ${detail}`;
  return `${paint(styles[mark], mark)} ${printable(key)}  ${paint('dim', printable(reason))}`;
}

export function findingRecord({ code, key, documentId, detail }: Finding): object {
  const { mark, weight } = kinds[code];
  return { type: 'finding', mark, code, weight, key, documentId, detail };
}

export interface Scope {
  /** The target's name. */
  archive: string;
  /** Documents on Telnyx's list; undefined where it was not asked for. */
  listedAtTelnyx: number | undefined;
  quick: boolean;
  manifests: number;
  newestManifest: { key: string; sha256: string } | undefined;
  seconds: number;
}

/** The verdict first, then each kind of problem with what to do about it, then what was checked. */
export function auditSummary(tally: Tally, scope: Scope, paint: Terminal['paint']): string {
  const defects = defectsIn(tally);
  const unchecked = uncheckedIn(tally);
  const lines = [verdict(defects, unchecked, tally, scope, paint), ''];
  for (const code of codes) {
    const count = tally.counts[code];
    if (count === 0) continue;
    const { mark, weight, means, advice } = kinds[code];
    const what = weight === 'fine' ? means : `${means} (${code})`;
    lines.push(`${paint(styles[mark], mark)} ${countOf(count, code)}: ${what}`);
    if (advice !== '') lines.push(`    ${paint('dim', advice)}`);
  }
  lines.push('', ...looked(tally, scope));
  return lines.join('\n');
}

function verdict(
  defects: number,
  unchecked: number,
  tally: Tally,
  scope: Scope,
  paint: Terminal['paint'],
): string {
  const size = formatBytes(tally.bytes);
  if (defects > 0) {
    const rest = unchecked > 0 ? `, and ${formatNumber(unchecked)} could not be checked` : '';
    const problems = `${formatCount(defects, 'problem')} found in ${formatCount(tally.archived, 'archived document')}`;
    return paint('red', `${problems} (${size})${rest}.`);
  }
  const archived = `${formatCount(tally.archived, 'document')} archived (${size})`;
  if (unchecked > 0) {
    return `${paint('yellow', `Incomplete: ${formatNumber(unchecked)} could not be checked; no problems found in the rest.`)} ${archived}.`;
  }
  return `${paint('green', `${wellWords(scope)}.`)} ${archived}.`;
}

/** Without Telnyx's list nobody knows whether anything is missing. */
export function wellWords({ listedAtTelnyx }: Pick<Scope, 'listedAtTelnyx'>): string {
  return listedAtTelnyx === undefined ? 'All that is archived is well' : 'All is well';
}

function looked(tally: Tally, scope: Scope): string[] {
  const { listedAtTelnyx, quick, manifests, newestManifest, seconds } = scope;
  const lines = [`Archive    ${scope.archive}`];
  lines.push(
    listedAtTelnyx === undefined
      ? 'Telnyx     not asked: what is missing does not show'
      : `Telnyx     lists ${formatNumber(listedAtTelnyx)} documents`,
  );
  lines.push(
    quick
      ? 'Bytes      not looked at: only listings were compared'
      : `Bytes      by the SHA-256 that S3 verified; ${formatNumber(tally.objectsRead)} read back (${formatBytes(tally.bytesRead)})`,
  );
  lines.push(
    newestManifest === undefined
      ? 'Manifests  none: --manifest writes one'
      : `Manifests  ${formatNumber(manifests)}, the newest ${newestManifest.key}\n           SHA-256 ${newestManifest.sha256}`,
  );
  lines.push(`Took       ${seconds.toFixed(1)} s, ${formatNumber(tally.requests)} requests to S3`);
  return lines;
}

/** As `counts` of the JSON summary: every code, so that a program need not ask whether it is there. */
export function summaryRecord(tally: Tally, scope: Scope): object {
  const counts: Partial<Record<Code, number>> = tally.counts;
  const { archived, bytes, objectsRead, bytesRead, requests } = tally;
  return {
    type: 'summary',
    findings: defectsIn(tally),
    unchecked: uncheckedIn(tally),
    counts,
    archived,
    bytes,
    objectsRead,
    bytesRead,
    requests,
    ...scope,
  };
}
