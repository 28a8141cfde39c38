/**
 * The Telnyx API key: read from its secret when first needed, cached for five minutes, and read again when Telnyx rejects
 * it. A failed read is not cached, so the next call tries again.
 */
import { ArchiverError, nameOf } from '../errors.ts';
import { hideSecret } from '../redact.ts';
import type { Time } from '../time.ts';

export interface ApiKey {
  /** @throws ArchiverError ApiKeyUnavailable */
  current(): Promise<string>;
  /**
   * The key to use after Telnyx has rejected `rejected`: read again, unless another caller has done so meanwhile or is
   * doing so.
   *
   * @throws ArchiverError ApiKeyUnavailable
   */
  after(rejected: string): Promise<string>;
}

/** A rotated key is in use after this time, even if Telnyx still accepts the old one. */
const cachedForMs = 5 * 60_000;

/** @param readSecret reads the secret's text. Its errors are never shown, as they may quote the secret. */
export function createApiKey(readSecret: () => Promise<string | undefined>, time: Time): ApiKey {
  let reading: Promise<string> | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  /** The key from the last read; undefined while a read is in progress. */
  let known: string | undefined;

  const read = (): Promise<string> => {
    readAt = time.monotonic();
    known = undefined;
    const started = readSecret()
      .catch((error: unknown) => {
        throw new ArchiverError(
          'ApiKeyUnavailable',
          `Could not read the Telnyx API key from its secret (${nameOf(error)}). Store the key, and check that the function may read the secret.`,
          { cause: error },
        );
      })
      .then((secret) => {
        const key = cleanKey(secret);
        hideSecret(key);
        return key;
      });
    reading = started;
    started.then(
      (key) => {
        if (reading === started) known = key;
      },
      () => {
        if (reading === started) reading = undefined;
      },
    );
    return started;
  };

  const current = (): Promise<string> =>
    reading !== undefined && time.monotonic() - readAt < cachedForMs ? reading : read();

  return {
    current,
    // Synchronous up to the read: of all callers rejected at the same time, only the first one reads.
    after: (rejected) => (known === rejected ? read() : current()),
  };
}

/** The API key as sent in the header: printable ASCII without blanks (RFC 6750, section 2.1). */
function cleanKey(secret: string | undefined): string {
  const key = secret?.trim().replace(/^bearer\s+/i, '');
  if (key === undefined || !/^[\x21-\x7e]{8,512}$/.test(key) || /^[{["]/.test(key)) {
    throw new ArchiverError(
      'ApiKeyUnavailable',
      "The secret does not contain a Telnyx API key. Store the key alone, as Telnyx's portal shows it: no JSON, no quotes.",
    );
  }
  return key;
}
