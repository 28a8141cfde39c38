/**
 * A soak: documents, faults at every turn, the process killed and started again, connections dropped across pauses. At
 * its end each document is in the archive with the right bytes and a true receipt, but for those at fault themselves,
 * which are dead letters with their code.
 */
import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ErrorCode, retryPolicies } from '../../functions/errors.ts';
import type { Random } from '../../functions/time.ts';
import { type Job, type ProcessEnd, type Progress, waitingSockets } from './job.ts';
import { makeCertificates } from './tls-front.ts';
import { dooms as codeOfDoom, type Doom, doomOf, isLarge, traitOf } from './traits.ts';

export interface SoakOptions {
  documents: number;
  /** How often the process is killed, at random. */
  kills: number;
  random: Random;
  /** Told how far it is and where to look, for a person. */
  say: (text: string) => void;
}

export interface SoakEnd {
  /** All that Telnyx had at the end: beside those asked for, the documents that come after the faults. */
  documents: number;
  archived: number;
  deadLetters: Record<string, number>;
  /** What is not as it should be; none where all is well. */
  violations: string[];
  /** How often, by kind. */
  faults: Record<string, number>;
  /** Of the last process. */
  longestReceiveMs: number;
  /** Of the last process, before its work and after it. */
  heapMb: { before: number; after: number };
  sockets: number;
}

const spreadMs = 30 * 24 * 3_600_000;
const heapMbMore = 40;
const heapMbPerDocument = 0.002;
const archiver = fileURLToPath(new URL('../../cli/archiver.ts', import.meta.url));
const program = fileURLToPath(new URL('./stack.ts', import.meta.url));
/** Within which a process that is told to stop must have ended by itself. */
const endWithinMs = 30_000;

export async function soak({ documents, kills, random, say }: SoakOptions): Promise<SoakEnd> {
  const folder = await mkdtemp(join(tmpdir(), 'soak-'));
  let isSound = false;
  try {
    const certificates = makeCertificates(folder);
    if (!certificates) say('no openssl here: the downloads go without TLS');
    const job: Job = {
      archive: join(folder, 'archive'),
      documents: join(folder, 'documents'),
      log: join(folder, 'log.jsonl'),
      ...(await writeDocuments(join(folder, 'documents'), documents, random)),
      certificates,
    };
    await mkdir(job.archive);
    const faults = new Map<string, number>();
    const env = {
      ...process.env,
      ...(certificates && { NODE_EXTRA_CA_CERTS: certificates.trusted.certificate }),
    };
    let killed = 0;
    for (;;) {
      const child = fork(program, [JSON.stringify(job)], { execArgv: ['--expose-gc'], env });
      // Each process gets somewhat further than the one before.
      const killAfter =
        killed < kills ? 1 + Math.floor((random() * documents) / kills) : Number.POSITIVE_INFINITY;
      const last = await untilDoneOr(child, killAfter);
      for (const [kind, times] of last.faults) faults.set(kind, (faults.get(kind) ?? 0) + times);
      if (last.end) {
        const found = await examine(job, last.end);
        const violations = [...last.end.violations, ...found.violations, ...leaksOf(last.end)];
        violations.push(...(await stop(child)));
        isSound = violations.length === 0;
        return {
          ...last.end,
          ...found,
          documents: last.end.documents.length,
          violations,
          faults: Object.fromEntries(faults),
        };
      }
      killed += 1;
      say(`killed for the ${killed}. time after ${last.archived} documents`);
    }
  } finally {
    if (isSound) await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    else say(`what the functions have logged, and the archive, are kept in ${folder}`);
  }
}

/** Shorter ones could come whole, however slowly. */
const leastBytesOfTrait = 1_000;

async function writeDocuments(
  folder: string,
  count: number,
  random: Random,
): Promise<Pick<Job, 'doomed' | 'traits'>> {
  const written: Pick<Job, 'doomed' | 'traits'> = { doomed: [], traits: [] };
  const began = Date.now();
  await mkdir(folder, { recursive: true });
  for (let number = 0; number < count; number += 1) {
    const name = `document ${number}.pdf`;
    const trait = traitOf(number);
    const least = trait ? leastBytesOfTrait : 0;
    const bytes = Buffer.alloc(
      least + Math.floor(random() * (isLarge(number) ? 900_000 : 8_000)),
      `${number} `,
    );
    await writeFile(join(folder, name), bytes);
    // As many at once as no account has would be another test: they come in over a month.
    const createdAt = began - (number / count) * spreadMs;
    await utimes(join(folder, name), createdAt / 1_000, createdAt / 1_000);
    const doom = doomOf(number);
    if (doom) written.doomed.push([name, doom]);
    if (trait) written.traits.push([name, trait]);
  }
  return written;
}

/** Resolves with the last that the process told: its end, or what came before it was killed. */
async function untilDoneOr(child: ChildProcess, killAfter: number): Promise<Progress> {
  return await new Promise((resolve, reject) => {
    let last: Progress | undefined;
    child.on('message', (progress: Progress) => {
      last = progress;
      if (progress.end) resolve(progress);
      else if (progress.archived >= killAfter) child.kill('SIGKILL');
    });
    child.once('exit', (code, signal) => {
      if (signal === 'SIGKILL' && last) resolve({ ...last, end: undefined });
      else reject(new Error(`The stack ended with ${code ?? signal}.`));
    });
  });
}

async function stop(child: ChildProcess): Promise<string[]> {
  const exit = once(child, 'exit');
  const timer = setTimeout(() => child.kill('SIGKILL'), endWithinMs);
  child.send('stop');
  const [code, signal] = await exit;
  clearTimeout(timer);
  return code === 0 ? [] : [`the process did not end by itself (${signal ?? code}): something is left open`];
}

/** What the process holds on to beyond its work: of memory, some bytes for each document that Telnyx knows. */
function leaksOf({ heapMb, sockets, documents }: ProcessEnd): string[] {
  const grown = heapMb.after - heapMb.before;
  return [
    ...(grown > heapMbMore + documents.length * heapMbPerDocument
      ? [`the heap has grown by ${grown.toFixed(0)} MB`]
      : []),
    ...(sockets > waitingSockets ? [`${sockets} sockets are open with nothing to do`] : []),
  ];
}

interface AuditLine {
  type: string;
  code?: string;
  key?: string;
  detail?: string;
  documentId?: string;
  archived?: number;
}

/** With the operator's own tools, while the stack is up: all bytes are read back. */
async function examine(
  job: Job,
  { documents }: ProcessEnd,
): Promise<Pick<SoakEnd, 'archived' | 'deadLetters' | 'violations'>> {
  const audit = await linesOf('audit', '--read-data', '--grace', '0', '--local', job.archive, '--json');
  const letters = await linesOf('redrive', '--dry-run', '--local', job.archive, '--json');
  const deadLetters: Record<string, number> = {};
  const dead = new Map<string, string>();
  const violations: string[] = [];
  for (const { type, documentId, code } of letters) {
    if (type !== 'letter') continue;
    if (documentId === undefined) violations.push(`the discovery is a dead letter: ${code}`);
    else dead.set(documentId, code ?? 'no code');
  }
  for (const code of dead.values()) deadLetters[code] = (deadLetters[code] ?? 0) + 1;

  const findings = audit.filter(({ type }) => type === 'finding');
  for (const { code, key, detail } of findings) {
    const id = key?.replace('documents/', '') ?? '';
    const isExplained = code === 'missing' && dead.has(id);
    if (!isExplained) violations.push(`${code} ${key}: ${detail}`);
  }
  const dooms = new Map(job.doomed);
  const traits = new Map(job.traits);
  for (const [id, fileName] of documents) {
    const doom = dooms.get(fileName);
    const code = dead.get(id);
    if (!isExpectedEnd(code, doom))
      violations.push(`${id} (${doom ?? traits.get(fileName) ?? 'ordinary'}) has ended as ${code}`);
  }
  const archived = audit.find(({ type }) => type === 'summary')?.archived ?? -1;
  if (archived !== documents.length - dead.size) {
    violations.push(`${archived} of ${documents.length} archived, with ${dead.size} dead letters`);
  }
  return { archived, deadLetters, violations };
}

async function linesOf(...words: string[]): Promise<AuditLine[]> {
  const output = await new Promise<string>((resolve, reject) => {
    const child = execFile(
      process.execPath,
      [archiver, ...words],
      { maxBuffer: 1024 ** 3 },
      (error, stdout, stderr) => {
        if (child.exitCode === 0 || child.exitCode === 1) resolve(stdout);
        else
          reject(new Error(`archiver ${words[0]} ended with ${child.exitCode}: ${stderr}`, { cause: error }));
      },
    );
  });
  return output
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

/** A document at fault perhaps only for now ends with the code of its last attempt, which another such fault may give. */
function isExpectedEnd(code: string | undefined, doom: Doom | undefined): boolean {
  const expected = doom && codeOfDoom[doom];
  const isPassing = (name: string | undefined) => retryPolicies[name as ErrorCode] === 'retry';
  return code === expected || (isPassing(expected) && isPassing(code));
}
