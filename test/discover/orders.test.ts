import { describe, expect, it } from 'vitest';
import {
  documentsOfNumberOrder,
  documentsOfPortingOrder,
  documentsOfPortOut,
  type FoundDocument,
} from '../../functions/discover/orders.ts';
import { ArchiverError, type ErrorCode } from '../../functions/errors.ts';
import type { DiscoveryMessage } from '../../functions/queue/messages.ts';
import type { Candidate } from '../../functions/telnyx/lists.ts';
import { createWorld, documentId, noon } from './world.ts';

const orderId = 'b41d7f0a-93c4-4f57-8a2b-1c9d4e5f6071';
const event = { id: 'event-1', type: 'porting_order.status_changed', occurredAt: '2026-11-24T11:59:58Z' };

/** A fake Telnyx that returns the given data by path, in pages of 25 rows, and the error `gone` for other paths. */
function telnyxWith(responses: Record<string, unknown>) {
  let requests = 0;
  return {
    requests: () => requests,
    get: async (path: string, query: URLSearchParams, gone: ErrorCode) => {
      requests += 1;
      if (!(path in responses)) throw new ArchiverError(gone, 'Not found.');
      const data = responses[path];
      if (data instanceof Error) throw data;
      if (!Array.isArray(data)) return { data: Object.assign({ id: orderId }, data) };
      const number = Number(query.get('page[number]') ?? 1);
      return { data: data.slice((number - 1) * 25, number * 25) };
    },
  };
}

async function idsOf(candidates: AsyncIterable<Candidate[]>): Promise<(string | undefined)[]> {
  const found: Candidate[] = [];
  for await (const page of candidates) found.push(...page);
  return found.map(({ id }) => id);
}

const requirement = (type: string, value: unknown) => ({ field_type: type, field_value: value });
const range = (count: number) => Array.from({ length: count }, (_, number) => number);

describe('documentsOfPortingOrder', () => {
  it('finds documents in the order, its requirements, its additional documents and the links', async () => {
    const telnyx = telnyxWith({
      [`porting_orders/${orderId}`]: {
        documents: { loa: documentId(1), invoice: documentId(2) },
        requirements: [
          requirement('document', documentId(3)),
          requirement('document', null),
          requirement('textual', documentId(90)),
          'not a requirement',
          null,
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

  it('reads all pages of a list', async () => {
    const additional = range(130).map((number) => ({ id: `row-${number}`, document_id: documentId(number) }));
    const telnyx = telnyxWith({ [`porting_orders/${orderId}/additional_documents`]: additional });

    const ids = await idsOf(documentsOfPortingOrder(telnyx, orderId));

    expect(ids).toEqual(range(130).map(documentId));
  });

  // Rows of this list have no id: Telnyx's SDK, `PortingOrderRetrieveRequirementsResponse`.
  it('may stand on many pages of requirements, which have no id of their own', async () => {
    const documents = range(130).map((number) => requirement('document', documentId(number)));
    const telnyx = telnyxWith({ [`porting_orders/${orderId}/requirements`]: documents });

    const ids = await idsOf(documentsOfPortingOrder(telnyx, orderId));

    expect(ids).toEqual(range(130).map(documentId));
  });

  it('may stand behind pages of requirements that are met by the same text', async () => {
    const texts = range(75).map((number) => ({
      ...requirement('textual', 'Example SARL'),
      requirement_type: { id: `type-${number}` },
    }));
    const telnyx = telnyxWith({
      [`porting_orders/${orderId}/requirements`]: [...texts, requirement('document', documentId(1))],
    });

    expect(await idsOf(documentsOfPortingOrder(telnyx, orderId))).toEqual([documentId(1)]);
  });

  it('may stand on many pages of links that have no id', async () => {
    const links = range(60).map((number) => ({ document_id: documentId(number) }));
    const telnyx = telnyxWith({ document_links: links });

    expect(await idsOf(documentsOfPortingOrder(telnyx, orderId))).toEqual(range(60).map(documentId));
  });

  it('finds documents by their links when the order itself is gone', async () => {
    const telnyx = telnyxWith({ document_links: [{ id: 'l', document_id: documentId(1) }] });

    const ids = await idsOf(documentsOfPortingOrder(telnyx, orderId));

    expect(ids).toEqual([documentId(1)]);
  });

  it('throws OrderGone when the order is gone and no document is linked to it', async () => {
    const telnyx = telnyxWith({ document_links: [] });

    const promise = idsOf(documentsOfPortingOrder(telnyx, orderId));

    await expect(promise).rejects.toMatchObject({ code: 'OrderGone', retryPolicy: 'acknowledge' });
  });

  it('finds nothing in an order without documents', async () => {
    const telnyx = telnyxWith({
      [`porting_orders/${orderId}`]: { documents: null },
      [`porting_orders/${orderId}/requirements`]: [],
      [`porting_orders/${orderId}/additional_documents`]: [],
      document_links: [],
    });

    const ids = await idsOf(documentsOfPortingOrder(telnyx, orderId));

    expect(ids).toEqual([]);
  });

  it('returns a candidate without id for each invalid document id', async () => {
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
  ])(
    'returns a candidate without id where the order’s %s do not match the specification',
    async (_fields, order, count) => {
      const telnyx = telnyxWith({
        [`porting_orders/${orderId}`]: order,
        document_links: [{ id: 'l', document_id: documentId(1) }],
      });

      const ids = await idsOf(documentsOfPortingOrder(telnyx, orderId));

      expect(ids).toEqual([...Array(count).fill(undefined), documentId(1)]);
    },
  );

  it.each([[{ data: [] }], [{ data: 'none' }], [null]])(
    'throws UnexpectedResponse when the order is %j',
    async (body) => {
      const telnyx = { requests: () => 0, get: async () => body };

      const promise = idsOf(documentsOfPortingOrder(telnyx, orderId));

      await expect(promise).rejects.toMatchObject({ code: 'UnexpectedResponse' });
    },
  );
});

describe('documentsOfPortOut', () => {
  it('finds the supporting documents and the linked documents', async () => {
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

  it('throws OrderGone when the port-out is gone and no document is linked to it', async () => {
    const promise = idsOf(documentsOfPortOut(telnyxWith({}), orderId));

    await expect(promise).rejects.toMatchObject({ code: 'OrderGone' });
  });
});

describe('documentsOfNumberOrder', () => {
  it('finds the documents that meet the requirements of its phone numbers, and the linked documents', async () => {
    const telnyx = telnyxWith({
      [`number_orders/${orderId}`]: {
        phone_numbers: [
          {
            phone_number: '+331',
            regulatory_requirements: [
              requirement('document', documentId(1)),
              requirement('address', '2791500000000000000'),
              requirement('document', documentId(2)),
            ],
          },
          { phone_number: '+332', regulatory_requirements: [requirement('document', documentId(1))] },
          { phone_number: 332, regulatory_requirements: [requirement('document', documentId(2)), null] },
          'not a number',
        ],
      },
      document_links: [{ id: 'l', document_id: documentId(3) }],
    });

    expect(await idsOf(documentsOfNumberOrder(telnyx, orderId))).toEqual([1, 2, 3].map(documentId));
  });

  it.each([
    ['phone numbers', { phone_numbers: 'a text' }, 1],
    ['requirements', { phone_numbers: [{ regulatory_requirements: { 0: 'a text' } }] }, 1],
    ['document IDs', { phone_numbers: [{ regulatory_requirements: [requirement('document', '../x')] }] }, 1],
    ['missing fields', {}, 0],
  ])('returns a candidate without id for malformed %s', async (_fields, order, count) => {
    const telnyx = telnyxWith({ [`number_orders/${orderId}`]: order, document_links: [] });

    expect(await idsOf(documentsOfNumberOrder(telnyx, orderId))).toEqual(Array(count).fill(undefined));
  });

  it('throws OrderGone when the order is gone and no document is linked to it', async () => {
    const promise = idsOf(documentsOfNumberOrder(telnyxWith({}), orderId));

    await expect(promise).rejects.toMatchObject({ code: 'OrderGone' });
  });
});

describe('what an order says about its documents', () => {
  async function factsIn(documents: AsyncIterable<FoundDocument[]>) {
    const facts: [id: string | undefined, fact: unknown][] = [];
    try {
      for await (const page of documents) for (const { id, fact } of page) facts.push([id, fact]);
    } catch (error) {
      expect(error).toBeInstanceOf(ArchiverError);
    }
    return facts;
  }
  const links = [
    { id: 'l', document_id: documentId(1) },
    { id: 'm', document_id: documentId(2) },
  ];

  it('is the ID and the customer reference of a porting order, once for each document', async () => {
    const telnyx = telnyxWith({
      [`porting_orders/${orderId}`]: {
        customer_reference: 'PO-17',
        documents: { loa: documentId(1), invoice: 'x' },
      },
      document_links: links,
    });

    const fact = { kind: 'porting-order', id: orderId, reference: 'PO-17' };
    expect(await factsIn(documentsOfPortingOrder(telnyx, orderId))).toEqual([
      [documentId(1), fact],
      [undefined, undefined],
      [documentId(1), undefined],
      [documentId(2), fact],
    ]);
  });

  it('is the ID of a port-out', async () => {
    const telnyx = telnyxWith({
      [`portouts/${orderId}/supporting_documents`]: [{ document_id: documentId(1) }],
      document_links: [],
    });

    expect(await factsIn(documentsOfPortOut(telnyx, orderId))).toEqual([
      [documentId(1), { kind: 'port-out', id: orderId }],
    ]);
  });

  it('are the phone numbers of a number order whose requirement each document meets', async () => {
    const numberWith = (phone_number: string, ...documents: number[]) => ({
      phone_number,
      regulatory_requirements: documents.map((number) => requirement('document', documentId(number))),
    });
    const telnyx = telnyxWith({
      [`number_orders/${orderId}`]: {
        customer_reference: 'PO-18',
        phone_numbers: [numberWith('+331', 1, 2), numberWith('+332', 1)],
      },
      document_links: [{ id: 'n', document_id: documentId(3) }, ...links],
    });

    const fact = { kind: 'number-order', id: orderId, reference: 'PO-18' };
    expect(await factsIn(documentsOfNumberOrder(telnyx, orderId))).toEqual([
      [documentId(1), { ...fact, numbers: ['+331', '+332'] }],
      [documentId(2), { ...fact, numbers: ['+331'] }],
      [documentId(3), fact],
      [documentId(1), undefined],
      [documentId(2), undefined],
    ]);
  });

  it('is only the ID of an order that is gone', async () => {
    const telnyx = telnyxWith({ document_links: links.slice(0, 1) });

    expect(await factsIn(documentsOfPortingOrder(telnyx, orderId))).toEqual([
      [documentId(1), { kind: 'porting-order', id: orderId }],
    ]);
  });

  it.each([17, '', null, ['PO-17']])('has no customer reference if Telnyx states %j', async (stated) => {
    const telnyx = telnyxWith({
      [`porting_orders/${orderId}`]: { customer_reference: stated, documents: { loa: documentId(1) } },
    });

    expect(await factsIn(documentsOfPortingOrder(telnyx, orderId))).toEqual([
      [documentId(1), { kind: 'porting-order', id: orderId }],
    ]);
  });

  it('is unknown until the order can be read', async () => {
    const telnyx = telnyxWith({
      [`porting_orders/${orderId}`]: new ArchiverError('TelnyxUnavailable', 'Unavailable.'),
      document_links: links,
    });

    expect(await factsIn(documentsOfPortingOrder(telnyx, orderId))).toEqual([
      [documentId(1), undefined],
      [documentId(2), undefined],
    ]);
  });
});

describe('an order with a failing source', () => {
  const portingSources = {
    [`porting_orders/${orderId}`]: { documents: { loa: documentId(1) } },
    [`porting_orders/${orderId}/requirements`]: [requirement('document', documentId(2))],
    [`porting_orders/${orderId}/additional_documents`]: [{ id: 'a', document_id: documentId(3) }],
    document_links: [{ id: 'l', document_id: documentId(4) }],
  };
  const portOutSources = {
    [`portouts/${orderId}/supporting_documents`]: [{ id: 's', document_id: documentId(1) }],
    document_links: [{ id: 'l', document_id: documentId(2) }],
  };
  const kinds: [string, Record<string, unknown>, typeof documentsOfPortingOrder][] = [
    ['porting order', portingSources, documentsOfPortingOrder],
    ['port-out', portOutSources, documentsOfPortOut],
  ];
  const sources = kinds.flatMap(([kind, responses, documentsOf]) =>
    Object.keys(responses).map((source) => [source, kind, responses, documentsOf] as const),
  );
  const readAll = async (documents: AsyncIterable<Candidate[]>) => {
    const found: (string | undefined)[] = [];
    try {
      for await (const candidates of documents) found.push(...candidates.map(({ id }) => id));
    } catch (error) {
      return { found, error };
    }
    return { found, error: undefined };
  };

  it.each(sources)(
    'reads the other sources and then throws the error of %s of a %s',
    async (source, _kind, responses, documentsOf) => {
      const failure = new ArchiverError('UnexpectedResponse', 'Not as specified.');
      const telnyx = telnyxWith({ ...responses, [source]: failure });

      const { found, error } = await readAll(documentsOf(telnyx, orderId));

      const numbers = Object.keys(responses).flatMap((other, index) => (other === source ? [] : [index + 1]));
      expect(found).toEqual(numbers.map(documentId));
      expect(error).toBe(failure);
    },
  );

  it('throws the first error that is not OrderGone', async () => {
    const [first, second] = (['TelnyxUnavailable', 'UnexpectedResponse'] as const).map(
      (code) => new ArchiverError(code, 'Refused.'),
    );
    const telnyx = telnyxWith({
      [`porting_orders/${orderId}/additional_documents`]: first,
      document_links: second,
    });

    const { found, error } = await readAll(documentsOfPortingOrder(telnyx, orderId));

    expect(found).toEqual([]);
    expect(error).toBe(first);
  });

  it('queues the documents of the other sources before its message fails', async () => {
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

    const promise = world.discover({ v: 1, kind: 'port-out', orderId, requestedAt });

    await expect(promise).rejects.toMatchObject({ code: 'UnexpectedResponse' });
    expect(world.sent.map(({ message }) => message)).toMatchObject([{ documentId: documentId(2) }]);
  });
});

describe('a message about an order', () => {
  it.each(['porting-order', 'port-out', 'number-order'] as const)(
    'of kind %s queues each document without a receipt once, in the live lane, with its event',
    async (kind) => {
      const telnyx = telnyxWith({
        [`porting_orders/${orderId}`]: { documents: { loa: documentId(1), invoice: documentId(1) } },
        [`portouts/${orderId}/supporting_documents`]: [{ document_id: documentId(1) }],
        [`number_orders/${orderId}`]: {},
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

  it('fails with ApiKeyForbidden when the API key may not read the order', async () => {
    const world = createWorld({
      overrides: {
        telnyx: { get: () => Promise.reject(new ArchiverError('ApiKeyForbidden', 'Forbidden.')) },
      },
    });
    const requestedAt = new Date(noon).toISOString();

    const promise = world.discover({ v: 1, kind: 'port-out', orderId, requestedAt });

    await expect(promise).rejects.toMatchObject({ code: 'ApiKeyForbidden' });
  });
});
