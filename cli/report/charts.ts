/** The charts of the report. SVG without inline scripts or styles, which the page's Content Security Policy forbids. */

import { formatBytes } from '../../terminal/bytes.ts';
import { formatNumber } from '../../terminal/counts.ts';
import type { HistogramBucket } from './histograms.ts';
import { html, type Markup } from './markup.ts';

export interface Bar {
  label: string;
  count: number;
  /** Highlighted. */
  isProblem?: boolean;
}

/** A table with a bar in each row, so that its figures also reach paper and screen readers. */
export function bars(caption: string, rows: readonly Bar[], columnTitle: string): Markup {
  const max = Math.max(1, ...rows.map(({ count }) => count));
  const total = rows.reduce((sum, { count }) => sum + count, 0);
  return html`<table class="bars"><caption class="aside">${caption}</caption>
    <thead class="aside"><tr><th scope="col">${columnTitle}</th><th scope="col">Share</th><th scope="col">Documents</th></tr></thead>
    <tbody>${rows.map(
      ({ label, count, isProblem }) => html`<tr${isProblem ? html` class="problems"` : undefined}>
      <th scope="row">${label}</th>
      <td class="bar" title="${share(count, total)}"><svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="100" height="10"/><rect width="${((100 * count) / max).toFixed(2)}" height="10"/></svg></td>
      <td class="number">${formatNumber(count)}</td></tr>`,
    )}</tbody></table>`;
}

function share(count: number, total: number): string {
  return total === 0 ? '0 %' : `${((100 * count) / total).toFixed(1)} %`;
}

const width = 1_000;
const height = 260;
const maxPoints = 240;

/** The number of archived documents over time. @param until milliseconds since the Unix epoch */
export function growthChart(buckets: readonly HistogramBucket[], until: number): Markup {
  const [first] = buckets;
  if (!first) return html`<p class="nothing">No documents are archived yet.</p>`;
  const points = accumulate(buckets, until);
  const last = points.at(-1) ?? { at: until, documents: 0, bytes: 0 };
  const span = Math.max(1, last.at - first.from);
  const x = (at: number) => ((at - first.from) / span) * width;
  const y = (documents: number) => height - (documents / Math.max(1, last.documents)) * height;
  const line = thinOut(points).reduce(
    (path, { at, documents }) => `${path}H${x(at).toFixed(1)}V${y(documents).toFixed(1)}`,
    `M0 ${height}`,
  );
  const ends = [first.from, first.from + span / 2, last.at].map((at) => formatInstant(at, span));
  return html`<figure class="growth">
  <div class="plot"><span class="most">${formatNumber(last.documents)}</span><span class="middle">${formatNumber(Math.round(last.documents / 2))}</span>
  <svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img" aria-label="${`From ${ends[0]} to ${ends[2]} the archive grew to ${formatNumber(last.documents)} documents, ${formatBytes(last.bytes)}.`}">
    <path class="grid" d="M0 ${height / 2}H${width}M0 0H${width}M${width / 2} 0V${height}"/>
    <path class="area" d="${line}V${height}Z"/><path class="line" d="${line}"/>
  </svg></div>
  <figcaption>${ends.map((end) => html`<span>${end}</span>`)}</figcaption></figure>`;
}

interface Point {
  at: number;
  documents: number;
  bytes: number;
}

function accumulate(buckets: readonly HistogramBucket[], until: number): Point[] {
  let documents = 0;
  let bytes = 0;
  const points = buckets.map(({ from, count, bytes: size }): Point => {
    documents += count;
    bytes += size;
    return { at: from, documents, bytes };
  });
  const end = Math.max(until, points.at(-1)?.at ?? until);
  return [...points, { at: end, documents, bytes }];
}

/** Drops points, but never the last one. A curve of totals keeps its shape. */
function thinOut(points: readonly Point[]): readonly Point[] {
  const step = Math.ceil(points.length / maxPoints);
  return points.filter((_, position) => position % step === 0 || position === points.length - 1);
}

/** Date or time, as precise as the span requires. */
function formatInstant(at: number, spanMs: number): string {
  const iso = new Date(at).toISOString();
  const day = 24 * 3_600_000;
  if (spanMs < 10 * 60_000) return `${iso.slice(11, 19)} UTC`;
  return spanMs < 3 * day ? `${iso.slice(0, 10)} ${iso.slice(11, 16)}` : iso.slice(0, 10);
}
