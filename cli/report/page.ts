/** The report of the command `audit`. */

import { type FindingCode, findingCodes, findingKinds, type Tally } from '../../functions/audit/findings.ts';
import { formatBytes } from '../../terminal/bytes.ts';
import { formatCount, formatNumber } from '../../terminal/counts.ts';
import { printable } from '../../terminal/escape.ts';
import type { AuditAdvice } from './advice.ts';
import { bars, growthChart } from './charts.ts';
import { findingsTable, formatTime, framedPage, problemsSection, tile, unlistedNote } from './frame.ts';
import type { Histogram } from './histograms.ts';
import { html, type Markup } from './markup.ts';
import { type DocumentRow, latencyEdges, maxNewest, type Statistics, sizeEdges } from './statistics.ts';
import { type AuditScope, verdictOf } from './summary.ts';

/** Failures with one error code. */
export interface DeadLetters {
  code: string;
  count: number;
}

export interface PageOptions {
  tally: Tally;
  scope: AuditScope;
  statistics: Statistics;
  advice: AuditAdvice;
  /** Undefined if the queues cannot be read. */
  deadLetters: readonly DeadLetters[] | undefined;
  /** Milliseconds since the Unix epoch. */
  now: number;
  version: string;
}

export async function reportPage(options: PageOptions): Promise<string> {
  const { tally, scope, statistics, advice, deadLetters, now, version } = options;
  const rows = statistics.rows();
  const verdict = verdictOf(tally, scope);
  return await framedPage({
    title: `${verdict.text} · ${scope.archive} · ${formatDate(now)}`,
    verdict,
    kicker: `Telnyx document archive · audit of ${formatTime(now)}`,
    archive: scope.archive,
    main: html`${tiles(tally, scope, statistics)}
${findingsSection(tally, statistics, advice)}
<section class="wide" aria-labelledby="growth"><h2 id="growth">Growth</h2>
<p class="lead">${growthLead(statistics, now)}</p>
${growthChart(statistics.growth.buckets(), now)}</section>
<div class="charts">
${latencySection(statistics)}
<section aria-labelledby="sizes"><h2 id="sizes">Sizes</h2>
<p class="lead">${formatBytes(tally.bytes)} in total, ${formatBytes(tally.bytes / Math.max(1, tally.archived))} on average.</p>
${bars('Documents by size', histogramBars(statistics.sizes, sizeEdges, roundSize), 'Size')}</section>
<section aria-labelledby="types"><h2 id="types">Content types</h2>
<p class="lead">As Telnyx states them.</p>
${bars('Documents by content type', toBars(statistics.types.top(7, 'other'), typeName), 'Content type')}</section>
<section aria-labelledby="triggers"><h2 id="triggers">Triggers</h2>
<p class="lead">What caused each document to be archived.</p>
${bars('Documents by trigger', toBars(statistics.triggers.top(7, 'other')), 'Trigger')}
${deadLetterSection(deadLetters)}</section>
</div>
${tableSection(tally, rows, statistics)}`,
    factsHeading: 'Coverage of this audit',
    facts: coverage(tally, scope),
    contains: 'file names and document IDs',
    version,
    rows: { rows: rows.map(tableRow), marks: marksOfCodes() },
  });
}

function tiles(tally: Tally, { listedAtTelnyx }: AuditScope, { latency }: Statistics): Markup {
  const median = latency.at(0.5);
  const p95 = latency.at(0.95);
  const { kept, pending } = tally.counts;
  return html`<dl class="tiles">
${tile('Archived', formatNumber(tally.archived), formatBytes(tally.bytes))}
${tile('At Telnyx', listedAtTelnyx === undefined ? '–' : formatNumber(listedAtTelnyx), listedAtTelnyx === undefined ? 'not compared' : pending === 0 ? 'documents listed' : `documents listed, ${formatNumber(pending)} pending`)}
${tile('Kept', formatNumber(kept), 'no longer at Telnyx')}
${tile('Upload to archive', median === undefined ? '–' : duration(median), p95 === undefined ? 'no live documents yet' : `median; 95 % within ${duration(p95)}`)}
${tile('Downloaded', formatNumber(tally.objectsRead), tally.objectsRead === 0 ? 'S3’s SHA-256 used instead' : `${formatBytes(tally.bytesRead)} hashed`)}
</dl>`;
}

function findingsSection(tally: Tally, statistics: Statistics, advice: AuditAdvice): Markup {
  const others = statistics.otherFindings;
  const details = html`${
    others.length === 0
      ? undefined
      : html`<details${others.length <= 12 ? html` open` : undefined}><summary>${formatCount(others.length, 'finding')} not about a document</summary>
${findingsTable(others)}</details>`
  }
${unlistedNote(statistics.unlisted)}`;
  return problemsSection(tally, advice, details) ?? html`<p class="aside">No problems found.</p>`;
}

function latencySection({ latencies, latency }: Statistics): Markup {
  const late = latencies.counts.slice(-2).reduce((sum, count) => sum + count, 0);
  const lead =
    latencies.total === 0
      ? 'No live documents yet.'
      : `Live documents. ${late === 0 ? 'All' : `All but ${formatNumber(late)}`} were archived within 30 minutes, after which Telnyx deletes an unlinked document.`;
  const quantiles = [0.5, 0.95, 0.99].flatMap((quantile) => {
    const value = latency.at(quantile);
    return value === undefined ? [] : `${quantile * 100} % within ${duration(value)}`;
  });
  const rows = histogramBars(latencies, latencyEdges, duration).map((row, position) => ({
    ...row,
    isProblem: position >= latencyEdges.length - 1,
  }));
  return html`<section aria-labelledby="latency"><h2 id="latency">Upload to archive</h2>
<p class="lead">${lead}</p>
${latencies.total === 0 ? undefined : bars('Documents by the time from upload to archive', rows, 'Time')}
<p class="note">${quantiles.join(' · ')}</p></section>`;
}

function deadLetterSection(deadLetters: readonly DeadLetters[] | undefined): Markup {
  const head = html`<h2 class="second" id="failures">Failures</h2>`;
  if (deadLetters === undefined)
    return html`${head}<p class="lead">The queues could not be read, so dead letters are not shown.</p>`;
  if (deadLetters.length === 0) return html`${head}<p class="lead">No dead letters.</p>`;
  return html`${head}<p class="lead">Failed documents and messages by error code. The runbook explains each code.</p>
${bars(
  'Failures by code',
  deadLetters.map(({ code, count }) => ({ label: code, count, isProblem: true })),
  'Code',
)}`;
}

function tableSection(tally: Tally, rows: readonly DocumentRow[], statistics: Statistics): Markup {
  const isCut = tally.archived > maxNewest || statistics.unlisted > 0;
  const lead = isCut
    ? `The ${formatNumber(maxNewest)} newest of ${formatNumber(tally.archived)} documents, and those with findings. The charts cover all documents.`
    : `${formatCount(rows.length, 'document')}.`;
  return html`<section class="wide" aria-labelledby="documents"><h2 id="documents">Documents</h2>
<p class="lead">${lead}</p>
<noscript><p class="lead">The table needs JavaScript; everything else on this page does not.</p></noscript>
<div class="tools" hidden>
  <label>Search <input type="search" id="search" placeholder="file name, reference, ID, SHA-256, type, finding" autocomplete="off" spellcheck="false"></label>
  <label>Show <select id="state"><option value="">all</option></select></label>
  <p id="shown" role="status"></p>
</div>
<div class="scroll"><table id="table" class="rows" hidden><caption class="aside">Documents</caption>
<thead><tr>${[
    ['state', 'State'],
    ['name', 'Document'],
    ['type', 'Type'],
    ['bytes', 'Size'],
    ['created', 'Uploaded, UTC'],
    ['archived', 'Archived, UTC'],
    ['latency', 'Duration'],
    ['trigger', 'Trigger'],
  ].map(
    ([column, label]) =>
      html`<th scope="col" class="column"><button type="button" class="sort" data-column="${column}">${label}</button></th>`,
  )}</tr></thead>
<tbody></tbody></table></div>
<nav class="pages" aria-label="Pages of the table" hidden>
  <button type="button" id="before">← Previous</button><span id="page"></span><button type="button" id="after">Next →</button>
</nav></section>`;
}

/** A row as `page.js` expects it: an array, because there are thousands. */
function tableRow(row: DocumentRow): readonly unknown[] {
  const {
    id,
    codes: found,
    detail,
    fileName,
    customerReference,
    contentType,
    bytes,
    createdAt,
    archivedAt,
    trigger,
    sha256,
  } = row;
  const type = contentType && typeName(contentType);
  const names = [fileName, customerReference, type].map((text) => text && printable(text));
  return [id, found, printable(detail), ...names, bytes, createdAt, archivedAt, trigger, sha256].map(
    (value) => value ?? null,
  );
}

function marksOfCodes(): Record<FindingCode, { mark: string; weight: string }> {
  return Object.fromEntries(
    findingCodes.map((code) => [code, { mark: findingKinds[code].mark, weight: findingKinds[code].weight }]),
  ) as Record<FindingCode, { mark: string; weight: string }>;
}

function coverage(tally: Tally, scope: AuditScope): [string, string][] {
  const { newestManifest } = scope;
  return [
    [
      'Telnyx',
      scope.listedAtTelnyx === undefined
        ? 'not compared; missing documents are not detected'
        : `${formatCount(scope.listedAtTelnyx, 'document')} listed`,
    ],
    [
      'Bytes',
      `the SHA-256 that S3 verified, compared with receipt, manifest and Telnyx; ${formatCount(tally.objectsRead, 'object')} downloaded and hashed`,
    ],
    [
      'Manifests',
      newestManifest === undefined
        ? 'none'
        : `${formatNumber(scope.manifests)}; newest: ${newestManifest.key}, SHA-256 ${newestManifest.sha256}`,
    ],
    ['Duration', `${duration(scope.seconds * second)}, ${formatCount(tally.requests, 'request')} to S3`],
  ];
}

function histogramBars({ counts }: Histogram, edges: readonly number[], show: (edge: number) => string) {
  return counts.map((count, position) => {
    const from = edges[position - 1];
    const to = edges[position];
    const label =
      from === undefined
        ? `up to ${show(to ?? 0)}`
        : to === undefined
          ? `over ${show(from)}`
          : `to ${show(to)}`;
    return { label, count };
  });
}

function toBars(counts: readonly { name: string; count: number }[], label = (name: string) => name) {
  return counts.map(({ name, count }) => ({ label: label(name), count }));
}

function roundSize(bytes: number): string {
  return formatBytes(bytes).replace('.0', '');
}

function growthLead({ growth }: Statistics, now: number): string {
  const buckets = growth.buckets();
  const days = 30;
  const recent = buckets.filter(({ from }) => from >= now - days * 24 * 3_600 * second);
  const documents = recent.reduce((sum, { count }) => sum + count, 0);
  const bytes = recent.reduce((sum, bucket) => sum + bucket.bytes, 0);
  return `Documents in the archive. ${formatNumber(documents)} archived in the last ${days} days (${formatBytes(bytes)}).`;
}

/** Common names of the content types that Telnyx accepts (Telnyx's guide to documents). */
const typeNames = new Map([
  ['application/pdf', 'PDF'],
  ['image/png', 'PNG'],
  ['image/jpeg', 'JPEG'],
  ['text/csv', 'CSV'],
  ['application/csv', 'CSV'],
  ['text/plain', 'Text'],
  ['application/json', 'JSON'],
  ['application/msword', 'Word'],
  ['application/vnd.openxmlformats-officedocument.wordprocessingml.document', 'Word'],
  ['application/vnd.ms-excel', 'Excel'],
  ['application/vnd.openxmlformats-officedocument.spreadsheetml.sheet', 'Excel'],
]);

function typeName(contentType: string): string {
  return typeNames.get(contentType) ?? contentType;
}

const second = 1_000;

/** Two significant digits: `4.2 s`, `12 min`, `3.5 h`, `21 d`. */
function duration(ms: number): string {
  const units: [number, string][] = [
    [24 * 3_600 * second, 'd'],
    [3_600 * second, 'h'],
    [60 * second, 'min'],
    [second, 's'],
  ];
  const [size, unit] = units.find(([unitMs]) => ms >= unitMs) ?? [1, 'ms'];
  const value = ms / size;
  return `${value < 9.95 ? Number(value.toFixed(1)) : Math.round(value)} ${unit}`;
}

function formatDate(instant: number): string {
  return new Date(instant).toISOString().slice(0, 10);
}
