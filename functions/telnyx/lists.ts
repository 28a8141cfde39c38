/**
 * The lists of the Telnyx API in which document ids stand, a page at a time. What a page does not hold as
 * specified is passed on as such, row by row: one odd document must not hide all others.
 *
 * Pages are numbered from 1 and hold 20 rows unless asked for up to 250
 * (https://developers.telnyx.com/api-reference/documents/list-all-documents). `meta` is not looked at: nothing
 * here relies on totals.
 */
import * as v from 'valibot';
import { telnyxPageSize } from '../limits.ts';
import { isUuid } from '../uuid.ts';
import { check } from './client.ts';
import { type Fields, isFields, readFacts, type StatedFacts } from './record.ts';
import type { RetryingTelnyx } from './retrying-telnyx.ts';

/** A document as a list names it. */
export interface Candidate {
  /** Undefined where something stands in place of the id that is no lower-case UUID. */
  id: string | undefined;
  /** Milliseconds since the Unix epoch, where the list says so. */
  createdAt: number | undefined;
  /** What the list says of the document's bytes, where it gives the whole record. */
  stated?: Stated;
}

/** What a list states of a document's bytes. */
type Stated = Pick<StatedFacts, 'bytes' | 'sha256' | 'infected'>;

export interface ListRow {
  /** What makes it this row, for telling answers apart. */
  key: string;
  /** Undefined where the row is about something else, such as a requirement that is met by a text. */
  candidate: Candidate | undefined;
}

export type Page = readonly ListRow[];

/** Both ends excluded, in milliseconds since the Unix epoch, whole seconds. */
export interface CreatedBetween {
  after: number;
  before: number;
}

/**
 * GET /documents. Without `sort[]`: nothing relies on an order, and whether Telnyx heeds that parameter is not
 * known.
 *
 * @param customerReference only documents with this one
 * @throws ArchiverError those of `RetryingTelnyx`, and UnexpectedResponse for what is no list at all
 */
export async function listDocuments(
  telnyx: RetryingTelnyx,
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
    const { createdAt, bytes, sha256, infected } = readFacts(row).facts;
    return {
      id: asDocumentId(row.id),
      createdAt: createdAt === undefined ? undefined : Date.parse(createdAt),
      stated: { bytes, sha256, infected },
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
    named(document_id),
  );
}

/** GET /porting_orders/{id}: its letter of authorisation, its invoice, and what its requirements are met by. */
export async function portingOrderDocuments(telnyx: RetryingTelnyx, orderId: string): Promise<Candidate[]> {
  const body = await telnyx.get(`porting_orders/${orderId}`, new URLSearchParams(), 'OrderGone');
  const { data } = check(portingOrderAnswer, body);
  const { documents, requirements } = data;
  // What cannot be read may name a document.
  const read = isFields(documents) ? [named(documents.loa), named(documents.invoice)] : [named(documents)];
  const required = Array.isArray(requirements)
    ? requirements.filter(isFields).map(requiredDocument)
    : [named(requirements)];
  return [...read, ...required].filter((candidate) => candidate !== undefined);
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
    named(document_id),
  );
}

/** GET /portouts/{id}/supporting_documents, which has no pages. @throws as `listDocuments`, and OrderGone */
export async function portOutDocuments(telnyx: RetryingTelnyx, orderId: string): Promise<Candidate[]> {
  const path = `portouts/${orderId}/supporting_documents`;
  const page = pageOf(await telnyx.get(path, new URLSearchParams(), 'OrderGone'), ({ document_id }) =>
    named(document_id),
  );
  return page.flatMap(({ candidate }) => candidate ?? []);
}

const listAnswer = v.object({ data: v.array(v.unknown()) });
const portingOrderAnswer = v.object({
  data: v.looseObject({ id: v.string() }),
});

function pageOf(body: unknown, read: (row: Fields) => Candidate | undefined): Page {
  return check(listAnswer, body).data.map((data, position) => {
    const row = isFields(data) ? data : {};
    const id = row.id;
    // Whatever stands in place of an ID may be nested too deeply to be written out.
    return { key: typeof id === 'string' ? id : `row ${position}`, candidate: read(row) };
  });
}

function paged(pageNumber: number, filter: Record<string, string> = {}): URLSearchParams {
  return new URLSearchParams({
    ...filter,
    'page[number]': String(pageNumber),
    'page[size]': String(telnyxPageSize),
  });
}

function requiredDocument(requirement: Fields): Candidate | undefined {
  return requirement.field_type === 'document' ? named(requirement.field_value) : undefined;
}

/** A place for a document's id, which may still be empty. Anything else in it counts as an id that cannot be read. */
function named(id: unknown): Candidate | undefined {
  if (id === undefined || id === null || id === '') return undefined;
  return { id: asDocumentId(id), createdAt: undefined };
}

function asDocumentId(id: unknown): string | undefined {
  return isUuid(id) ? id : undefined;
}

function withoutFraction(instant: number): string {
  return `${new Date(instant).toISOString().slice(0, 19)}Z`;
}
