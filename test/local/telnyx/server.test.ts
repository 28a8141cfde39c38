import { createHash } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline, Readable } from 'node:stream';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { apiKey, samples, shiftedTime, startWorld, unknownId, type World } from './world.ts';

const ids = (response: { body: { data: { id: string }[] } }) => response.body.data.map(({ id }) => id);

/** Ten documents, one minute apart, oldest first. */
function tenDocuments({ standIn }: World) {
  return Array.from({ length: 10 }, (_, index) =>
    standIn.documents.addRecord(`${'jihgfedcba'[index]}.pdf`, index, '0'.repeat(64), {
      createdAt: Date.UTC(2026, 2, 1, 12, index),
      customerReference: `PO-${index % 2}`,
    }),
  );
}

describe('the Telnyx stand-in', () => {
  it('returns a record with all fields of the specification', async () => {
    const { standIn, call } = await startWorld(samples);
    const [newest] = standIn.documents.all();

    const { status, headers, body } = await call(`documents/${newest?.id}`);

    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('application/json');
    expect(body.data).toEqual({
      id: newest?.id,
      record_type: 'document',
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      updated_at: body.data.created_at,
      content_type: 'application/pdf',
      filename: 'Scanned contract.pdf',
      customer_reference: 'SAMPLE-9',
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      size: { unit: 'bytes', amount: 20_000_000 },
      status: 'pending',
      av_scan_status: 'scanned',
    });
  });

  it('returns 401 without the API key, and 404 and 422 with the error bodies of the specification', async () => {
    const { call } = await startWorld();
    const wrongKey = { headers: { authorization: 'Bearer wrong' } };

    const unauthenticated = await call('documents', wrongKey);
    expect(unauthenticated).toMatchObject({ status: 401, body: { errors: [{ code: '10009' }] } });
    expect((await call('documents', { headers: { authorization: apiKey } })).status).toBe(401);
    for (const path of [
      `documents/${unknownId}`,
      `porting_orders/${unknownId}`,
      'documents/a/b/c',
      'other',
    ]) {
      const missing = await call(path);
      expect(missing, path).toMatchObject({ status: 404, body: { errors: [{ code: '10005' }] } });
    }
    const noLink = await call(`documents/${unknownId}/download_link`);
    expect(noLink).toMatchObject({ status: 404, body: { code: '10005', title: 'Resource not found' } });
    expect(noLink.body.errors).toBeUndefined();
    expect(await call('documents/none')).toMatchObject({
      status: 422,
      body: { errors: [{ code: '10006' }] },
    });
    expect(await call('documents/none/download_link')).toMatchObject({
      status: 422,
      body: { errors: [{ code: '10006' }] },
    });
  });

  it('lists the newest documents first, in pages of 20 by default', async () => {
    const world = await startWorld();
    const newestFirst = tenDocuments(world)
      .reverse()
      .map(({ id }) => id);

    const whole = await world.call('documents');
    const second = await world.call('documents?page[number]=2&page[size]=4');
    const beyond = await world.call('documents?page[number]=4&page[size]=4');

    expect(ids(whole)).toEqual(newestFirst);
    expect(whole.body.meta).toEqual({ page_number: 1, page_size: 20, total_pages: 1, total_results: 10 });
    expect(ids(second)).toEqual(newestFirst.slice(4, 8));
    expect(second.body.meta).toEqual({ page_number: 2, page_size: 4, total_pages: 3, total_results: 10 });
    expect(ids(beyond)).toEqual([]);
  });

  it('repeats a row after an insertion and skips one after a removal, because pages are computed per request', async () => {
    const world = await startWorld();
    const newestFirst = tenDocuments(world)
      .reverse()
      .map(({ id }) => id);

    const first = ids(await world.call('documents?page[size]=4'));
    world.standIn.documents.addRecord('new.pdf', 0, '0'.repeat(64));
    const afterGrowth = ids(await world.call('documents?page[size]=4&page[number]=2'));
    for (const id of newestFirst.slice(0, 2)) await world.standIn.documents.remove(id);
    const afterLoss = ids(await world.call('documents?page[size]=4&page[number]=2'));

    expect(first).toEqual(newestFirst.slice(0, 4));
    expect(afterGrowth[0]).toBe(first[3]);
    expect(afterLoss[0]).toBe(newestFirst[5]);
  });

  it('filters with exclusive bounds and sorts by the given order', async () => {
    const world = await startWorld();
    const oldestFirst = tenDocuments(world);
    const idsOf = async (query: string) => ids(await world.call(`documents?${query}`));
    const at = (minute: number) => `2026-03-01T12:0${minute}:00Z`;
    const idAt = (...minutes: number[]) => minutes.map((minute) => oldestFirst[minute]?.id);

    expect(await idsOf(`filter[created_at][gt]=${at(7)}`)).toEqual(idAt(9, 8));
    expect(await idsOf(`filter[created_at][lt]=${at(2)}`)).toEqual(idAt(1, 0));
    expect(await idsOf(`filter[created_at][gt]=${at(3)}&filter[created_at][lt]=${at(5)}`)).toEqual(idAt(4));
    expect(await idsOf('filter[customer_reference][eq]=PO-0&sort[]=created_at')).toEqual(idAt(0, 2, 4, 6, 8));
    expect(await idsOf('filter[customer_reference][in][]=PO-1&filter[filename][contains]=a')).toEqual(
      idAt(9),
    );
    expect(
      await idsOf('filter[customer_reference][in]=PO-1&filter[customer_reference][in]=PO-0'),
    ).toHaveLength(10);
    // A comma does not separate the values of a list.
    expect(await idsOf('filter[customer_reference][in]=PO-1,PO-0')).toEqual([]);
    expect((await idsOf('sort[]=filename'))[0]).toBe(oldestFirst[9]?.id);
    expect((await idsOf('sort[]=-filename'))[0]).toBe(oldestFirst[0]?.id);
    expect(await idsOf('sort=created_at')).toEqual(oldestFirst.map(({ id }) => id));
    // Sorting a response does not change the default order.
    expect(await idsOf('')).toEqual(oldestFirst.map(({ id }) => id).reverse());
  });

  it('sorts by each field of a list in turn', async () => {
    const { standIn, call } = await startWorld();
    const add = (name: string, minute: number) =>
      standIn.documents.addRecord(name, 0, '0'.repeat(64), { createdAt: Date.UTC(2026, 2, 1, 12, minute) })
        .id;
    const [a1, a2, b1, b2] = [add('a', 1), add('a', 2), add('b', 1), add('b', 2)];
    const idsOf = async (query: string) => ids(await call(`documents?${query}`));

    expect(await idsOf('sort[]=filename&sort[]=created_at')).toEqual([a1, a2, b1, b2]);
    expect(await idsOf('sort=-filename&sort=-created_at')).toEqual([b2, b1, a2, a1]);
    expect(await idsOf('sort[]=created_at&sort[]=-filename')).toEqual([b1, a1, b2, a2]);
  });

  it.each([
    'page[size]=251',
    'page[size]=0',
    'page[number]=0',
    'page[number]=1.5',
    'filter[created_at][gt]=yesterday',
    'filter[created_at][gte]=2026-03-01T12:00:00Z',
    'filter[status]=verified',
    'sort[]=sha256',
    'sort=created_at,filename',
    'limit=10',
  ])('returns 422 for %s, which is outside the specification', async (query) => {
    const { call } = await startWorld();

    const refusal = await call(`documents?${query}`);

    expect(refusal.status).toBe(422);
    expect(refusal.body.errors[0]).toMatchObject({
      code: '10015',
      detail: expect.stringContaining(query.split('=')[0] ?? ''),
      source: { parameter: query.split('=')[0] },
    });
  });

  it('states its rate limit in every response and returns 429 until the window ends', async () => {
    const time = shiftedTime();
    const { standIn, call } = await startWorld({ time, rateLimit: { requests: 2, perSeconds: 60 } });

    const responses = [await call('documents'), await call('other'), await call('documents')];
    time.offsetMs = 60_000;
    const later = await call('documents');

    expect(responses.map(({ status }) => status)).toEqual([200, 404, 429]);
    expect(responses[2]?.body.errors[0].code).toBe('10011');
    expect(responses.map(({ headers }) => headers.get('x-ratelimit-limit'))).toEqual(['2', '2', '2']);
    expect(responses.map(({ headers }) => headers.get('x-ratelimit-remaining'))).toEqual(['1', '0', '0']);
    expect(Number(responses[2]?.headers.get('x-ratelimit-reset'))).toBeGreaterThan(50);
    expect(later.status).toBe(200);
    expect(standIn.requests.get('GET documents')).toBe(3);
  });

  it('states a high rate limit by default', async () => {
    const { call } = await startWorld();

    const { headers } = await call('documents');

    expect(Number(headers.get('x-ratelimit-remaining'))).toBeGreaterThan(1_000);
    expect(headers.get('x-ratelimit-reset')).toBe('1');
  });

  it('lists pages of 100,000 documents without sorting them for each page', {
    timeout: 30_000,
  }, async () => {
    const { standIn, call } = await startWorld();
    for (let i = 0; i < 100_000; i += 1) standIn.documents.addRecord(`${i}.pdf`, i, '0'.repeat(64));

    const pages = [1, 200, 400].map((page) => call(`documents?page[size]=250&page[number]=${page}`));

    expect(new Set((await Promise.all(pages)).flatMap(ids)).size).toBe(750);
  });
});

/** Starts a web server for one test. @returns its origin */
async function startWeb(respond: RequestListener): Promise<string> {
  const server = createServer(respond);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function endless(): Readable {
  const chunk = Buffer.alloc(1_000_000);
  return new Readable({
    read() {
      this.push(chunk);
    },
  });
}

describe('an upload', () => {
  const json = (fields: unknown): RequestInit => ({
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof fields === 'string' ? fields : JSON.stringify(fields),
  });

  it('is accepted as JSON with base64 and can be downloaded', async () => {
    const { standIn, call, appeared } = await startWorld();
    const file = Buffer.from('hello').toString('base64');

    const { status, body } = await call(
      'documents',
      json({ file, filename: 'Grüße.txt', customer_reference: 'PO-7' }),
    );

    expect(status).toBe(200);
    expect(body.data).toMatchObject({
      filename: 'Grüße.txt',
      content_type: 'text/plain',
      customer_reference: 'PO-7',
      sha256: createHash('sha256').update('hello').digest('hex'),
    });
    expect(appeared).toEqual(['Grüße.txt']);
    expect(standIn.documents.all()[0]?.id).toBe(body.data.id);
    const link = await call(`documents/${body.data.id}/download_link`);
    expect(await (await fetch(link.body.data.url)).text()).toBe('hello');
  });

  it('is accepted as multipart/form-data', async () => {
    const { call } = await startWorld();
    const form = new FormData();
    form.set('file', new Blob(['a,b\n']), 'Zahlen.csv');
    form.set('customer_reference', 'PO-8');

    const { body } = await call('documents', { method: 'POST', body: form });

    expect(body.data).toMatchObject({
      filename: 'Zahlen.csv',
      content_type: 'text/csv',
      customer_reference: 'PO-8',
      size: { unit: 'bytes', amount: 4 },
    });
  });

  it.each([
    ['invalid JSON', json('{"file": '), 400],
    ['JSON that is not an object', json(null), 422],
    ['another content type', { method: 'POST', body: '{"file": ""}' }, 422],
    ['a URL that is not one', json({ url: 'a.pdf' }), 422],
    ['a URL of a file on the server', json({ url: 'file:///etc/passwd' }), 422],
    ['a URL that contains the file', json({ url: 'data:text/plain,hello' }), 422],
    ['a URL without a server', json({ url: 'http://127.0.0.1:1/a.pdf' }), 422],
    ['a missing file', json({ filename: 'a.txt' }), 422],
    ['invalid base64', json({ file: 'ä' }), 422],
    ['a name with a line break', json({ file: '', filename: 'a\nb.txt' }), 422],
    ['a name of 513 characters', json({ file: '', filename: 'x'.repeat(513) }), 422],
    ['more than 20 MB', json({ file: Buffer.alloc(20_000_001).toString('base64') }), 422],
    ['a request of 28 MB', { method: 'POST', body: Buffer.alloc(28_000_000) }, 422],
    [
      'an invalid form',
      { method: 'POST', body: 'x', headers: { 'content-type': 'multipart/form-data; boundary=y' } },
      400,
    ],
  ] satisfies [string, RequestInit, number][])('is rejected for %s', async (_, init, status) => {
    const { call, appeared } = await startWorld();

    const refusal = await call('documents', init);

    expect(refusal).toMatchObject({ status, body: { errors: [{ code: '10015' }] } });
    expect(appeared).toEqual([]);
  });

  it('is fetched from a URL, named after its path by default', async () => {
    const { call } = await startWorld();
    const web = await startWeb((_request, response) => response.end('from the web'));

    const named = await call('documents', json({ url: `${web}/a/Gr%C3%BC%C3%9Fe%20100%.txt?token=1` }));
    const unnamed = await call('documents', json({ url: web, customer_reference: 'PO-9' }));

    expect(named.body.data).toMatchObject({ filename: 'Grüße 100%.txt', size: { amount: 12 } });
    expect(unnamed.body.data).toMatchObject({ filename: 'document', customer_reference: 'PO-9' });
    expect((await call('documents', json({ url: web, file: '' }))).body.errors).toMatchObject([
      { code: '10015', source: { pointer: '/file' } },
    ]);
  });

  it.each<[string, string, RequestListener]>([
    ['returns an error', 'url returns 404', (_request, response) => response.writeHead(404).end('no')],
    [
      'sends more than 20 MB',
      'The file is larger than 20 MB',
      (_request, response) => pipeline(endless(), response, () => undefined),
    ],
    [
      'breaks off',
      'url cannot be fetched (TypeError)',
      (_request, response) => {
        response.writeHead(200, { 'content-length': '9' }).write('x', () => response.destroy());
      },
    ],
    ['does not respond in time', 'url cannot be fetched (TimeoutError)', () => undefined],
  ])('is rejected with 422 if the server of its URL %s', async (_what, detail, respond) => {
    const { call, standIn } = await startWorld();
    const web = await startWeb(respond);
    const short = AbortSignal.timeout(detail.includes('Timeout') ? 50 : 60_000);
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(short);
    onTestFinished(() => timeout.mockRestore());

    const refused = await call('documents', json({ url: `${web}/a.pdf?token=secret` }));

    expect(refused.status).toBe(422);
    expect(refused.body.errors).toMatchObject([{ code: '10015', detail }]);
    expect(JSON.stringify(refused.body)).not.toContain('secret');
    expect(standIn.documents.all()).toEqual([]);
  });

  it('is deleted with its data after 30 minutes unless a service links it', async () => {
    const time = shiftedTime();
    const { standIn, call } = await startWorld({ time, expire: true, linkSeconds: 3_600 });
    const file = Buffer.from('hello').toString('base64');
    const lost = (await call('documents', json({ file }))).body.data.id;
    const kept = (await call('documents', json({ file }))).body.data.id;
    const link = (await call(`documents/${lost}/download_link`)).body.data.url;
    standIn.orders.addPortingOrder({ loa: kept });

    time.offsetMs = 29 * 60_000;
    expect((await call(`documents/${lost}`)).status).toBe(200);
    time.offsetMs = 30 * 60_000;

    expect((await call(`documents/${lost}`)).status).toBe(404);
    expect((await fetch(link)).status).toBe(404);
    expect((await call(`documents/${kept}`)).status).toBe(200);
    const listed = ids(await call('documents?page[size]=250'));
    expect(listed).toContain(kept);
    expect(listed).not.toContain(lost);
  });
});

describe('a document', () => {
  const patch = (fields: unknown): RequestInit => ({
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(fields),
  });

  it('can be renamed, which changes its updated_at but neither its data nor its place in the list', async () => {
    const time = shiftedTime();
    const world = await startWorld({ time });
    const { id } = await world.standIn.documents.add('a.pdf', Buffer.from('a'), {
      customerReference: 'PO-1',
    });
    time.offsetMs = 60_000;
    await world.standIn.documents.add('b.pdf', Buffer.from('b'));
    const before = (await world.call(`documents/${id}`)).body.data;
    time.offsetMs = 120_000;

    const { status, body } = await world.call(`documents/${id}`, patch({ filename: 'c.pdf' }));

    expect(status).toBe(200);
    expect(body.data).toEqual({ ...before, filename: 'c.pdf', updated_at: body.data.updated_at });
    expect(Date.parse(body.data.updated_at)).toBeGreaterThan(Date.parse(before.created_at) + 100_000);
    expect((await world.call(`documents/${id}`)).body.data).toEqual(body.data);
    expect(ids(await world.call('documents'))[1]).toBe(id);
    expect(ids(await world.call('documents?sort[]=-updated_at'))[0]).toBe(id);
    expect((await world.call(`documents/${id}`, patch({ filename: 'x'.repeat(513) }))).status).toBe(422);
    expect((await world.call(`documents/${unknownId}`, patch({}))).status).toBe(404);
  });

  it('can be deleted with its data unless a service links it', async () => {
    const { standIn, call } = await startWorld();
    const { id } = await standIn.documents.add('a.pdf', Buffer.from('a'));
    const linked = await standIn.documents.add('b.pdf', Buffer.from('b'));
    standIn.orders.addPortingOrder({ loa: linked.id });
    const link = (await call(`documents/${id}/download_link`)).body.data.url;

    const deleted = await call(`documents/${id}`, { method: 'DELETE' });
    const refused = await call(`documents/${linked.id}`, { method: 'DELETE' });

    expect(deleted).toMatchObject({ status: 200, body: { data: { id, filename: 'a.pdf' } } });
    expect((await call(`documents/${id}`)).status).toBe(404);
    expect((await fetch(link)).status).toBe(404);
    expect((await call(`documents/${id}`, { method: 'DELETE' })).status).toBe(404);
    expect(refused).toMatchObject({ status: 422, body: { errors: [{ code: '10015' }] } });
    expect((await call(`documents/${linked.id}`)).status).toBe(200);
  });

  it('cannot be downloaded without data, and its download has the faults of the API', async () => {
    const { standIn, call } = await startWorld({ faults: [{ kind: 'server-error', document: 'b.pdf' }] });
    const record = standIn.documents.addRecord('a.pdf', 1, '0'.repeat(64));
    const faulty = await standIn.documents.add('b.pdf', Buffer.from('b'));

    expect(await call(`documents/${record.id}/download`)).toMatchObject({
      status: 404,
      body: { errors: [{ code: '10005' }] },
    });
    expect((await call(`documents/${faulty.id}/download`)).status).toBe(500);
    expect((await call(`documents/${unknownId}/download`)).status).toBe(404);
  });
});

describe('an order', () => {
  it('returns its documents in every resource of the API, with the same rows each time', async () => {
    const { standIn, call } = await startWorld(samples);
    const [loa = '', invoice = '', proof = '', more = ''] = standIn.documents.all().map(({ id }) => id);
    const order = standIn.orders.addPortingOrder({ loa, invoice, requirements: [proof], additional: [more] });
    const portOut = standIn.orders.addPortOut([loa, proof]);
    const data = async (path: string) => (await call(path)).body.data;

    expect(await data(`porting_orders/${order}`)).toMatchObject({
      record_type: 'porting_order',
      documents: { loa, invoice },
      requirements: [{ field_type: 'document', field_value: proof }],
    });
    expect(await data(`porting_orders/${order}/requirements`)).toMatchObject([
      { field_type: 'document', field_value: proof },
      { field_type: 'textual' },
    ]);
    expect(await data(`porting_orders/${order}/additional_documents`)).toMatchObject([
      { document_id: more, document_type: 'other', filename: standIn.documents.get(more)?.fileName },
    ]);
    expect(await call(`portouts/${portOut}/supporting_documents`)).toMatchObject({
      status: 201,
      body: {
        data: [
          { document_id: loa, type: 'loa' },
          { document_id: proof, type: 'invoice' },
        ],
      },
    });
    expect(await data(`document_links?filter[linked_resource_id]=${order}`)).toMatchObject(
      [loa, invoice, proof, more].map((document_id) => ({
        document_id,
        linked_record_type: 'porting_order',
      })),
    );
    expect(await data('document_links?filter[linked_record_type]=portout')).toHaveLength(2);
    for (const path of [
      `porting_orders/${order}/requirements`,
      `porting_orders/${order}/additional_documents`,
      `portouts/${portOut}/supporting_documents`,
      'document_links',
    ]) {
      expect(await data(path), path).toEqual(await data(path));
    }
  });

  it('paginates its documents and can be removed', async () => {
    const { standIn, call } = await startWorld(samples);
    const documents = standIn.documents.all().map(({ id }) => id);
    const order = standIn.orders.addPortingOrder({ additional: documents });

    const second = await call(`porting_orders/${order}/additional_documents?page[size]=5&page[number]=2`);
    const oldest = await call(`porting_orders/${order}/additional_documents?sort[value]=created_at`);
    const loas = await call(`porting_orders/${order}/additional_documents?filter[document_type][]=loa`);
    standIn.orders.remove(order);

    expect(second.body.data).toHaveLength(4);
    expect(oldest.body.data[0].document_id).toBe(documents.at(-1));
    expect(loas.body.data).toEqual([]);
    expect(second.body.meta).toMatchObject({ total_pages: 2, total_results: 9 });
    expect((await call(`porting_orders/${order}`)).status).toBe(404);
    expect((await call(`document_links?filter[linked_resource_id]=${order}`)).body.data).toEqual([]);
  });

  it('is listed with the links of newer orders first', async () => {
    const { standIn, call } = await startWorld();
    const older = standIn.orders.addPortingOrder({ loa: unknownId });
    const newer = standIn.orders.addPortOut([unknownId]);

    const { body } = await call('document_links');

    const resources = body.data.map((row: { linked_resource_id: string }) => row.linked_resource_id);
    expect(resources).toEqual([newer, older]);
  });
});
