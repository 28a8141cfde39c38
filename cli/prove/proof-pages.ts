/** Formats the README of a proof: as a page without scripts, and as text. */
import { Help } from 'commander';
import { printable } from '../../terminal/escape.ts';
import { formatPairs } from '../../terminal/tables.ts';
import { framedPage } from '../report/frame.ts';
import { html, type Markup } from '../report/markup.ts';
import type { Block, Explanation, ProofSection } from './explanation.ts';

/** @param archive the archiver or the folder @param version of the archiver */
export async function proofPage(
  { verdict, isComplete, sections, origin }: Explanation,
  { archive, version }: { archive: string; version: string },
): Promise<string> {
  return await framedPage({
    title: verdict,
    kicker: 'Telnyx document archive · Proof of one document',
    verdict: { state: isComplete ? 'ok' : 'incomplete', text: verdict },
    archive,
    main: sections.map(sectionOf),
    factsHeading: 'This proof',
    facts: origin,
    contains: 'the file name, the reference and the history of the document',
    version,
  });
}

function sectionOf({ heading, blocks }: ProofSection): Markup {
  return html`<section class="wide"><h2>${heading}</h2>
${blocks.map(blockOf)}</section>
`;
}

function blockOf(block: Block): Markup {
  if ('text' in block) return html`<p>${block.text}</p>\n`;
  if ('commands' in block) {
    return html`${block.commands.map((command) => html`<pre class="commands">${command}</pre>\n`)}`;
  }
  if ('entries' in block) {
    return html`${block.entries.map(([name, text]) => html`<p><span class="key">${name}</span><br>${text}</p>\n`)}`;
  }
  return html`<dl class="facts">${block.pairs.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>\n`;
}

const columns = 100;

/** @param version of the archiver */
export function proofText(
  { verdict, sections, origin }: Explanation,
  { version }: { version: string },
): string {
  const lines = [
    ...wrap(`${verdict}.`),
    ...sections.flatMap(({ heading, blocks }) => ['', heading.toUpperCase(), ...blocks.flatMap(linesOf)]),
    '',
    'THIS PROOF',
    ...linesOf({ pairs: [...origin, ['Program', `telnyx-document-archiver ${version}`]] }),
  ];
  return `${lines.map(printable).join('\n')}\n`;
}

function linesOf(block: Block): string[] {
  if ('text' in block) return ['', ...wrap(block.text)];
  if ('commands' in block) return ['', ...block.commands.map((command) => `  ${command}`)];
  if ('entries' in block) {
    return block.entries.flatMap(([name, text]) => [
      '',
      printable(name),
      ...wrap(text).map((line) => `  ${line}`),
    ]);
  }
  return ['', ...formatPairs(block.pairs).map((line) => `  ${line}`)];
}

/** Wraps a text. Line breaks in names are escaped. */
function wrap(text: string): string[] {
  return new Help().boxWrap(printable(text), columns - 2).split('\n');
}
