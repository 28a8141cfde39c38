/** Deliveries of a document while it is being erased: every order of their requests to S3, in memory. */
import { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ArchiveDependencies, archiveDocument } from '../../functions/archive/archive-document.ts';
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import { createReceipts } from '../../functions/bucket/receipts.ts';
import type { Bucket, NewObject, ReplaceableBucket, StoredObject } from '../../functions/bucket/store.ts';
import { type Tombstone, tombstoneObject } from '../../functions/bucket/tombstones.ts';
import { ArchiverError } from '../../functions/errors.ts';
import { retryTimings } from '../../functions/limits.ts';
import { createLog } from '../../functions/log.ts';
import type { TelnyxDocument } from '../../functions/telnyx/client.ts';
import { virtualTime } from '../fakes/clock.ts';
import { noon } from '../fakes/documents.ts';
import { sha256 } from '../fakes/memory-bucket.ts';
import { propertyRuns } from '../fuzz-runs.ts';

const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const bytes = Buffer.from('the bytes of a document');
const keys = [receiptKey(id), documentKey(id)] as const;

const content: Tombstone = {
  v: 1,
  state: 'erased',
  documentId: id,
  erasedAt: '2026-11-24T12:00:00.000Z',
  erasedBy: 'arn:aws:iam::111122223333:role/break-glass',
  basis: 'ticket 4711',
  erased: {},
  archiver: '1.2.3',
};
const tombstone = tombstoneObject(documentKey(id), content).body;

interface Version {
  versionId: string;
  body: Buffer;
  state: 'erased' | undefined;
}

/** Picks one of so many possibilities, from 0 on. */
type Choose = (possibilities: number) => number;

interface Variant {
  /** What is there at the beginning. */
  stands?: 'object' | 'object-and-receipt';
  /** Whether S3 states the SHA-256 of an object. @default true */
  s3StatesDigest?: boolean;
  /** Whether Telnyx states the SHA-256 of the document. @default true */
  telnyxStatesDigest?: boolean;
  /** Whether S3 refuses a PUT to a taken key before it has read the body. @default false */
  refusesEarly?: boolean;
}

/** A bucket with versions. Before each request it calls `pause` of whoever sends it. */
class VersionedBucket {
  readonly versions = new Map<string, Version[]>();
  readonly #variant: Variant;
  #written = 0;

  constructor(variant: Variant) {
    this.#variant = variant;
  }

  put(key: string, body: Buffer, state?: 'erased'): StoredObject {
    this.#written += 1;
    const version = { versionId: `v${this.#written}`, body, state };
    this.versions.set(key, [version, ...(this.versions.get(key) ?? [])]);
    return this.#statedOf(version);
  }

  deleteAllButCurrent(key: string): void {
    this.versions.set(key, (this.versions.get(key) ?? []).slice(0, 1));
  }

  as(pause: () => Promise<void>): ReplaceableBucket {
    const current = (key: string) => this.versions.get(key)?.[0];
    const store = async ({ key, body, metadata }: NewObject, isAllowed: () => boolean) => {
      if (this.#variant.refusesEarly && !isAllowed()) return undefined;
      const whole = Buffer.isBuffer(body) ? body : Buffer.concat(await body.toArray());
      // S3 evaluates the condition when it has the whole body.
      if (!Buffer.isBuffer(body)) await pause();
      return isAllowed()
        ? this.put(key, whole, metadata?.state === 'erased' ? 'erased' : undefined)
        : undefined;
    };
    return {
      head: async (key) => {
        await pause();
        const version = current(key);
        return version && this.#statedOf(version);
      },
      putOnce: async (object) => {
        await pause();
        return (await store(object, () => current(object.key) === undefined)) ?? 'exists';
      },
      putOver: async (object, etag) => {
        await pause();
        return (await store(object, () => current(object.key)?.versionId === etag)) ?? 'changed';
      },
      read: async (key) => {
        await pause();
        return current(key)?.body;
      },
      hash: async (key) => {
        await pause();
        return sha256(current(key)?.body ?? '');
      },
      list: () => Promise.reject(new Error('The archive function lists nothing.')),
    };
  }

  #statedOf({ versionId, body, state }: Version): StoredObject {
    const digest = this.#variant.s3StatesDigest === false ? undefined : sha256(body);
    return { bytes: body.length, sha256: digest, etag: versionId, versionId, state };
  }
}

/** As an operator erases it: tombstones at both keys, the receipt's first, then all other versions are deleted. */
async function erase(store: VersionedBucket, pause: () => Promise<void>): Promise<void> {
  const bucket = store.as(pause);
  const never = new AbortController().signal;
  for (const key of keys) {
    const object = tombstoneObject(key, content);
    for (let stored: unknown = 'changed'; stored === 'changed' || stored === 'exists'; ) {
      const existing = await bucket.head(key, never);
      stored = await (existing?.etag === undefined
        ? bucket.putOnce(object, never)
        : bucket.putOver(object, existing.etag, never));
    }
  }
  await pause();
  for (const key of keys) store.deleteAllButCurrent(key);
}

async function deliver(bucket: Bucket, { telnyxStatesDigest = true }: Variant): Promise<string> {
  const time = virtualTime(noon);
  const document: TelnyxDocument = {
    id,
    fileName: 'letter.pdf',
    customerReference: undefined,
    contentType: 'application/pdf',
    createdAt: '2026-11-24T00:00:00Z',
    sha256: telnyxStatesDigest ? sha256(bytes) : undefined,
    bytes: bytes.length,
    infected: false,
    record: `{"id":"${id}"}`,
    cut: false,
    malformed: [],
  };
  const dependencies: ArchiveDependencies = {
    telnyx: {
      document: async () => document,
      downloadLink: async () => 'link',
      get: () => Promise.reject(new Error('The archive function reads no lists.')),
    },
    download: async () => ({ status: 200, headers: {}, body: Readable.from([bytes]) }),
    bucket,
    receipts: createReceipts(bucket),
    log: createLog({ name: 'test', write: () => undefined, now: time.now }),
    time,
    random: () => 0.5,
    timings: retryTimings,
    archiveInfected: false,
    maxDocumentBytes: 1_000,
    version: '1.2.3',
  };
  return archiveDocument(
    { v: 1, kind: 'document', documentId: id, trigger: 'operator', requestedAt: '2026-11-24T00:00:00Z' },
    { receives: 1, ageMs: 0, deadline: 57_000, signal: new AbortController().signal },
    dependencies,
  ).then(
    ({ outcome }) => outcome,
    (error: unknown) => (error instanceof ArchiverError ? error.code : String(error)),
  );
}

/**
 * Runs deliveries and one erasure, one request at a time. `choose` says whose is next.
 *
 * @returns how the deliveries ended, and all versions of both keys
 */
async function race(deliveries: number, variant: Variant, choose: Choose) {
  const store = new VersionedBucket(variant);
  if (variant.stands !== undefined) store.put(documentKey(id), bytes);
  if (variant.stands === 'object-and-receipt') {
    store.put(receiptKey(id), Buffer.from(JSON.stringify({ object: { sha256: sha256(bytes) } })));
  }
  const paused: ((() => void) | undefined)[] = [];
  const running = new Set<number>();
  const outcomes: string[] = [];
  const start = (work: (pause: () => Promise<void>) => Promise<void>) => {
    const index = paused.push(undefined) - 1;
    running.add(index);
    const pause = () =>
      new Promise<void>((resolve) => {
        paused[index] = resolve;
      });
    return work(pause).finally(() => running.delete(index));
  };
  const all = Promise.all([
    ...Array.from({ length: deliveries }, () =>
      start(async (pause) => {
        outcomes.push(await deliver(store.as(pause), variant));
      }),
    ),
    start((pause) => erase(store, pause)),
  ]);
  while (running.size > 0) {
    const waiting = [...running].filter((index) => paused[index] !== undefined);
    if (waiting.length < running.size) {
      await nextTurn();
      continue;
    }
    const next = waiting[choose(waiting.length)] ?? 0;
    paused[next]?.();
    paused[next] = undefined;
    await nextTurn();
  }
  await all;
  const left = keys.map((key) => (store.versions.get(key) ?? []).map(({ body }) => body));
  return { outcomes, left };
}

/** Calls `run` once for each possible sequence of choices. */
async function everySequence(run: (choose: Choose) => Promise<void>): Promise<void> {
  let given: number[] = [];
  for (;;) {
    const taken: { choice: number; possibilities: number }[] = [];
    await run((possibilities) => {
      const choice = given[taken.length] ?? 0;
      taken.push({ choice, possibilities });
      return choice;
    });
    const last = taken.findLastIndex(({ choice, possibilities }) => choice + 1 < possibilities);
    if (last === -1) return;
    given = taken.slice(0, last + 1).map(({ choice }, index) => (index === last ? choice + 1 : choice));
  }
}

const variants: [what: string, Variant][] = [
  ['that is not archived yet', {}],
  ['whose object is there without its receipt', { stands: 'object' }],
  ['whose object S3 states no digest of', { stands: 'object', s3StatesDigest: false }],
  [
    'whose object is there, and whose digest Telnyx does not state',
    { stands: 'object', telnyxStatesDigest: false, refusesEarly: true },
  ],
  ['that is archived', { stands: 'object-and-receipt' }],
];

const expectErased = ({ outcomes, left }: Awaited<ReturnType<typeof race>>) => {
  const unexpected = outcomes.filter((one) => !['archived', 'already-archived', 'erased'].includes(one));
  expect(unexpected).toEqual([]);
  expect(left).toEqual([[tombstone], [tombstone]]);
};

describe('an erasure during the delivery of a document', () => {
  it.each(variants)('leaves only tombstones in any order of requests, %s', async (_, variant) => {
    const seen = new Set<string>();

    await everySequence(async (choose) => {
      const result = await race(1, variant, choose);
      for (const outcome of result.outcomes) seen.add(outcome);
      expectErased(result);
    });

    expect([...seen]).toContain('erased');
  });

  it('leaves only tombstones when two deliveries run at the same time', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...variants.map(([, variant]) => variant)),
        fc.array(fc.nat(2), { maxLength: 30 }),
        async (variant, order) => {
          const choices = [...order];

          const result = await race(2, variant, (possibilities) => (choices.shift() ?? 0) % possibilities);

          expectErased(result);
        },
      ),
      { numRuns: propertyRuns(2_000) },
    );
  });
});
