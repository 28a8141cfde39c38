/**
 * The lists of the Telnyx API that contain document IDs, a page at a time. A malformed row does not fail the page: one
 * odd document must not hide all others.
 *
 * Pages are numbered from 1 and have 20 rows by default, 250 at most
 * (https://developers.telnyx.com/api-reference/documents/list-all-documents). `meta` is ignored: nothing here relies on
 * totals.
 */
import * as v from 'valibot';
import { telnyxPageSize } from '../limits.ts';
import { isUuid } from '../uuid.ts';
import { check } from './client.ts';
import { type Fields, isFields, readFacts, type StatedFacts } from './record.ts';
import type { RetryingTelnyx } from './retrying-telnyx.ts';

/** A document found in a list. */
export interface Candidate {
  /** Undefined if the ID is not a lower-case UUID. */
  id: string | undefined;
  /** Milliseconds since the Unix epoch, if the list states it. */
  createdAt: number | undefined;
  /** What the list states about the document, if it contains the whole record. */
  stated?: Omit<StatedFacts, 'createdAt'>;
}

export interface ListRow {
  /** Identifies the row, to compare pages. */
  key: string;
  /** Undefined if the row is not about a document, such as a requirement that is met by a text. */
  candidate: Candidate | undefined;
}

export type Page = readonly ListRow[];

/** Both ends exclusive, in milliseconds since the Unix epoch, whole seconds. */
export interface CreatedBetween {
  after: number;
  before: number;
}

/**
 * GET /documents. Without `sort[]`: nothing relies on an order, and it is unknown whether Telnyx applies that parameter.
 *
 * @param customerReference lists only documents with this reference
 * @throws ArchiverError those of `RetryingTelnyx`, and UnexpectedResponse if the response is not a list
 */
export async function listDocuments(
  telnyx: Pick<RetryingTelnyx, 'get'>,
  created: CreatedBetween,
  pageNumber: number,
  customerReference?: string,
): Promise<Page> {
  const query = paged(pageNumber, {
    ...(customerReference !== undefined && { 'filter[customer_reference][eq]': customerReference }),
    'filter[created_at][gt]': withoutFraction(created.after),
    'filter[created_at][lt]': withoutFraction(created.before),
  });
  return pageOf(await telnyx.get('documents', query, 'UnexpectedResponse'), (row) => {
    const { createdAt, ...facts } = readFacts(row).facts;
    return {
      id: asDocumentId(row.id),
      createdAt: createdAt === undefined ? undefined : Date.parse(createdAt),
      stated: facts,
    };
  });
}

/** GET /document_links of any resource, such as a porting order. @throws as `listDocuments`, and OrderGone */
export async function listDocumentLinks(
  telnyx: RetryingTelnyx,
  resourceId: string,
  pageNumber: number,
): Promise<Page> {
  const query = paged(pageNumber, { 'filter[linked_resource_id]': resourceId });
  return pageOf(await telnyx.get('document_links', query, 'OrderGone'), ({ document_id }) =>
    candidateOf(document_id),
  );
}

/** A document and what it is linked to. */
export interface DocumentLink {
  documentId: string;
  resourceId: string;
  /** Such as `porting_order`. Telnyx does not document all values. */
  type: string | undefined;
}

/**
 * GET /document_links of all resources. Leaves out rows without the IDs of a document and of a resource.
 *
 * @throws as `listDocuments`
 */
export async function listAllLinks(
  telnyx: Pick<RetryingTelnyx, 'get'>,
  pageNumber: number,
): Promise<DocumentLink[]> {
  const body = await telnyx.get('document_links', paged(pageNumber), 'UnexpectedResponse');
  return check(listResponse, body)
    .data.filter(isFields)
    .flatMap(({ document_id, linked_resource_id, linked_record_type }) => {
      const resourceId = asText(linked_resource_id);
      return isUuid(document_id) && resourceId !== undefined
        ? [{ documentId: document_id, resourceId, type: asText(linked_record_type) }]
        : [];
    });
}

/** An order as Telnyx states it. */
export interface OrderRecord {
  /** The customer's own text. */
  reference: string | undefined;
  documents: readonly OrderDocument[];
}

export interface OrderDocument extends Candidate {
  /** Phone numbers whose requirement the document meets. */
  numbers?: readonly string[];
}

/** GET /porting_orders/{id}: the letter of authorisation, the invoice, and the documents that meet its requirements. */
export async function readPortingOrder(telnyx: RetryingTelnyx, orderId: string): Promise<OrderRecord> {
  const body = await telnyx.get(`porting_orders/${orderId}`, new URLSearchParams(), 'OrderGone');
  const { data } = check(orderResponse, body);
  const { documents, requirements } = data;
  // A malformed value may still be a document's ID, so it counts as an unreadable one.
  const read = isFields(documents)
    ? [candidateOf(documents.loa), candidateOf(documents.invoice)]
    : [candidateOf(documents)];
  return {
    reference: asText(data.customer_reference),
    documents: [...read.flatMap(listOf), ...requiredDocuments(requirements)],
  };
}

/** GET /number_orders/{id}: the documents that meet the requirements of its phone numbers. @throws as `readPortingOrder` */
export async function readNumberOrder(telnyx: RetryingTelnyx, orderId: string): Promise<OrderRecord> {
  const body = await telnyx.get(`number_orders/${orderId}`, new URLSearchParams(), 'OrderGone');
  const { data } = check(orderResponse, body);
  const reference = asText(data.customer_reference);
  const { phone_numbers } = data;
  if (!Array.isArray(phone_numbers)) return { reference, documents: listOf(candidateOf(phone_numbers)) };
  // Numbers of one order often share documents.
  const numbersOf = new Map<string, string[]>();
  const unreadable: Candidate[] = [];
  for (const { phone_number, regulatory_requirements } of phone_numbers.filter(isFields)) {
    for (const candidate of requiredDocuments(regulatory_requirements)) {
      if (candidate.id === undefined) {
        unreadable.push(candidate);
        continue;
      }
      const met = numbersOf.get(candidate.id) ?? [];
      numbersOf.set(candidate.id, met);
      met.push(...listOf(asText(phone_number)));
    }
  }
  const documents = [...numbersOf].map(([id, numbers]) => ({ id, createdAt: undefined, numbers }));
  return { reference, documents: [...documents, ...unreadable] };
}

/** GET /porting_orders/{id}/requirements. @throws as `listDocuments`, and OrderGone */
export async function listPortingRequirements(
  telnyx: RetryingTelnyx,
  orderId: string,
  pageNumber: number,
): Promise<Page> {
  const path = `porting_orders/${orderId}/requirements`;
  return pageOf(await telnyx.get(path, paged(pageNumber), 'OrderGone'), requiredDocument);
}

/** GET /porting_orders/{id}/additional_documents. @throws as `listDocuments`, and OrderGone */
export async function listAdditionalDocuments(
  telnyx: RetryingTelnyx,
  orderId: string,
  pageNumber: number,
): Promise<Page> {
  const path = `porting_orders/${orderId}/additional_documents`;
  return pageOf(await telnyx.get(path, paged(pageNumber), 'OrderGone'), ({ document_id }) =>
    candidateOf(document_id),
  );
}

/** GET /portouts/{id}/supporting_documents, which has no pages. @throws as `listDocuments`, and OrderGone */
export async function portOutDocuments(telnyx: RetryingTelnyx, orderId: string): Promise<Candidate[]> {
  const path = `portouts/${orderId}/supporting_documents`;
  const page = pageOf(await telnyx.get(path, new URLSearchParams(), 'OrderGone'), ({ document_id }) =>
    candidateOf(document_id),
  );
  return page.flatMap(({ candidate }) => candidate ?? []);
}

const listResponse = v.object({ data: v.array(v.unknown()) });
const orderResponse = v.object({
  data: v.looseObject({ id: v.string() }),
});

function pageOf(body: unknown, read: (row: Fields) => Candidate | undefined): Page {
  return check(listResponse, body).data.map((data, position) => {
    const row = isFields(data) ? data : {};
    const candidate = read(row);
    return { key: keyOf(row, candidate, position), candidate };
  });
}

/**
 * The row's ID. Requirements of a porting order have none (Telnyx's SDK, `PortingOrderRetrieveRequirementsResponse`).
 * Their key is made of type and value, because rows of two pages with the same key are read as one.
 */
function keyOf(row: Fields, candidate: Candidate | undefined, position: number): string {
  if (typeof row.id === 'string') return row.id;
  const { field_type, field_value, requirement_type } = row;
  const type = isFields(requirement_type) ? requirement_type.id : undefined;
  // Only strings: a malformed value may be nested too deeply to be serialised.
  const parts = [candidate?.id, field_type, field_value, type].filter((part) => typeof part === 'string');
  return parts.length === 0 ? `row ${position}` : JSON.stringify(parts);
}

function paged(pageNumber: number, filter: Record<string, string> = {}): URLSearchParams {
  return new URLSearchParams({
    ...filter,
    'page[number]': String(pageNumber),
    'page[size]': String(telnyxPageSize),
  });
}

/** Of a list of requirements. One that is malformed may still be a document's ID, so it counts as an unreadable one. */
function requiredDocuments(requirements: unknown): Candidate[] {
  return Array.isArray(requirements)
    ? requirements.filter(isFields).flatMap((requirement) => requiredDocument(requirement) ?? [])
    : listOf(candidateOf(requirements));
}

function listOf<Item>(item: Item | undefined): Item[] {
  return item === undefined ? [] : [item];
}

function requiredDocument(requirement: Fields): Candidate | undefined {
  return requirement.field_type === 'document' ? candidateOf(requirement.field_value) : undefined;
}

/** From a field for a document's ID, which may be empty. Anything but a UUID counts as an unreadable ID. */
function candidateOf(id: unknown): Candidate | undefined {
  if (id === undefined || id === null || id === '') return undefined;
  return { id: asDocumentId(id), createdAt: undefined };
}

/** @returns undefined for an empty text and for anything else */
function asText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function asDocumentId(id: unknown): string | undefined {
  return isUuid(id) ? id : undefined;
}

function withoutFraction(instant: number): string {
  return `${new Date(instant).toISOString().slice(0, 19)}Z`;
}
