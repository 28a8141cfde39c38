/** Telnyx's signing keys, and a key that is not Telnyx's. */
import { importSeed, type SigningKey, signedHeaders } from '../../local/telnyx/signing.ts';
import type { RandomSource } from './random.ts';

/**
 * The identity point. With OpenSSL 3.0, a signature made of this point and zeros is valid for every message; 3.5.8, which
 * Node 24.21 includes, rejects it.
 */
export const lowOrderPublicKey = Buffer.from(`01${'00'.repeat(31)}`, 'hex').toString('base64');

export class Signer {
  /** The key with which Telnyx signs. */
  current: SigningKey;
  /** The key after a rotation. */
  readonly next: SigningKey;
  /** Whether the current key is not deployed yet. */
  usesUndeployedKey = false;
  readonly #forger: SigningKey;

  constructor(random: RandomSource) {
    const newKey = () => importSeed(random.bytes(32).toString('base64'));
    this.current = newKey();
    this.next = newKey();
    this.#forger = newKey();
  }

  sign(body: Buffer, seconds: number): Record<string, string> {
    return signedHeaders(body, seconds, this.current);
  }

  forge(body: Buffer, seconds: number): Record<string, string> {
    return signedHeaders(body, seconds, this.#forger);
  }
}
