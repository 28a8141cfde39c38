/** Deliveries of a document during its erasure: every order of their requests to S3, in memory. */
import { Readable } from 'node:stream';
import { DeleteObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { eraseDocument } from '../../cli/erasure/erase-document.ts';
import { examine } from '../../cli/erasure/examine.ts';
import { type ArchiveDependencies, archiveDocument } from '../../functions/archive/archive-document.ts';
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import { createReceipts } from '../../functions/bucket/receipts.ts';
import type { Bucket } from '../../functions/bucket/store.ts';
import { ArchiverError } from '../../functions/errors.ts';
import { retryTimings } from '../../functions/limits.ts';
import { createLog } from '../../functions/log.ts';
import type { Time } from '../../functions/time.ts';
import { createArchive, id, order, type Send, secret } from '../cli/erasure/world.ts';
import { sha256 } from '../fakes/memory-bucket.ts';
import { conditionOf } from '../fakes/s3-answers.ts';
import { type Choose, createTurns, type Pause } from '../fakes/turns.ts';
import { propertyRuns } from '../fuzz-runs.ts';
import { messageFor, receive } from './world.ts';

const keys = [receiptKey(id), documentKey(id)];

interface Variant {
  /** What is there at the beginning. @default nothing */
  stands?: 'object' | 'object-and-receipt';
  /** Whether S3 states the SHA-256 of an object. @default true */
  s3StatesDigest?: boolean;
  /** Whether Telnyx states the SHA-256 of the document. @default true */
  telnyxStatesDigest?: boolean;
  /** Whether S3 refuses a PUT to a taken key before it has read the body. @default false */
  refusesEarly?: boolean;
}

/** @returns the outcome, or the code of the error */
async function deliver(bucket: Bucket, time: Time, { telnyxStatesDigest = true }: Variant): Promise<string> {
  const bytes = Buffer.from(secret);
  const dependencies: ArchiveDependencies = {
    telnyx: {
      document: async () => ({
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
      }),
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
  const deadline = time.monotonic() + 57_000;
  return archiveDocument(messageFor(id), receive({ deadline }), dependencies).then(
    ({ outcome }) => outcome,
    (error: unknown) => (error instanceof ArchiverError ? error.code : String(error)),
  );
}

/**
 * Runs deliveries and one erasure, one request at a time. `choose` says which is next.
 *
 * @returns how the deliveries ended, and the text of every version at both keys
 */
async function race(deliveries: number, variant: Variant, choose: Choose) {
  const world = createArchive();
  const { bucket, dependenciesOf, time } = world;
  const store = bucket.versioned;
  if (variant.stands !== undefined) world.archive();
  if (variant.stands === 'object') store.remove(receiptKey(id));
  const found = await examine(id, world.dependencies);

  const sendAsDelivery =
    (pause: Pause): Send =>
    async (command) => {
      await pause();
      if (!(command instanceof PutObjectCommand)) {
        const answer = await bucket.send(command);
        const hidesDigest = command instanceof HeadObjectCommand && variant.s3StatesDigest === false;
        return hidesDigest ? { ...(answer as object), ChecksumSHA256: undefined } : answer;
      }
      const { input } = command;
      const refusal = store.conditionError(input.Key ?? '', conditionOf(input));
      if (variant.refusesEarly && refusal) throw refusal;
      if (!(input.Body instanceof Readable)) return bucket.send(command);
      // S3 evaluates the condition once it has the whole body.
      const body = Buffer.concat(await input.Body.toArray());
      await pause();
      return bucket.send(new PutObjectCommand({ ...input, Body: body }));
    };
  let hasDeleted = false;
  const sendAsEraser =
    (pause: Pause): Send =>
    async (command) => {
      // Beside two tombstones no delivery changes anything, so of what follows only the first deletion can matter.
      const isErased = keys.every((key) => store.current(key)?.metadata.state === 'erased');
      const isDeletion = command instanceof DeleteObjectCommand;
      // An examination decides by its HEAD requests; the order of its other requests makes no difference.
      const decides = command instanceof PutObjectCommand || command instanceof HeadObjectCommand;
      if (isDeletion ? !hasDeleted : !isErased && decides) await pause();
      hasDeleted ||= isDeletion;
      return bucket.send(command);
    };

  const turns = createTurns();
  const outcomes = Promise.all(
    Array.from({ length: deliveries }, () =>
      turns.start((pause) => deliver(dependenciesOf(sendAsDelivery(pause)).bucket, time, variant)),
    ),
  );
  const erasure = turns.start((pause) => eraseDocument(found, order, dependenciesOf(sendAsEraser(pause))));
  await turns.run(choose);
  return { outcomes: await outcomes, unfinished: (await erasure).unfinished, left: world.versions() };
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

function expectErased({ outcomes, unfinished, left }: Awaited<ReturnType<typeof race>>): void {
  expect(outcomes.filter((one) => !['archived', 'already-archived', 'erased'].includes(one))).toEqual([]);
  expect(unfinished).toBeUndefined();
  expect(left.map((versions) => versions.length)).toEqual([1, 1]);
  expect(left[0]).toEqual(left[1]);
  expect(JSON.parse(left[0]?.[0] ?? '')).toMatchObject({ state: 'erased', documentId: id });
}

const variants: [which: string, Variant][] = [
  ['not archived yet', {}],
  ['with an object but no receipt', { stands: 'object' }],
  [
    'with an object and a digest that Telnyx does not state',
    { stands: 'object', telnyxStatesDigest: false, refusesEarly: true },
  ],
  ['that is archived', { stands: 'object-and-receipt' }],
];

describe('an erasure during the delivery of a document', () => {
  it.each(variants)(
    'leaves only tombstones in any order of requests, for a document %s',
    async (_, variant) => {
      const ends = new Set<string>();

      await everySequence(async (choose) => {
        const result = await race(1, variant, choose);
        expectErased(result);
        for (const outcome of result.outcomes) ends.add(outcome);
      });

      const archived = variant.stands === 'object-and-receipt' ? 'already-archived' : 'archived';
      expect([...ends].sort()).toEqual([archived, 'erased']);
    },
  );

  it('leaves only tombstones when two deliveries run at the same time', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...variants.map(([, variant]) => variant)),
        fc.boolean(),
        fc.array(fc.nat(2), { maxLength: 30 }),
        async (general, s3StatesDigest, choices) => {
          const variant = { ...general, s3StatesDigest };
          const left = [...choices];

          const result = await race(2, variant, (possibilities) => (left.shift() ?? 0) % possibilities);

          expectErased(result);
        },
      ),
      { numRuns: propertyRuns(2_000) },
    );
  });
});
