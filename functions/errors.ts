/**
 * Every way in which the archiver can fail, in one list: a code for people and machines, and a fate.
 *
 * - `retry`: comes back after a short visibility timeout; a dead letter once the receives in
 *   `limits.receives.retry` are spent.
 * - `wait`: the document is not at fault (a bad API key, an unreachable bucket, a rate limit). It comes back,
 *   ever later, until `limits.receives.wait`, and an alarm calls a person meanwhile. So one wrong setting
 *   cannot turn the whole queue into dead letters.
 * - `dead-letter`: no later attempt can end differently. Goes to the dead-letter queue at once.
 * - `done`: nothing to do and nothing lost. The message is acknowledged.
 *
 * Each code has an article in `docs/runbook.md`.
 */
export type Fate = 'retry' | 'wait' | 'dead-letter' | 'done';

export const fates = {
  /** A queue message that no version of the parser understands: not JSON, a field missing, an id that is no UUID. */
  MalformedMessage: 'dead-letter',
  /** A well-formed message of a kind that this queue does not carry. */
  UnknownMessageKind: 'dead-letter',
  /** A message of a later version, as met in the middle of a deployment: the next function version reads it. */
  UnknownMessageVersion: 'retry',

  /** Telnyx answers 404: deleted (unlinked for 30 minutes), or of another account. */
  DocumentGone: 'dead-letter',
  /** Telnyx's scanner found malware and the stage does not archive infected documents. */
  DocumentInfected: 'dead-letter',
  /** Larger than the stage allows, or than a single PUT to S3 can take (5 GiB). */
  DocumentTooLarge: 'dead-letter',
  /** The porting order or port-out is not (any longer) known to Telnyx; the sweep finds its documents. */
  OrderGone: 'done',
  /** Telnyx answers 422 to a request for a download link. */
  LinkRefused: 'retry',
  /** 401 even with the API key read afresh. */
  ApiKeyRejected: 'wait',
  /** 403: the API key is valid but may not read documents. */
  ApiKeyForbidden: 'wait',
  /** The API key cannot be read from its secret, or what stands there is not a key. */
  ApiKeyUnavailable: 'wait',
  /** 429, or Telnyx's error code 10011. Carries how long to wait, where Telnyx says so. */
  RateLimited: 'wait',
  /** 5xx, a broken connection or no answer in time from the Telnyx API. */
  TelnyxUnavailable: 'retry',
  /** An answer of the Telnyx API that is not what its specification promises. */
  UnexpectedResponse: 'retry',

  /** The storage refuses the presigned URL (403): expired before it was used. */
  LinkExpired: 'retry',
  /** The download link leads to a host, scheme or address that the stage does not allow. */
  LinkNotAllowed: 'wait',
  /** The storage answers with a redirect; it is never followed. */
  RedirectRefused: 'retry',
  /** The download broke off, stalled, or was answered with an error. */
  DownloadFailed: 'retry',
  /** Neither Telnyx nor the storage says how long the document is, so S3 cannot be told either. */
  LengthUnknown: 'retry',
  /** More or fewer bytes arrived than announced. */
  SizeMismatch: 'retry',
  /** The bytes that arrived, or that S3 received, do not have the SHA-256 that they should have. */
  ChecksumMismatch: 'retry',

  /** The key holds other bytes than this document's, or a receipt for other bytes. Nothing is overwritten. */
  KeyCollision: 'dead-letter',
  /** Another write to the same key is under way (S3 answers 409). */
  BucketConflict: 'retry',
  /** 5xx, SlowDown, a broken connection or no answer in time from S3. */
  BucketUnavailable: 'retry',
  /** S3 refuses for good: no permission, no such bucket, wrong region or owner, a feature that is missing. */
  BucketMisconfigured: 'wait',
  /** The bucket's KMS key is disabled, deleted, throttled or not ours to use. */
  EncryptionKeyUnavailable: 'wait',

  /** SQS does not take a message, or does not answer in time. */
  QueueUnavailable: 'retry',
  /** The invocation's time was over before the document was done. */
  OutOfTime: 'retry',
  /** Anything that no adapter has translated: a defect of ours until shown otherwise. */
  Unexpected: 'retry',
} as const satisfies Record<string, Fate>;

export type ErrorCode = keyof typeof fates;

export const errorCodes = Object.keys(fates) as ErrorCode[];

export interface ErrorDetails {
  /** What happened underneath. Never logged as it is: it may carry a presigned URL. */
  cause?: unknown;
  /** Milliseconds until another attempt makes sense, as the other side stated them. */
  retryAfterMs?: number | undefined;
}

/**
 * The one error class of the archiver. `message` is written for the person on call and holds no URL, key or
 * content, so that it may go into logs and dead letters.
 */
export class ArchiverError extends Error {
  override readonly name = 'ArchiverError';
  readonly code: ErrorCode;
  readonly fate: Fate;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.code = code;
    this.fate = fates[code];
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** Whatever was thrown, as an `ArchiverError`. What no adapter has translated becomes `Unexpected`. */
export function asArchiverError(thrown: unknown): ArchiverError {
  if (isArchiverError(thrown)) return thrown;
  return new ArchiverError('Unexpected', `An error that the archiver does not know: ${nameOf(thrown)}.`, {
    cause: thrown,
  });
}

function isArchiverError(thrown: unknown): thrown is ArchiverError {
  // Stryker disable BlockStatement: of an empty block comes undefined, which says no, too.
  try {
    return thrown instanceof ArchiverError;
  } catch {
    // A proxy that does not let itself be looked at: none of ours.
    return false;
  }
  // Stryker restore BlockStatement
}

/**
 * The class and system code of whatever was thrown, such as `Error ECONNRESET`: all of it that is safe to show.
 * Reads nothing that could run foreign code twice or throw.
 */
export function nameOf(thrown: unknown): string {
  if (typeof thrown !== 'object' && typeof thrown !== 'function') return typeof thrown;
  return [safeWord(thrown, 'name') ?? 'object', safeWord(thrown, 'code')].filter(Boolean).join(' ');
}

/** The name of a class or a system code: no key, digest or token, which have more digits or are access key ids. */
const word = /^(?!A[KS]IA)(?!(.*\d){4})[\w.]{1,64}$/;

function safeWord(thrown: object | null, property: string): string | undefined {
  // Stryker disable BlockStatement: of an empty block comes undefined, as where there is no name.
  try {
    // Of null there is nothing to get, which throws.
    const value: unknown = Reflect.get(thrown as object, property);
    return typeof value === 'string' && word.test(value) ? value : undefined;
  } catch {
    // A getter or a proxy trap that throws: then there is no name to show.
    return undefined;
  }
  // Stryker restore BlockStatement
}
