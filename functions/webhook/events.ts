/**
 * Turns a Telnyx event into queue messages for the documents and orders that it names. Pure.
 *
 * Only `number_order.complete` is documented to contain document IDs. For orders, the discover function looks up the
 * documents and whose they are. Since Telnyx may announce uploads in the future, documents are also taken from an event of any type whose
 * payload is a document record or has `document_id` or `document_ids`.
 */
import { maxDocumentsPerEvent } from '../limits.ts';
import type { DiscoveryMessage, DocumentMessage } from '../queue/messages.ts';
import type { EventOrigin } from '../trigger.ts';
import { isUuid } from '../uuid.ts';

export interface ParsedEvent {
  documents: DocumentMessage[];
  discovery: DiscoveryMessage[];
  /** The event's type, for the log; `unknown` if it has none. */
  type: string;
  origin: EventOrigin | undefined;
  /** Why the event is ignored, in whole or in part. Undefined if all of it is used. */
  ignored?: 'unknown-type' | 'names-nothing' | 'too-many-documents';
}

type NamedIds = {
  documents?: unknown[];
  portingOrders?: unknown[];
  portOuts?: unknown[];
  numberOrders?: unknown[];
};

/** By event type, or by the part of it before the dot for all other types of a family. */
const readersByType: Record<string, (payload: unknown) => NamedIds> = {
  'number_order.complete': (payload) => ({
    documents: items(payload, 'phone_numbers')
      .flatMap((phoneNumber) => items(phoneNumber, 'regulatory_requirements'))
      .filter((requirement) => field(requirement, 'field_type') === 'document')
      .map((requirement) => field(requirement, 'field_value')),
    numberOrders: [field(payload, 'id')],
  }),
  'porting_order.new_comment': (payload) => ({ portingOrders: [field(payload, 'porting_order_id')] }),
  'porting_order.split': (payload) => ({
    portingOrders: [field(field(payload, 'from'), 'id'), field(field(payload, 'to'), 'id')],
  }),
  porting_order: (payload) => ({ portingOrders: [field(payload, 'id')] }),
  'portout.new_comment': (payload) => ({ portOuts: [field(payload, 'portout_id')] }),
  portout: (payload) => ({ portOuts: [field(payload, 'id')] }),
};

/**
 * Reads a verified event. Never throws.
 *
 * @param body the event, usually wrapped in `data`, sometimes bare
 * @param requestedAt ISO 8601
 */
export function parseEvent(body: unknown, requestedAt: string): ParsedEvent {
  const event = field(body, 'data') ?? body;
  const type = text(field(event, 'event_type')) ?? 'unknown';
  const payload = field(event, 'payload');
  const read = readerFor(type);
  const named: NamedIds = read?.(payload) ?? {};

  const origin = originOf(event, type);
  const head = { v: 1 as const, ...(origin && { event: origin }), requestedAt };
  const documentIds = ids(named.documents, documentsOfAnyEvent(payload));
  const documents = documentIds
    .slice(0, maxDocumentsPerEvent)
    .map((documentId): DocumentMessage => ({ ...head, kind: 'document', documentId, trigger: 'webhook' }));
  const ordersOf = (kind: 'porting-order' | 'port-out' | 'number-order', orders: unknown[] | undefined) =>
    ids(orders).map((orderId): DiscoveryMessage => ({ ...head, kind, orderId }));
  const discovery = [
    ...ordersOf('porting-order', named.portingOrders),
    ...ordersOf('port-out', named.portOuts),
    ...ordersOf('number-order', named.numberOrders),
  ];
  const parsed: ParsedEvent = { documents, discovery, type, origin };
  if (documentIds.length > documents.length) return { ...parsed, ignored: 'too-many-documents' };
  if (documents.length + discovery.length > 0) return parsed;
  return { ...parsed, ignored: read ? 'names-nothing' : 'unknown-type' };
}

function readerFor(type: string): ((payload: unknown) => NamedIds) | undefined {
  const [family = type] = type.split('.');
  for (const name of [type, family]) if (Object.hasOwn(readersByType, name)) return readersByType[name];
  return undefined;
}

function documentsOfAnyEvent(payload: unknown): unknown[] {
  return [
    field(payload, 'record_type') === 'document' ? field(payload, 'id') : undefined,
    field(payload, 'document_id'),
    ...items(payload, 'document_ids'),
  ];
}

function originOf(event: unknown, type: string): EventOrigin | undefined {
  const id = text(field(event, 'id'));
  const occurredAt = text(field(event, 'occurred_at'));
  return id === undefined || occurredAt === undefined ? undefined : { id, type, occurredAt };
}

/** The lower-case UUIDs among the values, without duplicates. */
function ids(...lists: (readonly unknown[] | undefined)[]): string[] {
  return [...new Set<unknown>(lists.flat())].filter(isUuid);
}

/** A string of at most 200 characters. Telnyx sends no longer ones, and they would make messages too large. */
function text(value: unknown): string | undefined {
  return typeof value === 'string' && value.length <= 200 ? value : undefined;
}

function items(value: unknown, name: string): unknown[] {
  const found = field(value, name);
  // Stryker disable next-line ArrayDeclaration: a string in it is not a valid ID and has no fields.
  return Array.isArray(found) ? found : [];
}

/** Own property of a value of any type; undefined if there is none. Never throws. */
function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return Reflect.get(value, name);
}
