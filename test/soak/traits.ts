/** Documents that are out of the ordinary for good, by their place in each hundred. */
import type { ErrorCode } from '../../functions/errors.ts';
import type { FaultKind, FaultRule } from '../../local/telnyx/faults.ts';

/** Never archived: the fault and the code of the dead letter. */
export const dooms = {
  'wrong-hash': 'ChecksumMismatch',
  gone: 'DocumentGone',
  infected: 'DocumentInfected',
  'link-refused': 'LinkRefused',
} as const satisfies Partial<Record<FaultKind, ErrorCode>>;
export type Doom = keyof typeof dooms;

export interface Trait {
  /** At Telnyx's API. */
  fault?: FaultKind;
  /** @default for ever */
  times?: number;
  /**
   * How the storage gives the bytes: without their length; in all cases as they are, because nobody states a digest
   * that would give a flipped bit away; or, the first time, one byte every 1.5 s.
   * @default as it gives all others
   */
  download?: 'without-length' | 'unspoilt' | 'dripping';
}

/**
 * Requests that fail in all receives until long after a document's own fault would have become a dead letter. A receive
 * takes two in each of its attempts: three after an outage, one after a rejected key.
 */
const outage = { ofTelnyx: 24, ofKey: 10 };

/** All of them are archived. */
export const traits = {
  'size unknown': { fault: 'no-size', download: 'without-length' },
  'size unknown, large': { fault: 'no-size', download: 'without-length' },
  'digest unknown': { fault: 'no-hash', download: 'unspoilt' },
  'digest unknown, no length': { fault: 'no-hash', download: 'without-length' },
  'malformed fields': { fault: 'malformed-fields', download: 'unspoilt' },
  'malformed fields, no length': { fault: 'malformed-fields', download: 'without-length' },
  'exact numbers': { fault: 'exact-numbers' },
  'oversized record': { fault: 'oversized-record' },
  'nested record': { fault: 'nested-record' },
  'status 201': { fault: 'created-status' },
  'odd path': { fault: 'odd-path' },
  dripping: { download: 'dripping' },
  'gateway: 404': { fault: 'gateway-not-found', times: outage.ofTelnyx },
  'gateway: 403': { fault: 'gateway-forbidden', times: outage.ofTelnyx },
  'gateway: 401': { fault: 'gateway-unauthorised', times: outage.ofTelnyx },
  'gateway: 502': { fault: 'html-error', times: outage.ofTelnyx },
  'key rejected': { fault: 'key-rejected', times: outage.ofKey },
  'key forbidden': { fault: 'key-forbidden', times: outage.ofKey },
} as const satisfies Record<string, Trait>;
export type TraitName = keyof typeof traits;

const doomedPlace = 99;
const largePlace = 50;

/** @param number of the document, from 0 */
export function traitOf(number: number): TraitName | undefined {
  const place = number % 100;
  if (place === largePlace) return 'size unknown, large';
  const names = (Object.keys(traits) as TraitName[]).filter((name) => name !== 'size unknown, large');
  return place % 5 === 2 ? names[(place - 2) / 5] : undefined;
}

/** @param number of the document, from 0 */
export function doomOf(number: number): Doom | undefined {
  const names = Object.keys(dooms) as Doom[];
  return number % 100 === doomedPlace ? names[Math.floor(number / 100) % names.length] : undefined;
}

/** @param number of the document, from 0 */
export function isLarge(number: number): boolean {
  return number % largePlace === 0;
}

/** What Telnyx's API does for good, and what it does at first to those of an outage. */
export function faultsOfTraits(
  documents: Iterable<readonly [fileName: string, TraitName]>,
  doomed: Iterable<readonly [fileName: string, Doom]>,
): FaultRule[] {
  const rules: FaultRule[] = [];
  for (const [document, name] of documents) {
    const { fault, times }: Trait = traits[name];
    if (fault) rules.push({ kind: fault, document, ...(times !== undefined && { times }) });
  }
  for (const [document, kind] of doomed) rules.push({ kind, document });
  return rules;
}
