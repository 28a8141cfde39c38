/**
 * Telnyx signs each event with Ed25519 over `<timestamp>|<raw body>`
 * (https://developers.telnyx.com/development/api-fundamentals/webhooks/receiving-webhooks). Pure, over
 * `node:crypto`; nothing else parses a webhook's body.
 */
import { createPublicKey, type KeyObject, verify as verifySignature } from 'node:crypto';

type SignatureRefusal =
  | 'signature-missing'
  | 'signature-malformed'
  | 'timestamp-malformed'
  | 'timestamp-outside-window'
  | 'signature-wrong';

export type Verdict =
  /** Genuine, and JSON: only now may anybody look at it. */
  | { genuine: true; payload: unknown }
  /** Genuine, but not UTF-8 or not JSON. */
  | { genuine: true; unreadable: true }
  | { genuine: false; reason: SignatureRefusal };

export interface SignedRequest {
  /** The bytes as they came over the wire. */
  rawBody: Buffer;
  /** `telnyx-signature-ed25519`: base64 of 64 bytes. */
  signature: string | undefined;
  /** `telnyx-timestamp`: seconds since the Unix epoch, ten digits. */
  timestamp: string | undefined;
}

/** Telnyx's own libraries accept an event for five minutes, either way. */
const toleranceSeconds = 300;

/** @param nowMs milliseconds since the Unix epoch */
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
    // Bytes that are no UTF-8, a byte order mark, or no JSON: Telnyx sends none of these.
    return { genuine: true, unreadable: true };
  }
}

function refused(reason: SignatureRefusal): Verdict {
  return { genuine: false, reason };
}

/** SubjectPublicKeyInfo up to the key itself (RFC 8410, section 4). */
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');

/**
 * Reads Telnyx's public keys, as its portal shows them: base64 of 32 bytes. Two at once allow for a rotation.
 *
 * @throws Error naming what is wrong, for the first key that is no usable one
 */
export function readPublicKeys(keys: readonly string[]): KeyObject[] {
  return keys.map((key) => {
    const bytes = strictBase64(key, 32);
    if (bytes === undefined) {
      throw new Error(
        "must hold Telnyx's public key as its portal shows it: base64 of 32 bytes, 44 characters.",
      );
    }
    if (isLowOrder(bytes)) {
      throw new Error(
        'holds a low-order point, with which signatures can be forged. It is not a key of Telnyx.',
      );
    }
    return createPublicKey({ key: Buffer.concat([spkiPrefix, bytes]), format: 'der', type: 'spki' });
  });
}

/** The field of Curve25519 (RFC 8032, section 5.1). */
const fieldPrime = 2n ** 255n - 19n;
const orderEight = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n;
/** The y coordinates of the eight points of small order: of order 1, 2, 4 and 8, the last two with either sign. */
const lowOrderY: ReadonlySet<bigint> = new Set([
  1n,
  fieldPrime - 1n,
  0n,
  orderEight,
  fieldPrime - orderEight,
]);

/** Whatever the sign bit, and whether or not y is written reduced: Node accepts all of these as keys. */
function isLowOrder(key: Buffer): boolean {
  const encoded = BigInt(`0x${Buffer.from(key).reverse().toString('hex')}`);
  const y = BigInt.asUintN(255, encoded) % fieldPrime;
  return lowOrderY.has(y);
}

/** Padded base64 of exactly so many bytes and nothing around it; a doubled header, joined by a comma, is none. */
function strictBase64(text: string, length: number): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === length && bytes.toString('base64') === text ? bytes : undefined;
}
