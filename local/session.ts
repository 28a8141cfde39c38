/**
 * Session file of a running local stack, read by `npm run send-event` and the operator's commands to find it. The file
 * is in the private folder of the local S3, so that it belongs to the archive but is not an object.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hasSystemCode } from '../functions/errors.ts';
import type { LaneName } from '../functions/queue/lanes.ts';
import type { LocalLane } from './queues.ts';
import { privateFolder } from './s3/object-store.ts';

export interface Session {
  /** Process ID of the stack. */
  pid: number;
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

export async function writeSession(archive: string, session: Session): Promise<void> {
  const path = pathOf(archive);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${JSON.stringify(session)}\n`, { mode: 0o600 });
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
    // Signal 0 only checks whether the process exists.
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasSystemCode(error, 'EPERM');
  }
}
