/**
 * Where the running stack of a local archive is to be found, for `npm run send-event` and the operator's tools: a
 * file among those that the local S3 keeps to itself, so that it goes with the archive and is no object of it.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hasSystemCode } from '../functions/errors.ts';
import type { LaneName } from '../functions/queue/lanes.ts';
import type { LocalLane } from './queues.ts';
import { privateFolder } from './s3/object-store.ts';

export interface Session {
  /** Of the process that runs the stack. */
  pid: number;
  webhookUrl: string;
  /** Base64 of the seed of the throw-away signing key. */
  signingKey: string;
  telnyxUrl: string;
  /** Whether Telnyx is the stand-in, whose API key everybody knows. */
  standIn: boolean;
  sqsEndpoint: string;
  lanes: Record<LaneName, LocalLane>;
  metricsUrl: string;
}

export async function writeSession(archive: string, session: Session): Promise<void> {
  const path = pathOf(archive);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${JSON.stringify(session)}\n`, { mode: 0o600 });
}

/** The stack that runs on the archive, or undefined. One that was killed has left its file, but no process. */
export async function readSession(archive: string): Promise<Session | undefined> {
  let text: string;
  try {
    text = await readFile(pathOf(archive), 'utf8');
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT') || hasSystemCode(error, 'ENOTDIR')) return undefined;
    throw error;
  }
  const session: Session = JSON.parse(text);
  return isRunning(session.pid) ? session : undefined;
}

export async function removeSession(archive: string): Promise<void> {
  await rm(pathOf(archive), { force: true });
}

function pathOf(archive: string): string {
  return join(archive, privateFolder, 'stack.json');
}

function isRunning(pid: number): boolean {
  try {
    // Signal 0 asks only whether there is somebody to send it to.
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasSystemCode(error, 'EPERM');
  }
}
