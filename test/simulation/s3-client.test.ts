import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  PutObjectLegalHoldCommand,
} from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../fakes/clock.ts';
import { Container } from './container.ts';
import { EventLog } from './event-log.ts';
import { FaultInjector, type FaultName, faultProfiles } from './faults.ts';
import type { InvariantMonitor } from './invariant-monitor.ts';
import { ObjectStore } from './object-store.ts';
import { createRandom } from './random.ts';
import { createS3 } from './s3-client.ts';

const start = Date.parse('2026-11-24T00:00:00Z');
const key = 'documents/1';
const address = { Bucket: 'archive', ExpectedBucketOwner: '123456789012', Key: key };

/** A bucket with one object, and a client of it in virtual time. */
function createWorld({
  seed = 1,
  forced = [] as FaultName[],
  role = 'eraser' as 'eraser' | 'archiver',
} = {}) {
  const random = createRandom(`seed ${seed}`);
  const clock = new VirtualClock(start);
  const eventLog = new EventLog(clock);
  const injector = new FaultInjector(
    random.fork('weather'),
    () => clock.monotonic(),
    { ...faultProfiles.none, forced },
    60_000,
  );
  const forbidden: string[] = [];
  /** What a client without an invocation needs of it. The monitor itself synthesizes the alarms, which takes seconds. */
  const monitor: Pick<
    InvariantMonitor,
    'collided' | 'deleted' | 'forbidden' | 'legalHoldChanged' | 'stored'
  > = {
    collided: new Set(),
    forbidden: (what) => forbidden.push(what),
    stored: () => undefined,
    deleted: () => undefined,
    legalHoldChanged: () => undefined,
  };
  const context = {
    clock,
    random: random.fork('events'),
    injector,
    eventLog,
    monitor: monitor as InvariantMonitor,
  };
  const store = new ObjectStore(context);
  const document = store.put(key, Buffer.from('document'));
  const bucket = { name: address.Bucket, owner: address.ExpectedBucketOwner, store };
  const s3 = createS3(new Container('operator', context), bucket, context, role);
  /** Returns the output, or the name or code of the error; undefined if there was no response within a minute. */
  const send = async (command: unknown): Promise<unknown> => {
    let result: unknown;
    (s3.send as (sent: unknown) => Promise<unknown>)(command).then(
      (output) => (result = output),
      (error) => (result = error.code ?? error.name),
    );
    await clock.run(clock.now() + 60_000, () => result !== undefined);
    return result;
  };
  return { store, document, send, forbidden, eventLog };
}

const commands = {
  tombstone: (IfMatch: string) =>
    new PutObjectCommand({ ...address, Body: Buffer.from('tombstone'), IfMatch }),
  deletion: (VersionId: string) => new DeleteObjectCommand({ ...address, VersionId }),
  hold: () => new PutObjectLegalHoldCommand({ ...address, LegalHold: { Status: 'ON' } }),
  listing: () => new ListObjectVersionsCommand({ Bucket: 'archive', ExpectedBucketOwner: '123456789012' }),
};

/** What the client learns and what has happened in the bucket, as far as they differ in 200 runs. */
async function outcomesOf(what: keyof typeof commands, fault: FaultName): Promise<string[]> {
  const outcomes = new Set<string>();
  for (let seed = 1; seed <= 200; seed += 1) {
    const { store, document, send } = createWorld({ seed, forced: [fault] });
    const argument = what === 'deletion' ? document.versionId : document.etag;
    const result = await send(commands[what](argument));
    const current = store.current(key);
    const hold = current?.legalHold === 'ON' ? ' on hold' : '';
    const told = typeof result === 'object' ? 'succeeds' : (result ?? 'no response');
    outcomes.add(`${told}: ${current?.body.toString() ?? 'nothing'}${hold}`);
  }
  return [...outcomes].sort();
}

describe('a change of an object', () => {
  it.each<[keyof typeof commands, FaultName, string[]]>([
    ['deletion', 's3-slow-down', ['SlowDown: document', 'succeeds: nothing']],
    ['deletion', 's3-connection-reset', ['ECONNRESET: document', 'succeeds: nothing']],
    ['deletion', 's3-access-denied', ['AccessDenied: document', 'succeeds: nothing']],
    ['deletion', 's3-no-response', ['TimeoutError: document', 'TimeoutError: nothing', 'succeeds: nothing']],
    ['deletion', 's3-response-lost', ['succeeds: nothing']],
    ['deletion', 'lambda-killed-after-call', ['no response: nothing', 'succeeds: nothing']],
    [
      'hold',
      's3-no-response',
      ['TimeoutError: document', 'TimeoutError: document on hold', 'succeeds: document on hold'],
    ],
    ['tombstone', 's3-slow-down', ['SlowDown: document', 'succeeds: tombstone']],
    ['tombstone', 's3-conflict', ['ConditionalRequestConflict: document', 'succeeds: tombstone']],
    ['tombstone', 's3-no-response', ['TimeoutError: document', 'succeeds: tombstone']],
    ['tombstone', 's3-response-lost', ['PreconditionFailed: tombstone', 'succeeds: tombstone']],
    ['listing', 's3-no-response', ['no response: document', 'succeeds: document']],
  ])('(%s) under the fault %s has the outcomes %j', async (what, fault, outcomes) => {
    expect(await outcomesOf(what, fault)).toEqual(outcomes);
  });

  it('has the same event log for the same seed', async () => {
    const logOf = async (seed: number) => {
      const { document, send, eventLog } = createWorld({
        seed,
        forced: ['s3-no-response', 's3-response-lost'],
      });
      await send(commands.hold());
      await send(commands.tombstone(document.etag));
      await send(commands.deletion(document.versionId));
      return [...eventLog.lines()];
    };

    const logs = await Promise.all([logOf(3), logOf(3)]);

    expect(logs[0]?.length).toBeGreaterThan(3);
    expect(logs[1]).toEqual(logs[0]);
  });
});

it('a version is read by its ID and an error of S3 is passed on', async () => {
  const { document, send } = createWorld();
  await send(commands.tombstone(document.etag));

  const first = await send(new GetObjectCommand({ ...address, VersionId: document.versionId }));
  const absent = await send(new GetObjectCommand({ ...address, VersionId: 'version-9' }));
  const stale = await send(commands.tombstone(document.etag));

  expect(first).toMatchObject({ ETag: document.etag, ContentLength: 8 });
  expect([absent, stale]).toEqual(['NoSuchVersion', 'PreconditionFailed']);
});

it.each(['deletion', 'hold', 'listing'] as const)(
  'reports a forbidden call when the archiver sends a %s, which then has no effect',
  async (what) => {
    const { store, document, send, forbidden } = createWorld({ role: 'archiver' });

    await send(commands[what](document.versionId));

    expect(forbidden).toHaveLength(1);
    expect(store.versions(key)).toEqual([document]);
    expect(document.legalHold).toBeUndefined();
  },
);
