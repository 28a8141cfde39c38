/** The `telnyx` package, Telnyx's own client, with the stand-in for Telnyx instead of its API. */
import { execFile } from 'node:child_process';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import Telnyx from 'telnyx';
import { TelnyxWebhookVerificationError } from 'telnyx/lib/webhooks';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createSigningKey, exportSeed } from '../../../local/telnyx/signing.ts';
import { apiKey, startWorld, unknownId } from '../../local/telnyx/world.ts';
import { startRecordingProxy } from './recording-proxy.ts';
import { requestProblems, responseProblems } from './specification.ts';

async function startClient(key = apiKey) {
  const { standIn } = await startWorld();
  const proxy = await startRecordingProxy(standIn.url);
  const client = new Telnyx({ apiKey: key, baseURL: proxy.url, maxRetries: 0 });
  onTestFinished(() => expect(proxy.exchanges.flatMap(responseProblems)).toEqual([]));
  return { standIn, client, exchanges: proxy.exchanges };
}

/** Listens on a free port until the test ends. */
async function startHttp(respond: Parameters<typeof createServer>[1]): Promise<string> {
  const server = createServer(respond as NonNullable<typeof respond>);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function all<Row>(rows: AsyncIterable<Row>): Promise<Row[]> {
  const found: Row[] = [];
  for await (const row of rows) found.push(row);
  return found;
}

const base64 = (text: string) => Buffer.from(text).toString('base64');

describe("Telnyx's own client", () => {
  it('finds each of 300 documents once by paging through the list', async () => {
    const { standIn, client, exchanges } = await startClient();
    for (let number = 0; number < 300; number += 1) {
      standIn.documents.addRecord(`${number}.pdf`, number, '0'.repeat(64));
    }

    const rows = await all(client.documents.list());
    const large = await all(client.documents.list({ 'page[size]': 250 }));

    const expected = standIn.documents.all().map(({ id }) => id);
    expect(rows.map(({ id }) => id)).toEqual(expected);
    expect(large.map(({ id }) => id)).toEqual(expected);
    expect(exchanges).toHaveLength(300 / 20 + 2);
    expect(exchanges.flatMap(requestProblems)).toEqual([]);
  });

  it('filters and sorts documents', async () => {
    const { standIn, client, exchanges } = await startClient();
    const at = (minute: number) => new Date(Date.UTC(2026, 2, 1, 12, minute));
    for (const minute of [0, 1, 2, 3]) {
      const facts = { createdAt: at(minute).getTime(), customerReference: `PO-${minute % 2}` };
      standIn.documents.addRecord(`${'dcba'[minute]}.pdf`, 1, '0'.repeat(64), facts);
    }
    const names = async (query: Telnyx.DocumentListParams) =>
      (await all(client.documents.list(query))).map(({ filename }) => filename).join(' ');
    const between = { gt: at(0).toISOString(), lt: at(3).toISOString() };

    expect(await names({})).toBe('a.pdf b.pdf c.pdf d.pdf');
    expect(await names({ filter: { created_at: between } })).toBe('b.pdf c.pdf');
    expect(await names({ filter: { customer_reference: { eq: 'PO-0' } } })).toBe('b.pdf d.pdf');
    expect(await names({ filter: { customer_reference: { in: ['PO-1'] } } })).toBe('a.pdf c.pdf');
    expect(await names({ filter: { filename: { contains: 'd' }, customer_reference: { eq: 'PO-0' } } })).toBe(
      'b.pdf d.pdf',
    );
    expect(await names({ sort: ['-filename'] })).toBe('d.pdf c.pdf b.pdf a.pdf');
    expect(exchanges.flatMap(requestProblems)).toEqual([]);
  });

  it('joins lists with commas, which the specification does not have and the stand-in does not accept', async () => {
    const { standIn, client } = await startClient();
    standIn.documents.addRecord('a.pdf', 1, '0'.repeat(64), { customerReference: 'PO-1' });

    const filter = { customer_reference: { in: ['PO-1', 'PO-2'] } };
    expect(await all(client.documents.list({ filter }))).toEqual([]);
    await expect(all(client.documents.list({ sort: ['filename', 'created_at'] }))).rejects.toThrow(
      Telnyx.UnprocessableEntityError,
    );
  });

  it('uploads a document as base64, from a URL and as a file, and downloads each unchanged', async () => {
    const { client, exchanges } = await startClient();
    const web = await startHttp((_request, response) => response.end('from the web'));
    const form = new FormData();
    form.set('file', new Blob(['from a form']), 'form.txt');
    form.set('customer_reference', 'PO-3');

    const uploads = [
      await client.documents.uploadJson({
        document: { file: base64('from base64'), filename: 'base64.txt', customer_reference: 'PO-1' },
      }),
      await client.documents.uploadJson({ document: { url: `${web}/web.txt`, customer_reference: 'PO-2' } }),
      await client.post<Telnyx.DocumentUploadResponse>('/documents', { body: form }),
      await client.documents.upload({ document: { file: base64('from upload'), filename: 'upload.txt' } }),
    ];

    const contents = ['from base64', 'from the web', 'from a form', 'from upload'];
    const names = ['base64.txt', 'web.txt', 'form.txt', 'upload.txt'];
    const references = ['PO-1', 'PO-2', 'PO-3', ''];
    expect(uploads.map(({ data }) => data?.filename)).toEqual(names);
    expect(uploads.map(({ data }) => data?.customer_reference)).toEqual(references);
    for (const [index, { data }] of uploads.entries()) {
      const download = await client.documents.download(data?.id ?? '');
      expect(await download.text()).toBe(contents[index]);
      expect(download.headers.get('content-type')).toBe('text/plain');
      const link = await client.documents.generateDownloadLink(data?.id ?? '');
      expect(await (await fetch(link.data.url)).text()).toBe(contents[index]);
    }
    // The client says by a parameter of its own which form of the body it means.
    expect(exchanges.flatMap(requestProblems)).toEqual(['content-type: unknown parameter']);
  });

  it('retrieves, updates and deletes a document', async () => {
    const { standIn, client, exchanges } = await startClient();
    const { id } = await standIn.documents.add('a.pdf', Buffer.from('a'));

    const updated = await client.documents.update(id, { filename: 'b.pdf', customer_reference: 'PO-1' });
    const retrieved = await client.documents.retrieve(id);
    const deleted = await client.documents.delete(id);

    expect(updated.data).toMatchObject({ id, filename: 'b.pdf', customer_reference: 'PO-1' });
    expect(retrieved).toEqual(updated);
    expect(deleted).toEqual(updated);
    expect(standIn.documents.all()).toEqual([]);
    expect(exchanges.flatMap(requestProblems)).toEqual([]);
  });

  it('reads the documents of porting orders and port-outs', async () => {
    const { standIn, client, exchanges } = await startClient();
    const { id } = await standIn.documents.add('a.pdf', Buffer.from('a'));
    const order = standIn.orders.addPortingOrder({ loa: id, requirements: [id], additional: [id] });
    const portOut = standIn.orders.addPortOut([id]);

    const { data } = await client.portingOrders.retrieve(order, { include_phone_numbers: false });
    const requirements = await all(client.portingOrders.retrieveRequirements(order));
    const additional = await all(client.portingOrders.additionalDocuments.list(order));
    const supporting = await client.portouts.supportingDocuments.list(portOut);
    const links = await all(client.documentLinks.list({ filter: { linked_resource_id: order } }));

    expect(data?.documents).toEqual({ loa: id, invoice: null });
    expect(requirements.map(({ field_type }) => field_type)).toEqual(['document', 'textual']);
    expect(additional).toMatchObject([{ document_id: id, filename: 'a.pdf' }]);
    expect(supporting.data).toMatchObject([{ document_id: id, type: 'loa', portout_id: portOut }]);
    expect(links).toMatchObject([{ document_id: id, linked_record_type: 'porting_order' }]);
    expect(exchanges.flatMap(requestProblems)).toEqual([]);
  });

  it('throws its error class for each kind of error, with the code of the API', async () => {
    const { standIn, client } = await startClient();
    const { client: stranger } = await startClient('KEY-wrong');
    const { id } = await standIn.documents.add('a.pdf', Buffer.from('a'), { linked: true });
    const errors = (code: string) => ({ errors: [expect.objectContaining({ code })] });
    const failureOf = (call: Promise<unknown>) =>
      call.then(
        () => expect.unreachable(),
        (error) => error,
      );

    const missing = await failureOf(client.documents.retrieve(unknownId));
    const missingLink = await failureOf(client.documents.generateDownloadLink(unknownId));
    const rejected = await failureOf(stranger.documents.list());
    const linked = await failureOf(client.documents.delete(id));
    const invalidId = await failureOf(client.documents.generateDownloadLink('x'));

    expect(missing).toBeInstanceOf(Telnyx.NotFoundError);
    expect(missing.error).toEqual(errors('10005'));
    expect(missingLink).toBeInstanceOf(Telnyx.NotFoundError);
    expect(missingLink.error).toMatchObject({ code: '10005' });
    expect(rejected).toBeInstanceOf(Telnyx.AuthenticationError);
    expect(rejected.error).toEqual(errors('10009'));
    expect(linked).toBeInstanceOf(Telnyx.UnprocessableEntityError);
    expect(linked.error).toEqual(errors('10015'));
    expect(invalidId).toBeInstanceOf(Telnyx.UnprocessableEntityError);
    expect(invalidId.error).toEqual(errors('10006'));
  });
});

describe("Telnyx's own webhook verifier", () => {
  const command = fileURLToPath(new URL('../../../local/send-event.ts', import.meta.url));
  const event = fileURLToPath(new URL('../../../events/number-order-complete.json', import.meta.url));
  const key = createSigningKey();
  const client = new Telnyx({ apiKey, publicKey: key.publicKey });

  /** What `npm run send-event` sends. */
  async function sentEvent(...options: string[]): Promise<{ body: string; headers: Record<string, string> }> {
    const received: { body: string; headers: IncomingHttpHeaders }[] = [];
    const url = await startHttp(async (request, response) => {
      received.push({ body: (await buffer(request)).toString(), headers: request.headers });
      response.end();
    });
    const seed = exportSeed(key);
    await promisify(execFile)(process.execPath, [command, event, '--url', url, '--key', seed, ...options]);
    const [first] = received;
    if (!first) return expect.unreachable('No event was sent.');
    return { body: first.body, headers: first.headers as Record<string, string> };
  }

  it('accepts what npm run send-event signs', async () => {
    const { body, headers } = await sentEvent();

    const unwrapped = await client.webhooks.unwrap(body, { headers });

    expect(unwrapped).toMatchObject({ data: { event_type: 'number_order.complete' } });
  });

  it.each(['--tamper', '--late'])('rejects what npm run send-event sends with %s', async (option) => {
    const { body, headers } = await sentEvent(option);

    await expect(client.webhooks.unwrap(body, { headers })).rejects.toThrow(TelnyxWebhookVerificationError);
  });
});
