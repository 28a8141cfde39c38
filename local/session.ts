/** Where the running local stack is to be found, for `npm run send-event`: a file beside package.json. */
import { readFile, rm, writeFile } from 'node:fs/promises';

export interface Session {
  webhookUrl: string;
  /** Base64 of the seed of the throw-away signing key. */
  signingKey: string;
}

const file = new URL('../.local-stack.json', import.meta.url);

export async function writeSession(session: Session): Promise<void> {
  await writeFile(file, `${JSON.stringify(session)}\n`, { mode: 0o600 });
}

/** @throws Error where no stack is running */
export async function readSession(): Promise<Session> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw new Error('No local stack is running here. Start one with `npm start`, or give --url and --key.', {
      cause: error,
    });
  }
}

export async function removeSession(): Promise<void> {
  await rm(file, { force: true });
}
