/**
 * The Telnyx API key: read from its secret when first needed, kept for a while, read afresh when Telnyx refuses
 * it. A failed read is forgotten, so the next call tries again.
 */
import { ArchiverError, nameOf } from '../errors.ts';
import { hideSecret } from '../redact.ts';
import type { Time } from '../time.ts';

export interface ApiKey {
  /** @throws ArchiverError ApiKeyUnavailable */
  current(): Promise<string>;
  /**
   * The key to use after Telnyx has refused `refused`: read afresh, unless someone else has done so meanwhile or
   * is doing so.
   *
   * @throws ArchiverError ApiKeyUnavailable
   */
  after(refused: string): Promise<string>;
}

/** A rotated key is noticed within this time even if the old one is still accepted. */
const keptForMs = 5 * 60_000;

/** @param readSecret gives the secret's text; its errors are never shown, as they may quote it */
export function createApiKey(readSecret: () => Promise<string | undefined>, time: Time): ApiKey {
  let reading: Promise<string> | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  /** What the last reading gave; undefined while it goes on. */
  let known: string | undefined;

  const read = (): Promise<string> => {
    readAt = time.monotonic();
    known = undefined;
    const started = readSecret()
      .catch((error: unknown) => {
        throw new ArchiverError(
          'ApiKeyUnavailable',
          `The Telnyx API key cannot be read from its secret (${nameOf(error)}). Store the key and check that the function may read it.`,
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
    reading !== undefined && time.monotonic() - readAt < keptForMs ? reading : read();

  return {
    current,
    // Told at once, without a wait in between: of all that were refused at the same time the first one reads.
    after: (refused) => (known === refused ? read() : current()),
  };
}

/** The API key as it goes into the header: printable ASCII without blanks (RFC 6750, section 2.1). */
function cleanKey(secret: string | undefined): string {
  const key = secret?.trim().replace(/^bearer\s+/i, '') ?? '';
  if (!/^[\x21-\x7e]{8,512}$/.test(key) || /^[{["]/.test(key)) {
    throw new ArchiverError(
      'ApiKeyUnavailable',
      "The secret does not hold a Telnyx API key. Store the key alone, as it stands in Telnyx's portal: no JSON, no quotes.",
    );
  }
  return key;
}
