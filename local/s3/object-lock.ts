/**
 * Object Lock: retention and legal hold of one version.
 *
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
 */
import * as v from 'valibot';
import { header, type S3Request } from './request.ts';
import { accessDenied, invalidArgument, S3Error } from './s3-error.ts';

const retentionModes = ['GOVERNANCE', 'COMPLIANCE'] as const;
type RetentionMode = (typeof retentionModes)[number];

const retention = v.strictObject({
  mode: v.picklist(retentionModes),
  /** Milliseconds since the epoch. */
  until: v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(8.64e15)),
});

const legalHoldStatus = v.picklist(['ON', 'OFF']);

/** As stored with the version. Retention and legal hold are independent of each other. */
export const lockState = v.strictObject({
  retention: v.optional(retention),
  legalHold: v.optional(legalHoldStatus),
});

export type Retention = Readonly<v.InferOutput<typeof retention>>;
export type LegalHold = v.InferOutput<typeof legalHoldStatus>;
export type LockState = Readonly<v.InferOutput<typeof lockState>>;

/** Retention that a bucket gives to each new version. */
export interface DefaultRetention {
  readonly mode: RetentionMode;
  readonly days: number;
}

/** A request that may change or delete a locked version. */
export interface LockBypass {
  /** Whether the request has `x-amz-bypass-governance-retention: true`. */
  readonly governance: boolean;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

const dayMs = 86_400_000;

/** @throws {S3Error} AccessDenied if the version must not be deleted yet */
export function requireDeletable(lock: LockState | undefined, { governance, now }: LockBypass): void {
  const { retention: kept, legalHold } = lock ?? {};
  const isRetained = kept !== undefined && kept.until > now && !(governance && kept.mode === 'GOVERNANCE');
  if (isRetained || legalHold === 'ON') throw protectedByLock();
}

/**
 * @param wanted the new retention; undefined removes it
 * @throws {S3Error} AccessDenied if that would weaken a retention that must not be weakened
 */
export function requireRetentionChange(
  current: Retention | undefined,
  wanted: Retention | undefined,
  { governance, now }: LockBypass,
): void {
  if (wanted && wanted.until <= now) throw dateInPast(wanted);
  if (!current || current.until <= now) return;
  const keeps = wanted?.mode === current.mode && wanted.until >= current.until;
  if (!keeps && !(governance && current.mode === 'GOVERNANCE')) throw protectedByLock();
}

/**
 * The lock of a new version: as its headers say, with the bucket's default retention if they state none.
 *
 * @throws {S3Error} InvalidArgument
 */
export function requestedLock(
  request: S3Request,
  byDefault: DefaultRetention | undefined,
  now: number,
): LockState | undefined {
  const mode = header(request, 'x-amz-object-lock-mode');
  const date = header(request, 'x-amz-object-lock-retain-until-date');
  const hold = header(request, 'x-amz-object-lock-legal-hold');
  if ((mode === undefined) !== (date === undefined)) {
    throw invalidArgument(
      'x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied',
      mode === undefined ? 'x-amz-object-lock-retain-until-date' : 'x-amz-object-lock-mode',
      mode ?? date ?? '',
    );
  }
  if (mode !== undefined && !v.is(retention.entries.mode, mode)) {
    throw invalidArgument('Unknown wormMode directive.', 'x-amz-object-lock-mode', mode);
  }
  if (hold !== undefined && !v.is(legalHoldStatus, hold)) {
    throw invalidArgument("Legal Hold must be either of 'ON' or 'OFF'", 'x-amz-object-lock-legal-hold', hold);
  }
  const stated = mode !== undefined && date !== undefined ? { mode, until: parseDate(date) } : undefined;
  if (stated && stated.until <= now) throw dateInPast(stated);
  const kept = stated ?? (byDefault && { mode: byDefault.mode, until: now + byDefault.days * dayMs });
  if (!kept && !hold) return undefined;
  return { ...(kept && { retention: kept }), ...(hold && { legalHold: hold }) };
}

/** @throws {S3Error} InvalidArgument */
export function parseDate(text: string): number {
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/.test(text) ? Date.parse(text) : Number.NaN;
  // `Date.parse` accepts 30 February.
  if (!Number.isNaN(time) && new Date(time).toISOString().startsWith(text.slice(0, 19))) return time;
  throw invalidArgument(
    'The retain until date must be provided in ISO 8601 format',
    'x-amz-object-lock-retain-until-date',
    text,
  );
}

export const isRetentionMode = (text: string | undefined): text is RetentionMode =>
  v.is(retention.entries.mode, text);
export const isLegalHold = (text: string | undefined): text is LegalHold => v.is(legalHoldStatus, text);

/** Headers of a GET or HEAD. */
export function lockHeaders(lock: LockState | undefined): Record<string, string> {
  const { retention: kept, legalHold } = lock ?? {};
  return {
    ...(kept && {
      'x-amz-object-lock-mode': kept.mode,
      'x-amz-object-lock-retain-until-date': new Date(kept.until).toISOString(),
    }),
    ...(legalHold && { 'x-amz-object-lock-legal-hold': legalHold }),
  };
}

const protectedByLock = () => accessDenied('Access Denied because object protected by object lock.');

const dateInPast = ({ until }: Retention) =>
  invalidArgument(
    'The retain until date must be in the future!',
    'x-amz-object-lock-retain-until-date',
    new Date(until).toISOString(),
  );

export const noLockConfiguration = () =>
  new S3Error(
    404,
    'NoSuchObjectLockConfiguration',
    'The specified object does not have a ObjectLock configuration',
  );
