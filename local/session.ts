/**
 * Session file of a running local stack, read by `npm run send-event` and the operator's commands to find it. The file
 * is in the private folder of the local S3, so that it belongs to the archive but is not an object.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hasSystemCode } from '../functions/errors.ts';
import type { LaneName } from '../functions/queue/lanes.ts';
import { type Identity, isAnswering } from './identity-port.ts';
import type { LocalLane } from './queues.ts';
import { privateFolder } from './s3/object-store.ts';

export interface Session {
  /** Process ID of the stack, to show. It says nothing about whether the stack is running. */
  pid: number;
  identity: Identity;
  webhookUrl: string;
  /** Seed of the temporary signing key, in base64. */
  signingKey: string;
  telnyxUrl: string;
  /** Whether Telnyx is the stand-in, whose API key is public. */
  standIn: boolean;
  sqsEndpoint: string;
  lanes: Record<LaneName, LocalLane>;
  metricsUrl: string;
}

/** Replaces the file as a whole, so that a reader never sees a part of it. */
export async function writeSession(archive: string, session: Session): Promise<void> {
  const path = pathOf(archive);
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${randomUUID()}`;
  await writeFile(temporary, `${JSON.stringify(session)}\n`, { mode: 0o600, flag: 'wx' });
  await rename(temporary, path);
}

/** Returns the session of the running stack. Undefined if there is none, or if a killed stack left its file behind. */
export async function readSession(archive: string): Promise<Session | undefined> {
  let text: string;
  try {
    text = await readFile(pathOf(archive), 'utf8');
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT') || hasSystemCode(error, 'ENOTDIR')) return undefined;
    throw error;
  }
  const session: Session = JSON.parse(text);
  // A file of an earlier version has no identity; its stack cannot be running with this one's tools.
  return session.identity !== undefined && (await isAnswering(session.identity)) ? session : undefined;
}

export async function removeSession(archive: string): Promise<void> {
  await rm(pathOf(archive), { force: true });
}

function pathOf(archive: string): string {
  return join(archive, privateFolder, 'stack.json');
}
