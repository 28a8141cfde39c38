/** What all reports share: one HTML page without network access, as its Content Security Policy enforces. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import {
  type Finding,
  findingCodes,
  findingKinds,
  formatFindingCount,
  type Tally,
} from '../../functions/audit/findings.ts';
import { formatCount } from '../../terminal/counts.ts';
import type { AuditAdvice } from './advice.ts';
import { type HtmlValue, html, inlineJson, Markup } from './markup.ts';
import type { AuditVerdict } from './summary.ts';

export interface PageFrame {
  title: string;
  verdict: AuditVerdict;
  /** Line above the verdict. */
  kicker: string;
  /** The archiver or the folder. */
  archive: string;
  main: HtmlValue;
  /** Heading of the facts at the end. */
  factsHeading: string;
  /** Terms, and what each is. */
  facts: readonly (readonly [string, string])[];
  /** What is confidential on the page; follows `This page contains`. */
  contains: string;
  /** Version of the archiver. */
  version: string;
  /** For the table of documents, which a script draws. @default no script */
  rows?: unknown;
}

export async function framedPage(frame: PageFrame): Promise<string> {
  const { title, verdict, kicker, archive, main, factsHeading, facts, contains, version, rows } = frame;
  const style = await asset('page.css');
  const script = rows === undefined ? undefined : await asset('page.js');
  const policy = [
    "default-src 'none'",
    `style-src '${integrity(style)}'`,
    `script-src ${script === undefined ? "'none'" : `'${integrity(script)}'`}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
<style>${new Markup(style)}</style>
</head>
<body>
<header class="${verdict.state}">
  <p class="kicker">${kicker}</p>
  <h1><span class="sign" aria-hidden="true">${signs[verdict.state]}</span>${verdict.text}</h1>
  <p class="archive">${archive}</p>
</header>
<main>
${main}
</main>
<footer>
<h2>${factsHeading}</h2>
<dl class="facts">${facts.map(([term, text]) => html`<div><dt>${term}</dt><dd>${text}</dd></div>`)}</dl>
<p>Written by telnyx-document-archiver ${version}. This page contains ${contains}. It works offline.</p>
</footer>
${
  script === undefined
    ? undefined
    : html`<script type="application/json" id="rows">${inlineJson(rows)}</script>
<script>${new Markup(script)}</script>
`
}</body>
</html>
`;
  return page.text;
}

/** Reads a file of this folder. Browsers normalize line ends before they compute the digest, so this does too. */
async function asset(name: string): Promise<string> {
  return (await readFile(new URL(name, import.meta.url), 'utf8')).replaceAll('\r\n', '\n');
}

/** The hash that allows an inline style or script in a Content Security Policy (W3C CSP Level 3, section 2.3.1). */
function integrity(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

const signs: Record<AuditVerdict['state'], string> = { ok: '✓', problems: '✗', incomplete: '!' };

/** A number with its name and a note. */
export function tile(name: string, value: string, note: string): Markup {
  return html`<div><dt>${name}</dt><dd>${value}</dd><dd class="tile-note">${note}</dd></div>`;
}

/** The kinds of problems with what to do about each, then details. Undefined without problems. */
export function problemsSection(
  { counts }: Pick<Tally, 'counts'>,
  advice: AuditAdvice,
  details: HtmlValue,
): Markup | undefined {
  const present = findingCodes.filter((code) => findingKinds[code].weight !== 'fine' && counts[code] > 0);
  if (present.length === 0) return undefined;
  return html`<section class="wide" aria-labelledby="findings"><h2 id="findings">Problems</h2>
<ul class="findings">${present.map(
    (
      code,
    ) => html`<li class="${findingKinds[code].weight}"><p class="what"><b>${formatFindingCount(counts[code], code)}</b> ${findingKinds[code].meaning} <code>${code}</code></p>
${advice
  .of(code)
  .map(
    ({ text, commands }) =>
      html`<p class="advice">${withCode(text)}</p>${commands?.map((command) => html`<pre class="commands">${command}</pre>`)}`,
  )}</li>`,
  )}</ul>
${details}</section>`;
}

/** Formats the text between backticks as code. */
function withCode(text: string): Markup[] {
  return text
    .split('`')
    .map((part, position) => (position % 2 === 1 ? html`<code>${part}</code>` : html`${part}`));
}

/** Says how many findings the page leaves out. */
export function unlistedNote(unlisted: number): Markup | undefined {
  return unlisted > 0
    ? html`<p class="lead">${formatCount(unlisted, 'finding')} not listed on this page. The output of the command has all of them.</p>`
    : undefined;
}

/** @param caption for screen readers @param rows each a `<tr>` */
export function rowsTable(caption: string, heads: readonly string[], rows: readonly Markup[]): Markup {
  return html`<div class="scroll"><table class="rows"><caption class="aside">${caption}</caption><thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
<tbody>${rows}</tbody></table></div>`;
}

/** @param name of the document, if the page does not list documents elsewhere */
export function findingsTable(findings: readonly Finding[], name?: (finding: Finding) => string): Markup {
  return rowsTable(
    'Findings',
    ['Finding', 'Key', ...(name ? ['Document'] : []), 'Reason'],
    findings.map(
      (finding) =>
        html`<tr><td><code>${finding.code}</code></td><td class="key">${finding.key}</td>${name && html`<td>${name(finding)}</td>`}<td>${finding.detail}</td></tr>`,
    ),
  );
}

/** @param instant milliseconds since the Unix epoch */
export function formatTime(instant: number): string {
  return `${new Date(instant).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
