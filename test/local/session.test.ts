import { chmod, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { privateFolder } from '../../local/s3/object-key.ts';
import { readSession, type Session, writeSession } from '../../local/session.ts';
import { newFolder, startArchive } from '../cli/world.ts';

const fileOf = (archive: string) => join(archive, privateFolder, 'stack.json');

async function sessionOf(archive: string): Promise<Session> {
  return JSON.parse(await readFile(fileOf(archive), 'utf8'));
}

it('is read while the stack runs, and gone after it has stopped', async () => {
  const { archive, stack, stop } = await startArchive({});

  expect((await readSession(archive))?.webhookUrl).toBe(stack.addresses.webhookUrl);
  expect((await stat(fileOf(archive))).mode & 0o777).toBe(0o600);
  await stop();

  expect(await readSession(archive)).toBeUndefined();
});

it('of a crashed stack is ignored, although its process ID and port now belong to another program', async () => {
  const { archive, stop } = await startArchive({});
  const session = await sessionOf(archive);
  await stop();
  const other = createServer((_request, response) => response.end('Hello'));
  other.listen(0, '127.0.0.1');
  onTestFinished(() => void other.close());
  await new Promise((resolve) => other.once('listening', resolve));
  const { port } = other.address() as AddressInfo;

  await writeSession(archive, { ...session, pid: process.pid, identity: { ...session.identity, port } });

  expect(await readSession(archive)).toBeUndefined();
});

it('of a crashed stack is ignored when nobody listens on its port', async () => {
  const { archive, stop } = await startArchive({});
  const session = await sessionOf(archive);
  await stop();

  await writeSession(archive, { ...session, pid: process.pid });

  expect(await readSession(archive)).toBeUndefined();
});

it('is not replaced or removed by a second stack on the same archive, which is refused', async () => {
  const { archive } = await startArchive({});
  const before = await readFile(fileOf(archive), 'utf8');

  const second = startArchive({}, { archive });

  await expect(second).rejects.toThrow(
    `A local stack is already running on ${archive} (process ${process.pid}). Stop it first, or pass another folder with --archive.`,
  );
  expect(await readFile(fileOf(archive), 'utf8')).toBe(before);
  expect(await readSession(archive)).toBeDefined();
});

it.each([0o644, 0o620, 0o604])(
  'is ignored when its mode is %o, because others could have written or read it',
  async (mode) => {
    const { archive } = await startArchive({});
    expect(await readSession(archive)).toBeDefined();

    await chmod(fileOf(archive), mode);

    expect(await readSession(archive)).toBeUndefined();
  },
);

it('is ignored when it belongs to another user', async () => {
  const { archive } = await startArchive({});
  const ownId = process.getuid?.() ?? 0;
  vi.spyOn(process, 'getuid').mockReturnValue(ownId + 1);
  onTestFinished(() => void vi.restoreAllMocks());

  expect(await readSession(archive)).toBeUndefined();
});

it.each(['the file', 'its folder'])('is ignored when %s is a symbolic link', async (what) => {
  const { archive } = await startArchive({});
  const linked = what === 'the file' ? fileOf(archive) : join(archive, privateFolder);
  const elsewhere = join(await newFolder(), 'elsewhere');

  await rename(linked, elsewhere);
  await symlink(elsewhere, linked);

  expect(await readSession(archive)).toBeUndefined();
  await rm(linked);
  await rename(elsewhere, linked);
  expect(await readSession(archive)).toBeDefined();
});

it('is not written through a symbolic link', async () => {
  const { archive, stop } = await startArchive({});
  const session = await sessionOf(archive);
  await stop();
  const [victim, other] = [join(await newFolder(), 'victim'), await newFolder()];
  await writeFile(victim, 'precious');
  await symlink(victim, fileOf(archive));
  await symlink(join(archive, privateFolder), join(other, privateFolder));

  await writeSession(archive, session);

  expect(await readFile(victim, 'utf8')).toBe('precious');
  await expect(writeSession(other, session)).rejects.toThrow('is a symbolic link; not followed.');
  await expect(startArchive({}, { archive: other })).rejects.toThrow('is a symbolic link; not followed.');
});

it.each<[string, (session: Session) => unknown]>([
  ['its webhook is elsewhere', (session) => ({ ...session, webhookUrl: 'http://evil.example/webhook' })],
  ['its SQS is elsewhere', (session) => ({ ...session, sqsEndpoint: 'https://evil.example' })],
  ['its metrics are elsewhere', (session) => ({ ...session, metricsUrl: 'http://127.0.0.1@evil.example/' })],
  ['its S3 is elsewhere', (session) => ({ ...session, s3Endpoint: 'http://127.0.0.1.evil.example' })],
  ['its stand-in is elsewhere', (session) => ({ ...session, telnyxUrl: 'https://evil.example/v2' })],
  [
    'a queue is elsewhere',
    ({ lanes, ...session }) => ({
      ...session,
      lanes: { ...lanes, spans: { ...lanes.spans, queueUrl: 'https://evil.example/0/spans' } },
    }),
  ],
  ['it has no credentials', ({ credentials: _, ...session }) => session],
  ['it is not an object', () => null],
])('is ignored when %s', async (_what, change) => {
  const { archive } = await startArchive({});
  const session = await sessionOf(archive);

  await writeSession(archive, change(session) as Session);

  expect(await readSession(archive)).toBeUndefined();
  await writeSession(archive, session);
  expect(await readSession(archive)).toBeDefined();
});

it('is ignored when it is not JSON', async () => {
  const { archive } = await startArchive({});

  await writeFile(fileOf(archive), '\u001b[2J{');

  expect(await readSession(archive)).toBeUndefined();
});

it('does not exist in a folder without a stack', async () => {
  expect(await readSession(await newFolder())).toBeUndefined();
});
