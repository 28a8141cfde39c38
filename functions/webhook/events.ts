/**
 * Which documents and orders a Telnyx event names: one table from event type to message. Pure.
 *
 * Only `number_order.complete` is documented to carry document ids. Orders are looked up by the discover function.
 * And since Telnyx may come to announce uploads, any event is understood whose payload is a document record or
 * that names documents by `document_id` or `document_ids`.
 */
import { mostDocumentsPerEvent } from '../limits.ts';
import type { DiscoveryMessage, DocumentMessage } from '../queue/messages.ts';
import type { EventOrigin } from '../trigger.ts';
import { isUuid } from '../uuid.ts';

export interface Understood {
  documents: DocumentMessage[];
  discovery: DiscoveryMessage[];
  /** The event's type, for log and metrics; `unknown` where it has none. */
  type: string;
  origin: EventOrigin | undefined;
  /** Why there is nothing to do, or not all of it, where that is so. */
  ignored?: 'unknown-type' | 'names-nothing' | 'too-many-documents';
}

type Named = { documents?: unknown[]; portingOrders?: unknown[]; portOuts?: unknown[] };

/** By event type, or by its part before the dot where all of a family are alike. */
const table: Record<string, (payload: unknown) => Named> = {
  'number_order.complete': (payload) => ({
    documents: items(payload, 'phone_numbers')
      .flatMap((phoneNumber) => items(phoneNumber, 'regulatory_requirements'))
      .filter((requirement) => field(requirement, 'field_type') === 'document')
      .map((requirement) => field(requirement, 'field_value')),
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
 * @param body a verified event: usually within `data`, sometimes bare
 * @param requestedAt ISO 8601
 */
export function understand(body: unknown, requestedAt: string): Understood {
  const event = field(body, 'data') ?? body;
  const type = text(field(event, 'event_type')) ?? 'unknown';
  const payload = field(event, 'payload');
  const known = lookUp(type);
  const named: Named = known?.(payload) ?? {};

  const origin = originOf(event, type);
  const head = { v: 1 as const, ...(origin && { event: origin }), requestedAt };
  const documentIds = ids(named.documents, documentsOfAnyEvent(payload));
  const documents = documentIds
    .slice(0, mostDocumentsPerEvent)
    .map((documentId): DocumentMessage => ({ ...head, kind: 'document', documentId, trigger: 'webhook' }));
  const discovery = [
    ...ids(named.portingOrders).map(
      (orderId): DiscoveryMessage => ({ ...head, kind: 'porting-order', orderId }),
    ),
    ...ids(named.portOuts).map((orderId): DiscoveryMessage => ({ ...head, kind: 'port-out', orderId })),
  ];
  const understood: Understood = { documents, discovery, type, origin };
  if (documentIds.length > documents.length) return { ...understood, ignored: 'too-many-documents' };
  if (documents.length + discovery.length > 0) return understood;
  return { ...understood, ignored: known ? 'names-nothing' : 'unknown-type' };
}

function lookUp(type: string): ((payload: unknown) => Named) | undefined {
  const [family = type] = type.split('.');
  for (const name of [type, family]) if (Object.hasOwn(table, name)) return table[name];
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

/** Lower-case UUIDs among the values, each once. */
function ids(...lists: (readonly unknown[] | undefined)[]): string[] {
  return [...new Set<unknown>(lists.flat())].filter(isUuid);
}

/** A text that fits into a message; longer ones are not Telnyx's. */
function text(value: unknown): string | undefined {
  return typeof value === 'string' && value.length <= 200 ? value : undefined;
}

function items(value: unknown, name: string): unknown[] {
  const found = field(value, name);
  // Stryker disable next-line ArrayDeclaration: a text in it would be no id, and have no fields.
  return Array.isArray(found) ? found : [];
}

/** An own property, whatever the value is: nothing inherited, nothing thrown. */
function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return Reflect.get(value, name);
}
