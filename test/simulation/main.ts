/** `npm run simulate`: replays a seed, or many. */

import { createHash } from 'node:crypto';
import { Command, InvalidArgumentError } from 'commander';
import { functionsFolder, loadArchiver } from './archiver.ts';
import { climates, type FaultCounts, faultNames, faults } from './faults.ts';
import { type Outcome, simulate } from './world.ts';

interface Options {
  seed: number;
  documents: number;
  runs: number;
  climate: keyof typeof climates;
  events?: boolean;
}

const program = new Command('npm run simulate --')
  .description(
    'Runs the archiver in a simulated world, in which all goes wrong that can. The same seed, the same run.',
  )
  .option('--seed <number>', 'seed of the first run; each further run has the next', wholeNumber, 1)
  .option('--documents <number>', 'documents per run', wholeNumber, 250)
  .option('--runs <number>', 'how many runs', wholeNumber, 1)
  .option('--climate <climate>', `one of ${Object.keys(climates).join(', ')}`, climate, 'stormy')
  .option('--events', 'print the event log of the last run')
  .addHelpText(
    'after',
    '\nExit code: 0 all invariants hold · 1 one is broken · 2 it could not start · 130 stopped',
  );

program.exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
program.parse();
process.exitCode = await run(program.opts<Options>());

async function run({ seed, documents, runs, climate: name, events }: Options): Promise<number> {
  const stop = new AbortController();
  process.on('SIGINT', () => stop.abort());
  const archiver = await loadArchiver(functionsFolder);
  const digest = createHash('sha256');
  const counts: FaultCounts = new Map();
  const sums = { runs: 0, documents: 0, archived: 0, events: 0 };
  let last: Outcome | undefined;
  for (let number = seed; number < seed + runs && !stop.signal.aborted; number += 1) {
    last = await simulate({
      seed: number,
      documents,
      climate: climates[name],
      inTime: name !== 'stormy',
      archiver,
      signal: stop.signal,
    });
    digest.update(`${last.digest}\n`);
    for (const [fault, count] of last.counts) counts.set(fault, (counts.get(fault) ?? 0) + count);
    sums.runs += 1;
    sums.documents += last.documents;
    sums.archived += last.archived;
    sums.events += last.events;
    if (last.breach) {
      print(`Seed ${number}, ${documents} documents, ${name}:`);
      for (const line of last.story) print(`  ${line}`);
      break;
    }
  }
  if (events && last) for (const line of last.lines()) print(line);
  const struck = faultNames.map((fault) => [fault, counts.get(fault) ?? 0] as const);
  print('');
  for (const [fault, count] of struck) print(`${String(count).padStart(9)}  ${fault}: ${faults[fault].what}`);
  print('');
  print(
    `${sums.runs} runs from seed ${seed}, ${sums.documents} documents, ${sums.archived} archived, ${sums.events} events.`,
  );
  print(
    `${struck.filter(([, count]) => count > 0).length} of ${faultNames.length} kinds of fault have struck.`,
  );
  print(`SHA-256 of the event log: ${last && runs === 1 ? last.digest : digest.digest('hex')}`);
  if (last?.breach) return 1;
  return stop.signal.aborted ? 130 : 0;
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
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
