import { describe, expect, it } from 'vitest';
import { documentsOfPortingOrder, documentsOfPortOut } from '../../functions/discover/orders.ts';
import { ArchiverError, type ErrorCode } from '../../functions/errors.ts';
import type { DiscoveryMessage } from '../../functions/queue/messages.ts';
import type { Candidate } from '../../functions/telnyx/lists.ts';
import { createWorld, documentId, noon } from './world.ts';

const orderId = 'b41d7f0a-93c4-4f57-8a2b-1c9d4e5f6071';
const event = { id: 'event-1', type: 'porting_order.status_changed', occurredAt: '2026-11-24T11:59:58Z' };

/** A Telnyx that answers these paths, pages of 25 rows, and 404 to all others. */
function telnyxWith(answers: Record<string, unknown>) {
  const asked: string[] = [];
  return {
    asked,
    requests: () => asked.length,
    get: async (path: string, query: URLSearchParams, gone: ErrorCode) => {
      asked.push(path);
      if (!(path in answers)) throw new ArchiverError(gone, 'Not there.');
      const data = answers[path];
      if (data instanceof Error) throw data;
      if (!Array.isArray(data)) return { data: Object.assign({ id: orderId }, data) };
      const number = Number(query.get('page[number]') ?? 1);
      return { data: data.slice((number - 1) * 25, number * 25) };
    },
  };
}

async function idsOf(candidates: AsyncIterable<Candidate[]>): Promise<(string | undefined)[]> {
  const found: Candidate[] = [];
  for await (const some of candidates) found.push(...some);
  return found.map(({ id }) => id);
}

const requirement = (type: string, value: unknown) => ({ field_type: type, field_value: value });
const range = (count: number) => Array.from({ length: count }, (_, number) => number);

describe('the documents of a porting order', () => {
  it('are looked for in the order, its requirements, its additional documents and the links', async () => {
    const telnyx = telnyxWith({
      [`porting_orders/${orderId}`]: {
        documents: { loa: documentId(1), invoice: documentId(2) },
        requirements: [
          requirement('document', documentId(3)),
          requirement('document', null),
          requirement('textual', documentId(90)),
          'no requirement at all',
        ],
      },
      [`porting_orders/${orderId}/requirements`]: [
        requirement('document', documentId(4)),
        requirement('address', '2791500000000000000'),
        requirement('document', ''),
      ],
      [`porting_orders/${orderId}/additional_documents`]: [{ id: 'a', document_id: documentId(5) }, {}],
      document_links: [{ id: 'l', document_id: documentId(6), linked_resource_id: orderId }],
    });

    const ids = await idsOf(documentsOfPortingOrder(telnyx, orderId));

    expect(ids).toEqual([1, 2, 3, 4, 5, 6].map(documentId));
  });

  it('may stand on many pages', async () => {
    const additional = range(130).map((number) => ({ id: `row-${number}`, document_id: documentId(number) }));
    const telnyx = telnyxWith({ [`porting_orders/${orderId}/additional_documents`]: additional });

    const ids = await idsOf(documentsOfPortingOrder(telnyx, orderId));

    expect(ids).toEqual(range(130).map(documentId));
  });

  it('are found by their links where the order itself is gone', async () => {
    const telnyx = telnyxWith({ document_links: [{ id: 'l', document_id: documentId(1) }] });

    const ids = await idsOf(documentsOfPortingOrder(telnyx, orderId));

    expect(ids).toEqual([documentId(1)]);
  });

  it('are none where nothing of the order is left', async () => {
    const telnyx = telnyxWith({ document_links: [] });

    const looking = idsOf(documentsOfPortingOrder(telnyx, orderId));

    await expect(looking).rejects.toMatchObject({ code: 'OrderGone', retryPolicy: 'acknowledge' });
  });

  it('are none yet where the order has none', async () => {
    const telnyx = telnyxWith({
      [`porting_orders/${orderId}`]: { documents: null },
      [`porting_orders/${orderId}/requirements`]: [],
      [`porting_orders/${orderId}/additional_documents`]: [],
      document_links: [],
    });

    const ids = await idsOf(documentsOfPortingOrder(telnyx, orderId));

    expect(ids).toEqual([]);
  });

  it('count as unreadable where something else stands in place of their id', async () => {
    const telnyx = telnyxWith({
      [`porting_orders/${orderId}`]: { documents: { loa: '../../x', invoice: 7 } },
    });

    const ids = await idsOf(documentsOfPortingOrder(telnyx, orderId));

    expect(ids).toEqual([undefined, undefined]);
  });

  it.each([
    ['documents', { documents: 'a text' }, 1],
    ['requirements', { requirements: { 0: 'a text' } }, 1],
    ['documents and requirements', { documents: [7], requirements: 'a text' }, 2],
  ])('count as unreadable where the order’s %s are not as specified', async (_what, order, unreadable) => {
    const telnyx = telnyxWith({
      [`porting_orders/${orderId}`]: order,
      document_links: [{ id: 'l', document_id: documentId(1) }],
    });

    const ids = await idsOf(documentsOfPortingOrder(telnyx, orderId));

    expect(ids).toEqual([...Array(unreadable).fill(undefined), documentId(1)]);
  });

  it.each([[{ data: [] }], [{ data: 'none' }], [null]])(
    'cannot be read from an order that is %j',
    async (body) => {
      const telnyx = { requests: () => 0, get: async () => body };

      const looking = idsOf(documentsOfPortingOrder(telnyx, orderId));

      await expect(looking).rejects.toMatchObject({ code: 'UnexpectedResponse' });
    },
  );
});

describe('the documents of a port-out', () => {
  it('are its supporting documents and what is linked to it', async () => {
    const telnyx = telnyxWith({
      [`portouts/${orderId}/supporting_documents`]: [
        { id: 's', document_id: documentId(1), type: 'loa' },
        { id: 't', document_id: null, type: 'invoice' },
      ],
      document_links: [{ id: 'l', document_id: documentId(2) }],
    });

    const ids = await idsOf(documentsOfPortOut(telnyx, orderId));

    expect(ids).toEqual([documentId(1), documentId(2)]);
  });

  it('are none where nothing of it is left', async () => {
    const looking = idsOf(documentsOfPortOut(telnyxWith({}), orderId));

    await expect(looking).rejects.toMatchObject({ code: 'OrderGone' });
  });
});

describe('an order of which one place cannot be looked up', () => {
  const portingPlaces = {
    [`porting_orders/${orderId}`]: { documents: { loa: documentId(1) } },
    [`porting_orders/${orderId}/requirements`]: [requirement('document', documentId(2))],
    [`porting_orders/${orderId}/additional_documents`]: [{ id: 'a', document_id: documentId(3) }],
    document_links: [{ id: 'l', document_id: documentId(4) }],
  };
  const portOutPlaces = {
    [`portouts/${orderId}/supporting_documents`]: [{ id: 's', document_id: documentId(1) }],
    document_links: [{ id: 'l', document_id: documentId(2) }],
  };
  const kinds: [string, Record<string, unknown>, typeof documentsOfPortingOrder][] = [
    ['porting order', portingPlaces, documentsOfPortingOrder],
    ['port-out', portOutPlaces, documentsOfPortOut],
  ];
  const places = kinds.flatMap(([kind, answers, documentsOf]) =>
    Object.keys(answers).map((place) => [place, kind, answers, documentsOf] as const),
  );
  const lookUp = async (documents: AsyncIterable<Candidate[]>) => {
    const found: (string | undefined)[] = [];
    try {
      for await (const candidates of documents) found.push(...candidates.map(({ id }) => id));
    } catch (error) {
      return { found, error };
    }
    return { found, error: undefined };
  };

  it.each(places)(
    'has all others asked, and then fails: %s of a %s',
    async (place, _kind, answers, documentsOf) => {
      const failure = new ArchiverError('UnexpectedResponse', 'Not as specified.');
      const telnyx = telnyxWith({ ...answers, [place]: failure });

      const { found, error } = await lookUp(documentsOf(telnyx, orderId));

      const numbers = Object.keys(answers).flatMap((other, index) => (other === place ? [] : [index + 1]));
      expect(found).toEqual(numbers.map(documentId));
      expect(error).toBe(failure);
    },
  );

  it('fails with the first failure that is not OrderGone', async () => {
    const [first, second] = (['TelnyxUnavailable', 'UnexpectedResponse'] as const).map(
      (code) => new ArchiverError(code, 'Refused.'),
    );
    const telnyx = telnyxWith({
      [`porting_orders/${orderId}/additional_documents`]: first,
      document_links: second,
    });

    const { found, error } = await lookUp(documentsOfPortingOrder(telnyx, orderId));

    expect(found).toEqual([]);
    expect(error).toBe(first);
  });

  it('queues what the others name before its message fails', async () => {
    const failure = new ArchiverError('UnexpectedResponse', 'Not as specified.');
    const telnyx = telnyxWith({
      [`portouts/${orderId}/supporting_documents`]: failure,
      document_links: [{ id: 'l', document_id: documentId(2) }],
    });
    const rateLimit = { limit: undefined, remaining: undefined, resetMs: undefined };
    const world = createWorld({
      overrides: {
        telnyx: {
          get: async (path, query, gone) => ({ body: await telnyx.get(path, query, gone), rateLimit }),
        },
      },
    });
    const requestedAt = new Date(noon).toISOString();

    const discovering = world.discover({ v: 1, kind: 'port-out', orderId, requestedAt });

    await expect(discovering).rejects.toMatchObject({ code: 'UnexpectedResponse' });
    expect(world.sent.map(({ message }) => message)).toMatchObject([{ documentId: documentId(2) }]);
  });
});

describe('an order’s message', () => {
  it.each(['porting-order', 'port-out'] as const)(
    'of kind %s queues each document once, live, with its event',
    async (kind) => {
      const telnyx = telnyxWith({
        [`porting_orders/${orderId}`]: { documents: { loa: documentId(1), invoice: documentId(1) } },
        [`portouts/${orderId}/supporting_documents`]: [{ document_id: documentId(1) }],
        document_links: [
          { id: 'l', document_id: documentId(1) },
          { id: 'm', document_id: documentId(2) },
        ],
      });
      const rateLimit = { limit: undefined, remaining: undefined, resetMs: undefined };
      const world = createWorld({
        archived: [documentId(2)],
        overrides: {
          telnyx: {
            get: async (path, query, gone) => ({ body: await telnyx.get(path, query, gone), rateLimit }),
          },
        },
      });
      const requestedAt = new Date(noon).toISOString();
      const message: DiscoveryMessage = { v: 1, kind, orderId, event, requestedAt };

      await world.discover(message);

      expect(world.sent).toEqual([
        {
          queueUrl: 'documents',
          message: {
            v: 1,
            kind: 'document',
            documentId: documentId(1),
            trigger: 'webhook',
            event,
            requestedAt,
          },
        },
      ]);
      expect(world.counted('SweepsCompleted')).toBe(0);
    },
  );

  it('is a failure where Telnyx does not let it be looked up', async () => {
    const world = createWorld({
      overrides: {
        telnyx: { get: () => Promise.reject(new ArchiverError('ApiKeyForbidden', 'Not with this key.')) },
      },
    });
    const requestedAt = new Date(noon).toISOString();

    const discovering = world.discover({ v: 1, kind: 'port-out', orderId, requestedAt });

    await expect(discovering).rejects.toMatchObject({ code: 'ApiKeyForbidden' });
  });
});
