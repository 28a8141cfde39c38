/**
 * Benchmarks. `npm run bench` runs the short set in under three minutes, `npm run bench -- --full` all of them. The results
 * and their meaning are in docs/performance.md.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { Command } from 'commander';
import { auditSection } from './audit/section.ts';
import { installedPeers } from './copy/contenders.ts';
import { copySection } from './copy/section.ts';
import { discoverSection } from './discover/section.ts';
import { isTargetMet, type Section } from './figures.ts';
import { type Report, updatePage } from './markdown.ts';
import { memorySection } from './memory/section.ts';
import { nightSection } from './night/section.ts';
import { pipelineSection } from './pipeline/section.ts';
import { plot } from './plot.ts';
import { printResults } from './print.ts';
import { requestsSection } from './requests/section.ts';
import { startUpSection } from './start-up/section.ts';
import { webhookSection } from './webhook/section.ts';

const sections: readonly Section[] = [
  copySection,
  requestsSection,
  memorySection,
  startUpSection,
  webhookSection,
  pipelineSection,
  discoverSection,
  auditSection,
  nightSection,
];

const program = new Command('npm run bench --')
  .description('Measure the archiver and compare it to other tools, all on this machine.')
  .option('--full', 'run all sections, with more rounds and all other tools')
  .option('--only <names>', `comma-separated sections: ${sections.map(({ name }) => name).join(', ')}`)
  .option('--json <file>', 'also write the results to this file')
  .option('--markdown <file>', 'update the tables in this page, such as docs/performance.md')
  .option('--svg <file>', 'draw the CPU times of section copy')
  .parse();
const {
  full = false,
  only,
  json,
  markdown,
  svg,
} = program.opts<{
  full?: boolean;
  only?: string;
  json?: string;
  markdown?: string;
  svg?: string;
}>();
const wanted = only?.split(',');
const unknown = wanted?.filter((name) => !sections.some((section) => section.name === name)) ?? [];
if (unknown.length > 0) program.error(`Unknown section: ${unknown.join(', ')}.`, { exitCode: 2 });
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
  const startedAt = performance.now();
  const result = await run({ full, report: (what) => console.error(`  ${what} …`) });
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  results[name] = { ...result, seconds };
  printResults(result);
  console.log(`  (${seconds} s)`);
}

const judged = Object.values(results).flatMap(({ figures }) => figures.map(isTargetMet));
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
  await writeFile(markdown, updatePage(await readFile(markdown, 'utf8'), report));
}
if (svg !== undefined) {
  const tables = results[copySection.name]?.tables ?? [];
  const title = 'CPU time of one copy, as multiples of the lower bound (raw)';
  await writeFile(svg, plot(title, '× raw', tables, ['copy', 'archive']));
}
