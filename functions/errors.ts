/**
 * Every way in which the archiver can fail, in one list: a code for people and machines, and a retry policy, which
 * answers the question whose fault it is.
 *
 * - `dead-letter`: the message's or the document's own, for good. It becomes a dead letter at once.
 * - `retry`: the document's own, perhaps only for now. It becomes a dead letter once several real attempts within one
 *   receive have failed this way, ten minutes or more after the first receive.
 * - `wait`: somebody else's: Telnyx, the storage, S3, KMS, SQS, a key, a rate limit, our own time. The message waits
 *   for as long as it takes, and an alarm rings meanwhile. It becomes a dead letter only before SQS would delete it.
 * - `yield`: nobody's. The message makes way for live work; it comes back, and no alarm rings.
 * - `acknowledge`: nobody's. Nothing to do and nothing lost.
 *
 * `functions/queue/backoff.ts` turns policy and timestamps into a decision. Each code has an article in
 * `docs/runbook.md`.
 */
export type RetryPolicy = 'dead-letter' | 'retry' | 'wait' | 'yield' | 'acknowledge';

export const retryPolicies = {
  /** The message cannot be parsed: not JSON, a field is missing, an id is not a UUID. */
  MalformedMessage: 'dead-letter',
  /** A well-formed message of a kind that this queue does not carry. */
  UnknownMessageKind: 'dead-letter',
  /** A message of a later version, as met in the middle of a deployment: the next function version reads it. */
  UnknownMessageVersion: 'retry',

  /** Telnyx answers with its error code 10005: deleted (unlinked for 30 minutes), or of another account. */
  DocumentGone: 'dead-letter',
  /** Telnyx's scanner found malware and the stage does not archive infected documents. */
  DocumentInfected: 'dead-letter',
  /** Larger than the stage allows, or than a single PUT to S3 can take (5 GiB). */
  DocumentTooLarge: 'dead-letter',
  /** Telnyx no longer knows the porting order or port-out; the sweep finds its documents. */
  OrderGone: 'acknowledge',
  /** Telnyx's API answers 422 to a request for a download link. */
  LinkRefused: 'retry',
  /** 401 from Telnyx's API, even with the API key read afresh. */
  ApiKeyRejected: 'wait',
  /** 403 from Telnyx's API: the API key is valid but may not read documents. */
  ApiKeyForbidden: 'wait',
  /** The API key cannot be read from its secret, or the secret does not hold a key. */
  ApiKeyUnavailable: 'wait',
  /** 429, or Telnyx's error code 10011. Carries how long to wait, where Telnyx states it. */
  RateLimited: 'wait',
  /** A low lane leaves the rest of Telnyx's rate limit to live work. */
  RateLimitReserved: 'yield',
  /** 5xx, a broken connection, no answer in time, or an answer that is not from the API itself. */
  TelnyxUnavailable: 'wait',
  /** An answer of the Telnyx API that does not follow its specification. */
  UnexpectedResponse: 'retry',
  /** An answer of the Telnyx API is larger than 32 MiB. A list is then read in smaller pieces. */
  AnswerTooLarge: 'retry',

  /** The storage refuses the presigned URL (403): expired before it was used. */
  LinkExpired: 'retry',
  /** The storage refuses the presigned URL with another 4xx. */
  DownloadRefused: 'retry',
  /** The download link leads to a host, scheme or address that the stage does not allow. */
  LinkNotAllowed: 'wait',
  /** The storage answers with a redirect; it is never followed. */
  RedirectRefused: 'retry',
  /** The download broke off, stalled, or was answered with 408, 429 or 5xx. */
  DownloadFailed: 'wait',
  /** More or fewer bytes arrived than announced. */
  SizeMismatch: 'retry',
  /** The bytes that arrived, or that S3 received, do not have the SHA-256 that they should have. */
  ChecksumMismatch: 'retry',

  /** The key holds other bytes than this document's, or a receipt for other bytes. Nothing is overwritten. */
  KeyCollision: 'dead-letter',
  /** Another write to the same key is under way (S3 answers 409). */
  BucketConflict: 'wait',
  /** 5xx, SlowDown, a broken connection or no answer in time from S3. */
  BucketUnavailable: 'wait',
  /** S3 refuses for good: no permission, no such bucket, wrong region or owner, a feature that is missing. */
  BucketMisconfigured: 'wait',
  /** The bucket's KMS key is disabled, deleted, throttled or not ours to use. */
  EncryptionKeyUnavailable: 'wait',

  /** SQS refuses a message, or does not answer in time. */
  QueueUnavailable: 'wait',
  /** The invocation ended before the document was done. */
  OutOfTime: 'wait',
  /** Anything that no adapter has translated: a defect of ours until shown otherwise. */
  Unexpected: 'retry',
} as const satisfies Record<string, RetryPolicy>;

export type ErrorCode = keyof typeof retryPolicies;

export const errorCodes = Object.keys(retryPolicies) as ErrorCode[];

export interface ErrorDetails {
  /** What happened underneath. Never logged as it is: it may carry a presigned URL. */
  cause?: unknown;
  /** Milliseconds until another attempt makes sense, as the other side stated them. */
  retryAfterMs?: number | undefined;
  /** See `ArchiverError.conclusive`. @default false */
  conclusive?: boolean | undefined;
}

/**
 * The one error class of the archiver. `message` is written for the person on call and holds no URL, key or
 * content, so that it may go into logs and dead letters.
 */
export class ArchiverError extends Error {
  override readonly name = 'ArchiverError';
  readonly code: ErrorCode;
  readonly retryPolicy: RetryPolicy;
  readonly retryAfterMs: number | undefined;
  /**
   * Whether enough attempts within one receive, spread over long enough, have all failed through the document's own
   * fault (policy `retry`). Without this such an error is never a reason for a dead letter.
   */
  readonly conclusive: boolean;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.code = code;
    this.retryPolicy = retryPolicies[code];
    this.retryAfterMs = details.retryAfterMs;
    this.conclusive = details.conclusive ?? false;
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
const word = /^(?!.*A[KS]IA)(?!(.*\d){4})[\w.]{1,64}$/;

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
