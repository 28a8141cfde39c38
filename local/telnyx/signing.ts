/** Signs events as Telnyx does, with a key pair that lives as long as the local stack. */
import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

export interface SigningKey {
  privateKey: KeyObject;
  /** Base64 of 32 bytes, as Telnyx's portal shows its own. */
  publicKey: string;
}

export function createSigningKey(): SigningKey {
  const { privateKey } = generateKeyPairSync('ed25519');
  return { privateKey, publicKey: publicKeyOf(privateKey) };
}

/** As kept in the session file: base64 of the 32-byte seed. */
export function exportSeed({ privateKey }: SigningKey): string {
  return Buffer.from(privateKey.export({ format: 'jwk' }).d ?? '', 'base64url').toString('base64');
}

/** @throws Error where the text is no seed */
export function importSeed(seed: string): SigningKey {
  const bytes = Buffer.from(seed, 'base64');
  if (bytes.length !== 32) throw new Error('A signing key is base64 of 32 bytes.');
  // RFC 8410, section 7: a PrivateKeyInfo up to the seed itself.
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), bytes]);
  const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  return { privateKey, publicKey: publicKeyOf(privateKey) };
}

/** The headers of a signed event. @param seconds since the Unix epoch */
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
