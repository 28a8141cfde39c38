import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDiscoveryMessage, parseDocumentMessage } from '../../functions/queue/messages.ts';
import { serialiseMessage } from '../../functions/queue/serialise.ts';
import { parseEvent } from '../../functions/webhook/events.ts';
import { fuzzRuns } from '../fuzz-runs.ts';

const at = '2026-11-24T00:00:00.000Z';
const sample = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../events/${name}.json`, import.meta.url), 'utf8'));
const order = 'd1f6b3c0-5f0a-4c57-9f43-6a3c7e9b2d11';
const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';

/** The messages of an event in short form. */
function messagesOf(body: unknown): string[] {
  const { documents, discovery } = parseEvent(body, at);
  return [
    ...documents.map(({ documentId }) => `document ${documentId}`),
    ...discovery.map((message) => `${message.kind} ${'orderId' in message ? message.orderId : ''}`),
  ];
}

describe('parseEvent', () => {
  it.each<[string, string[]]>([
    [
      'number-order-complete',
      [
        'document 5a3b1e00-0000-4000-8000-000000000005',
        'document 5a3b1e00-0000-4000-8000-000000000007',
        'number-order 7d5c3a52-1a8e-4e07-8a3e-0d8d5b1f9c10',
      ],
    ],
    ['porting-order-status-changed', [`porting-order ${order}`]],
    ['porting-order-new-comment', [`porting-order ${order}`]],
    ['porting-order-split', [`porting-order ${order}`, 'porting-order e2a7c4d1-6b1f-4d68-8a54-7b4d8f0c3e22']],
    ['porting-order-messaging-changed', [`porting-order ${order}`]],
    ['portout-status-changed', ['port-out c3d8e5f2-7c20-4e79-9b65-8c5e9f1d4f33']],
    ['portout-new-comment', ['port-out c3d8e5f2-7c20-4e79-9b65-8c5e9f1d4f33']],
    ['document-uploaded', ['document 5a3b1e00-0000-4000-8000-000000000003']],
    ['hosted-numbers-order-updated', []],
  ])('requests each document and order in the sample %s once', (name, expected) => {
    expect(messagesOf(sample(name))).toEqual(expected);
  });

  it('adds the ID, type and time of the event to every message', () => {
    const { documents, discovery } = parseEvent(
      { data: { id: 'e1', event_type: 'x.y', occurred_at: at, payload: { document_id: id } } },
      at,
    );

    expect([...documents, ...discovery].map(({ v, kind, ...rest }) => rest)).toEqual([
      {
        documentId: id,
        trigger: 'webhook',
        event: { id: 'e1', type: 'x.y', occurredAt: at },
        requestedAt: at,
      },
    ]);
  });

  it.each<[string, unknown]>([
    ['document_id', { document_id: id }],
    ['document_ids', { document_ids: [id, id, 7, null] }],
    ['a document record', { record_type: 'document', id }],
  ])('requests the document of an unknown event type whose payload has %s', (_what, payload) => {
    expect(messagesOf({ data: { event_type: 'future.event', payload } })).toEqual([`document ${id}`]);
  });

  it.each<[string, unknown, string]>([
    [
      'an event of an unknown type',
      { data: { event_type: 'call.initiated', payload: { id } } },
      'unknown-type',
    ],
    ['an event without a type', { data: { payload: { id } } }, 'unknown-type'],
    ['an event of the type __proto__', { event_type: '__proto__', payload: { id } }, 'unknown-type'],
    ['an event of the type constructor', { event_type: 'constructor', payload: { id } }, 'unknown-type'],
    [
      'an event of a known type without an ID',
      { event_type: 'portout.status_changed', payload: {} },
      'names-nothing',
    ],
    [
      'an event with a malicious ID',
      { event_type: 'portout.status_changed', payload: { id: '../../x' } },
      'names-nothing',
    ],
    [
      'an event with an upper-case ID',
      { event_type: 'portout.x', payload: { id: id.toUpperCase() } },
      'names-nothing',
    ],
    ['null', null, 'unknown-type'],
    ['a string', 'x', 'unknown-type'],
    ['an array', [], 'unknown-type'],
  ])('returns no messages for %s, and the reason', (_what, body, reason) => {
    expect(parseEvent(body, at)).toMatchObject({ documents: [], discovery: [], ignored: reason });
  });

  it('ignores requirements that are texts or addresses', () => {
    const requirement = (field_type: string) => ({ field_type, field_value: id });
    const body = {
      event_type: 'number_order.complete',
      payload: {
        phone_numbers: [
          { regulatory_requirements: [requirement('textual'), requirement('address'), null] },
          7,
        ],
      },
    };

    expect(messagesOf(body)).toEqual([]);
  });

  it('never throws, and returns only messages that the queue parsers accept', () => {
    const shaped = fc.record(
      {
        event_type: fc.oneof(
          fc.constantFrom(
            'number_order.complete',
            'porting_order.split',
            'portout.x',
            'porting_order.new_comment',
          ),
          fc.string(),
        ),
        id: fc.anything(),
        occurred_at: fc.oneof(fc.string(), fc.anything()),
        payload: fc.oneof(
          fc.anything(),
          fc.record({
            id: fc.oneof(fc.uuid(), fc.anything()),
            document_ids: fc.array(fc.oneof(fc.uuid(), fc.anything())),
          }),
        ),
      },
      { requiredKeys: [] },
    );

    fc.assert(
      fc.property(
        fc.oneof(
          shaped,
          shaped.map((data) => ({ data })),
          fc.anything(),
        ),
        (body) => {
          const { documents, discovery } = parseEvent(body, at);
          for (const message of documents) {
            expect(parseDocumentMessage(serialiseMessage(message), new Date(0))).toEqual(message);
          }
          for (const message of discovery) {
            expect(parseDiscoveryMessage(serialiseMessage(message))).toEqual(message);
          }
        },
      ),
      { numRuns: fuzzRuns() },
    );
  });

  it('returns at most 1,000 documents for one event', () => {
    const documentIds = Array.from(
      { length: 26_000 },
      (_, number) => `6e0c8a55-2d0b-4bb0-9d6a-${number.toString(16).padStart(12, '0')}`,
    );
    const event = (ids: string[]) => ({ event_type: 'document.uploaded', payload: { document_ids: ids } });

    const tooMany = parseEvent(event(documentIds), at);
    const justEnough = parseEvent(event(documentIds.slice(0, 1_000)), at);

    expect(tooMany.documents).toHaveLength(1_000);
    expect(tooMany.ignored).toBe('too-many-documents');
    expect(justEnough.documents).toHaveLength(1_000);
    expect(justEnough.ignored).toBeUndefined();
  });

  it('returns the type unknown for an event without a type', () => {
    expect(parseEvent({ data: { payload: {} } }, at)).toMatchObject({
      type: 'unknown',
      ignored: 'unknown-type',
    });
  });

  it('returns both messages for an event with an order and a document', () => {
    const event = { event_type: 'porting_order.status_changed', payload: { id: order, document_id: id } };

    expect(messagesOf(event)).toEqual([`document ${id}`, `porting-order ${order}`]);
    expect(parseEvent(event, at).ignored).toBeUndefined();
  });

  it.each([
    [200, true],
    [201, false],
  ])('returns an origin for an ID of %i characters: %s', (length, expected) => {
    const event = { id: 'x'.repeat(length), event_type: 'document.uploaded', occurred_at: at, payload: {} };

    expect(parseEvent(event, at).origin !== undefined).toBe(expected);
  });
});
