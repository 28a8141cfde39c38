import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDiscoveryMessage, parseDocumentMessage } from '../../functions/queue/messages.ts';
import { serialiseMessage } from '../../functions/queue/serialise.ts';
import { understand } from '../../functions/webhook/events.ts';
import { fuzzRuns } from '../fuzz-runs.ts';

const at = '2026-11-24T00:00:00.000Z';
const sample = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../events/${name}.json`, import.meta.url), 'utf8'));
const order = 'd1f6b3c0-5f0a-4c57-9f43-6a3c7e9b2d11';
const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';

/** What an event asks for, as short words. */
function asked(body: unknown): string[] {
  const { documents, discovery } = understand(body, at);
  return [
    ...documents.map(({ documentId }) => `document ${documentId}`),
    ...discovery.map((message) => `${message.kind} ${'orderId' in message ? message.orderId : ''}`),
  ];
}

describe('an event', () => {
  it.each<[string, string[]]>([
    [
      'number-order-complete',
      ['document 5a3b1e00-0000-4000-8000-000000000005', 'document 5a3b1e00-0000-4000-8000-000000000007'],
    ],
    ['porting-order-status-changed', [`porting-order ${order}`]],
    ['porting-order-new-comment', [`porting-order ${order}`]],
    ['porting-order-split', [`porting-order ${order}`, 'porting-order e2a7c4d1-6b1f-4d68-8a54-7b4d8f0c3e22']],
    ['porting-order-messaging-changed', [`porting-order ${order}`]],
    ['portout-status-changed', ['port-out c3d8e5f2-7c20-4e79-9b65-8c5e9f1d4f33']],
    ['portout-new-comment', ['port-out c3d8e5f2-7c20-4e79-9b65-8c5e9f1d4f33']],
    ['document-uploaded', ['document 5a3b1e00-0000-4000-8000-000000000003']],
    ['hosted-numbers-order-updated', []],
  ])('of the sample %s asks for exactly what it names, each once', (name, expected) => {
    expect(asked(sample(name))).toEqual(expected);
  });

  it('passes on its id, type and time with every message', () => {
    const { documents, discovery } = understand(
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
  ])('of a type that nobody knows is understood if its payload has %s', (_what, payload) => {
    expect(asked({ data: { event_type: 'future.event', payload } })).toEqual([`document ${id}`]);
  });

  it.each<[string, unknown, string]>([
    ['of an unknown type', { data: { event_type: 'call.initiated', payload: { id } } }, 'unknown-type'],
    ['without a type', { data: { payload: { id } } }, 'unknown-type'],
    ['of the type __proto__', { event_type: '__proto__', payload: { id } }, 'unknown-type'],
    ['of the type constructor', { event_type: 'constructor', payload: { id } }, 'unknown-type'],
    ['of a known type without an id', { event_type: 'portout.status_changed', payload: {} }, 'names-nothing'],
    [
      'with a hostile id',
      { event_type: 'portout.status_changed', payload: { id: '../../x' } },
      'names-nothing',
    ],
    [
      'with an upper-case id',
      { event_type: 'portout.x', payload: { id: id.toUpperCase() } },
      'names-nothing',
    ],
    ['that is null', null, 'unknown-type'],
    ['that is a text', 'x', 'unknown-type'],
    ['that is a list', [], 'unknown-type'],
  ])('%s asks for nothing, and says why', (_what, body, reason) => {
    expect(understand(body, at)).toMatchObject({ documents: [], discovery: [], ignored: reason });
  });

  it('takes text and addresses of requirements for what they are', () => {
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

    expect(asked(body)).toEqual([]);
  });

  it('never throws, and asks only for messages that can be read again', () => {
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
          const { documents, discovery } = understand(body, at);
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

  it('queues a thousand documents at most, so that one event cannot make thousands of messages', () => {
    const documentIds = Array.from(
      { length: 26_000 },
      (_, number) => `6e0c8a55-2d0b-4bb0-9d6a-${number.toString(16).padStart(12, '0')}`,
    );
    const event = (ids: string[]) => ({ event_type: 'document.uploaded', payload: { document_ids: ids } });

    const tooMany = understand(event(documentIds), at);
    const justEnough = understand(event(documentIds.slice(0, 1_000)), at);

    expect(tooMany.documents).toHaveLength(1_000);
    expect(tooMany.ignored).toBe('too-many-documents');
    expect(justEnough.documents).toHaveLength(1_000);
    expect(justEnough.ignored).toBeUndefined();
  });

  it('without a type is of an unknown one', () => {
    expect(understand({ data: { payload: {} } }, at)).toMatchObject({
      type: 'unknown',
      ignored: 'unknown-type',
    });
  });

  it('that names both an order and a document asks for both, and is not ignored', () => {
    const event = { event_type: 'porting_order.status_changed', payload: { id: order, document_id: id } };

    expect(asked(event)).toEqual([`document ${id}`, `porting-order ${order}`]);
    expect(understand(event, at).ignored).toBeUndefined();
  });

  it.each([
    [200, true],
    [201, false],
  ])('with an id of %i letters has an origin: %s', (length, known) => {
    const event = { id: 'x'.repeat(length), event_type: 'document.uploaded', occurred_at: at, payload: {} };

    expect(understand(event, at).origin !== undefined).toBe(known);
  });
});
