/** Telnyx writes a SHA-256 in hex, S3 in base64. S3 answers hex with 400 InvalidRequest. */

export function hexToBase64(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}

/**
 * Converts an `x-amz-checksum-sha256` value to lower-case hex.
 *
 * @returns undefined for a composite checksum: a multipart upload has one, which ends in `-<number of parts>`
 */
export function base64ToHex(base64: string | undefined): string | undefined {
  const fullObject = base64?.match(/^[A-Za-z0-9+/]{43}=$/)?.[0];
  return fullObject === undefined ? undefined : Buffer.from(fullObject, 'base64').toString('hex');
}
