/** Signs events as Telnyx does, with a key pair of the local stack. */
import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

export interface SigningKey {
  privateKey: KeyObject;
  /** Base64 of 32 bytes, the format in Telnyx's portal. */
  publicKey: string;
}

export function createSigningKey(): SigningKey {
  const { privateKey } = generateKeyPairSync('ed25519');
  return { privateKey, publicKey: publicKeyOf(privateKey) };
}

/** Exports the 32-byte seed in base64, as stored in the session file. */
export function exportSeed({ privateKey }: SigningKey): string {
  return Buffer.from(privateKey.export({ format: 'jwk' }).d ?? '', 'base64url').toString('base64');
}

/** @throws Error if the text is not a seed */
export function importSeed(seed: string): SigningKey {
  const bytes = Buffer.from(seed, 'base64');
  if (bytes.length !== 32) throw new Error('A signing key must be 32 bytes in base64.');
  // PrivateKeyInfo up to the seed (RFC 8410, section 7).
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), bytes]);
  const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  return { privateKey, publicKey: publicKeyOf(privateKey) };
}

/** Headers of a signed event. @param seconds since the Unix epoch */
export function signedHeaders(
  body: Buffer,
  seconds: number,
  { privateKey }: SigningKey,
): Record<string, string> {
  const timestamp = String(Math.floor(seconds));
  const signed = Buffer.concat([Buffer.from(`${timestamp}|`), body]);
  return {
    'content-type': 'application/json',
    'telnyx-timestamp': timestamp,
    'telnyx-signature-ed25519': sign(null, signed, privateKey).toString('base64'),
  };
}

function publicKeyOf(privateKey: KeyObject): string {
  return Buffer.from(privateKey.export({ format: 'jwk' }).x ?? '', 'base64url').toString('base64');
}
