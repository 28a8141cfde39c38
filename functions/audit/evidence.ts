/** What an audit knows about one document when it judges it, and how it states a finding about it. */
import type { HoldRecord } from '../bucket/holds.ts';
import { documentKey } from '../bucket/keys.ts';
import type { ListedKey } from '../bucket/listing.ts';
import type { Tombstone } from '../bucket/tombstones.ts';
import type { Finding } from './findings.ts';
import type { ManifestClaim } from './manifest-claims.ts';
import type { ReceiptReading } from './receipt-reading.ts';
import type { ListedDocument } from './telnyx-documents.ts';

/** An object that claims to be a tombstone. `digest` is its SHA-256 in lower-case hex; `alteration` says in words what is wrong. */
export type TombstoneReading = WholeTombstone | { digest: string; content?: never; alteration: string };

export interface WholeTombstone {
  digest: string;
  content: Tombstone;
  alteration?: never;
}

/** The records of who placed or released a hold. */
export interface HoldEvidence {
  records: {
    listed: ListedKey;
    /** Undefined if it is hidden or the archiver did not write it. */
    content: HoldRecord | undefined;
  }[];
  /** Of object and receipt, for a held document: whether each is on legal hold, or why that could not be read. */
  locks: { key: string; state: 'on' | 'off' | { unreadable: string } }[];
}

/** The contexts of a document, which say to which orders, resources and phone numbers it belongs. */
export interface ContextEvidence {
  records: {
    listed: ListedKey;
    /** Whether it is as the archiver writes it; undefined if it was not read. */
    isWhole: boolean | undefined;
  }[];
  tombstone: { listed: ListedKey; reading: TombstoneReading | undefined } | undefined;
}

/** What each source says about one document. Digests are lower-case hex. */
export interface Evidence {
  documentId: string;
  /** Telnyx's current list. */
  telnyx?: Omit<ListedDocument, 'id'>;
  /** `sha256` as S3 verified it or as computed from a download; undefined if it was not requested. */
  object?: {
    bytes: number;
    modified: number;
    sha256?: string | undefined;
    tombstone?: TombstoneReading | undefined;
  };
  /** `reading` and `tombstone` are undefined if the receipt was not read. */
  receipt?: {
    modified: number;
    reading?: ReceiptReading | undefined;
    tombstone?: TombstoneReading | undefined;
  };
  /** The listing of all versions at the keys of object and receipt; undefined for a key that is not listed. */
  listed?: { object?: ListedKey | undefined; receipt?: ListedKey | undefined };
  /** What the manifests say about it. */
  claims?: readonly ManifestClaim[];
  hold?: HoldEvidence;
  contexts?: ContextEvidence;
}

export interface AuditConditions {
  /** When the audit started to list Telnyx's documents, in milliseconds since the Unix epoch. */
  startedAt: number;
  /** Whether Telnyx's list is complete, so that a document absent from it is not at Telnyx. */
  telnyxListed: boolean;
  /** How long the archiver may take to archive a document before it counts as missing. */
  graceMs: number;
}

/** @param key of the object or record that it is about. @default the key of the document */
export function finding(
  { documentId }: Evidence,
  code: Finding['code'],
  detail: string,
  key = documentKey(documentId),
): Finding {
  return { code, key, documentId, detail };
}

/** The newest valid hold record, which says whether the document is on hold. */
export function newestHold({ hold }: Evidence): HoldRecord | undefined {
  return hold?.records.findLast(({ content }) => content !== undefined)?.content;
}

export function isHeld(evidence: Evidence): boolean {
  return newestHold(evidence)?.action === 'hold';
}

/** The valid tombstone at the key of the receipt or, without one, of the object. An erasure writes the receipt's first. */
export function tombstoneOf({ object, receipt }: Evidence): WholeTombstone | undefined {
  return [receipt?.tombstone, object?.tombstone].find((tombstone) => tombstone?.content !== undefined);
}
