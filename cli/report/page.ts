/** The report: one page that holds all it needs and asks the network for nothing, as its policy makes sure. */

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import {
  type Code,
  codes,
  countOf,
  defectsIn,
  kinds,
  type Tally,
  uncheckedIn,
} from '../../functions/audit/findings.ts';
import { formatBytes } from '../../terminal/bytes.ts';
import { formatNumber } from '../../terminal/counts.ts';
import { bars, growthChart } from './charts.ts';
import type { Histogram } from './histograms.ts';
import { html, inlineJson, Markup } from './markup.ts';
import { type DocumentRow, latencyEdges, mostRows, type Statistics, sizeEdges } from './statistics.ts';
import { type Scope, wellWords } from './summary.ts';

export interface DeadLetters {
  code: string;
  count: number;
}

export interface PageOptions {
  tally: Tally;
  scope: Scope;
  statistics: Statistics;
  /** Undefined where the queues cannot be reached. */
  deadLetters: readonly DeadLetters[] | undefined;
  /** Milliseconds since the Unix epoch. */
  now: number;
  version: string;
}

export async function reportPage(options: PageOptions): Promise<string> {
  const { tally, scope, statistics, deadLetters, now, version } = options;
  const [style, script] = await Promise.all(['page.css', 'page.js'].map(asset));
  const policy = [
    "default-src 'none'",
    `style-src '${integrity(style ?? '')}'`,
    `script-src '${integrity(script ?? '')}'`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  const rows = statistics.rows();
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>${`${headline(tally, scope)} · ${scope.archive} · ${day(now)}`}</title>
<style>${new Markup(style ?? '')}</style>
</head>
<body>
<header class="${state(tally)}">
  <p class="kicker">Telnyx document archive · audit of ${stamp(now)}</p>
  <h1><span class="sign" aria-hidden="true">${sign(tally)}</span>${headline(tally, scope)}</h1>
  <p class="archive">${scope.archive}</p>
</header>
<main>
${tiles(tally, scope, statistics)}
${findingsSection(tally, statistics)}
<section class="wide" aria-labelledby="growth"><h2 id="growth">Growth</h2>
<p class="lead">${growthLead(statistics, now)}</p>
${growthChart(statistics.growth.buckets(), now)}</section>
<div class="charts">
${latencySection(statistics)}
<section aria-labelledby="sizes"><h2 id="sizes">Sizes</h2>
<p class="lead">${formatBytes(tally.bytes)} in all, ${formatBytes(tally.bytes / Math.max(1, tally.archived))} on average.</p>
${bars('Documents by size', histogramBars(statistics.sizes, sizeEdges, roundSize), 'Size')}</section>
<section aria-labelledby="types"><h2 id="types">Kinds</h2>
<p class="lead">Content types, as Telnyx states them.</p>
${bars('Documents by content type', named(statistics.types.top(7, 'other'), kindOf), 'Content type')}</section>
<section aria-labelledby="found-by"><h2 id="found-by">Found by</h2>
<p class="lead">What had each document archived.</p>
${bars('Documents by trigger', named(statistics.triggers.top(7, 'other')), 'Trigger')}
${deadLetterSection(deadLetters)}</section>
</div>
${tableSection(tally, rows, statistics)}
</main>
<footer>
<h2>How this was checked</h2>
<dl class="facts">${checked(tally, scope).map(([term, said]) => html`<div><dt>${term}</dt><dd>${said}</dd></div>`)}</dl>
<p>Written by telnyx-document-archiver ${version}. This page holds file names and document ids; it asks no network for anything.</p>
</footer>
<script type="application/json" id="rows">${inlineJson({ rows: rows.map(tableRow), marks: marksOfCodes() })}</script>
<script>${new Markup(script ?? '')}</script>
</body>
</html>
`;
  return page.text;
}

/** A file beside this one, with the line ends that its digest was made of. */
async function asset(name: string): Promise<string> {
  return (await readFile(new URL(name, import.meta.url), 'utf8')).replaceAll('\r\n', '\n');
}

/** As a Content Security Policy names an inline style or script (W3C CSP Level 3, section 2.3.1). */
function integrity(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

function state(tally: Tally): 'well' | 'amiss' | 'incomplete' {
  if (defectsIn(tally) > 0) return 'amiss';
  return uncheckedIn(tally) > 0 ? 'incomplete' : 'well';
}

function sign(tally: Tally): string {
  return { well: '✓', amiss: '✗', incomplete: '!' }[state(tally)];
}

function headline(tally: Tally, scope: Scope): string {
  const defects = defectsIn(tally);
  if (defects > 0) return defects === 1 ? 'One finding' : `${formatNumber(defects)} findings`;
  return uncheckedIn(tally) > 0 ? 'Could not be checked in full' : wellWords(scope);
}

function tiles(tally: Tally, { listedAtTelnyx }: Scope, { latency }: Statistics): Markup {
  const half = latency.at(0.5);
  const most = latency.at(0.95);
  const tile = (name: string, value: string, aside: string) =>
    html`<div><dt>${name}</dt><dd>${value}</dd><dd class="aside-note">${aside}</dd></div>`;
  const { kept, pending } = tally.counts;
  return html`<dl class="tiles">
${tile('Archived', formatNumber(tally.archived), formatBytes(tally.bytes))}
${tile('At Telnyx', listedAtTelnyx === undefined ? '–' : formatNumber(listedAtTelnyx), listedAtTelnyx === undefined ? 'not asked' : pending === 0 ? 'on its list today' : `${formatNumber(pending)} on the way`)}
${tile('Kept', formatNumber(kept), 'no longer at Telnyx')}
${tile('Upload to archive', half === undefined ? '–' : duration(half), most === undefined ? 'no live documents yet' : `95 % within ${duration(most)}`)}
${tile('Read back', formatNumber(tally.objectsRead), tally.objectsRead === 0 ? 'by S3’s SHA-256 instead' : `${formatBytes(tally.bytesRead)} hashed again`)}
</dl>`;
}

function findingsSection(tally: Tally, statistics: Statistics): Markup {
  const present = codes.filter((code) => kinds[code].weight !== 'fine' && tally.counts[code] > 0);
  if (present.length === 0) return html`<p class="aside">There are no findings.</p>`;
  const others = statistics.otherFindings;
  return html`<section class="wide" aria-labelledby="findings"><h2 id="findings">Findings</h2>
<ul class="findings">${present.map(
    (
      code,
    ) => html`<li class="${kinds[code].weight}"><p class="what"><b>${countOf(tally.counts[code], code)}</b> ${kinds[code].means} <code>${code}</code></p>
<p class="advice">${withCode(kinds[code].advice)}</p></li>`,
  )}</ul>
${
  others.length === 0
    ? undefined
    : html`<details${others.length <= 12 ? html` open` : undefined}><summary>${formatNumber(others.length)} that ${others.length === 1 ? 'is' : 'are'} about no document</summary>
<div class="scroll"><table class="rows"><thead><tr><th scope="col">Finding</th><th scope="col">Key</th><th scope="col">Why</th></tr></thead>
<tbody>${others.map(
        ({ code, key, detail }) =>
          html`<tr><td><code>${code}</code></td><td class="key">${key}</td><td>${detail}</td></tr>`,
      )}</tbody></table></div></details>`
}
${
  statistics.unlisted > 0
    ? html`<p class="lead">${formatNumber(statistics.unlisted)} more findings are on no list of this page: the command’s own lines have all of them.</p>`
    : undefined
}</section>`;
}

/** What stands between backticks is a command, or part of one. */
function withCode(text: string): Markup[] {
  return text
    .split('`')
    .map((part, position) => (position % 2 === 1 ? html`<code>${part}</code>` : html`${part}`));
}

function latencySection({ latencies, latency }: Statistics): Markup {
  const late = latencies.counts.slice(-2).reduce((sum, count) => sum + count, 0);
  const lead =
    latencies.total === 0
      ? 'No document has come in live yet.'
      : `Documents that came in live. ${late === 0 ? 'All' : `All but ${formatNumber(late)}`} were archived within the 30 minutes that Telnyx keeps an unlinked one.`;
  const quantiles = [0.5, 0.95, 0.99].flatMap((part) => {
    const value = latency.at(part);
    return value === undefined ? [] : `${part * 100} % within ${duration(value)}`;
  });
  const rows = histogramBars(latencies, latencyEdges, duration).map((row, position) => ({
    ...row,
    isAmiss: position >= latencyEdges.length - 1,
  }));
  return html`<section aria-labelledby="latency"><h2 id="latency">Upload to archive</h2>
<p class="lead">${lead}</p>
${latencies.total === 0 ? undefined : bars('Documents by the time from upload to archive', rows, 'Time')}
<p class="note">${quantiles.join(' · ')}</p></section>`;
}

function deadLetterSection(deadLetters: readonly DeadLetters[] | undefined): Markup {
  const head = html`<h2 class="second" id="failures">Failures</h2>`;
  if (deadLetters === undefined)
    return html`${head}<p class="lead">The queues could not be reached: dead letters are not shown.</p>`;
  if (deadLetters.length === 0) return html`${head}<p class="lead">There are no dead letters.</p>`;
  return html`${head}<p class="lead">Documents and messages that failed, by error code; the runbook has an article on each.</p>
${bars(
  'Failures by code',
  deadLetters.map(({ code, count }) => ({ label: code, count, isAmiss: true })),
  'Code',
)}`;
}

function tableSection(tally: Tally, rows: readonly DocumentRow[], statistics: Statistics): Markup {
  const isCut = tally.archived > mostRows || statistics.unlisted > 0;
  const lead = isCut
    ? `The ${formatNumber(mostRows)} newest of ${formatNumber(tally.archived)} documents, and those with findings. The charts above are of all.`
    : `All ${formatNumber(rows.length)} documents.`;
  return html`<section class="wide" aria-labelledby="documents"><h2 id="documents">Documents</h2>
<p class="lead">${lead}</p>
<noscript><p class="lead">The table needs JavaScript; everything else on this page does not.</p></noscript>
<div class="tools" hidden>
  <label>Search <input type="search" id="search" placeholder="file name, id, digest, type, finding" autocomplete="off" spellcheck="false"></label>
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
    ['latency', 'After'],
    ['trigger', 'Found by'],
  ].map(
    ([column, label]) =>
      html`<th scope="col" class="column"><button type="button" class="sort" data-column="${column}">${label}</button></th>`,
  )}</tr></thead>
<tbody></tbody></table></div>
<nav class="pages" aria-label="Pages of the table" hidden>
  <button type="button" id="before">← Newer</button><span id="page"></span><button type="button" id="after">Older →</button>
</nav></section>`;
}

/** As `page.js` reads it: short, as there are thousands. */
function tableRow(row: DocumentRow): readonly unknown[] {
  const {
    id,
    codes: found,
    detail,
    fileName,
    contentType,
    bytes,
    createdAt,
    archivedAt,
    trigger,
    sha256,
  } = row;
  const kind = contentType && kindOf(contentType);
  return [id, found, detail, fileName, kind, bytes, createdAt, archivedAt, trigger, sha256].map(
    (value) => value ?? null,
  );
}

function marksOfCodes(): Record<Code, { mark: string; weight: string }> {
  return Object.fromEntries(
    codes.map((code) => [code, { mark: kinds[code].mark, weight: kinds[code].weight }]),
  ) as Record<Code, { mark: string; weight: string }>;
}

function checked(tally: Tally, scope: Scope): [string, string][] {
  const { newestManifest } = scope;
  return [
    [
      'Telnyx',
      scope.listedAtTelnyx === undefined
        ? 'was not asked: what is missing does not show'
        : `lists ${formatNumber(scope.listedAtTelnyx)} documents`,
    ],
    [
      'Bytes',
      `by the SHA-256 that S3 has verified, against receipt, manifest and Telnyx; ${formatNumber(tally.objectsRead)} objects were read back`,
    ],
    [
      'Manifests',
      newestManifest === undefined
        ? 'none'
        : `${formatNumber(scope.manifests)}; the newest, ${newestManifest.key}, has the SHA-256 ${newestManifest.sha256}`,
    ],
    ['Effort', `${duration(scope.seconds * second)}, ${formatNumber(tally.requests)} requests to S3`],
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

function named(counts: readonly { name: string; count: number }[], label = (name: string) => name) {
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
  return `Documents in the archive. ${formatNumber(documents)} came in within the last ${days} days (${formatBytes(bytes)}).`;
}

/** The content types that Telnyx takes, as people call them (Telnyx's guide to documents). */
const kindNames: Record<string, string> = {
  'application/pdf': 'PDF',
  'image/png': 'PNG',
  'image/jpeg': 'JPEG',
  'text/csv': 'CSV',
  'application/csv': 'CSV',
  'text/plain': 'Text',
  'application/json': 'JSON',
  'application/msword': 'Word',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': 'Word',
  'application/vnd.ms-excel': 'Excel',
  'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': 'Excel',
};

function kindOf(contentType: string): string {
  return kindNames[contentType] ?? contentType;
}

const second = 1_000;

/** Two figures are enough: `4.2 s`, `12 min`, `3.5 h`, `21 d`. */
function duration(ms: number): string {
  const units: [number, string][] = [
    [24 * 3_600 * second, 'd'],
    [3_600 * second, 'h'],
    [60 * second, 'min'],
    [second, 's'],
  ];
  const [size, unit] = units.find(([least]) => ms >= least) ?? [1, 'ms'];
  const value = ms / size;
  return `${value < 9.95 ? Number(value.toFixed(1)) : Math.round(value)} ${unit}`;
}

function stamp(instant: number): string {
  return `${new Date(instant).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

function day(instant: number): string {
  return new Date(instant).toISOString().slice(0, 10);
}
