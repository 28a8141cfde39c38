/** Measures parts of a night in separate processes, and a whole night in virtual time. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import type { Stretch } from '../../functions/audit/cells.ts';
import { addTallies, parseResult, type RunTally } from '../../functions/audit/records.ts';
import { divideIds } from '../../functions/audit/stretches.ts';
import { type AuditPart, partName, runName } from '../../functions/audit-names.ts';
import { auditResultPrefix, auditSummaryKey } from '../../functions/bucket/keys.ts';
import { concurrency, nightlyAudit } from '../../functions/limits.ts';
import { serialiseMessage } from '../../functions/queue/serialise.ts';
import { sleep } from '../../functions/time.ts';
import { virtualTime } from '../../test/fakes/clock.ts';
import { type GeneratedArchive, generateArchive, serveArchive } from '../audit/archive.ts';
import { createNightFunction } from './deliver.ts';
import { addHistory } from './history.ts';
import type { NightJob, NightOutcome, TimedDelivery } from './worker.ts';

export const documents = 1_000_000;
const bytes = 20_000;
/** Of each request to S3 and to Telnyx. */
const delayMs = 20;

export interface NightParts extends Pick<NightOutcome, 'peakMb'> {
  start: TimedDelivery;
  parts: TimedDelivery[];
  /** Of all parts together. */
  tally: RunTally;
}

/** A new process that starts a run and does some of its parts, each of `perPart` documents. */
export function measureParts(parts: number, perPart: number): Promise<NightParts> {
  const bound = (position: number) =>
    Math.floor((position * perPart * 16 ** 4) / documents)
      .toString(16)
      .padStart(4, '0');
  const stretches = Array.from({ length: parts }, (_, part) => ({
    from: bound(part),
    before: bound(part + 1),
  }));
  return measure(
    stretches,
    stretches.map((stretch) => ({ sort: 'ids', ...stretch })),
  );
}

/** The same for the part that compares the night's share of Telnyx's list. */
export function measureTelnyx(): Promise<NightParts> {
  const until = Math.floor(Date.now() / 1_000);
  return measure([{ from: '', before: '0001' }], [{ sort: 'telnyx', until }]);
}

async function measure(stretches: Stretch[], parts: AuditPart[]): Promise<NightParts> {
  const now = Date.now();
  const run = runName(now);
  const archive = generateArchive({ documents, bytes });
  addHistory(archive, stretches, now);
  const { endpoint, close } = await serveArchive(archive, delayMs);
  try {
    const requestedAt = new Date(now).toISOString();
    const messages = [
      serialiseMessage({ v: 1, kind: 'audit-start', requestedAt }),
      ...parts.map((part) =>
        serialiseMessage({ v: 1, kind: 'audit-part', run, part: partName(part), requestedAt }),
      ),
    ];
    const child = fork(new URL('./worker.ts', import.meta.url), { execArgv: [] });
    child.send({ endpoint, messages } satisfies NightJob);
    const outcome = await Promise.race([
      once(child, 'message').then(([message]) => message as NightOutcome),
      once(child, 'exit').then(([code]) => Promise.reject(new Error(`The audit exited with code ${code}.`))),
    ]);
    child.kill();
    const [start, ...ofParts] = outcome.deliveries as [TimedDelivery, ...TimedDelivery[]];
    return { start, parts: ofParts, peakMb: outcome.peakMb, tally: tallyOfParts(archive, run) };
  } finally {
    close();
  }
}

export interface VirtualNight {
  /** From the start to the end of the last part. Computation takes no time. */
  virtualMs: number;
  /** Of the longest delivery. */
  longestMs: number;
  /** Number of parts, also of those that were not done. */
  parts: number;
  /** Of the parts that were done. */
  tally: RunTally;
}

/**
 * A whole night: each request takes its time on a virtual clock, and nothing else does.
 *
 * @param sample do one of so many parts with one of so many invocations, besides Telnyx's list; 1: all of them
 */
export async function measureNight(sample: 1 | 10): Promise<VirtualNight> {
  const now = Date.now();
  const archive = generateArchive({ documents, bytes });
  const samples = [...'0123456789abcdef'].map((digit) => ({ digit, documents: documents / 16 }));
  const isChosen = (_: unknown, position: number) => position % sample === 0;
  addHistory(archive, divideIds(samples, nightlyAudit.partDocuments).filter(isChosen), now);
  const time = virtualTime(now);
  const endpoint = 'http://127.0.0.1:9';
  const answer = async (method: string, url: URL, sent: Buffer) => {
    await sleep(time, delayMs);
    const { body, ...head } = archive.answer({ method, url, body: sent });
    return { ...head, body: Readable.from(body.length > 0 ? [body] : []) };
  };
  const handle = async ({ method, path, query, body }: SdkRequest) => {
    const url = new URL(`${path}?${new URLSearchParams(query)}`, endpoint);
    const { status, ...response } = await answer(method, url, body ?? Buffer.alloc(0));
    return { response: { ...response, statusCode: status } };
  };
  const night = createNightFunction({
    endpoint,
    telnyxGet: (url) => answer('GET', url, Buffer.alloc(0)),
    requestHandler: { handle },
    time,
    // An invocation's own limit would be compared with real time, too. The result states the longest.
    limitMs: 24 * 60 * 60_000,
  });
  // The first request loads the client's configuration, in real time, for which the virtual clock does not wait.
  await night.s3.send(new ListObjectsV2Command({ Bucket: 'archive', Prefix: 'none/' }));
  const begin = time.monotonic();
  let longestMs = 0;
  const work = async () => {
    for (let body = night.queue.shift(); body !== undefined; body = night.queue.shift()) {
      const started = time.monotonic();
      await night.deliver(body);
      longestMs = Math.max(longestMs, time.monotonic() - started);
    }
  };
  await night.deliver(
    serialiseMessage({ v: 1, kind: 'audit-start', requestedAt: new Date(now).toISOString() }),
  );
  const parts = night.queue.length;
  // Telnyx's list and the objects that belong to no document come last.
  const [ofDocuments, others] = [night.queue.slice(0, -2), night.queue.slice(-2)];
  night.queue.splice(0, parts, ...ofDocuments.filter(isChosen), ...others);
  await Promise.all(Array.from({ length: concurrency.audit / sample }, work));
  const run = runName(now);
  if (sample === 1 && !archive.stored.has(auditSummaryKey(run))) throw new Error('The run has no summary.');
  return {
    virtualMs: time.monotonic() - begin,
    longestMs,
    parts,
    tally: tallyOfParts(archive, run),
  };
}

/** As the SDK passes it to its request handler. */
interface SdkRequest {
  method: string;
  path: string;
  query: Record<string, string>;
  body?: Buffer;
}

/** What the parts have done together. @throws Error if one has found a problem: an ordinary night has none */
function tallyOfParts({ stored }: GeneratedArchive, run: string): RunTally {
  const results = [...stored].flatMap(([key, body]) =>
    key.startsWith(auditResultPrefix(run)) ? [parseResult(body)] : [],
  );
  for (const { findings, unchecked } of results) {
    const [problem = unchecked] = findings;
    if (problem) throw new Error(`The audit found a problem: ${JSON.stringify(problem)}`);
  }
  return addTallies(results.map(({ tally }) => tally));
}
