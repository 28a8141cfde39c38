/** The local S3 against a small model of a versioned bucket with Object Lock. */
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  type ObjectLockRetentionMode,
  PutObjectCommand,
  PutObjectLegalHoldCommand,
  PutObjectRetentionCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { propertyRuns } from '../../fuzz-runs.ts';
import { bucket, filesBelow, startWorld } from './fixture.ts';

interface ModelVersion {
  id: string;
  /** undefined: a delete marker. */
  body?: string;
  etag?: string;
  mode?: ObjectLockRetentionMode;
  until?: number;
  hold?: 'ON' | 'OFF';
}

/** Versions by key, newest first. */
type Model = Map<string, ModelVersion[]>;

const key = fc.constantFrom('a', 'b/c', 'é');
/** Position among the versions of the key; one that does not exist is a version that does not exist. */
const at = fc.nat(4);
const operation = fc.oneof(
  fc.record({
    kind: fc.constant('put' as const),
    key,
    condition: fc.constantFrom('none' as const, 'absent' as const, 'match' as const, 'stale' as const),
  }),
  fc.record({ kind: fc.constant('delete' as const), key }),
  fc.record({ kind: fc.constant('delete-version' as const), key, at, bypass: fc.boolean() }),
  fc.record({
    kind: fc.constant('hold' as const),
    key,
    at,
    status: fc.constantFrom('ON' as const, 'OFF' as const),
  }),
  fc.record({
    kind: fc.constant('retain' as const),
    key,
    at,
    days: fc.nat(2),
    mode: fc.constantFrom('GOVERNANCE' as const, 'COMPLIANCE' as const, undefined),
    bypass: fc.boolean(),
  }),
);
type Operation = typeof operation extends fc.Arbitrary<infer Value> ? Value : never;

const dayMs = 86_400_000;

/** Applies the operation to the model. @returns the status that S3 answers */
function expectedStatus(model: Model, step: Operation, start: number): number {
  const versions = model.get(step.key) ?? [];
  if (step.kind === 'put') {
    const current = versions[0]?.body === undefined ? undefined : versions[0];
    if (step.condition === 'absent') return current ? 412 : 200;
    if (step.condition === 'none') return 200;
    if (!current) return 404;
    return step.condition === 'match' ? 200 : 412;
  }
  if (step.kind === 'delete') return 204;
  const version = versions[step.at];
  if (step.kind === 'delete-version') {
    if (!version) return 204;
    const isRetained = version.mode === 'COMPLIANCE' || (version.mode === 'GOVERNANCE' && !step.bypass);
    if (version.hold === 'ON' || isRetained) return 403;
    versions.splice(step.at, 1);
    return 204;
  }
  if (!version) return 404;
  if (version.body === undefined) return 405;
  if (step.kind === 'hold') {
    version.hold = step.status;
    return 200;
  }
  const until = start + (step.days + 1) * dayMs;
  const isWeaker = step.mode !== version.mode || until < (version.until ?? 0);
  if (version.mode === 'COMPLIANCE' && isWeaker) return 403;
  if (version.mode === 'GOVERNANCE' && isWeaker && !step.bypass) return 403;
  delete version.mode;
  delete version.until;
  if (step.mode) Object.assign(version, { mode: step.mode, until });
  return 200;
}

/** Sends the operation and applies what it creates to the model. @returns the status of the answer */
async function send(
  client: S3Client,
  model: Model,
  step: Operation,
  start: number,
  n: number,
): Promise<number> {
  const versions = model.get(step.key) ?? [];
  model.set(step.key, versions);
  const one = { Bucket: bucket, Key: step.key };
  const VersionId = 'at' in step ? (versions[step.at]?.id ?? 'missing') : undefined;
  const run = async (): Promise<number> => {
    switch (step.kind) {
      case 'put': {
        const condition = {
          none: {},
          absent: { IfNoneMatch: '*' },
          match: { IfMatch: versions[0]?.etag ?? '"x"' },
          stale: { IfMatch: '"stale"' },
        }[step.condition];
        // Of few sizes, at nearly the same time.
        const body = `body ${n}`;
        const stored = await client.send(new PutObjectCommand({ ...one, Body: body, ...condition }));
        versions.unshift({ id: stored.VersionId ?? '', body, etag: stored.ETag ?? '' });
        return 200;
      }
      case 'delete': {
        const deleted = await client.send(new DeleteObjectCommand(one));
        versions.unshift({ id: deleted.VersionId ?? '' });
        return deleted.$metadata.httpStatusCode ?? 0;
      }
      case 'delete-version': {
        const command = new DeleteObjectCommand({
          ...one,
          VersionId,
          BypassGovernanceRetention: step.bypass,
        });
        return (await client.send(command)).$metadata.httpStatusCode ?? 0;
      }
      case 'hold': {
        const LegalHold = { Status: step.status };
        await client.send(new PutObjectLegalHoldCommand({ ...one, VersionId, LegalHold }));
        return 200;
      }
      case 'retain': {
        const RetainUntilDate = new Date(start + (step.days + 1) * dayMs);
        await client.send(
          new PutObjectRetentionCommand({
            ...one,
            VersionId,
            BypassGovernanceRetention: step.bypass,
            Retention: step.mode ? { Mode: step.mode, RetainUntilDate } : {},
          }),
        );
        return 200;
      }
    }
  };
  return await run().catch(({ $metadata }) => $metadata?.httpStatusCode);
}

/** Compares everything that a client can read with the model. */
async function expectSame(client: S3Client, model: Model, MaxKeys: number): Promise<void> {
  const keys = [...model.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const all = keys.flatMap((Key) =>
    (model.get(Key) ?? []).map((version, index) => ({ Key, version, IsLatest: index === 0 })),
  );
  let position = {};
  for (let from = 0; from === 0 || from < all.length; from += MaxKeys) {
    const page = await client.send(new ListObjectVersionsCommand({ Bucket: bucket, MaxKeys, ...position }));
    const expected = all.slice(from, from + MaxKeys);
    const named = (list: typeof expected) =>
      list.map(({ Key, version, IsLatest }) => ({ Key, VersionId: version.id, IsLatest }));
    expect(page.Versions ?? []).toMatchObject(named(expected.filter(({ version }) => version.body)));
    expect(page.DeleteMarkers ?? []).toMatchObject(named(expected.filter(({ version }) => !version.body)));
    expect(page.Versions?.length ?? 0).toBe(expected.filter(({ version }) => version.body).length);
    expect(page.IsTruncated).toBe(from + MaxKeys < all.length);
    position = { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker };
  }
  for (const { Key, version } of all) {
    if (version.body === undefined) continue;
    const one = { Bucket: bucket, Key, VersionId: version.id };
    const { Body } = await client.send(new GetObjectCommand(one));
    expect(await Body?.transformToString()).toBe(version.body);
    const head = await client.send(new HeadObjectCommand(one));
    expect([head.ETag, head.ObjectLockMode, head.ObjectLockLegalHoldStatus]).toEqual([
      version.etag,
      version.mode,
      version.hold,
    ]);
    expect(head.ObjectLockRetainUntilDate?.getTime()).toBe(version.until);
  }
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
  const current = all.filter(({ version, IsLatest }) => IsLatest && version.body);
  expect(Contents.map(({ Key, ETag }) => [Key, ETag])).toEqual(
    current.map(({ Key, version }) => [Key, version.etag]),
  );
}

test('agrees with a model of S3 after any sequence of writes, deletions, retentions and holds', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(operation, { maxLength: 14 }),
      fc.integer({ min: 1, max: 4 }),
      async (steps, MaxKeys) => {
        const { client, directory, errors } = await startWorld();
        let model: Model = new Map();
        const start = Date.now();

        for (const [n, step] of steps.entries()) {
          // Sending adds the new version to the model that it is given.
          const sent = structuredClone(model);
          const status = expectedStatus(model, step, start);
          expect(await send(client, sent, step, start, n), JSON.stringify(step)).toBe(status);
          if (step.kind === 'put' || step.kind === 'delete') model = sent;
        }

        await expectSame(client, model, MaxKeys);
        const { client: restarted } = await startWorld({ directory, readOnly: true });
        await expectSame(restarted, model, 1000);
        const objects = [...model.values()].flat().filter(({ body }) => body !== undefined);
        const files = await filesBelow(directory);
        expect(files.filter((path) => path.startsWith('.s3/metadata/'))).toHaveLength(objects.length);
        expect(errors).toEqual([]);
      },
    ),
    { numRuns: propertyRuns(300) },
  );
});
