import { type RequestOptions, request } from 'node:http';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemTime } from '../../../functions/time.ts';
import { openWebhookPort } from '../../../local/lambda/webhook-port.ts';
import { propertyRuns } from '../../fuzz-runs.ts';

type HandlerResult = APIGatewayProxyStructuredResultV2;

async function openPort(
  result: () => Promise<HandlerResult> = async () => ({ statusCode: 200, body: 'ok' }),
) {
  const events: APIGatewayProxyEventV2[] = [];
  const port = await openWebhookPort({
    handler: async (event) => {
      events.push(event);
      return result();
    },
    timeoutMs: 200,
    time: systemTime,
  });
  onTestFinished(() => port.close());
  const post = (body: Buffer, options: RequestOptions = {}, url = port.url) =>
    new Promise<{ status: number | undefined; text: string; type: string | undefined }>((resolve, reject) => {
      const call = request(url, { method: 'POST', ...options }, (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => {
          text += chunk;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode, text, type: response.headers['content-type'] }),
        );
      });
      call.on('error', reject);
      call.end(body);
    });
  return { post, events, url: port.url };
}

describe('openWebhookPort', () => {
  it('passes every byte, as text if the body is UTF-8, otherwise in base64', async () => {
    const { post, events } = await openPort();

    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.uint8Array({ maxLength: 500 }).map((bytes) => Buffer.from(bytes)),
          fc.string({ unit: 'grapheme' }).map((text) => Buffer.from(`\ufeff${text}`)),
        ),
        async (body) => {
          await post(body);
          const event = events.at(-1);
          const encoding = event?.isBase64Encoded ? 'base64' : 'utf8';
          expect(Buffer.from(event?.body ?? '', encoding)).toEqual(body);
        },
      ),
      { numRuns: propertyRuns(200) },
    );

    expect(new Set(events.map(({ isBase64Encoded }) => isBase64Encoded)).size).toBe(2);
  });

  it('joins repeated headers with a comma and converts names to lower case', async () => {
    const { post, events } = await openPort();

    await post(Buffer.from('{}'), { headers: { 'Telnyx-Timestamp': ['1', '2'] } });

    expect(events[0]?.headers['telnyx-timestamp']).toBe('1,2');
  });

  it('passes method, status, headers and body', async () => {
    const result = { statusCode: 418, headers: { 'content-type': 'text/x-tea' }, body: 'short and stout' };
    const { post, events } = await openPort(async () => result);

    const received = await post(Buffer.alloc(0), { method: 'PUT' });

    expect(received).toEqual({ status: 418, text: 'short and stout', type: 'text/x-tea' });
    expect(events[0]?.requestContext.http.method).toBe('PUT');
  });

  it('returns 413 without calling the handler for a body larger than 10 MiB', async () => {
    const { post, events } = await openPort();
    const limit = 10 * 1024 ** 2;

    for (const bytes of [limit + 1, limit + 2 ** 20, limit + 2 ** 20, limit + 2 ** 20]) {
      expect(await post(Buffer.alloc(bytes))).toMatchObject({ status: 413 });
    }
    expect(events).toEqual([]);

    expect(await post(Buffer.alloc(limit, 0x20))).toMatchObject({ status: 200 });
  });

  it('returns 404 for any other path', async () => {
    const { post, events, url } = await openPort();

    expect(await post(Buffer.from('{}'), {}, url.replace('/webhook', '/'))).toMatchObject({ status: 404 });
    expect(events).toEqual([]);
  });

  it.each<[string, () => Promise<HandlerResult>]>([
    ['throws', () => Promise.reject(new Error('secret'))],
    ['exceeds its timeout', () => new Promise(() => undefined)],
  ])('returns 500 without details when the handler %s', async (_what, result) => {
    const { post } = await openPort(result);

    expect(await post(Buffer.from('{}'))).toMatchObject({
      status: 500,
      text: '{"message":"Internal Server Error"}',
    });
  });
});
