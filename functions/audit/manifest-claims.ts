/** Merges the manifests: what one of them names counts as named, even if a later one leaves it out. */
import type { ManifestEntry } from '../bucket/manifest-text.ts';
import { type Evidence, finding, tombstoneOf } from './evidence.ts';
import type { Finding } from './findings.ts';
import { mergeById } from './merge-by-id.ts';

/** The digests of a document and its receipt in lower-case hex; undefined for what is not named. */
export interface NamedDigests {
  document?: string | undefined;
  receipt?: string | undefined;
}

/** What a manifest says about a document that it, or an earlier manifest, names. */
export interface ManifestClaim extends NamedDigests {
  /** Key of the manifest. */
  manifest: string;
}

/** The claims about one document, oldest first, without repetitions. */
export interface ManifestClaims {
  id: string;
  claims: ManifestClaim[];
}

/** A manifest whose documents can be read, sorted by ID. */
export interface ReadableManifest {
  key: string;
  entries: () => AsyncIterable<ManifestEntry> | Iterable<ManifestEntry>;
}

/**
 * Reads all manifests side by side: one row for each document that one of them names, sorted by ID.
 *
 * @param manifests oldest first
 */
export async function* mergeManifests(
  manifests: readonly ReadableManifest[],
): AsyncGenerator<ManifestClaims> {
  const streams = Object.fromEntries(manifests.map(({ entries }, position) => [`${position}`, entries()]));
  for await (const row of mergeById(streams)) {
    const entries = row as Partial<Record<number, ManifestEntry>>;
    const claims: ManifestClaim[] = [];
    for (const [position, { key: manifest }] of manifests.entries()) {
      const { document, receipt } = entries[position] ?? {};
      const last = claims.at(-1);
      const isRepeated = last?.document === document && last?.receipt === receipt;
      if (!isRepeated) claims.push({ manifest, document, receipt });
    }
    yield { id: row.id, claims };
  }
}

/** What the manifests name together: of document and receipt, the digest in the newest manifest that names it. */
export function lastNamed({ claims }: Evidence): NamedDigests {
  return {
    document: claims?.findLast(({ document }) => document !== undefined)?.document,
    receipt: claims?.findLast(({ receipt }) => receipt !== undefined)?.receipt,
  };
}

/** Whether a tombstone states exactly these digests of what was erased. A digest that is not named is not compared. */
export function statesErasureOf(evidence: Evidence, { document, receipt }: NamedDigests): boolean {
  const erased = tombstoneOf(evidence)?.content.erased;
  return (
    erased !== undefined &&
    (document === undefined || document === erased.document?.sha256) &&
    (receipt === undefined || receipt === erased.receipt?.sha256)
  );
}

/** Compares each manifest with those before it. A whole tombstone in the bucket explains its own digest. */
export function judgeClaims(evidence: Evidence): Finding[] {
  // Stryker disable next-line ArrayDeclaration: a first claim is compared with none.
  const { claims = [] } = evidence;
  const tombstone = tombstoneOf(evidence)?.digest;
  for (const [position, claim] of claims.entries()) {
    const before = claims[position - 1];
    if (!before) continue;
    const { document, receipt } = before;
    const omits =
      (document !== undefined && claim.document === undefined) ||
      (receipt !== undefined && claim.receipt === undefined);
    const differs = document !== undefined && claim.document !== document;
    const isErasure =
      claim.document === tombstone && claim.receipt === tombstone && statesErasureOf(evidence, before);
    const relation = omits ? 'leaves out what' : 'states another SHA-256 than what';
    if (omits || (differs && !isErasure)) {
      return [
        finding(evidence, 'manifest-differs', `${claim.manifest} ${relation} ${before.manifest} states`),
      ];
    }
  }
  return [];
}

/** Key of the newest manifest that accepted a new receipt for the same bytes. */
export function acceptedReceiptIn({ claims }: Evidence): string | undefined {
  const isAccepted = (claim: ManifestClaim, position: number, all: readonly ManifestClaim[]) => {
    // No claim repeats the one before, so for the same document it has another receipt.
    const before = all[position - 1];
    return (
      before?.receipt !== undefined &&
      // Stryker disable next-line ConditionalExpression: leaving out a receipt is a problem, so this finding is dropped.
      claim.receipt !== undefined &&
      before.document === claim.document
    );
  };
  return claims?.findLast(isAccepted)?.manifest;
}
