/** Retentions and legal holds, as a client sees them. */
import { writeFile } from 'node:fs/promises';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  GetObjectLegalHoldCommand,
  GetObjectLockConfigurationCommand,
  GetObjectRetentionCommand,
  HeadObjectCommand,
  type ObjectLockRetention,
  type ObjectLockRetentionMode,
  PutObjectCommand,
  PutObjectLegalHoldCommand,
  PutObjectRetentionCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseFlatXml, xmlDocument } from '../../../local/s3/xml.ts';
import { fuzzRuns } from '../../fuzz-runs.ts';
import { bucket, shiftedTime, startWorld } from './fixture.ts';

const one = { Bucket: bucket, Key: 'documents/one' };
const dayMs = 86_400_000;
const inDays = (days: number) => new Date(Math.ceil(Date.now() / 1000) * 1000 + days * dayMs);
/** For a retention that ends while the clocks of client and server still agree within 15 minutes. */
const soon = () => new Date(Math.ceil(Date.now() / 1000) * 1000 + 600_000);
const pastSoonMs = 700_000;
const denied = { name: 'AccessDenied', $metadata: { httpStatusCode: 403 } };

async function put(client: S3Client, more: object = {}): Promise<string> {
  return (await client.send(new PutObjectCommand({ ...one, Body: 'hello', ...more }))).VersionId ?? '';
}

const retain = (client: S3Client, Retention: ObjectLockRetention, more: object = {}) =>
  client.send(new PutObjectRetentionCommand({ ...one, Retention, ...more }));

const hold = (client: S3Client, Status: 'ON' | 'OFF', more: object = {}) =>
  client.send(new PutObjectLegalHoldCommand({ ...one, LegalHold: { Status }, ...more }));

const remove = (client: S3Client, VersionId: string, BypassGovernanceRetention = false) =>
  client.send(new DeleteObjectCommand({ ...one, VersionId, BypassGovernanceRetention }));

test('stores the retention and the legal hold of a PUT and returns them', async () => {
  const { client, directory } = await startWorld();
  const lock = {
    ObjectLockMode: 'COMPLIANCE' as const,
    ObjectLockRetainUntilDate: inDays(1),
    ObjectLockLegalHoldStatus: 'ON' as const,
  };
  const VersionId = await put(client, lock);
  await put(client);

  const { client: restarted } = await startWorld({ directory });
  const version = { ...one, VersionId };
  const head = await restarted.send(new HeadObjectCommand(version));
  const get = await restarted.send(new GetObjectCommand(version));
  await get.Body?.transformToString();
  const { Retention } = await restarted.send(new GetObjectRetentionCommand(version));
  const { LegalHold } = await restarted.send(new GetObjectLegalHoldCommand(version));

  expect(head).toMatchObject(lock);
  expect(get).toMatchObject(lock);
  expect(Retention).toEqual({ Mode: 'COMPLIANCE', RetainUntilDate: lock.ObjectLockRetainUntilDate });
  expect(LegalHold).toEqual({ Status: 'ON' });
});

test('returns NoSuchObjectLockConfiguration where there is no retention and no legal hold', async () => {
  const { client } = await startWorld();
  await put(client);
  const missing = { name: 'NoSuchObjectLockConfiguration', $metadata: { httpStatusCode: 404 } };

  const head = await client.send(new HeadObjectCommand(one));
  await expect(client.send(new GetObjectRetentionCommand(one))).rejects.toMatchObject(missing);
  await expect(client.send(new GetObjectLegalHoldCommand(one))).rejects.toMatchObject(missing);

  expect(head.ObjectLockMode).toBeUndefined();
});

test('gives each new version the default retention of its bucket, from its time on', async () => {
  const time = shiftedTime();
  const { client } = await startWorld({
    time,
    defaultRetention: { [bucket]: { mode: 'GOVERNANCE', days: 30 } },
  });
  time.shift(60_000);
  await put(client);
  const own = { ObjectLockMode: 'COMPLIANCE' as const, ObjectLockRetainUntilDate: inDays(2) };
  const stated = await put(client, { ...own, Key: 'documents/two' });

  const { LastModified, ...head } = await client.send(new HeadObjectCommand(one));
  const other = await client.send(new HeadObjectCommand({ ...one, Key: 'documents/two', VersionId: stated }));
  const configuration = await client.send(new GetObjectLockConfigurationCommand({ Bucket: bucket }));

  expect(head.ObjectLockMode).toBe('GOVERNANCE');
  const until = head.ObjectLockRetainUntilDate?.getTime() ?? 0;
  expect(Math.floor(until / 1000) * 1000).toBe((LastModified?.getTime() ?? 0) + 30 * dayMs);
  expect(other).toMatchObject(own);
  expect(configuration.ObjectLockConfiguration).toEqual({
    ObjectLockEnabled: 'Enabled',
    Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Days: 30 } },
  });
});

test('reports Object Lock without a default retention', async () => {
  const { client } = await startWorld();

  const { ObjectLockConfiguration } = await client.send(
    new GetObjectLockConfigurationCommand({ Bucket: bucket }),
  );

  expect(ObjectLockConfiguration).toEqual({ ObjectLockEnabled: 'Enabled' });
});

test.each<[ObjectLockRetentionMode, boolean, boolean]>([
  ['GOVERNANCE', false, false],
  ['GOVERNANCE', true, true],
  ['COMPLIANCE', false, false],
  ['COMPLIANCE', true, false],
])('deletes a version under %s retention (bypass: %s): %s', async (Mode, bypass, isDeleted) => {
  const time = shiftedTime();
  const { client } = await startWorld({ time });
  const version = await put(client, { ObjectLockMode: Mode, ObjectLockRetainUntilDate: soon() });
  // An overwrite and a delete marker are allowed; a marker itself is never locked.
  await put(client);
  const { VersionId: marker = '' } = await client.send(new DeleteObjectCommand(one));
  await remove(client, marker);

  const deleted = remove(client, version, bypass);

  if (isDeleted) await deleted;
  else {
    await expect(deleted).rejects.toMatchObject(denied);
    time.shift(pastSoonMs);
    await remove(client, version);
  }
  const gone = client.send(new HeadObjectCommand({ ...one, VersionId: version }));
  await expect(gone).rejects.toMatchObject({ $metadata: { httpStatusCode: 404 } });
});

test('keeps a version under legal hold, whatever its retention, until the hold is released', async () => {
  const { client } = await startWorld();
  const version = await put(client, { ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: inDays(1) });
  await put(client);
  await hold(client, 'ON', { VersionId: version });

  await expect(remove(client, version, true)).rejects.toMatchObject(denied);
  await retain(client, {}, { VersionId: version, BypassGovernanceRetention: true });
  await expect(remove(client, version, true)).rejects.toMatchObject(denied);
  await hold(client, 'OFF', { VersionId: version });
  const { LegalHold } = await client.send(new GetObjectLegalHoldCommand({ ...one, VersionId: version }));
  await remove(client, version);

  expect(LegalHold).toEqual({ Status: 'OFF' });
});

type Change = [from: ObjectLockRetentionMode, to: ObjectLockRetentionMode | undefined, days: number];
test.each<[...Change, without: 'done' | 'denied', withBypass: 'done' | 'denied']>([
  ['GOVERNANCE', 'GOVERNANCE', 3, 'done', 'done'],
  ['GOVERNANCE', 'GOVERNANCE', 1, 'denied', 'done'],
  ['GOVERNANCE', 'COMPLIANCE', 3, 'denied', 'done'],
  ['GOVERNANCE', undefined, 0, 'denied', 'done'],
  ['COMPLIANCE', 'COMPLIANCE', 3, 'done', 'done'],
  ['COMPLIANCE', 'COMPLIANCE', 1, 'denied', 'denied'],
  ['COMPLIANCE', 'GOVERNANCE', 3, 'denied', 'denied'],
  ['COMPLIANCE', undefined, 0, 'denied', 'denied'],
])('changes a %s retention of 2 days to %s of %i days: %s, and %s with bypass', async (...row) => {
  const [Mode, to, days, ...expected] = row;
  const outcomes = [];
  for (const BypassGovernanceRetention of [false, true]) {
    const { client } = await startWorld();
    await put(client, { ObjectLockMode: Mode, ObjectLockRetainUntilDate: inDays(2) });

    const change = to ? { Mode: to, RetainUntilDate: inDays(days) } : {};
    const outcome = await retain(client, change, { BypassGovernanceRetention }).then(
      () => 'done',
      ({ name }) => (name === 'AccessDenied' ? 'denied' : name),
    );
    outcomes.push(outcome);
  }

  expect(outcomes).toEqual(expected);
});

test('changes a retention that has ended', async () => {
  const time = shiftedTime();
  const { client } = await startWorld({ time });
  await put(client, { ObjectLockMode: 'COMPLIANCE', ObjectLockRetainUntilDate: soon() });
  time.shift(pastSoonMs);

  await retain(client, {});

  await expect(client.send(new GetObjectRetentionCommand(one))).rejects.toMatchObject({
    name: 'NoSuchObjectLockConfiguration',
  });
});

test('refuses a retention that ends in the past', async () => {
  const { client } = await startWorld();
  await put(client);

  await expect(retain(client, { Mode: 'GOVERNANCE', RetainUntilDate: inDays(-1) })).rejects.toMatchObject({
    name: 'InvalidArgument',
  });
});

test('locks only a version that exists and is an object', async () => {
  const { client } = await startWorld();
  await put(client);
  const { VersionId } = await client.send(new DeleteObjectCommand(one));
  const missing = { ...one, Key: 'missing' };

  await expect(hold(client, 'ON', missing)).rejects.toMatchObject({ name: 'NoSuchKey' });
  await expect(hold(client, 'ON', { VersionId: 'x' })).rejects.toMatchObject({ name: 'NoSuchVersion' });
  await expect(hold(client, 'ON', { VersionId })).rejects.toMatchObject({ name: 'MethodNotAllowed' });
  await expect(client.send(new GetObjectLegalHoldCommand({ ...one, VersionId }))).rejects.toMatchObject({
    name: 'MethodNotAllowed',
  });
});

test('locks a file that was added by hand, and keeps its ETag', async () => {
  const { client, directory } = await startWorld();
  await writeFile(`${directory}/file`, 'by hand');
  const file = { Bucket: bucket, Key: 'file' };
  const { ETag } = await client.send(new HeadObjectCommand(file));

  await client.send(new PutObjectLegalHoldCommand({ ...file, LegalHold: { Status: 'ON' } }));

  const head = await client.send(new HeadObjectCommand(file));
  expect(head).toMatchObject({ ETag, VersionId: 'null', ObjectLockLegalHoldStatus: 'ON' });
  await expect(client.send(new DeleteObjectCommand({ ...file, VersionId: 'null' }))).rejects.toMatchObject(
    denied,
  );
});

const namespace = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';
const retention = (content: string) => `<Retention ${namespace}>${content}</Retention>`;
const legalHold = (content: string) => `<LegalHold>${content}</LegalHold>`;

/** Sends a body as it is. @returns the code of the error, if any */
async function sendXml(client: S3Client, body: string): Promise<string | undefined> {
  const command = body.includes('Retention')
    ? new PutObjectRetentionCommand({ ...one, Retention: {} })
    : new PutObjectLegalHoldCommand({ ...one, LegalHold: {} });
  client.middlewareStack.add(
    (next) => (args) => {
      Object.assign(args.request as object, { body });
      return next(args);
    },
    { step: 'build', priority: 'high', name: 'replaceBody' },
  );
  const code = await client.send(command as PutObjectRetentionCommand).then(
    () => undefined,
    ({ name }) => name,
  );
  client.middlewareStack.remove('replaceBody');
  return code;
}

test.each([
  retention('<Mode>FOREVER</Mode><RetainUntilDate>2999-01-01T00:00:00Z</RetainUntilDate>'),
  retention('<Mode>COMPLIANCE</Mode>'),
  retention('<RetainUntilDate>2999-01-01T00:00:00Z</RetainUntilDate>'),
  retention('<Mode>COMPLIANCE</Mode><RetainUntilDate>2999-01-01T00:00:00Z</RetainUntilDate><Days>1</Days>'),
  legalHold('<Status>on</Status>'),
  legalHold(''),
  legalHold('<Status>ON</Status><Status>OFF</Status>'),
  legalHold('<Status>ON</Other>'),
  legalHold('<Status>O&#78;</Status>'),
  `<!DOCTYPE a>${legalHold('<Status>ON</Status>')}`,
  `${legalHold('<Status>ON</Status>')}x`,
  '<Hold><Status>ON</Status></Hold>',
  '',
])('refuses the body %s as malformed', async (body) => {
  const { client } = await startWorld();
  await put(client);

  const code = await sendXml(client, body);

  expect(code).toBe('MalformedXML');
  const head = await client.send(new HeadObjectCommand(one));
  expect([head.ObjectLockMode, head.ObjectLockLegalHoldStatus]).toEqual([undefined, undefined]);
});

test.each([
  retention('\n <Mode>COMPLIANCE</Mode>\n <RetainUntilDate>2999-01-01T00:00:00Z</RetainUntilDate>\n'),
  `<?xml version="1.0" encoding="UTF-8"?>\n${legalHold('<Status>ON</Status>')}\n`,
])('accepts the body %s', async (body) => {
  const { client } = await startWorld();
  await put(client);

  expect(await sendXml(client, body)).toBeUndefined();
});

test('parseFlatXml returns what xmlDocument wrote, and throws for no text', () => {
  const name = fc.stringMatching(/^[A-Za-z]{1,8}$/);
  const fields = fc.uniqueArray(fc.tuple(name, fc.stringMatching(/^[A-Z0-9:.-]{0,12}$/)), {
    selector: ([each]) => each,
  });
  fc.assert(
    fc.property(name, fields, fc.string(), (root, children, any) => {
      const document = xmlDocument(root, children, ` ${namespace}`).toString();

      expect([...(parseFlatXml(document, root) ?? [])]).toEqual(children);
      expect(() => parseFlatXml(`<${root}>${any}`, root)).not.toThrow();
    }),
    { numRuns: fuzzRuns() },
  );
});
