/** Judges a document of which at least one key claims to hold a tombstone. Pure: no request, no clock. */
import { documentKey, receiptKey } from '../bucket/keys.ts';
import type { ListedKey } from '../bucket/listing.ts';
import type { Tombstone } from '../bucket/tombstones.ts';
import {
  type Evidence,
  finding,
  isHeld,
  type TombstoneReading,
  tombstoneOf,
  type WholeTombstone,
} from './evidence.ts';
import type { Finding } from './findings.ts';
import { judgeErasedContexts } from './judge-contexts.ts';
import { lastNamed, statesErasureOf } from './manifest-claims.ts';

/** Object or receipt. */
interface Part {
  name: 'object' | 'receipt';
  key: string;
  exists: boolean;
  listed: ListedKey | undefined;
  tombstone: TombstoneReading | undefined;
  /** SHA-256 of what is there, if it is not a tombstone. */
  digest: string | undefined;
  /** SHA-256 of what was erased there, according to the tombstone. */
  digestIn: (erased: Tombstone['erased']) => string | undefined;
}

export function claimsErasure({ object, receipt }: Evidence): boolean {
  return object?.tombstone !== undefined || receipt?.tombstone !== undefined;
}

/** @returns `erased` if all keys hold the same whole tombstone and nothing else, and the manifests agree with it */
export function judgeErasure(evidence: Evidence): Finding[] {
  const parts = partsOf(evidence);
  const whole = tombstoneOf(evidence);
  const digest = whole?.digest;
  const contexts = judgeErasedContexts(evidence);
  const ofParts = parts.flatMap((part): Finding[] => {
    const alteration = alterationOf(part, whole);
    return alteration === undefined ? [] : [finding(evidence, 'tombstone-altered', alteration, part.key)];
  });
  const alterations = [...ofParts, ...contexts.alterations];
  if (alterations.length > 0) return alterations;

  const named = lastNamed(evidence);
  const isNamedItself = named.document === digest && named.receipt === digest;
  if (!isNamedItself && !statesErasureOf(evidence, named)) {
    return [finding(evidence, 'tombstone-altered', 'it states other digests than the manifests')];
  }
  const remains = [...parts.flatMap(remainsOf), ...contexts.remains];
  if (remains.length > 0) {
    const detail = remains.join(', ') + (isHeld(evidence) ? ' (held)' : '');
    return [finding(evidence, 'erasure-unfinished', detail)];
  }
  const wasNamed = evidence.claims?.some(({ document }) => document !== digest);
  return [finding(evidence, 'erased', wasNamed ? '' : 'no manifest named it before')];
}

function partsOf({ documentId, object, receipt, listed }: Evidence): Part[] {
  return [
    {
      name: 'object',
      key: documentKey(documentId),
      exists: object !== undefined,
      listed: listed?.object,
      tombstone: object?.tombstone,
      digest: object?.sha256,
      digestIn: (erased) => erased.document?.sha256,
    },
    {
      name: 'receipt',
      key: receiptKey(documentId),
      exists: receipt !== undefined,
      listed: listed?.receipt,
      tombstone: receipt?.tombstone,
      digest: receipt?.reading?.digest,
      digestIn: (erased) => erased.receipt?.sha256,
    },
  ];
}

function alterationOf(
  { name, exists, tombstone, digest, digestIn }: Part,
  whole: WholeTombstone | undefined,
): string | undefined {
  if (tombstone?.alteration !== undefined) return tombstone.alteration;
  if (!whole || !exists) return undefined;
  if (tombstone)
    return tombstone.digest === whole.digest ? undefined : 'another tombstone than the receipt’s';
  const expected = digestIn(whole.content.erased);
  return expected === undefined || expected === digest
    ? undefined
    : `neither the tombstone nor the ${name} that was to be erased`;
}

/** What an erasure has still to do at a key, in words. */
function remainsOf({ name, exists, listed, tombstone }: Part): string[] {
  const { otherVersions = 0, deleteMarkers = 0 } = listed ?? {};
  const remains: string[] = [];
  if (!exists) remains.push(`no tombstone for the ${name}`);
  else if (!tombstone) remains.push(`the ${name} is still there`);
  if (otherVersions > 0) remains.push(`other versions of the ${name}: ${otherVersions}`);
  if (deleteMarkers > 0) remains.push(`delete markers of the ${name}: ${deleteMarkers}`);
  return remains;
}
