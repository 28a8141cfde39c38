/** `npm run simulate`: replays a seed, or many. */
import { Command, InvalidArgumentError } from 'commander';
import { functionsFolder, loadArchiver } from './archiver.ts';
import { type Report, storyOf, wage } from './campaign.ts';
import { climates, faultNames, faults } from './faults.ts';

interface Options {
  seed: number;
  documents: number;
  runs: number;
  climate: keyof typeof climates;
  events?: boolean;
}

const program = new Command('npm run simulate --')
  .description(
    'Runs the archiver in a simulated world, in which all goes wrong that can. The same seed is the same run.',
  )
  .option('--seed <number>', 'seed of the first run; each further run has the next', wholeNumber, 1)
  .option('--documents <number>', 'documents per run', wholeNumber, 250)
  .option('--runs <number>', 'how many runs', wholeNumber, 1)
  .option('--climate <climate>', `one of ${Object.keys(climates).join(', ')}`, climate, 'stormy')
  .option('--events', 'print the event log of the last run')
  .addHelpText(
    'after',
    '\nExit code: 0 all invariants hold · 1 one is broken · 2 it could not start · 130 stopped before the end',
  );

program.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2));
program.parse();
process.exitCode = await run(program.opts<Options>());

async function run({ climate: name, events, ...options }: Options): Promise<number> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  const began = performance.now();
  const report = await wage({
    ...options,
    climate: climates[name],
    inTime: name === 'fair' || name === 'still' || name === 'unreliable' || name === 'blackout',
    backfillsYears: name === 'unreliable' || name === 'blackout',
    archiver: await loadArchiver(functionsFolder),
    signal: stop.signal,
  });
  if (events && report.last) for (const line of report.last.lines()) print(line);
  if (report.last?.breach) print(storyOf(report));
  printSums(report, options.seed, (performance.now() - began) / 1_000);
  if (report.last?.breach) return 1;
  return stop.signal.aborted ? 130 : 0;
}

function printSums(
  { runs, documents, archived, events, counts, latencies, digest }: Report,
  seed: number,
  s: number,
) {
  const struck = faultNames.filter((name) => counts.has(name));
  print('');
  for (const name of struck) {
    print(`${String(counts.get(name)).padStart(9)}  ${name}: ${faults[name].what}`);
  }
  print(`${struck.length} of ${faultNames.length} kinds of fault have struck.`);
  print('');
  const minutes = (part: number) =>
    ((latencies[Math.floor(part * latencies.length)] ?? 0) / 60_000).toFixed(1);
  print(
    `Seeds ${seed} to ${seed + runs - 1}: ${documents} documents, ${archived} archived, ${events} events, ${s.toFixed(0)} s.`,
  );
  print(
    `From creation to receipt: half within ${minutes(0.5)} min, 99 % ${minutes(0.99)}, 99.9 % ${minutes(0.999)}.`,
  );
  print(`SHA-256 of the event log${runs === 1 ? '' : 's'}: ${digest}`);
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text) || Number(text) === 0) {
    throw new InvalidArgumentError('It must be a whole number from 1 to 999999999.');
  }
  return Number(text);
}

function climate(text: string): string {
  if (!Object.hasOwn(climates, text)) {
    throw new InvalidArgumentError(`It must be one of ${Object.keys(climates).join(', ')}.`);
  }
  return text;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
