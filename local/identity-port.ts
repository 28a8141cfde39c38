/**
 * Proof that the stack that wrote a session file is still running. After a crash, its process ID or its ports may belong
 * to another program, which does not know the key in the file.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { openLoopbackServer } from './loopback.ts';

export interface Identity {
  /** On 127.0.0.1. */
  port: number;
  key: string;
}

export interface IdentityPort {
  identity: Identity;
  close(): Promise<void>;
}

/** How long a stack on a busy machine may take to respond. A port that nobody listens on is known at once. */
const timeoutMs = 5_000;

/** Opens a port that answers each path with its HMAC. */
export async function openIdentityPort(): Promise<IdentityPort> {
  const key = randomBytes(32).toString('base64url');
  const { origin, close } = await openLoopbackServer(({ url = '' }, response) => {
    response.end(proofOf(key, url));
  });
  return { identity: { port: Number(new URL(origin).port), key }, close };
}

/** Whether the program at the port knows the key. */
export async function isAnswering({ port, key }: Identity): Promise<boolean> {
  const challenge = `/${randomBytes(16).toString('hex')}`;
  try {
    const response = await fetch(`http://127.0.0.1:${port}${challenge}`, {
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    });
    return (await response.text()) === proofOf(key, challenge);
  } catch {
    // No program listens on the port, or one that is not a stack.
    return false;
  }
}

function proofOf(key: string, challenge: string): string {
  return createHmac('sha256', key).update(challenge).digest('hex');
}
