/** `npm run soak`. Exit code: 0 if no violation was found, else 1. */
import { Command, InvalidArgumentError } from 'commander';
import { soak } from './soak.ts';

const program = new Command('npm run soak --')
  .description('Run the local stack under faults, kill and restart it, and audit the archive.')
  .option('--documents <n>', 'number of documents', wholeNumber, 5_000)
  .option('--kills <n>', 'number of times the process is killed', wholeNumber, 5);
program.parse();

const { documents, kills } = program.opts<{ documents: number; kills: number }>();
const began = performance.now();
const end = await soak({
  documents,
  kills,
  random: Math.random,
  say: (text) => console.error(text),
});
const { archived, deadLetters, violations, faults, heapMb, sockets } = end;
const seconds = (performance.now() - began) / 1_000;
console.log(
  `${archived} of ${end.documents} archived, ${JSON.stringify(deadLetters)} dead letters, in ${seconds.toFixed(0)} s; the longest receive took ${(end.longestReceiveMs / 1_000).toFixed(1)} s`,
);
console.log(`Faults ${JSON.stringify(faults)}`);
console.log(
  `Last process: heap ${heapMb.before.toFixed(0)} MB before, ${heapMb.after.toFixed(0)} MB after; ${sockets} sockets open`,
);
for (const violation of violations) console.log(`VIOLATION ${violation}`);
process.exitCode = violations.length === 0 ? 0 : 1;

function wholeNumber(value: string): number {
  if (!/^\d{1,7}$/.test(value))
    throw new InvalidArgumentError('Must be a whole number of at most seven digits.');
  return Number(value);
}
