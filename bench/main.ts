/**
 * The benchmarks: `npm run bench`, the short set in under three minutes; `npm run bench -- --full`, the rest too.
 * What each figure means, and how it came out: docs/performance.md.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { Command } from 'commander';
import { auditing } from './audit/section.ts';
import { installedPeers } from './copy/contestants.ts';
import { copying } from './copy/section.ts';
import { discovering } from './discover/section.ts';
import { isMet, type Section } from './figures.ts';
import { bringUpToDate, type Report } from './markdown.ts';
import { remembering } from './memory/section.ts';
import { piping } from './pipeline/section.ts';
import { plot } from './plot.ts';
import { printFindings } from './print.ts';
import { requesting } from './requests/section.ts';
import { starting } from './start-up/section.ts';
import { receiving } from './webhook/section.ts';

const sections: readonly Section[] = [
  copying,
  requesting,
  remembering,
  starting,
  receiving,
  piping,
  discovering,
  auditing,
];

const program = new Command('bench')
  .description('Measures the archiver beside its peers, all on this machine.')
  .option('--full', 'everything, more rounds and all peers', false)
  .option(
    '--only <names>',
    `some sections, with commas between: ${sections.map(({ name }) => name).join(', ')}`,
  )
  .option('--json <file>', 'write the figures to a file, too')
  .option('--markdown <file>', 'bring the tables of a page up to date, as of docs/performance.md')
  .option('--svg <file>', 'draw the CPU time of one copy by the archiver and its peers, if it was measured')
  .parse();
const { full, only, json, markdown, svg } = program.opts<{
  full: boolean;
  only?: string;
  json?: string;
  markdown?: string;
  svg?: string;
}>();
const wanted = only?.split(',');
const unknown = wanted?.filter((name) => !sections.some((section) => section.name === name)) ?? [];
if (unknown.length > 0) program.error(`There is no section ${unknown.join(', ')}.`, { exitCode: 2 });
const chosen = sections.filter(({ name, short }) => wanted?.includes(name) ?? (full || short));

const peers = installedPeers();
const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}`;
console.log(`Node ${process.version} on ${machine}`);
console.log(
  `Peers: ${Object.entries(peers.versions)
    .map((peer) => peer.join(' '))
    .join(', ')}${peers.missing.length > 0 ? `; not installed: ${peers.missing.join(', ')}` : ''}`,
);

const results: Report['sections'] = {};
for (const { name, title, run } of chosen) {
  console.log(`\n${title}`);
  const began = performance.now();
  const findings = await run({ full, say: (what) => console.error(`  ${what} …`) });
  const seconds = Math.round((performance.now() - began) / 1_000);
  results[name] = { ...findings, seconds };
  printFindings(findings);
  console.log(`  (${seconds} s)`);
}

const judged = Object.values(results).flatMap(({ figures }) => figures.map(isMet));
const missed = judged.filter((met) => met === false).length;
console.log(`\n${judged.filter((met) => met).length} targets met, ${missed} missed.`);
const report: Report = {
  measuredAt: new Date().toISOString(),
  node: process.version,
  machine,
  full,
  peers: peers.versions,
  sections: results,
};
if (json !== undefined) await writeFile(json, `${JSON.stringify(report, undefined, 2)}\n`);
if (markdown !== undefined) {
  await writeFile(markdown, bringUpToDate(await readFile(markdown, 'utf8'), report));
}
if (svg !== undefined) {
  const tables = results[copying.name]?.tables ?? [];
  const title = 'CPU time of one copy, as multiples of the limit (raw)';
  await writeFile(svg, plot(title, '× raw', tables, ['copy', 'archive']));
}
