/** `npm run simulate`: runs one or more seeds. */
import { Command, InvalidArgumentError } from 'commander';
import { functionsFolder, loadArchiver } from './archiver.ts';
import { faultNames, faultProfiles, faults } from './faults.ts';
import { describeViolation, type RunReport, runMany } from './run-many.ts';

interface Options {
  seed: number;
  documents: number;
  runs: number;
  faults: keyof typeof faultProfiles;
  events?: boolean;
}

const program = new Command('npm run simulate --')
  .description('Run the archiver in a simulation with injected faults. The same seed repeats the same run.')
  .option('--seed <number>', 'seed of the first run; each further run uses the next seed', wholeNumber, 1)
  .option('--documents <number>', 'documents per run', wholeNumber, 250)
  .option('--runs <number>', 'number of runs', wholeNumber, 1)
  .option('--faults <profile>', `fault profile: ${Object.keys(faultProfiles).join(', ')}`, profile, 'severe')
  .option('--events', 'print the event log of the last run')
  .addHelpText(
    'after',
    '\nExit code: 0 all invariants hold · 1 an invariant is violated · 2 invalid options · 130 interrupted',
  );

program.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2));
program.parse();
process.exitCode = await run(program.opts<Options>());

async function run({ faults: name, events, ...options }: Options): Promise<number> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  const began = performance.now();
  const report = await runMany({
    ...options,
    profile: faultProfiles[name],
    expectInTime: ['rare', 'none', 'unreliable', 'short-outage'].includes(name),
    withLargeBackfill: name === 'unreliable' || name === 'short-outage',
    archiver: await loadArchiver(functionsFolder),
    signal: stop.signal,
  });
  if (events && report.last) for (const line of report.last.lines()) print(line);
  if (report.last?.violation) print(describeViolation(report));
  printSummary(report, options.seed, (performance.now() - began) / 1_000);
  if (report.last?.violation) return 1;
  return stop.signal.aborted ? 130 : 0;
}

function printSummary(
  { runs, documents, archived, events, counts, latencies, digest }: RunReport,
  seed: number,
  s: number,
) {
  const occurred = faultNames.filter((name) => counts.has(name));
  print('');
  for (const name of occurred) {
    print(`${String(counts.get(name)).padStart(9)}  ${name}: ${faults[name].what}`);
  }
  print(`${occurred.length} of ${faultNames.length} kinds of fault occurred.`);
  print('');
  const minutes = (share: number) =>
    ((latencies[Math.floor(share * latencies.length)] ?? 0) / 60_000).toFixed(1);
  print(
    `Seeds ${seed} to ${seed + runs - 1}: ${documents} documents, ${archived} archived, ${events} events, ${s.toFixed(0)} s.`,
  );
  print(
    `From creation to receipt: median ${minutes(0.5)} min, 99 % ${minutes(0.99)}, 99.9 % ${minutes(0.999)}.`,
  );
  print(`SHA-256 of the event log${runs === 1 ? '' : 's'}: ${digest}`);
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text) || Number(text) === 0) {
    throw new InvalidArgumentError('Must be a whole number from 1 to 999999999.');
  }
  return Number(text);
}

function profile(text: string): string {
  if (!Object.hasOwn(faultProfiles, text)) {
    throw new InvalidArgumentError(`Must be one of ${Object.keys(faultProfiles).join(', ')}.`);
  }
  return text;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
