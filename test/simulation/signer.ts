/** Telnyx's signing keys, those of a forger, and what the operator deploys of them. */
import { importSeed, type SigningKey, signedHeaders } from '../../local/telnyx/signing.ts';
import type { RandomSource } from './random.ts';

/**
 * The identity point. With OpenSSL 3.0 a signature of itself and zeros fits every message under it; 3.5.8, which
 * Node 24.21 brings along, refuses that.
 */
export const lowOrderPublicKey = Buffer.from(`01${'00'.repeat(31)}`, 'hex').toString('base64');

export class Signer {
  /** What Telnyx signs with. */
  current: SigningKey;
  /** What it signs with after a rotation. */
  readonly next: SigningKey;
  /** Whether it signs with a key that is not deployed. */
  isAhead = false;
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
