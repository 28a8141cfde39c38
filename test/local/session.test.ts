import { readFile, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { privateFolder } from '../../local/s3/object-store.ts';
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
    `\`npm start\` is already running on ${archive} (process ${process.pid}). Stop it first, or pass another folder with --archive.`,
  );
  expect(await readFile(fileOf(archive), 'utf8')).toBe(before);
  expect(await readSession(archive)).toBeDefined();
});

it('does not exist in a folder without a stack', async () => {
  expect(await readSession(await newFolder())).toBeUndefined();
});
