/**
 * Telnyx signs each event with Ed25519 over `<timestamp>|<raw body>`
 * (https://developers.telnyx.com/development/api-fundamentals/webhooks/receiving-webhooks). Pure. This is the only code
 * that parses a webhook's body, so that no other code can use an unverified one.
 */
import { createPublicKey, type KeyObject, verify as verifySignature } from 'node:crypto';

export type SignatureRefusal =
  | 'signature-missing'
  | 'signature-malformed'
  | 'timestamp-malformed'
  | 'timestamp-outside-window'
  | 'signature-wrong';

export type Verdict =
  /** The signature is valid, and the body is JSON. */
  | { genuine: true; payload: unknown }
  /** The signature is valid, but the body is not UTF-8 or not JSON. */
  | { genuine: true; unreadable: true }
  | { genuine: false; reason: SignatureRefusal };

export interface SignedRequest {
  /** The bytes as received. */
  rawBody: Buffer;
  /** `telnyx-signature-ed25519`: base64 of 64 bytes. */
  signature: string | undefined;
  /** `telnyx-timestamp`: seconds since the Unix epoch, ten digits. */
  timestamp: string | undefined;
}

/** Telnyx's own libraries accept timestamps up to five minutes in the past or future. */
const toleranceSeconds = 300;

/**
 * Verifies the signature and, only then, parses the body.
 *
 * @param nowMs milliseconds since the Unix epoch
 */
export function verify(
  { rawBody, signature, timestamp }: SignedRequest,
  publicKeys: readonly KeyObject[],
  nowMs: number,
): Verdict {
  if (signature === undefined || timestamp === undefined) return refused('signature-missing');
  const signatureBytes = strictBase64(signature, 64);
  if (signatureBytes === undefined) return refused('signature-malformed');
  if (!/^\d{10}$/.test(timestamp)) return refused('timestamp-malformed');
  if (Math.abs(nowMs / 1_000 - Number(timestamp)) > toleranceSeconds)
    return refused('timestamp-outside-window');
  const signed = Buffer.concat([Buffer.from(`${timestamp}|`), rawBody]);
  if (!publicKeys.some((key) => verifySignature(null, signed, key, signatureBytes))) {
    return refused('signature-wrong');
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(rawBody);
    return { genuine: true, payload: JSON.parse(text) };
  } catch {
    // Not UTF-8, a byte order mark, or not JSON. Telnyx sends none of these.
    return { genuine: true, unreadable: true };
  }
}

function refused(reason: SignatureRefusal): Verdict {
  return { genuine: false, reason };
}

/** SubjectPublicKeyInfo up to the key bytes (RFC 8410, section 4). */
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');

/**
 * Reads Telnyx's public keys, as its portal shows them: base64 of 32 bytes. Two keys at once allow for a rotation.
 *
 * @throws Error for the first invalid key. The message completes "TELNYX_PUBLIC_KEYS …"
 */
export function readPublicKeys(keys: readonly string[]): KeyObject[] {
  return keys.map((key) => {
    const bytes = strictBase64(key, 32);
    if (bytes === undefined) {
      throw new Error(
        "must contain Telnyx's public key as its portal shows it: base64 of 32 bytes, 44 characters.",
      );
    }
    if (isLowOrder(bytes)) {
      throw new Error(
        'contains a low-order point, which allows anyone to forge signatures. It is not a key of Telnyx.',
      );
    }
    return createPublicKey({ key: Buffer.concat([spkiPrefix, bytes]), format: 'der', type: 'spki' });
  });
}

/** The prime of Curve25519's field (RFC 8032, section 5.1). */
const fieldPrime = 2n ** 255n - 19n;
const orderEight = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n;
/** The y coordinates of the eight low-order points: one each for the orders 1, 2 and 4, and two for order 8. */
const lowOrderY: ReadonlySet<bigint> = new Set([
  1n,
  fieldPrime - 1n,
  0n,
  orderEight,
  fieldPrime - orderEight,
]);

/** Covers both sign bits and unreduced encodings of y: Node accepts all of these as keys. */
function isLowOrder(key: Buffer): boolean {
  const encoded = BigInt(`0x${Buffer.from(key).reverse().toString('hex')}`);
  const y = BigInt.asUintN(255, encoded) % fieldPrime;
  return lowOrderY.has(y);
}

/** Decodes padded base64 of exactly `length` bytes. Undefined for anything else, such as a doubled header with a comma. */
function strictBase64(text: string, length: number): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === length && bytes.toString('base64') === text ? bytes : undefined;
}
