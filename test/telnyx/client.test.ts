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

/** A Telnyx on a real socket that answers as the test says, and the client of it. */
async function telnyxThat(
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
    () => expect.unreachable('it should have failed'),
    (error) => error,
  );

/** What each of the client's calls asks for. */
const anyCall: [string, (client: TelnyxClient) => Promise<unknown>][] = [
  ['metadata', (client) => client.document(id, never)],
  ['link', (client) => client.downloadLink(id, never)],
  ['list', (client) => client.get('documents', new URLSearchParams(), 'OrderGone', never)],
];

describe('a document’s metadata', () => {
  it('is asked for by id, as JSON, with the key, and comes with Telnyx’s whole record', async () => {
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
    const { client, requests } = await telnyxThat(respond(200, { data: record }));

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

  it('may lack everything but the id', async () => {
    const { client } = await telnyxThat(oneDocument());

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
  ])('counts a malformed %s, such as %j, as not stated and keeps it in the record', async (field, value) => {
    const { client } = await telnyxThat(oneDocument({ [field]: value, content_type: 'text/csv' }));

    const document = await client.document(id, never);

    expect(document).toMatchObject({ id, contentType: 'text/csv', malformed: [field], infected: false });
    expect(document).toMatchObject({ fileName: undefined, bytes: undefined, createdAt: undefined });
    expect(document.sha256).toBeUndefined();
    expect(JSON.parse(document.record)[field]).toEqual(value);
  });

  it('keeps the record’s own text, with the numbers that JSON.parse rounds', async () => {
    const record = `{"z":1, "order_id" :2791500000000000123,"id":"${id}",\n"big":1e400,"z":[ -0.10 ]}`;
    const { client } = await telnyxThat(respond(200, `{"meta":{}, "data" : ${record} ,"x":"}"}`));

    expect(await client.document(id, never)).toMatchObject({ record, cut: false });
  });

  it.each([
    ['larger than 64 Ki characters', `"junk":"${'x'.repeat(244_000)}"`],
    ['nested 2,000 levels deep', `"junk":${'['.repeat(2_000)}${']'.repeat(2_000)}`],
    ['nested 200,000 levels deep', `"junk":${'['.repeat(200_000)}${']'.repeat(200_000)}`],
    ['with a reference of 1.1 MB', `"customer_reference":"${'r'.repeat(1_100_000)}"`],
  ])('%s is cut to its specified fields, and read all the same', async (_what, junk) => {
    const record = `{"id":"${id}",${junk},"filename":"a.pdf","size":{"unit":"bytes","amount":7}}`;
    const { client } = await telnyxThat(respond(200, `{"data":${record}}`));

    const document = await client.document(id, never);

    expect(document).toMatchObject({ fileName: 'a.pdf', bytes: 7, cut: true, malformed: [] });
    expect(JSON.parse(document.record)).toMatchObject({ id, size: { unit: 'bytes', amount: 7 } });
    expect(document.record.length).toBeLessThan(2_000);
  });

  it.each<[string, object]>([
    ['an id in capitals', { id: id.toUpperCase() }],
    ['the id of another document', { id: id.replace('6e', '6f') }],
    ['no id', { id: undefined }],
    ['a number for an id', { id: 7 }],
  ])('with %s is an UnexpectedResponse', async (_what, fields) => {
    const { client } = await telnyxThat(oneDocument(fields));

    expect(await failureOf(client.document(id, never))).toMatchObject({ code: 'UnexpectedResponse' });
  });
});

describe('a download link', () => {
  it('is the URL that Telnyx gives, whatever it is: where it may lead is decided by the download', async () => {
    const { client, requests } = await telnyxThat(respond(200, { data: { url: presigned } }));

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
  ])('in an answer like %j is not as specified', async (body) => {
    const { client } = await telnyxThat(respond(200, JSON.stringify(body)));

    expect(await failureOf(client.downloadLink(id, never))).toMatchObject({ code: 'UnexpectedResponse' });
  });
});

describe('a list or an order', () => {
  it('is asked for with its query, and comes as it is with the state of the rate limit', async () => {
    const page = { data: [{ id }], meta: { page_number: 1 } };
    const limits = { 'x-ratelimit-limit': '20', 'x-ratelimit-remaining': '17', 'x-ratelimit-reset': '42' };
    const { client, requests } = await telnyxThat(respond(200, page, limits));
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
  ])('tells nothing of a rate limit that Telnyx does not state: %j', async (headers) => {
    const { client } = await telnyxThat(respond(200, {}, headers));

    const { rateLimit } = await client.get('documents', new URLSearchParams(), 'OrderGone', never);

    expect(rateLimit).toEqual({ limit: undefined, remaining: undefined, resetMs: undefined });
  });

  it('that does not exist has the code that the caller has for it', async () => {
    const { client } = await telnyxThat(respond(404, { errors: [{ code: '10005' }] }));
    const order = client.get(`porting_orders/${id}`, new URLSearchParams(), 'OrderGone', never);

    expect(await failureOf(order)).toMatchObject({ code: 'OrderGone', retryPolicy: 'acknowledge' });
  });
});

describe('a success', () => {
  it.each([200, 201, 202, 203, 206, 299])(
    'may have status %i, as 201 of supporting documents',
    async (status) => {
      const page = { data: [{ document_id: id }] };
      const { client } = await telnyxThat(respond(status, page));

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
  ])('that is not JSON is not from the API, an outage: %s', async (_what, answer) => {
    const { client } = await telnyxThat(answer);

    for (const [, call] of anyCall) {
      expect(await failureOf(call(client))).toMatchObject({ code: 'TelnyxUnavailable' });
    }
  });
});

describe('connections to Telnyx', () => {
  it('are kept: many calls, good and bad, take one', async () => {
    let count = 0;
    const { client, requests, seen } = await telnyxThat((request, response) => {
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

describe('a refusal', () => {
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
  ])('of a link with %i and an error object of the API is %s, after one request', async (status, code) => {
    const location = { location: 'http://127.0.0.1:1/elsewhere' };
    const { client, requests } = await telnyxThat(respond(status, apiError, location));

    const error = await failureOf(client.downloadLink(id, never));

    expect(error).toBeInstanceOf(ArchiverError);
    expect(error.code).toBe(code);
    expect(error.message).toContain(`Telnyx answered ${status} (10007)`);
    expect(requests).toHaveLength(1);
  });

  it.each<[string, unknown]>([
    ['a page of HTML', nginxPage],
    ['nothing', ''],
    ['no error in it', { errors: [] }],
    ['the JSON of a gateway', { message: 'Forbidden' }],
    ['a gateway’s status for a code', { code: 404, message: 'no Route matched' }],
    [
      'a firewall’s code of four digits',
      { success: false, errors: [{ code: 1020, message: 'Access denied' }] },
    ],
    ['errors of another shape', { errors: ['10005', null, [], { code: {} }, { code: { toString: 1 } }] }],
    ['a code with more behind it', { errors: [{ code: '10005x' }] }],
  ])('with %s is not from the API: an outage, whatever the status', async (_what, body) => {
    for (const status of [400, 401, 403, 404, 405, 409, 410, 418, 422, 451]) {
      const { client, seen } = await telnyxThat(respond(status, body));
      for (const [, call] of anyCall) {
        expect(await failureOf(call(client))).toMatchObject({
          code: 'TelnyxUnavailable',
          retryPolicy: 'wait',
          message: expect.stringContaining(`Telnyx answered ${status} without an error code of its API`),
        });
      }
      // Nor does it say that the key is to be read afresh.
      expect(seen.secretReads).toBe(1);
    }
  });

  it.each<[string, unknown]>([
    ['wrapped, as everywhere', { errors: [{ code: '10005', title: 'Resource not found' }] }],
    ['bare, as at the 404 of a download link', { code: '10005', title: 'Resource not found' }],
    ['as a number', { errors: [{ code: 10_005, title: null }] }],
    ['bare and as a number', { code: 10_005 }],
    ['behind another error', { errors: [{ code: '10007' }, { code: '10005' }] }],
  ])('with the API’s code 10005, %s, says that the document is gone', async (_form, body) => {
    const { client } = await telnyxThat(respond(404, body));

    expect(await failureOf(client.document(id, never))).toMatchObject({ code: 'DocumentGone' });
    expect(await failureOf(client.downloadLink(id, never))).toMatchObject({ code: 'DocumentGone' });
  });

  it.each(anyCall)('with 404 and another code of the API is a passing fault: %s', async (_what, call) => {
    const { client } = await telnyxThat(respond(404, apiError));

    expect(await failureOf(call(client))).toMatchObject({ code: 'UnexpectedResponse', retryPolicy: 'retry' });
  });

  it.each(anyCall)('with 422 is LinkRefused for a link alone: %s', async (what, call) => {
    const { client } = await telnyxThat(respond(422, apiError));

    const code = what === 'link' ? 'LinkRefused' : 'UnexpectedResponse';
    expect(await failureOf(call(client))).toMatchObject({ code });
  });

  it('quotes the status and at most three codes, and no words of the other side', async () => {
    const errors = ['10007', 10_008, '10009', '10010'].map((code) => ({
      code,
      title: 'A title',
      detail: 'A detail',
    }));
    const { client } = await telnyxThat(respond(500, { errors }));

    const { message } = await failureOf(client.document(id, never));

    expect(message).toBe('Telnyx answered 500 (10007, 10008, 10009).');
  });

  it.each(anyCall)(
    'of the rate limit is known by its error code too, whatever the status: %s',
    async (_, call) => {
      const { client } = await telnyxThat(
        respond(400, { errors: [{ code: '10011', title: 'Too many requests' }] }),
      );

      expect(await failureOf(call(client))).toMatchObject({ code: 'RateLimited', retryAfterMs: undefined });
    },
  );
});

describe('what the pacer learns of the rate limit', () => {
  const limits = { 'x-ratelimit-limit': '20', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1' };
  const known = { limit: 20, remaining: 0, resetMs: 1_000 };
  const none = { limit: undefined, remaining: undefined, resetMs: undefined };

  it.each<[what: string, answer: (...answer: Answer) => void, learnt: StatedRateLimit | undefined]>([
    ['a success that states it', respond(200, { data: { id } }, limits), known],
    ['a success that states none', oneDocument(), none],
    ['a refusal that states it', respond(429, {}, limits), known],
    ['a refusal that states none: nothing', respond(503, 'a page of a proxy'), undefined],
  ])('from %s', async (_what, answer, learnt) => {
    const learntOfAnswers: (StatedRateLimit | undefined)[] = [];
    const { client } = await telnyxThat(answer, {
      pacer: async (request, rateLimitOf) => {
        const made = await request();
        learntOfAnswers.push(rateLimitOf(made));
        return made;
      },
    });

    await client.document(id, never).catch(() => undefined);

    expect(learntOfAnswers).toEqual([learnt]);
  });
});

describe('how long to wait, as a 429 states it', () => {
  const now = Date.parse('2026-11-24T12:00:00Z');
  const minutes = 60_000;

  it.each<[string, Record<string, string>, number | undefined]>([
    ['seconds', { 'retry-after': '7' }, 7_000],
    ['no time at all', { 'retry-after': '0' }, 0],
    ['a date', { 'retry-after': 'Tue, 24 Nov 2026 12:00:30 GMT' }, 30_000],
    ['a date of the obsolete form', { 'retry-after': 'Tuesday, 24-Nov-26 12:00:30 GMT' }, 30_000],
    ['a date that has passed', { 'retry-after': 'Tue, 24 Nov 2026 11:59:00 GMT' }, 0],
    ['a date a year ahead', { 'retry-after': 'Wed, 24 Nov 2027 12:00:00 GMT' }, 15 * minutes],
    ['a date that is none', { 'retry-after': 'Tue, 99 Foo 2026 12:00:30 GMT' }, undefined],
    ['the reset of the window', { 'x-ratelimit-reset': '9' }, 9_000],
    ['both, the reset the later', { 'retry-after': '2', 'x-ratelimit-reset': '9' }, 9_000],
    ['both, the reset the earlier', { 'retry-after': '9', 'x-ratelimit-reset': '2' }, 9_000],
    [
      'one that can be read, and one that cannot',
      { 'retry-after': 'soon', 'x-ratelimit-reset': '3.5' },
      3_500,
    ],
    ['more than anyone should believe', { 'retry-after': '86400' }, 15 * minutes],
    ['less than nothing', { 'retry-after': '-5' }, undefined],
    ['nothing', {}, undefined],
  ])('in %s', async (_form, headers, retryAfterMs) => {
    const { client } = await telnyxThat(respond(429, {}, headers), {
      time: { ...systemTime, now: () => now },
    });

    expect(await failureOf(client.document(id, never))).toMatchObject({ code: 'RateLimited', retryAfterMs });
  });

  it('is heeded at a 503 as well, but the window’s reset is not: it is no matter of rates', async () => {
    const headers = { 'retry-after': '4', 'x-ratelimit-reset': '900' };
    const { client } = await telnyxThat(respond(503, {}, headers));

    expect(await failureOf(client.document(id, never))).toMatchObject({
      code: 'TelnyxUnavailable',
      retryAfterMs: 4_000,
    });
  });
});

describe('an API key that Telnyx refuses', () => {
  const only = (accepted: string) => (request: Answer[0], response: ServerResponse) => {
    const good = request.headers.authorization === `Bearer ${accepted}`;
    (good ? oneDocument() : respond(401, { errors: [{ code: '10009' }] }))(request, response);
  };

  it.each(anyCall.slice(0, 1))('is read afresh, and the call made again: %s', async (_what, call) => {
    const { client, requests, seen } = await telnyxThat(only(secondKey), { keys: [firstKey, secondKey] });

    await call(client);

    expect(requests.map(({ headers }) => headers.authorization)).toEqual([
      `Bearer ${firstKey}`,
      `Bearer ${secondKey}`,
    ]);
    expect(seen.secretReads).toBe(2);
  });

  it.each(anyCall)(
    'and whose successor is refused too is ApiKeyRejected after two requests: %s',
    async (_, call) => {
      const { client, requests, seen } = await telnyxThat(only('none'), { keys: [firstKey, secondKey] });

      expect(await failureOf(call(client))).toMatchObject({ code: 'ApiKeyRejected', retryPolicy: 'wait' });
      expect(requests).toHaveLength(2);
      expect(seen.secretReads).toBe(2);
    },
  );

  it('and that still stands in its secret is not tried a second time', async () => {
    const { client, requests, seen } = await telnyxThat(only('none'));

    expect(await failureOf(client.document(id, never))).toMatchObject({ code: 'ApiKeyRejected' });
    expect(requests).toHaveLength(1);
    expect(seen.secretReads).toBe(2);
  });

  it('is not suspected for a 401 that is a gateway’s, however often it comes', async () => {
    const { client, requests, seen } = await telnyxThat(respond(401, nginxPage));

    for (let call = 0; call < 5; call += 1) {
      expect(await failureOf(client.document(id, never))).toMatchObject({ code: 'TelnyxUnavailable' });
    }

    expect(requests).toHaveLength(5);
    expect(seen.secretReads).toBe(1);
  });

  it('is read afresh once for all calls that are under way', async () => {
    const { client, seen } = await telnyxThat(only(secondKey), {
      keys: [firstKey, secondKey, 'KEY_no_other'],
    });

    const documents = await Promise.all(Array.from({ length: 20 }, () => client.document(id, never)));

    expect(documents).toHaveLength(20);
    expect(seen.secretReads).toBe(2);
  });
});

describe('an answer that does not come as it should', () => {
  const hurried = { time: acceleratedTime(50) };
  const began = (...[, response]: Answer) => response.writeHead(200).write('{"data":');

  it.each<[string, (...answer: Answer) => void]>([
    ['at all', () => undefined],
    ['to its end', began],
  ])('%s is given up after 10 s, and its connection with it', async (_what, answer) => {
    const { client, seen } = await telnyxThat(answer, hurried);

    expect(await failureOf(client.document(id, never))).toMatchObject({
      code: 'TelnyxUnavailable',
      message: 'Telnyx did not answer within 10 s.',
    });
    await expect.poll(() => seen.closed).toBe(1);
  });

  it('in time for the caller ends with the caller’s reason', async () => {
    const end = new AbortController();
    const { client } = await telnyxThat((...exchange) => {
      began(...exchange);
      end.abort(new ArchiverError('OutOfTime', 'The invocation ends.'));
    });

    expect(await failureOf(client.document(id, end.signal))).toBe(end.signal.reason);
  });

  it.each<[string, (...answer: Answer) => void, ErrorCode]>([
    ['broken off before the headers', ({ socket }) => socket.destroy(), 'TelnyxUnavailable'],
    [
      'broken off in the body',
      (request, response) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('{"data":', () => request.socket.destroy());
      },
      'TelnyxUnavailable',
    ],
    ['that is not HTTP', ({ socket }) => socket.end('Good day to you!\r\n\r\n'), 'TelnyxUnavailable'],
  ])('(%s) is told from the others', async (_what, answer, code) => {
    const { client } = await telnyxThat(answer);

    expect(await failureOf(client.document(id, never))).toMatchObject({ code });
  });

  it('but goes on and on is read no further than 32 MiB', async () => {
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
    const { client, seen } = await telnyxThat(pour);

    expect(await failureOf(client.document(id, never))).toMatchObject({
      code: 'AnswerTooLarge',
      message: expect.stringContaining('larger than 32 MiB'),
    });
    await expect.poll(() => seen.closed).toBe(1);
    expect(written).toBeLessThan(64 * 1024 ** 2);
  });

  it('for want of a Telnyx that listens is TelnyxUnavailable', async () => {
    const http = new HttpAgent();
    const client = createTelnyxClient({
      baseUrl: new URL('http://127.0.0.1:1'),
      apiKey: createApiKey(async () => firstKey, systemTime),
      httpGet: createHttpGet({ https: new HttpsAgent(), http }, '0.0.0-test'),
      time: systemTime,
    });

    expect(await failureOf(client.document(id, never))).toMatchObject({
      code: 'TelnyxUnavailable',
      message: 'The connection to Telnyx broke (Error ECONNREFUSED).',
    });
  });
});

describe('an error', () => {
  const quoted = `The key ${firstKey} may not see ${presigned} (authorization: Bearer ${firstKey})`;
  const quoting = { errors: [{ code: quoted, title: quoted, detail: quoted }] };

  it.each<[string, (...answer: Answer) => void]>([
    ...[302, 400, 401, 403, 404, 422, 429, 500].map((status): [string, (...answer: Answer) => void] => [
      `${status} that quotes them`,
      respond(status, quoting, { location: presigned }),
    ]),
    ['JSON that ends within them', respond(200, `{"data":{"url":"${presigned}`)],
    ['a link of the wrong type', respond(200, { data: { id: quoted, url: [presigned] } })],
    ['a broken connection', ({ socket }) => socket.destroy()],
    ['an answer that is not HTTP', ({ socket }) => socket.end(`HTTP/1.1 200 OK\r\n${quoted}\r\n\r\n`)],
    [
      'an answer that ends within them',
      (request, response) => {
        response.writeHead(200, { 'content-length': '100000' });
        response.write(quoted, () => request.socket.destroy());
      },
    ],
  ])('holds neither the API key nor a presigned URL, wherever one looks: %s', async (_what, answer) => {
    const { client } = await telnyxThat(answer);

    const error = await failureOf(client.downloadLink(id, never));

    expect(error).toBeInstanceOf(ArchiverError);
    for (const text of allTextOf(error)) {
      expect(text).not.toContain(firstKey);
      expect(text).not.toContain(signature);
    }
  });
});

/** Everything that a careless logger could show of an error and of what lies under it. */
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
