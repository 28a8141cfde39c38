/** Erasures, holds, releases, deliveries and look-ups of one document at the same time, killed anywhere: in memory. */
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Erasure, eraseDocument } from '../../../cli/erasure/erase-document.ts';
import { type ErasureDependencies, examine, refusalOf } from '../../../cli/erasure/examine.ts';
import { placeHold, releaseHold } from '../../../cli/erasure/hold-document.ts';
import { writeContext } from '../../../functions/bucket/contexts.ts';
import {
  contextKey,
  contextsOfPrefix,
  contextTombstoneKey,
  documentKey,
  receiptKey,
} from '../../../functions/bucket/keys.ts';
import { createReceipts, type NewReceipt } from '../../../functions/bucket/receipts.ts';
import type { Bucket } from '../../../functions/bucket/store.ts';
import { documentOf, receiptOf } from '../../fakes/documents.ts';
import { sha256 } from '../../fakes/memory-bucket.ts';
import { serviceError } from '../../fakes/service-error.ts';
import { createTurns, type Pause } from '../../fakes/turns.ts';
import { propertyRuns } from '../../fuzz-runs.ts';
import { createArchive, id, order, type Send, secret } from './world.ts';

const never = new AbortController().signal;
const why = { reason: 'Case 1', by: 'local' };

/** What the archive function does with the document, without Telnyx. */
async function deliver(bucket: Bucket): Promise<void> {
  const receipts = createReceipts(bucket);
  if ((await receipts.state(id, never)) !== undefined) return;
  const body = Buffer.from(secret);
  const document = { body, bytes: body.length, sha256: sha256(body), contentType: 'text/plain' };
  await bucket.putOnce({ key: documentKey(id), ...document }, never);
  if ((await receipts.state(id, never)) !== undefined) return;
  const { telnyx, ...receipt } = receiptOf(documentOf(id, body));
  await receipts.writeOnce({ ...receipt, telnyx: JSON.stringify(telnyx) } satisfies NewReceipt, never);
}

/** As the command does: a refused document is not touched. */
async function erase(dependencies: ErasureDependencies): Promise<Erasure | undefined> {
  const found = await examine(id, dependencies);
  if (refusalOf(found, false, dependencies.now())) return undefined;
  return await eraseDocument(found, order, dependencies);
}

/** What the discover function does with a fact. @returns whether it was written */
async function learn(bucket: Bucket): Promise<boolean> {
  const keys = await bucket.list(contextsOfPrefix(id).slice(0, -1), undefined, never);
  if (keys.includes(contextTombstoneKey(id))) return false;
  const about = { learntAt: '2026-11-24T12:00:00Z', archiver: 'test' };
  return await writeContext({ documentId: id, kind: 'link', id: 'a resource' }, about, bucket, never);
}

type Kind = 'erase' | 'hold' | 'release' | 'deliver' | 'learn';
interface Actor {
  kind: Kind;
  /** Requests after which the process is killed; undefined: it is not. */
  killedAfter: number | undefined;
}

async function run(isArchived: boolean, actors: readonly Actor[], choices: readonly number[]) {
  const world = createArchive();
  const { bucket, dependenciesOf } = world;
  if (isArchived) {
    world.archive();
    bucket.put(contextKey(id, '0'.repeat(64)), 'what a document is about', world.time.now());
  }
  const violations: string[] = [];
  /** Set when a hold is known to be in force, until a release begins. */
  let isHeld = false;
  const isSecret = (body: Buffer | undefined) => body !== undefined && !body.includes('"erased"');
  const sendOf = (pause: Pause, killedAfter = Number.POSITIVE_INFINITY): Send => {
    let sent = 0;
    return async (command) => {
      await pause();
      sent += 1;
      if (sent > killedAfter) throw serviceError('AccessDenied', 403);
      const deleted =
        command instanceof DeleteObjectCommand &&
        bucket.versioned
          .versions(command.input.Key ?? '')
          .find(({ versionId }) => versionId === command.input.VersionId);
      const answer = await bucket.send(command);
      if (isHeld && deleted && isSecret(deleted.body)) violations.push('deleted while held');
      return answer;
    };
  };
  const work: Record<Kind, (dependencies: ErasureDependencies) => Promise<void>> = {
    erase: async (dependencies) => {
      const erasure = await erase(dependencies);
      if (!erasure || erasure.unfinished) return;
      const left = world.versions().flat();
      if (left.some((text) => text !== left[0])) violations.push('something is left after an erasure');
    },
    hold: async (dependencies) => {
      const outcome = await placeHold(id, why, dependencies);
      if (outcome !== 'held' && outcome !== 'already-held') return;
      isHeld = true;
      if (!bucket.versioned.versions(documentKey(id)).some(({ body }) => isSecret(body))) {
        violations.push('held without the document');
      }
    },
    release: async (dependencies) => {
      isHeld = false;
      await releaseHold(id, why, dependencies);
      // A hold that was placed meanwhile has counted as released.
      isHeld = false;
    },
    deliver: ({ bucket: asFunction }) => deliver(asFunction),
    learn: async ({ bucket: asFunction }) => void (await learn(asFunction)),
  };
  const turns = createTurns();
  const ends = actors.map(({ kind, killedAfter }) =>
    turns
      .start((pause) => work[kind](dependenciesOf(sendOf(pause, killedAfter))))
      .catch((error: unknown) => {
        // A killed process: what it has sent is done, and it sends nothing more.
        if (killedAfter === undefined) throw error;
      }),
  );
  const left = [...choices];
  await turns.run((possibilities) => (left.shift() ?? 0) % possibilities);
  await Promise.all(ends);
  return { world, violations, isHeld };
}

const actor = fc.record({
  kind: fc.constantFrom<Kind>('erase', 'erase', 'hold', 'release', 'deliver', 'learn'),
  killedAfter: fc.option(fc.nat(25), { nil: undefined }),
});

/** Several steps of one process, so that another one is overtaken anywhere. */
const burst = fc.tuple(fc.nat(4), fc.integer({ min: 1, max: 30 }));

it('nothing is deleted while held, and the same command ends every erasure once it is released', async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(
      fc.boolean(),
      fc.array(actor, { minLength: 2, maxLength: 5 }),
      fc.array(burst, { maxLength: 30, size: 'max' }),
      async (isArchived, actors, bursts) => {
        const choices = bursts.flatMap(([who, steps]) => Array<number>(steps).fill(who));
        const { world, violations, isHeld } = await run(isArchived, actors, choices);
        expect(violations).toEqual([]);
        const { dependencies } = world;

        if (isHeld) {
          const erasure = await erase(dependencies);
          expect(erasure?.unfinished?.reason ?? 'held').toBe('held');
          const hasTombstone = (await examine(id, dependencies)).tombstone !== undefined;
          seen.add(hasTombstone ? 'unfinished' : 'held');
        }
        await releaseHold(id, why, dependencies);
        const erasure = await erase(dependencies);
        await deliver(dependencies.bucket);
        expect(await learn(dependencies.bucket)).toBe(false);

        expect(erasure?.unfinished).toBeUndefined();
        expect(world.versions().map((versions) => versions.length)).toEqual([1, 1]);
        expect(world.versions().flat().join()).not.toContain(secret);
        const contexts = [...world.bucket.objects.keys()].filter((key) => key.startsWith('contexts/'));
        expect(contexts).toEqual([contextTombstoneKey(id)]);
        expect(world.bucket.versioned.current(receiptKey(id))?.metadata).toEqual({ state: 'erased' });
        seen.add('erased');
      },
    ),
    // So many that a refusal for a hold is among them.
    { numRuns: propertyRuns(8_000) },
  );
  expect(seen).toContain('held');
});
