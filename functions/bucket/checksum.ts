/** SHA-256 is hex at Telnyx and base64 at S3; hex sent to S3 is answered with 400 InvalidRequest. */

export function hexToBase64(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}

/**
 * The hex digest in an `x-amz-checksum-sha256` value, or undefined where it is not the digest of a whole object: a
 * multipart upload has a composite one, which ends in `-<number of parts>`.
 */
export function base64ToHex(base64: string | undefined): string | undefined {
  const whole = base64?.match(/^[A-Za-z0-9+/]{43}=$/)?.[0];
  return whole === undefined ? undefined : Buffer.from(whole, 'base64').toString('hex');
}
