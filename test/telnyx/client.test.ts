import { createServer, Agent as HttpAgent, type RequestListener, type ServerResponse } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ArchiverError, type ErrorCode } from '../../functions/errors.ts';
import { createHttpGet } from '../../functions/http.ts';
import { createApiKey } from '../../functions/telnyx/api-key.ts';
import { createTelnyxClient, type TelnyxClient } from '../../functions/telnyx/client.ts';
import type { Pacer, StatedRateLimit } from '../../functions/telnyx/pacing.ts';
import { systemTime, type Time } from '../../functions/time.ts';
import { acceleratedTime } from '../archive/world.ts';

const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const firstKey = 'KEY0000FIRST_aaaaaaaaaaaa';
const secondKey = 'KEY0000SECOND_bbbbbbbbbbb';
const signature = 'f00dfacef00dfacef00dfacef00dface';
const presigned = `https://s3.amazonaws.com/bucket/object?X-Amz-Credential=AKIAABCDEFGHIJKLMNOP&X-Amz-Signature=${signature}`;
const never = new AbortController().signal;

type Answer = Parameters<RequestListener>;

/** Starts a Telnyx API on a real socket with the given responses, and creates a client for it. */
async function startTelnyx(
  answer: (...[request, response]: Answer) => void,
  { keys = [firstKey], time = systemTime, pacer }: { keys?: string[]; time?: Time; pacer?: Pacer } = {},
) {
  const requests: { method: string | undefined; url: string | undefined; headers: Answer[0]['headers'] }[] =
    [];
  const seen = { connections: 0, closed: 0, secretReads: 0 };
  const server = createServer((request, response) => {
    requests.push({ method: request.method, url: request.url, headers: request.headers });
    answer(request, response);
  });
  server.on('connection', (socket) => {
    seen.connections += 1;
    socket.on('close', () => {
      seen.closed += 1;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const http = new HttpAgent({ keepAlive: true });
  onTestFinished(() => {
    http.destroy();
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const readSecret = async () => {
    seen.secretReads += 1;
    return keys[Math.min(seen.secretReads, keys.length) - 1];
  };
  const client = createTelnyxClient({
    baseUrl: new URL(`http://127.0.0.1:${port}/v2/`),
    apiKey: createApiKey(readSecret, time),
    httpGet: createHttpGet({ https: new HttpsAgent(), http }, '0.0.0-test'),
    time,
    ...(pacer && { pacer }),
  });
  return { client, requests, seen };
}

const respond = (status: number, body: unknown, headers: Record<string, string> = {}) => {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return (...[, response]: Answer) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text);
  };
};
const oneDocument = (fields: object = {}) => respond(200, { data: { id, ...fields } });
const failureOf = (work: Promise<unknown>): Promise<ArchiverError> =>
  work.then(
    () => expect.unreachable('the call should have failed'),
    (error) => error,
  );

/** Each method of the client. */
const eachCall: [string, (client: TelnyxClient) => Promise<unknown>][] = [
  ['metadata', (client) => client.document(id, never)],
  ['link', (client) => client.downloadLink(id, never)],
  ['list', (client) => client.get('documents', new URLSearchParams(), 'OrderGone', never)],
];

describe('a document’s metadata', () => {
  it('is requested by ID, as JSON, with the key, and includes Telnyx’s whole record', async () => {
    const record = {
      id,
      record_type: 'document',
      filename: 'Vollmacht.pdf',
      content_type: 'application/pdf',
      created_at: '2026-11-24T00:00:00Z',
      sha256: 'ab'.repeat(32),
      size: { unit: 'bytes', amount: 1_234 },
      av_scan_status: 'scanned',
      tomorrow: { a: ['field'] },
    };
    const { client, requests } = await startTelnyx(respond(200, { data: record }));

    const document = await client.document(id, never);

    expect(document).toEqual({
      id,
      fileName: 'Vollmacht.pdf',
      contentType: 'application/pdf',
      createdAt: '2026-11-24T00:00:00Z',
      sha256: 'ab'.repeat(32),
      bytes: 1_234,
      infected: false,
      record: JSON.stringify(record),
      cut: false,
      malformed: [],
    });
    expect(requests).toEqual([
      {
        method: 'GET',
        url: `/v2/documents/${id}`,
        headers: expect.objectContaining({
          authorization: `Bearer ${firstKey}`,
          accept: 'application/json',
          'accept-encoding': 'identity',
        }),
      },
    ]);
  });

  it('may be missing except for the ID', async () => {
    const { client } = await startTelnyx(oneDocument());

    expect(await client.document(id, never)).toEqual({
      id,
      fileName: undefined,
      contentType: undefined,
      createdAt: undefined,
      sha256: undefined,
      bytes: undefined,
      infected: false,
      record: JSON.stringify({ id }),
      cut: false,
      malformed: [],
    });
  });

  it.each<[field: string, value: unknown]>([
    ['filename', 12_345],
    ['size', 10],
    ['size', { unit: 'bytes', amount: '10' }],
    ['created_at', 1_764_000_000],
    ['av_scan_status', { status: 'scanned' }],
    ['sha256', 'not available'],
  ])('omits a malformed %s, such as %j, and keeps it in the record', async (field, value) => {
    const { client } = await startTelnyx(oneDocument({ [field]: value, content_type: 'text/csv' }));

    const document = await client.document(id, never);

    expect(document).toMatchObject({ id, contentType: 'text/csv', malformed: [field], infected: false });
    expect(document).toMatchObject({ fileName: undefined, bytes: undefined, createdAt: undefined });
    expect(document.sha256).toBeUndefined();
    expect(JSON.parse(document.record)[field]).toEqual(value);
  });

  it('includes the original text of the record, with numbers that JSON.parse rounds', async () => {
    const record = `{"z":1, "order_id" :2791500000000000123,"id":"${id}",\n"big":1e400,"z":[ -0.10 ]}`;
    const { client } = await startTelnyx(respond(200, `{"meta":{}, "data" : ${record} ,"x":"}"}`));

    expect(await client.document(id, never)).toMatchObject({ record, cut: false });
  });

  it.each([
    ['larger than 64 Ki characters', `"junk":"${'x'.repeat(244_000)}"`],
    ['nested 2,000 levels deep', `"junk":${'['.repeat(2_000)}${']'.repeat(2_000)}`],
    ['nested 200,000 levels deep', `"junk":${'['.repeat(200_000)}${']'.repeat(200_000)}`],
    ['too long because of a reference of 1.1 MB', `"customer_reference":"${'r'.repeat(1_100_000)}"`],
  ])(
    'is read from a record that is %s, and the record is reduced to the specified fields',
    async (_what, junk) => {
      const record = `{"id":"${id}",${junk},"filename":"a.pdf","size":{"unit":"bytes","amount":7}}`;
      const { client } = await startTelnyx(respond(200, `{"data":${record}}`));

      const document = await client.document(id, never);

      expect(document).toMatchObject({ fileName: 'a.pdf', bytes: 7, cut: true, malformed: [] });
      expect(JSON.parse(document.record)).toMatchObject({ id, size: { unit: 'bytes', amount: 7 } });
      expect(document.record.length).toBeLessThan(2_000);
    },
  );

  it.each<[what: string, data: unknown, message: string]>([
    ['of another document', { id: id.replace('6e', '6f') }, 'it is about another document'],
    ['without an ID', {}, 'data.id is missing or invalid'],
    ['without data', undefined, 'data is missing or invalid'],
  ])('%s is rejected with a message that names the field', async (_what, data, what) => {
    const { client } = await startTelnyx(respond(200, { data }));

    const { message } = await failureOf(client.document(id, never));

    expect(message).toBe(`Unexpected response from the Telnyx API: ${what}.`);
  });

  it('that is not in an object is rejected with a message that names the body', async () => {
    const { client } = await startTelnyx(respond(200, '7'));

    const { message } = await failureOf(client.document(id, never));

    expect(message).toBe('Unexpected response from the Telnyx API: its body is missing or invalid.');
  });

  it.each<[string, object]>([
    ['an upper-case ID', { id: id.toUpperCase() }],
    ['the ID of another document', { id: id.replace('6e', '6f') }],
    ['no ID', { id: undefined }],
    ['a number as ID', { id: 7 }],
  ])('with %s is rejected as UnexpectedResponse', async (_what, fields) => {
    const { client } = await startTelnyx(oneDocument(fields));

    expect(await failureOf(client.document(id, never))).toMatchObject({ code: 'UnexpectedResponse' });
  });
});

describe('a download link', () => {
  it('is returned as Telnyx sends it, since the download checks where it leads', async () => {
    const { client, requests } = await startTelnyx(respond(200, { data: { url: presigned } }));

    expect(await client.downloadLink(id, never)).toBe(presigned);
    expect(requests.map(({ url }) => url)).toEqual([`/v2/documents/${id}/download_link`]);
  });

  it.each([
    {},
    { data: null },
    { data: {} },
    { data: { url: 7 } },
    { data: [presigned] },
    [],
    null,
    'text',
    7,
  ])('is rejected as UnexpectedResponse in a response of %j', async (body) => {
    const { client } = await startTelnyx(respond(200, JSON.stringify(body)));

    expect(await failureOf(client.downloadLink(id, never))).toMatchObject({ code: 'UnexpectedResponse' });
  });
});

describe('a list or an order', () => {
  it('is requested with its query and returned unchanged, with the state of the rate limit', async () => {
    const page = { data: [{ id }], meta: { page_number: 1 } };
    const limits = { 'x-ratelimit-limit': '20', 'x-ratelimit-remaining': '17', 'x-ratelimit-reset': '42' };
    const { client, requests } = await startTelnyx(respond(200, page, limits));
    const query = new URLSearchParams({
      'page[number]': '1',
      'filter[created_at][gt]': '2026-11-24T00:00:00Z',
    });

    const answer = await client.get('porting_orders', query, 'OrderGone', never);

    expect(answer).toEqual({ body: page, rateLimit: { limit: 20, remaining: 17, resetMs: 42_000 } });
    const asked = new URL(requests[0]?.url ?? '', 'http://telnyx');
    expect(asked.pathname).toBe('/v2/porting_orders');
    expect([...asked.searchParams]).toEqual([...query]);
  });

  it.each([
    {},
    { 'x-ratelimit-limit': '20, 20;w=1', 'x-ratelimit-remaining': 'some', 'x-ratelimit-reset': 'soon' },
    { 'x-ratelimit-limit': '', 'x-ratelimit-remaining': '-1', 'x-ratelimit-reset': '' },
    { 'x-ratelimit-limit': '1234567890', 'x-ratelimit-remaining': '1.5', 'x-ratelimit-reset': '1234567890' },
  ])('has no rate limit if the headers do not state one: %j', async (headers) => {
    const { client } = await startTelnyx(respond(200, {}, headers));

    const { rateLimit } = await client.get('documents', new URLSearchParams(), 'OrderGone', never);

    expect(rateLimit).toEqual({ limit: undefined, remaining: undefined, resetMs: undefined });
  });

  it('is rejected with the error code of the caller if it does not exist', async () => {
    const { client } = await startTelnyx(respond(404, { errors: [{ code: '10005' }] }));
    const order = client.get(`porting_orders/${id}`, new URLSearchParams(), 'OrderGone', never);

    expect(await failureOf(order)).toMatchObject({ code: 'OrderGone', retryPolicy: 'acknowledge' });
  });
});

describe('a successful response', () => {
  it.each([200, 201, 202, 203, 206, 299])(
    'may have status %i, as supporting documents have 201',
    async (status) => {
      const page = { data: [{ document_id: id }] };
      const { client } = await startTelnyx(respond(status, page));

      const { body } = await client.get(
        `portouts/${id}/supporting_documents`,
        new URLSearchParams(),
        'OrderGone',
        never,
      );

      expect(body).toEqual(page);
    },
  );

  it.each<[string, (...answer: Answer) => void]>([
    ['204 without a body', respond(204, '')],
    ['200 without a body', respond(200, '')],
    ['200 with a page of HTML', respond(200, '<html>Maintenance</html>', { 'content-type': 'text/html' })],
    ['200 with half an object', respond(200, '{"data":{"id":')],
  ])('that is not JSON is treated as an outage: %s', async (_what, answer) => {
    const { client } = await startTelnyx(answer);

    for (const [, call] of eachCall) {
      expect(await failureOf(call(client))).toMatchObject({
        code: 'TelnyxUnavailable',
        message: expect.stringMatching(
          /^Telnyx returned 20[04] without JSON. The response is not from its API: check proxies and firewalls in between.$/,
        ),
      });
    }
  });
});

describe('connections to Telnyx', () => {
  it('are reused by all calls, successful or not', async () => {
    let count = 0;
    const { client, requests, seen } = await startTelnyx((request, response) => {
      count += 1;
      const answer = [
        oneDocument(),
        respond(404, 'no JSON'),
        respond(503, {}),
        respond(200, '{'),
        respond(429, {}),
      ];
      answer[count % answer.length]?.(request, response);
    });

    for (let call = 0; call < 25; call += 1) await client.document(id, never).catch(() => undefined);

    expect(requests).toHaveLength(25);
    expect(seen.connections).toBe(1);
  });
});

const apiError = { errors: [{ code: '10007', title: 'Unexpected error', detail: 'Try again later' }] };
const nginxPage = '<html><head><title>404 Not Found</title></head><body>nginx</body></html>';

describe('an error response', () => {
  it.each<[number, ErrorCode]>([
    [300, 'TelnyxUnavailable'],
    [301, 'TelnyxUnavailable'],
    [302, 'TelnyxUnavailable'],
    [307, 'TelnyxUnavailable'],
    [400, 'UnexpectedResponse'],
    [401, 'ApiKeyRejected'],
    [403, 'ApiKeyForbidden'],
    [404, 'UnexpectedResponse'],
    [408, 'TelnyxUnavailable'],
    [418, 'UnexpectedResponse'],
    [422, 'LinkRefused'],
    [429, 'RateLimited'],
    [500, 'TelnyxUnavailable'],
    [502, 'TelnyxUnavailable'],
    [503, 'TelnyxUnavailable'],
    [504, 'TelnyxUnavailable'],
  ])(
    'for a link with status %i and an error object of the API is %s, after one request',
    async (status, code) => {
      const location = { location: 'http://127.0.0.1:1/elsewhere' };
      const { client, requests, seen } = await startTelnyx(respond(status, apiError, location));

      const error = await failureOf(client.downloadLink(id, never));

      expect(error).toBeInstanceOf(ArchiverError);
      expect(error.code).toBe(code);
      expect(error.message).toContain(`Telnyx returned ${status} (10007)`);
      expect(requests).toHaveLength(1);
      // Only after a 401 is the API key read again.
      expect(seen.secretReads).toBe(status === 401 ? 2 : 1);
    },
  );

  it.each<[string, unknown]>([
    ['a page of HTML', nginxPage],
    ['an empty body', ''],
    ['an empty list of errors', { errors: [] }],
    ['JSON of a gateway', { message: 'Forbidden' }],
    ['the HTTP status of a gateway as code', { code: 404, message: 'no Route matched' }],
    [
      'a four-digit code of a firewall',
      { success: false, errors: [{ code: 1020, message: 'Access denied' }] },
    ],
    ['malformed errors', { errors: ['10005', null, [], { code: {} }, { code: { toString: 1 } }] }],
    ['a code followed by other characters', { errors: [{ code: '10005x' }] }],
    ['a code behind other characters', { errors: [{ code: 'x10005' }] }],
  ])('with %s is treated as an outage, whatever its status', async (_what, body) => {
    for (const status of [400, 401, 403, 404, 405, 409, 410, 418, 422, 451]) {
      const { client, seen } = await startTelnyx(respond(status, body));
      for (const [, call] of eachCall) {
        expect(await failureOf(call(client))).toMatchObject({
          code: 'TelnyxUnavailable',
          retryPolicy: 'wait',
          message: expect.stringContaining(`Telnyx returned ${status} without an error code of its API`),
        });
      }
      // Nor is the API key read again.
      expect(seen.secretReads).toBe(1);
    }
  });

  it.each<[string, unknown]>([
    ['in an errors array', { errors: [{ code: '10005', title: 'Resource not found' }] }],
    ['in a bare error object, as for a download link', { code: '10005', title: 'Resource not found' }],
    ['as a number', { errors: [{ code: 10_005, title: null }] }],
    ['as a number in a bare error object', { code: 10_005 }],
    ['after another error', { errors: [{ code: '10007' }, { code: '10005' }] }],
  ])('with the API’s code 10005, %s, means that the document is gone', async (_form, body) => {
    const { client } = await startTelnyx(respond(404, body));

    expect(await failureOf(client.document(id, never))).toMatchObject({ code: 'DocumentGone' });
    expect(await failureOf(client.downloadLink(id, never))).toMatchObject({ code: 'DocumentGone' });
  });

  it.each(eachCall)('with 404 and another code of the API is UnexpectedResponse: %s', async (_what, call) => {
    const { client } = await startTelnyx(respond(404, apiError));

    expect(await failureOf(call(client))).toMatchObject({ code: 'UnexpectedResponse', retryPolicy: 'retry' });
  });

  it.each(eachCall)('with 422 is LinkRefused only for a link: %s', async (what, call) => {
    const { client } = await startTelnyx(respond(422, apiError));

    const code = what === 'link' ? 'LinkRefused' : 'UnexpectedResponse';
    expect(await failureOf(call(client))).toMatchObject({ code });
  });

  it.each([
    [401, '10007', ': the API key is not valid. Store a valid one in the secret.'],
    [403, '10007', ': the API key is not allowed to read this.'],
    [404, '10005', ': it does not exist, or no longer exists.'],
    [418, '10007', ', which its API specification does not list.'],
    [422, '10007', '.'],
    [429, '10011', ': too many requests.'],
  ])('with status %i and code %s says what it means', async (status, code, meaning) => {
    const { client } = await startTelnyx(respond(status, { errors: [{ code }] }));

    const { message } = await failureOf(client.document(id, never));

    expect(message).toBe(`Telnyx returned ${status} (${code})${meaning}`);
  });

  it('that a gateway sends has its Retry-After, and advice in its message', async () => {
    const { client } = await startTelnyx(respond(404, nginxPage, { 'retry-after': '4' }));

    expect(await failureOf(client.document(id, never))).toMatchObject({
      message:
        'Telnyx returned 404 without an error code of its API. The response is not from the API: check proxies and firewalls in between.',
      retryAfterMs: 4_000,
    });
  });

  it('with a status below 100 is treated as an outage', async () => {
    const { client } = await startTelnyx(({ socket }) => {
      socket.end('HTTP/1.1 099 Odd\r\ncontent-length: 11\r\n\r\n{"data":{}}');
    });

    expect(await failureOf(client.document(id, never))).toMatchObject({
      code: 'TelnyxUnavailable',
      message: 'Telnyx returned 99.',
    });
  });

  it('is quoted with its status and at most three codes only', async () => {
    const errors = ['10007', 10_008, '10009', '10010'].map((code) => ({
      code,
      title: 'A title',
      detail: 'A detail',
    }));
    const { client } = await startTelnyx(respond(500, { errors }));

    const { message } = await failureOf(client.document(id, never));

    expect(message).toBe('Telnyx returned 500 (10007, 10008, 10009).');
  });

  it.each(eachCall)(
    'with the code for too many requests is RateLimited, whatever its status: %s',
    async (_, call) => {
      const { client } = await startTelnyx(
        respond(400, { errors: [{ code: '10011', title: 'Too many requests' }] }),
      );

      expect(await failureOf(call(client))).toMatchObject({ code: 'RateLimited', retryAfterMs: undefined });
    },
  );
});

describe('the pacer', () => {
  const limits = { 'x-ratelimit-limit': '20', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1' };
  const known = { limit: 20, remaining: 0, resetMs: 1_000 };
  const none = { limit: undefined, remaining: undefined, resetMs: undefined };

  it.each<[what: string, answer: (...answer: Answer) => void, expected: StatedRateLimit | undefined]>([
    ['a success with a rate limit', respond(200, { data: { id } }, limits), known],
    ['a success without a rate limit', oneDocument(), none],
    ['an error with a rate limit', respond(429, {}, limits), known],
    ['a redirect without a rate limit', respond(300, {}), undefined],
    ['an error without a rate limit, which says nothing', respond(503, 'a page of a proxy'), undefined],
  ])('receives the rate limit of %s', async (_what, answer, expected) => {
    const received: (StatedRateLimit | undefined)[] = [];
    const { client } = await startTelnyx(answer, {
      pacer: async (request, rateLimitOf) => {
        const made = await request();
        received.push(rateLimitOf(made));
        return made;
      },
    });

    await client.document(id, never).catch(() => undefined);

    expect(received).toEqual([expected]);
  });
});

describe('retryAfterMs', () => {
  const now = Date.parse('2026-11-24T12:00:00Z');
  const minutes = 60_000;

  it.each<[string, Record<string, string>, number | undefined]>([
    ['seconds', { 'retry-after': '7' }, 7_000],
    ['zero seconds', { 'retry-after': '0' }, 0],
    ['a date', { 'retry-after': 'Tue, 24 Nov 2026 12:00:30 GMT' }, 30_000],
    ['a date in the obsolete format', { 'retry-after': 'Tuesday, 24-Nov-26 12:00:30 GMT' }, 30_000],
    ['a date in the past', { 'retry-after': 'Tue, 24 Nov 2026 11:59:00 GMT' }, 0],
    ['a date a year ahead', { 'retry-after': 'Wed, 24 Nov 2027 12:00:00 GMT' }, 15 * minutes],
    ['an invalid date', { 'retry-after': 'Tue, 99 Foo 2026 12:00:30 GMT' }, undefined],
    ['the reset of the window', { 'x-ratelimit-reset': '9' }, 9_000],
    ['both headers, the reset being later', { 'retry-after': '2', 'x-ratelimit-reset': '9' }, 9_000],
    ['both headers, the reset being earlier', { 'retry-after': '9', 'x-ratelimit-reset': '2' }, 9_000],
    ['one valid and one invalid header', { 'retry-after': 'soon', 'x-ratelimit-reset': '3.5' }, 3_500],
    ['a whole day, limited to 15 minutes', { 'retry-after': '86400' }, 15 * minutes],
    ['a fraction of a second', { 'retry-after': '3.25' }, 3_250],
    ['a negative number', { 'retry-after': '-5' }, undefined],
    ['a number and more', { 'retry-after': '5.s' }, undefined],
    ['a date in another time zone', { 'retry-after': 'Tue, 24 Nov 2026 12:00:30 PST' }, undefined],
    ['no header', {}, undefined],
  ])('is read from a 429 with %s', async (_form, headers, retryAfterMs) => {
    const { client } = await startTelnyx(respond(429, {}, headers), {
      time: { ...systemTime, now: () => now },
    });

    expect(await failureOf(client.document(id, never))).toMatchObject({ code: 'RateLimited', retryAfterMs });
  });

  it('is read from Retry-After of a 503, but not from its rate-limit reset', async () => {
    const headers = { 'retry-after': '4', 'x-ratelimit-reset': '900' };
    const { client } = await startTelnyx(respond(503, {}, headers));

    expect(await failureOf(client.document(id, never))).toMatchObject({
      code: 'TelnyxUnavailable',
      retryAfterMs: 4_000,
    });
  });
});

describe('an API key that Telnyx rejects', () => {
  const only = (accepted: string) => (request: Answer[0], response: ServerResponse) => {
    const good = request.headers.authorization === `Bearer ${accepted}`;
    (good ? oneDocument() : respond(401, { errors: [{ code: '10009' }] }))(request, response);
  };

  it.each(eachCall.slice(0, 1))('is read again, and the call is repeated: %s', async (_what, call) => {
    const { client, requests, seen } = await startTelnyx(only(secondKey), { keys: [firstKey, secondKey] });

    await call(client);

    expect(requests.map(({ headers }) => headers.authorization)).toEqual([
      `Bearer ${firstKey}`,
      `Bearer ${secondKey}`,
    ]);
    expect(seen.secretReads).toBe(2);
  });

  it.each(eachCall)(
    'is ApiKeyRejected after two requests if the new key is rejected as well: %s',
    async (_, call) => {
      const { client, requests, seen } = await startTelnyx(only('none'), { keys: [firstKey, secondKey] });

      expect(await failureOf(call(client))).toMatchObject({ code: 'ApiKeyRejected', retryPolicy: 'wait' });
      expect(requests).toHaveLength(2);
      expect(seen.secretReads).toBe(2);
    },
  );

  it('is not sent a second time if its secret still contains it', async () => {
    const { client, requests, seen } = await startTelnyx(only('none'));

    expect(await failureOf(client.document(id, never))).toMatchObject({ code: 'ApiKeyRejected' });
    expect(requests).toHaveLength(1);
    expect(seen.secretReads).toBe(2);
  });

  it('is not read again after a 401 that comes from a gateway', async () => {
    const { client, requests, seen } = await startTelnyx(respond(401, nginxPage));

    for (let call = 0; call < 5; call += 1) {
      expect(await failureOf(client.document(id, never))).toMatchObject({ code: 'TelnyxUnavailable' });
    }

    expect(requests).toHaveLength(5);
    expect(seen.secretReads).toBe(1);
  });

  it('is read again once for all concurrent calls', async () => {
    const { client, seen } = await startTelnyx(only(secondKey), {
      keys: [firstKey, secondKey, 'KEY_no_other'],
    });

    const documents = await Promise.all(Array.from({ length: 20 }, () => client.document(id, never)));

    expect(documents).toHaveLength(20);
    expect(seen.secretReads).toBe(2);
  });
});

describe('a failed response', () => {
  const fastClock = { time: acceleratedTime(50) };
  const startResponse = (...[, response]: Answer) => response.writeHead(200).write('{"data":');

  it.each<[string, (...answer: Answer) => void]>([
    ['does not start', () => undefined],
    ['does not end', startResponse],
  ])('that %s is aborted after 10 s, and its connection is closed', async (_what, answer) => {
    const { client, seen } = await startTelnyx(answer, fastClock);

    expect(await failureOf(client.document(id, never))).toMatchObject({
      code: 'TelnyxUnavailable',
      message: 'Telnyx did not respond within 10 s.',
    });
    await expect.poll(() => seen.closed).toBe(1);
  });

  it('is aborted with the caller’s reason when the caller aborts', async () => {
    const end = new AbortController();
    const { client } = await startTelnyx((...exchange) => {
      startResponse(...exchange);
      end.abort(new ArchiverError('OutOfTime', 'The invocation ends.'));
    });

    expect(await failureOf(client.document(id, end.signal))).toBe(end.signal.reason);
  });

  it.each<[string, (...answer: Answer) => void, ErrorCode]>([
    ['whose connection closes before the headers', ({ socket }) => socket.destroy(), 'TelnyxUnavailable'],
    [
      'whose connection closes within the body',
      (request, response) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('{"data":', () => request.socket.destroy());
      },
      'TelnyxUnavailable',
    ],
    ['that is not HTTP', ({ socket }) => socket.end('Good day to you!\r\n\r\n'), 'TelnyxUnavailable'],
  ])('%s is rejected with its error code', async (_what, answer, code) => {
    const { client } = await startTelnyx(answer);

    expect(await failureOf(client.document(id, never))).toMatchObject({ code });
  });

  it('that never ends is read up to 32 MiB only', async () => {
    const chunk = Buffer.alloc(64 * 1024, ' ');
    let written = 0;
    const pour = (...[, response]: Answer) => {
      const more = () => {
        while (!response.destroyed) {
          written += chunk.length;
          if (!response.write(chunk)) return;
        }
      };
      response.on('drain', more);
      more();
    };
    const { client, seen } = await startTelnyx(pour);

    expect(await failureOf(client.document(id, never))).toMatchObject({
      code: 'AnswerTooLarge',
      message: expect.stringContaining('larger than 32 MiB'),
    });
    await expect.poll(() => seen.closed).toBe(1);
    expect(written).toBeLessThan(64 * 1024 ** 2);
  });

  it('is TelnyxUnavailable when the connection is refused', async () => {
    const http = new HttpAgent();
    const client = createTelnyxClient({
      baseUrl: new URL('http://127.0.0.1:1'),
      apiKey: createApiKey(async () => firstKey, systemTime),
      httpGet: createHttpGet({ https: new HttpsAgent(), http }, '0.0.0-test'),
      time: systemTime,
    });

    expect(await failureOf(client.document(id, never))).toMatchObject({
      code: 'TelnyxUnavailable',
      message: 'The connection to Telnyx failed (Error ECONNREFUSED).',
      cause: { code: 'ECONNREFUSED' },
    });
  });
});

describe('an error', () => {
  const quoted = `The key ${firstKey} may not see ${presigned} (authorization: Bearer ${firstKey})`;
  const quoting = { errors: [{ code: quoted, title: quoted, detail: quoted }] };

  it.each<[string, (...answer: Answer) => void]>([
    ...[302, 400, 401, 403, 404, 422, 429, 500].map((status): [string, (...answer: Answer) => void] => [
      `a ${status} that quotes them`,
      respond(status, quoting, { location: presigned }),
    ]),
    ['truncated JSON that quotes them', respond(200, `{"data":{"url":"${presigned}`)],
    ['a link of the wrong type', respond(200, { data: { id: quoted, url: [presigned] } })],
    ['a broken connection', ({ socket }) => socket.destroy()],
    ['a response that is not HTTP', ({ socket }) => socket.end(`HTTP/1.1 200 OK\r\n${quoted}\r\n\r\n`)],
    [
      'a truncated response that quotes them',
      (request, response) => {
        response.writeHead(200, { 'content-length': '100000' });
        response.write(quoted, () => request.socket.destroy());
      },
    ],
  ])('contains neither the API key nor a presigned URL in any property after %s', async (_what, answer) => {
    const { client } = await startTelnyx(answer);

    const error = await failureOf(client.downloadLink(id, never));

    expect(error).toBeInstanceOf(ArchiverError);
    for (const text of allTextOf(error)) {
      expect(text).not.toContain(firstKey);
      expect(text).not.toContain(signature);
    }
  });
});

/** All text that a careless logger could show of an error and its causes. */
function allTextOf(error: unknown): string[] {
  const texts: string[] = [inspect(error, { depth: 10, showHidden: true, maxStringLength: null })];
  for (let at = error; at instanceof Error; at = at.cause) {
    texts.push(at.message, at.stack ?? '', JSON.stringify(at));
    for (const name of Object.getOwnPropertyNames(at)) {
      const value: unknown = Reflect.get(at, name);
      texts.push(Buffer.isBuffer(value) ? value.toString('latin1') : String(value));
    }
  }
  return texts;
}
