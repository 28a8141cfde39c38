/** Documents with permanent peculiarities, chosen by their number modulo 100. */
import type { ErrorCode } from '../../functions/errors.ts';
import type { FaultKind, FaultRule } from '../../local/telnyx/faults.ts';

/** Faults that prevent archiving, with the code of the dead letter. */
export const permanentFaults = {
  'wrong-hash': 'ChecksumMismatch',
  gone: 'DocumentGone',
  infected: 'DocumentInfected',
  'link-refused': 'LinkRefused',
} as const satisfies Partial<Record<FaultKind, ErrorCode>>;
export type PermanentFault = keyof typeof permanentFaults;

export interface Trait {
  /** Fault of Telnyx's API. */
  fault?: FaultKind;
  /** How often the fault occurs. @default always */
  times?: number;
  /**
   * How the storage sends the bytes: without Content-Length; without any other fault, because no digest would reveal a
   * flipped bit; or, the first time, one byte every 1.5 s.
   * @default with the faults of all other documents
   */
  download?: 'without-length' | 'unmodified' | 'dripping';
}

/**
 * Number of failing requests: enough to last until long after a document's own fault would have become a dead letter. Each
 * attempt of a receive sends two requests; a receive has three attempts in an outage and one with a rejected key.
 */
const failures = { ofTelnyx: 24, ofKey: 10 };

/** Documents with these traits are archived. */
export const traits = {
  'size unknown': { fault: 'no-size', download: 'without-length' },
  'size unknown, large': { fault: 'no-size', download: 'without-length' },
  'digest unknown': { fault: 'no-hash', download: 'unmodified' },
  'digest unknown, no length': { fault: 'no-hash', download: 'without-length' },
  'malformed fields': { fault: 'malformed-fields', download: 'unmodified' },
  'malformed fields, no length': { fault: 'malformed-fields', download: 'without-length' },
  'exact numbers': { fault: 'exact-numbers' },
  'oversized record': { fault: 'oversized-record' },
  'nested record': { fault: 'nested-record' },
  'status 201': { fault: 'created-status' },
  'odd path': { fault: 'odd-path' },
  dripping: { download: 'dripping' },
  'gateway: 404': { fault: 'gateway-not-found', times: failures.ofTelnyx },
  'gateway: 403': { fault: 'gateway-forbidden', times: failures.ofTelnyx },
  'gateway: 401': { fault: 'gateway-unauthorised', times: failures.ofTelnyx },
  'gateway: 502': { fault: 'html-error', times: failures.ofTelnyx },
  'key rejected': { fault: 'key-rejected', times: failures.ofKey },
  'key forbidden': { fault: 'key-forbidden', times: failures.ofKey },
} as const satisfies Record<string, Trait>;
export type TraitName = keyof typeof traits;

const unarchivableRemainder = 99;
const largeRemainder = 50;

/** @param number of the document, from 0 */
export function traitOf(number: number): TraitName | undefined {
  const remainder = number % 100;
  if (remainder === largeRemainder) return 'size unknown, large';
  const names = (Object.keys(traits) as TraitName[]).filter((name) => name !== 'size unknown, large');
  return remainder % 5 === 2 ? names[(remainder - 2) / 5] : undefined;
}

/** @param number of the document, from 0 */
export function permanentFaultOf(number: number): PermanentFault | undefined {
  const names = Object.keys(permanentFaults) as PermanentFault[];
  return number % 100 === unarchivableRemainder ? names[Math.floor(number / 100) % names.length] : undefined;
}

/** @param number of the document, from 0 */
export function isLarge(number: number): boolean {
  return number % largeRemainder === 0;
}

/** The faults of Telnyx's API for these documents. */
export function faultsOfTraits(
  documents: Iterable<readonly [fileName: string, TraitName]>,
  unarchivable: Iterable<readonly [fileName: string, PermanentFault]>,
): FaultRule[] {
  const rules: FaultRule[] = [];
  for (const [document, name] of documents) {
    const { fault, times }: Trait = traits[name];
    if (fault) rules.push({ kind: fault, document, ...(times !== undefined && { times }) });
  }
  for (const [document, kind] of unarchivable) rules.push({ kind, document });
  return rules;
}
