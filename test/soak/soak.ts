/**
 * A soak: the local stack archives documents under faults and dropped connections, and is killed and restarted. At the end
 * each document must be archived with the correct bytes and receipt, except for documents with a permanent fault, which
 * must be dead letters with its code.
 */
import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ErrorCode, retryPolicies } from '../../functions/errors.ts';
import type { Random } from '../../functions/time.ts';
import { type Job, maxIdleSockets, type ProcessEnd, type Progress } from './job.ts';
import { makeCertificates } from './tls-proxy.ts';
import { isLarge, type PermanentFault, permanentFaultOf, permanentFaults, traitOf } from './traits.ts';

export interface SoakOptions {
  documents: number;
  /** Number of times the process is killed, at random moments. */
  kills: number;
  random: Random;
  /** Prints progress for a person. */
  say: (text: string) => void;
}

export interface SoakEnd {
  /** Number of documents at Telnyx at the end, including those that are added after the faults. */
  documents: number;
  archived: number;
  deadLetters: Record<string, number>;
  violations: string[];
  /** Number of faults by kind. */
  faults: Record<string, number>;
  /** Of the last process. */
  longestReceiveMs: number;
  /** Of the last process, before and after its work. */
  heapMb: { before: number; after: number };
  sockets: number;
}

const spreadMs = 30 * 24 * 3_600_000;
const heapMbMore = 40;
const heapMbPerDocument = 0.002;
const archiver = fileURLToPath(new URL('../../cli/archiver.ts', import.meta.url));
const program = fileURLToPath(new URL('./stack.ts', import.meta.url));
/** A process must exit by itself within this time after the message to stop. */
const exitWithinMs = 30_000;

export async function soak({ documents, kills, random, say }: SoakOptions): Promise<SoakEnd> {
  const folder = await mkdtemp(join(tmpdir(), 'soak-'));
  let succeeded = false;
  try {
    const certificates = makeCertificates(folder);
    if (!certificates) say('openssl is not available: downloads do not use TLS');
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
      // Each process may archive up to `documents / kills` documents before it is killed.
      const killAfter =
        killed < kills ? 1 + Math.floor((random() * documents) / kills) : Number.POSITIVE_INFINITY;
      const last = await waitForEnd(child, killAfter);
      for (const [kind, times] of last.faults) faults.set(kind, (faults.get(kind) ?? 0) + times);
      if (last.end) {
        const found = await auditArchive(job, last.end);
        const violations = [...last.end.violations, ...found.violations, ...leaksOf(last.end)];
        violations.push(...(await stop(child)));
        succeeded = violations.length === 0;
        return {
          ...last.end,
          ...found,
          documents: last.end.documents.length,
          violations,
          faults: Object.fromEntries(faults),
        };
      }
      killed += 1;
      say(`kill ${killed} of ${kills} after ${last.archived} documents`);
    }
  } finally {
    if (succeeded) await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    else say(`the log and the archive are kept in ${folder}`);
  }
}

/** Shorter documents could arrive whole even at the slowest rate. */
const minTraitBytes = 1_000;

async function writeDocuments(
  folder: string,
  count: number,
  random: Random,
): Promise<Pick<Job, 'unarchivable' | 'traits'>> {
  const written: Pick<Job, 'unarchivable' | 'traits'> = { unarchivable: [], traits: [] };
  const began = Date.now();
  await mkdir(folder, { recursive: true });
  for (let number = 0; number < count; number += 1) {
    const name = `document ${number}.pdf`;
    const trait = traitOf(number);
    const least = trait ? minTraitBytes : 0;
    const bytes = Buffer.alloc(
      least + Math.floor(random() * (isLarge(number) ? 900_000 : 8_000)),
      `${number} `,
    );
    await writeFile(join(folder, name), bytes);
    // Spread over a month, as in an ordinary account.
    const createdAt = began - (number / count) * spreadMs;
    await utimes(join(folder, name), createdAt / 1_000, createdAt / 1_000);
    const fault = permanentFaultOf(number);
    if (fault) written.unarchivable.push([name, fault]);
    if (trait) written.traits.push([name, trait]);
  }
  return written;
}

/** Resolves with the last progress of the process: at its end or before it was killed. */
async function waitForEnd(child: ChildProcess, killAfter: number): Promise<Progress> {
  return await new Promise((resolve, reject) => {
    let last: Progress | undefined;
    child.on('message', (progress: Progress) => {
      last = progress;
      if (progress.end) resolve(progress);
      else if (progress.archived >= killAfter) child.kill('SIGKILL');
    });
    child.once('exit', (code, signal) => {
      if (signal === 'SIGKILL' && last) resolve({ ...last, end: undefined });
      else reject(new Error(`The process exited with ${code ?? signal}.`));
    });
  });
}

async function stop(child: ChildProcess): Promise<string[]> {
  const exit = once(child, 'exit');
  const timer = setTimeout(() => child.kill('SIGKILL'), exitWithinMs);
  child.send('stop');
  const [code, signal] = await exit;
  clearTimeout(timer);
  return code === 0
    ? []
    : [`the process did not exit by itself (${signal ?? code}): a socket or timer is open`];
}

/** Memory and sockets that an idle process still holds. Some bytes per document are expected. */
function leaksOf({ heapMb, sockets, documents }: ProcessEnd): string[] {
  const grown = heapMb.after - heapMb.before;
  return [
    ...(grown > heapMbMore + documents.length * heapMbPerDocument
      ? [`the heap has grown by ${grown.toFixed(0)} MB`]
      : []),
    ...(sockets > maxIdleSockets ? [`${sockets} sockets are open in an idle process`] : []),
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

/** Runs the command-line tools while the stack is up: reads all bytes back and compares the dead letters. */
async function auditArchive(
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
    if (documentId === undefined) violations.push(`a discovery message is a dead letter: ${code}`);
    else dead.set(documentId, code ?? 'no code');
  }
  for (const code of dead.values()) deadLetters[code] = (deadLetters[code] ?? 0) + 1;

  const findings = audit.filter(({ type }) => type === 'finding');
  for (const { code, key, detail } of findings) {
    const id = key?.replace('documents/', '') ?? '';
    const isExplained = code === 'missing' && dead.has(id);
    if (!isExplained) violations.push(`${code} ${key}: ${detail}`);
  }
  const faultOfFile = new Map(job.unarchivable);
  const traits = new Map(job.traits);
  for (const [id, fileName] of documents) {
    const fault = faultOfFile.get(fileName);
    const code = dead.get(id);
    if (!isExpectedEnd(code, fault))
      violations.push(
        `${id} (${fault ?? traits.get(fileName) ?? 'ordinary'}) ended with ${code ?? 'no dead letter'}`,
      );
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
          reject(
            new Error(`archiver ${words[0]} exited with ${child.exitCode}: ${stderr}`, { cause: error }),
          );
      },
    );
  });
  return output
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

/** With a retried fault, the code is that of the last attempt, in which another fault may have occurred. */
function isExpectedEnd(code: string | undefined, fault: PermanentFault | undefined): boolean {
  const expected = fault && permanentFaults[fault];
  const isRetried = (name: string | undefined) => retryPolicies[name as ErrorCode] === 'retry';
  return code === expected || (isRetried(expected) && isRetried(code));
}
