/** The stand-in for Telnyx against the specification: it refuses what the specification refuses, and nothing else. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FaultKind } from '../../../local/telnyx/faults.ts';
import { propertyRuns } from '../../fuzz-runs.ts';
import { apiKey, startWorld, unknownId } from '../../local/telnyx/world.ts';
import { startRecordingProxy } from './recording-proxy.ts';
import { operationOf, requestProblems, responseProblems, specifiedOperations } from './specification.ts';

async function startStrictWorld() {
  const world = await startWorld();
  const { documents, orders } = world.standIn;
  const { id } = await documents.add('a.pdf', Buffer.from('a'), { customerReference: 'PO-1' });
  const { id: second } = await documents.add('b.csv', Buffer.from('b'));
  const ids = {
    document: id,
    porting: orders.addPortingOrder({ loa: id, requirements: [id], additional: [id, second, unknownId] }),
    portOut: orders.addPortOut([id]),
    number: orders.addNumberOrder({ numbers: { '+33100000000': [id] } }),
  };
  const proxy = await startRecordingProxy(world.standIn.url);
  const send = async (method: string, path: string, init: RequestInit = {}) => {
    const headers = { authorization: `Bearer ${apiKey}`, ...Object(init.headers) };
    await (await fetch(`${proxy.url}${path}`, { ...init, method, headers })).arrayBuffer();
    const exchange = proxy.exchanges.at(-1);
    if (!exchange) return expect.unreachable('The proxy has recorded no exchange.');
    return exchange;
  };
  return { ...world, ids, exchanges: proxy.exchanges, send };
}

const json = (method: string, path: string, fields: unknown): [string, string, RequestInit] => [
  method,
  path,
  { body: JSON.stringify(fields), headers: { 'content-type': 'application/json' } },
];

function form(): RequestInit {
  const body = new FormData();
  body.set('file', new Blob(['a,b\n']), 'numbers.csv');
  return { body };
}

describe('the stand-in for Telnyx', () => {
  it('conforms to the specification in every operation', async () => {
    const { send, ids, exchanges } = await startStrictWorld();
    const upload = await send(...json('POST', '/documents', { file: 'aGVsbG8=', filename: 'hello.txt' }));
    const uploaded = JSON.parse(upload.responseBody.toString()).data.id;

    await send('POST', '/documents', form());
    for (const path of [
      '/documents',
      `/documents/${uploaded}`,
      `/documents/${uploaded}/download`,
      `/documents/${uploaded}/download_link`,
      '/document_links',
      `/porting_orders/${ids.porting}`,
      `/porting_orders/${ids.porting}/requirements`,
      `/porting_orders/${ids.porting}/additional_documents`,
      `/portouts/${ids.portOut}/supporting_documents`,
      `/number_orders/${ids.number}`,
    ]) {
      await send('GET', path);
    }
    await send(...json('PATCH', `/documents/${uploaded}`, { filename: 'renamed.txt' }));
    await send('DELETE', `/documents/${uploaded}`);

    for (const exchange of exchanges) {
      expect(requestProblems(exchange), operationOf(exchange)).toEqual([]);
      expect(responseProblems(exchange), operationOf(exchange)).toEqual([]);
      expect(exchange.status, operationOf(exchange)).toBeLessThan(300);
    }
    expect(new Set(exchanges.map(operationOf))).toEqual(new Set(specifiedOperations()));
  });

  it('refuses exactly those query parameters with 422 that the specification does not allow', async () => {
    const { send, ids } = await startStrictWorld();
    const paths = [
      '/documents',
      `/documents/${ids.document}`,
      `/documents/${ids.document}/download_link`,
      '/document_links',
      `/porting_orders/${ids.porting}`,
      `/porting_orders/${ids.porting}/requirements`,
      `/porting_orders/${ids.porting}/additional_documents`,
      `/portouts/${ids.portOut}/supporting_documents`,
    ];
    const verdicts = { allowed: 0, refused: 0 };

    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...paths),
        fc.array(fc.tuple(parameterNames, parameterValues), { maxLength: 3 }),
        async (path, query) => {
          const exchange = await send('GET', `${path}?${new URLSearchParams(query)}`);

          const problems = requestProblems(exchange);
          const label = `${exchange.path}: ${problems.join(' · ')}`;
          if (problems.length === 0) expect(exchange.status, label).toBeLessThan(300);
          else expect(exchange.status, label).toBe(422);
          expect(responseProblems(exchange), label).toEqual([]);
          verdicts[problems.length === 0 ? 'allowed' : 'refused'] += 1;
        },
      ),
      {
        examples: examples.map(([index, ...query]) => [paths[index] ?? '', query]),
        numRuns: propertyRuns(2_000),
      },
    );

    expect(verdicts.allowed).toBeGreaterThan(10);
    expect(verdicts.refused).toBeGreaterThan(10);
  });

  it.each<FaultKind>(['wrong-shape', 'not-json', 'html-error', 'malformed-fields', 'created-status'])(
    'does not conform to the specification with the fault %s',
    async (kind) => {
      const { send, ids, standIn } = await startStrictWorld();
      standIn.faults.add({ kind });

      expect(responseProblems(await send('GET', `/documents/${ids.document}`))).not.toEqual([]);
    },
  );

  it.each([
    '/documents/x',
    '/documents/x/download',
    '/documents/x/download_link',
    '/porting_orders/x',
    '/porting_orders/x/requirements',
    '/porting_orders/x/additional_documents',
    '/portouts/x/supporting_documents',
  ])('refuses the ID in %s with 422 and code 10006', async (path) => {
    const { send } = await startStrictWorld();

    const exchange = await send('GET', path);

    expect(requestProblems(exchange)).not.toEqual([]);
    expect(exchange.status).toBe(422);
    expect(JSON.parse(exchange.responseBody.toString()).errors[0].code).toBe('10006');
    expect(responseProblems(exchange)).toEqual([]);
  });

  it.each<[string, (id: string) => [string, string, RequestInit]]>([
    ['a name that is not a text', () => json('POST', '/documents', { file: 'aGVsbG8=', filename: 7 })],
    [
      'a reference that is not a text',
      () => json('POST', '/documents', { file: '', customer_reference: {} }),
    ],
    ['a list instead of an object', () => json('POST', '/documents', [])],
    ['base64 without its padding', () => json('POST', '/documents', { file: 'aGVsbG8' })],
    ['another content type', () => ['POST', '/documents', { body: '{"file":""}' }]],
    ['a list of changes', (id) => json('PATCH', `/documents/${id}`, [])],
    ['a new size', (id) => json('PATCH', `/documents/${id}`, { size: { amount: 1 } })],
    ['a new status', (id) => json('PATCH', `/documents/${id}`, { status: 'verified' })],
    ['a new name that is not a text', (id) => json('PATCH', `/documents/${id}`, { filename: null })],
  ])('refuses a body with %s with 422', async (_what, requestFor) => {
    const { send, ids, standIn } = await startStrictWorld();
    const before = structuredClone(standIn.documents.all());

    const exchange = await send(...requestFor(ids.document));

    expect(requestProblems(exchange)).not.toEqual([]);
    expect(exchange.status).toBe(422);
    expect(responseProblems(exchange)).toEqual([]);
    expect(standIn.documents.all()).toEqual(before);
  });
});

/** Queries that random ones rarely find, each with the index of its path. */
const examples: [path: number, ...query: [name: string, value: string][]][] = [
  [0, ['filter[customer_reference][eq]', 'PO-1']],
  [0, ['filter[customer_reference][eq][]', 'PO-1']],
  [0, ['filter[customer_reference][in][]', 'PO-1'], ['filter[customer_reference][in]', 'PO-2']],
  [0, ['filter[created_at][gt]', '2026-03-01T12:00:00.123+01:00']],
  [0, ['filter[created_at][gt]', '2026-03-01T12:00Z']],
  [0, ['filter[created_at][gt]', '2026-03-01']],
  [0, ['filter[created_at][lt]', '2026-02-30T12:00:00Z']],
  [0, ['page[size]', '1'], ['page[size]', '1']],
  [0, ['page[size]', '250'], ['page[number]', '7']],
  [0, ['sort', 'filename'], ['sort[]', '-created_at']],
  [0, ['sort', 'filename,-created_at']],
  [1, ['page[size]', '1']],
  [3, ['filter[linked_resource_id]', unknownId], ['filter[linked_record_type]', 'porting_order']],
  [3, ['filter[linked_resource_id]', 'PO-1']],
  [3, ['filter[document_id]', unknownId]],
  [4, ['include_phone_numbers', 'true']],
  [4, ['include_phone_numbers', 'yes']],
  [5, ['page[size]', '250']],
  [5, ['sort[value]', 'created_at']],
  [6, ['sort[value]', '-created_at'], ['filter[document_type][]', 'loa'], ['filter[document_type]', 'csr']],
  [6, ['sort[value]', 'filename']],
  [6, ['filter[document_type][]', 'letter']],
  [7, ['page[number]', '1']],
];

const parameterNames = fc.constantFrom(
  'filter[filename][contains]',
  'filter[filename][eq]',
  'filter[filename]',
  'filter[customer_reference][eq]',
  'filter[customer_reference][eq][]',
  'filter[customer_reference][in]',
  'filter[customer_reference][in][]',
  'filter[customer_reference][in][0]',
  'filter[created_at][gt]',
  'filter[created_at][lt]',
  'filter[created_at][gte]',
  'filter[updated_at][gt]',
  'filter[status]',
  'filter[constructor]',
  'filter[document_id]',
  'filter[linked_resource_id]',
  'filter[linked_record_type]',
  'filter[document_type]',
  'filter[document_type][]',
  'filter',
  'filters[created_at][gt]',
  'sort',
  'sort[]',
  'sort[value]',
  'page[number]',
  'page[size]',
  'page[size][]',
  'page[after]',
  'page',
  'include_phone_numbers',
  'constructor',
  'limit',
);

const parameterValues = fc.constantFrom(
  '1',
  '250',
  '251',
  '0',
  '-1',
  '1.5',
  '',
  'PO-1',
  'loa',
  'filename',
  '-created_at',
  'created_at,-filename',
  'sha256',
  'true',
  'yes',
  '2026-03-01T12:00:00Z',
  '2026-03-01T12:00:00.123+01:00',
  '2026-03-01T12:00Z',
  '2026-02-30T12:00:00Z',
  '2026-03-01',
  'yesterday',
  unknownId,
);
