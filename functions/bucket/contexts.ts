/**
 * Contexts: each is an object under `contexts/` that states one order or linked resource that a document belongs to. The same
 * fact is written once. An erasure deletes all contexts of its document.
 */
import { hash } from 'node:crypto';
import * as v from 'valibot';
import { ArchiverError } from '../errors.ts';
import { mapConcurrently } from '../map-concurrently.ts';
import type { Relation } from './catalogue-rows.ts';
import {
  contextKey,
  contextPrefix,
  contextsOfPrefix,
  contextTombstoneKey,
  documentIdOfContext,
} from './keys.ts';
import { type Bucket, objectInMemory } from './store.ts';

const maxTextLength = 512;
/** Phone numbers per context. For more of one order, there are several contexts. */
const maxNumbers = 1_000;
const text = v.pipe(v.string(), v.maxLength(maxTextLength));

const context = v.strictObject({
  v: v.literal(1),
  documentId: v.string(),
  kind: v.picklist(['porting-order', 'port-out', 'number-order', 'link']),
  /** ID of the order or of the linked resource. */
  id: text,
  /** Type of the linked resource, such as `porting_order`. */
  type: v.optional(text),
  /** Customer reference of the order. */
  reference: v.optional(text),
  /** Phone numbers whose requirement the document meets. */
  numbers: v.optional(v.pipe(v.array(text), v.maxLength(maxNumbers))),
  /** When discovery found the fact. ISO 8601. Not part of the fact. */
  learntAt: v.pipe(v.string(), v.isoTimestamp()),
  /** Version of the archiver that wrote it. */
  archiver: v.string(),
});
const contextJson = v.pipe(v.string(), v.parseJson(), context);
export type DocumentContext = v.InferOutput<typeof context>;

/** What one order or link states about whose document it is. */
export type ContextFact = Omit<DocumentContext, 'v' | 'learntAt' | 'archiver'>;

/** Larger objects are not contexts: a thousand numbers of 512 characters, each of which takes up to six bytes in JSON. */
export const maxContextBytes = 4 * 1024 ** 2;

/** A fact as Telnyx states it: texts of any length, any number of phone numbers. */
export interface StatedFact extends Pick<ContextFact, 'documentId' | 'kind' | 'id'> {
  type?: string | undefined;
  reference?: string | undefined;
  numbers?: readonly string[] | undefined;
}

/** Makes facts that can be written: long texts cut, empty texts left out, phone numbers sorted and without duplicates. */
export function factsOf({ documentId, kind, id, type, reference, numbers = [] }: StatedFact): ContextFact[] {
  const fact: ContextFact = {
    documentId,
    kind,
    id: cut(id),
    ...(type && { type: cut(type) }),
    ...(reference && { reference: cut(reference) }),
  };
  const sorted = [...new Set(numbers.map(cut))].filter((number) => number !== '').sort();
  if (sorted.length === 0) return [fact];
  return Array.from({ length: Math.ceil(sorted.length / maxNumbers) }, (_, part) => ({
    ...fact,
    numbers: sorted.slice(part * maxNumbers, (part + 1) * maxNumbers),
  }));
}

/** The key is made of the fact, so that the same fact is written once. */
export function keyOfFact({ documentId, kind, id, type, reference, numbers }: ContextFact): string {
  const canonical = JSON.stringify({ kind, id, type, reference, numbers: numbers?.toSorted() });
  return contextKey(documentId, hash('sha256', canonical));
}

/** @returns false if the fact was written before. @throws ArchiverError the errors of `Bucket` */
export async function writeContext(
  fact: ContextFact,
  { learntAt, archiver }: Pick<DocumentContext, 'learntAt' | 'archiver'>,
  bucket: Pick<Bucket, 'putOnce'>,
  signal: AbortSignal,
): Promise<boolean> {
  const written: DocumentContext = { v: 1, ...fact, learntAt, archiver };
  const text = `${JSON.stringify(written, undefined, 2)}\n`;
  const stored = await bucket.putOnce(objectInMemory(keyOfFact(fact), text, 'application/json'), signal);
  return stored !== 'exists';
}

/** @throws ArchiverError UnexpectedResponse if the archiver did not write it at this key in this form */
export function parseContext(key: string, body: Buffer): DocumentContext {
  const { success, output } = v.safeParse(contextJson, body.toString('utf8'));
  if (success && output.documentId === documentIdOfContext(key) && keyOfFact(output) === key) return output;
  throw new ArchiverError(
    'UnexpectedResponse',
    `The object ${key} is not a context that the archiver wrote there. Read it, and find out who wrote it.`,
  );
}

export function relationOf({ kind, id, type, reference, numbers }: DocumentContext): Relation {
  return {
    kind,
    id,
    ...(type !== undefined && { type }),
    ...(reference !== undefined && { reference }),
    ...(numbers !== undefined && { numbers }),
  };
}

/** Listings at the same time. */
const concurrency = 16;
/** A listing from one document on is used as long as each page covers at least this many of the documents. */
const minDocumentsPerPage = 8;

/**
 * Lists the keys of the contexts of these documents, and of their tombstones. In a small archive a page covers many documents;
 * otherwise each document takes a listing. Of a document with more than a page of contexts, only the first are returned: the
 * others are written again, without effect.
 *
 * @throws ArchiverError the errors of `Bucket`, or the signal's reason
 */
export async function listContextKeys(
  documentIds: readonly string[],
  bucket: Pick<Bucket, 'list'>,
  signal: AbortSignal,
): Promise<Set<string>> {
  const sorted = [...new Set(documentIds)].sort();
  const found = new Set<string>();
  let next = 0;
  while (sorted.length - next >= minDocumentsPerPage) {
    const keys = await bucket.list(contextPrefix, contextPrefix + sorted[next], signal);
    for (const key of keys) found.add(key);
    const last = keys.at(-1);
    // Stryker disable next-line ConditionalExpression: no key is behind undefined, so all are answered; required by the type.
    if (last === undefined) return found;
    const beyond = sorted.findIndex((id) => contextTombstoneKey(id) > last);
    const answered = (beyond === -1 ? sorted.length : beyond) - next;
    next += answered;
    if (answered < minDocumentsPerPage) break;
  }
  const pages = await mapConcurrently(sorted.slice(next), concurrency, signal, async (id, limited) =>
    // Without its slash, the prefix also matches the tombstone.
    bucket.list(contextsOfPrefix(id).slice(0, -1), undefined, limited),
  );
  for (const key of pages.flat()) found.add(key);
  return found;
}

/** Cuts a text. Replaces a lone surrogate, which a cut can leave. */
function cut(value: string): string {
  return value.slice(0, maxTextLength).toWellFormed();
}
