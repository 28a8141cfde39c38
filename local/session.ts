/**
 * Session file of a running local stack, read by `npm run send-event` and the operator's commands to find it. The file
 * is in the private folder of the local S3, so that it belongs to the archive but is not an object.
 */
import { randomUUID } from 'node:crypto';
import type { Stats } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { laneNames } from '../functions/queue/lanes.ts';
import { isAnswering } from './identity-port.ts';
import { isLoopbackHost } from './loopback.ts';
import { privateFolder } from './s3/object-key.ts';
import { fileMode, UntrustedFolder } from './s3/untrusted-folder.ts';

const name = 'stack.json';

const isLoopbackUrl = (url: string) => isLoopbackHost(new URL(url).host);
const url = v.pipe(v.string(), v.url());
/** The folder of an archive may come from somebody else: what it names must be on this machine. */
const loopbackUrl = v.pipe(url, v.check(isLoopbackUrl));
const lane = v.object({
  name: v.picklist(laneNames),
  live: v.boolean(),
  queueArn: v.string(),
  queueUrl: loopbackUrl,
  deadLetterQueueUrl: loopbackUrl,
});
const sessionSchema = v.pipe(
  v.object({
    /** Process ID of the stack, to show. It says nothing about whether the stack is running. */
    pid: v.number(),
    identity: v.object({ port: v.number(), key: v.string() }),
    webhookUrl: loopbackUrl,
    /** Seed of the temporary signing key, in base64. */
    signingKey: v.string(),
    /** Of the stand-in or of the real Telnyx. */
    telnyxUrl: url,
    /** API key of the stand-in. The key of a real account is not stored. */
    standInKey: v.exactOptional(v.string()),
    s3Endpoint: loopbackUrl,
    /** Bucket of the archive at `s3Endpoint`; missing if the archive is in another S3. */
    bucket: v.exactOptional(v.string()),
    /** Of the local S3 and SQS. */
    credentials: v.object({ accessKeyId: v.string(), secretAccessKey: v.string() }),
    sqsEndpoint: loopbackUrl,
    lanes: v.object({ documents: lane, backfill: lane, discovery: lane, spans: lane, audit: lane }),
    metricsUrl: loopbackUrl,
  }),
  v.check(({ standInKey, telnyxUrl }) => standInKey === undefined || isLoopbackUrl(telnyxUrl)),
);

export type Session = v.InferOutput<typeof sessionSchema>;

/** Replaces the file as a whole, so that a reader never sees a part of it. */
export async function writeSession(archive: string, session: Session): Promise<void> {
  await new UntrustedFolder(archive).makeFolder(privateFolder);
  const path = pathOf(archive);
  const temporary = `${path}.${randomUUID()}`;
  await writeFile(temporary, `${JSON.stringify(session)}\n`, { mode: fileMode, flag: 'wx' });
  await rename(temporary, path);
}

/**
 * Returns the session of this user's running stack. Undefined if there is none, if a killed stack left its file behind, or
 * if others could have written the file.
 */
export async function readSession(archive: string): Promise<Session | undefined> {
  const file = await new UntrustedFolder(archive).open(`${privateFolder}/${name}`);
  if (!file) return undefined;
  let text: string;
  try {
    if (!isPrivate(file.stats)) return undefined;
    text = await file.handle.readFile('utf8');
  } finally {
    await file.handle.close();
  }
  const session = v.safeParse(v.pipe(v.string(), v.parseJson(), sessionSchema), text);
  // The file of another version is not valid; its stack does not work with this version's tools.
  return session.success && (await isAnswering(session.output.identity)) ? session.output : undefined;
}

export async function removeSession(archive: string): Promise<void> {
  await rm(pathOf(archive), { force: true });
}

function pathOf(archive: string): string {
  return join(archive, privateFolder, name);
}

/** Whether the file belongs to this user, and only to this user. Windows has neither user IDs nor modes. */
function isPrivate({ uid, mode }: Stats): boolean {
  return process.getuid === undefined || (uid === process.getuid() && (mode & 0o077) === 0);
}
