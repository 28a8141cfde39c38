/**
 * All errors of the archiver. Each has a code for people and machines, and a retry policy that depends on where the
 * fault is:
 *
 * - `dead-letter`: in the message or the document, permanently. The message becomes a dead letter at once.
 * - `retry`: in the document, possibly for a while only. The message becomes a dead letter once several real attempts
 *   within one receive have failed with this policy, ten minutes or more after the first receive.
 * - `wait`: elsewhere: Telnyx, its storage, S3, KMS, SQS, a key, a rate limit, the function's time limit. The message is
 *   retried for as long as it takes, and an alarm fires meanwhile. It becomes a dead letter only shortly before SQS
 *   would delete it.
 * - `yield`: no fault. A low lane leaves Telnyx's rate limit to live work. The message is retried, without an alarm.
 * - `continue`: no fault. The message is a long job, and a piece of it is done. The message returns to its queue at once.
 * - `acknowledge`: no fault. Nothing needs to be done, and nothing is lost.
 *
 * `functions/queue/backoff.ts` turns policy and timestamps into a decision. Each code has an article in
 * `docs/runbook.md`.
 */
export type RetryPolicy = 'dead-letter' | 'retry' | 'wait' | 'yield' | 'continue' | 'acknowledge';

export const retryPolicies = {
  /** The message is invalid: it is not JSON, a field is missing, an ID is not a UUID, or it is dated ahead. */
  MalformedMessage: 'dead-letter',
  /** The message is valid, but of a kind that this queue does not accept. */
  UnknownMessageKind: 'dead-letter',
  /** The message has a newer version, as happens during a deployment. The next version of the function can read it. */
  UnknownMessageVersion: 'retry',

  /** Telnyx returns its error code 10005: the document was deleted (unlinked for 30 minutes) or is in another account. */
  DocumentGone: 'dead-letter',
  /** Telnyx's scanner found malware, and the stage does not archive infected documents. */
  DocumentInfected: 'dead-letter',
  /** The document is larger than the stage allows, or than a single PUT to S3 can be (5 GiB). */
  DocumentTooLarge: 'dead-letter',
  /** The porting order or port-out no longer exists at Telnyx. Sweeps find its documents. */
  OrderGone: 'acknowledge',
  /** Telnyx's API returns 422 for a download link. */
  LinkRefused: 'retry',
  /** Telnyx's API returns 401, even after the API key was read again from its secret. */
  ApiKeyRejected: 'wait',
  /** Telnyx's API returns 403: the API key is valid, but is not allowed to read documents. */
  ApiKeyForbidden: 'wait',
  /** The API key cannot be read from its secret, or the secret does not contain a key. */
  ApiKeyUnavailable: 'wait',
  /** Telnyx returns 429 or its error code 10011. `retryAfterMs` is set if Telnyx states how long to wait. */
  RateLimited: 'wait',
  /** A low lane leaves the rest of Telnyx's rate limit to live work. */
  RateLimitReserved: 'yield',
  /** 5xx, a failed connection, no response in time, or a response that is not from Telnyx's API itself. */
  TelnyxUnavailable: 'wait',
  /** A response of the Telnyx API does not follow its specification. */
  UnexpectedResponse: 'retry',
  /** A response of the Telnyx API is larger than 32 MiB. Lists are then read in smaller pieces. */
  AnswerTooLarge: 'retry',

  /** Telnyx's storage returns 403 for the presigned URL: it expired before it was used. */
  LinkExpired: 'retry',
  /** Telnyx's storage returns another 4xx for the presigned URL. */
  DownloadRefused: 'retry',
  /** The download link has a host, scheme or address that the stage does not allow. */
  LinkNotAllowed: 'wait',
  /** Telnyx's storage returns a redirect. Redirects are never followed. */
  RedirectRefused: 'retry',
  /** The download was interrupted, stalled, or failed with 408, 429 or 5xx. */
  DownloadFailed: 'wait',
  /** More or fewer bytes were received than stated. */
  SizeMismatch: 'retry',
  /** The bytes received, by the function or by S3, do not have the expected SHA-256. */
  ChecksumMismatch: 'retry',

  /** The S3 key already holds different bytes, or a receipt for different bytes. Nothing is overwritten. */
  KeyCollision: 'dead-letter',
  /** S3 returns 409: another write to the same key is in progress. */
  BucketConflict: 'wait',
  /** S3 returns 5xx or SlowDown, the connection fails, or there is no response in time. */
  BucketUnavailable: 'wait',
  /** S3 refuses every request: no permission, no such bucket, wrong region or owner, or a missing feature. */
  BucketMisconfigured: 'wait',
  /** The bucket's KMS key is disabled, deleted or throttled, or the function may not use it. */
  EncryptionKeyUnavailable: 'wait',

  /** SQS does not accept a message, or does not respond in time. */
  QueueUnavailable: 'wait',
  /** A part of the audit takes several invocations, and one has done its piece. */
  PartUnfinished: 'continue',
  /** The invocation's time ended before the document was archived. */
  OutOfTime: 'wait',
  /** Any other error: probably a defect in the archiver. */
  Unexpected: 'retry',
} as const satisfies Record<string, RetryPolicy>;

export type ErrorCode = keyof typeof retryPolicies;

export const errorCodes = Object.keys(retryPolicies) as ErrorCode[];

export interface ErrorDetails {
  /** The underlying error. Never logged as it is: it may contain a presigned URL. */
  cause?: unknown;
  /** Milliseconds to wait before the next attempt, as stated by the other side. */
  retryAfterMs?: number | undefined;
  /** See `ArchiverError.conclusive`. @default false */
  conclusive?: boolean | undefined;
}

/**
 * The archiver's error class. `message` is written for the on-call engineer. It contains no URL, key or content, so it is
 * safe in logs and dead letters.
 */
export class ArchiverError extends Error {
  override readonly name = 'ArchiverError';
  readonly code: ErrorCode;
  readonly retryPolicy: RetryPolicy;
  readonly retryAfterMs: number | undefined;
  /**
   * Whether enough attempts within one receive, spread over enough time, have all failed with policy `retry`. Only then
   * may such an error lead to a dead letter.
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

/** Converts anything thrown to an `ArchiverError`. Other errors become `Unexpected`. */
export function asArchiverError(thrown: unknown): ArchiverError {
  if (isArchiverError(thrown)) return thrown;
  return new ArchiverError('Unexpected', `Unexpected error: ${nameOf(thrown)}.`, {
    cause: thrown,
  });
}

function isArchiverError(thrown: unknown): thrown is ArchiverError {
  // Stryker disable BlockStatement: an empty block returns undefined, which is falsy as well.
  try {
    return thrown instanceof ArchiverError;
  } catch {
    // A proxy whose trap throws is not an `ArchiverError`.
    return false;
  }
}
// Stryker restore BlockStatement

/**
 * The class name and system code of anything thrown, such as `Error ECONNRESET`: the only parts that are safe to show.
 * Reads each property once and never throws.
 */
export function nameOf(thrown: unknown): string {
  if (typeof thrown !== 'object' && typeof thrown !== 'function') return typeof thrown;
  return [safeProperty(thrown, 'name') ?? 'object', safeProperty(thrown, 'code')].filter(Boolean).join(' ');
}

/** Whether an error of Node.js has one of these system codes, such as `ENOENT`. */
export function hasSystemCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

/** Matches a class name or system code, but no key, digest or token: these have more digits or are access key IDs. */
const safeName = /^(?!.*A[KS]IA)(?!(.*\d){4})[\w.]{1,64}$/;

function safeProperty(thrown: object | null, property: string): string | undefined {
  // Stryker disable BlockStatement: an empty block returns undefined, as for a missing name.
  try {
    // Throws for null.
    const value: unknown = Reflect.get(thrown as object, property);
    return typeof value === 'string' && safeName.test(value) ? value : undefined;
  } catch {
    // A getter or a proxy trap threw: there is no name to show.
    return undefined;
  }
}
// Stryker restore BlockStatement
