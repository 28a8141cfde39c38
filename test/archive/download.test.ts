import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { RequestFilteringHttpsAgent } from 'request-filtering-agent';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  allowedUrl,
  createDownload,
  createGuardedHttpGet,
  type LinkPolicy,
} from '../../functions/archive/download.ts';
import { ArchiverError, type ErrorCode } from '../../functions/errors.ts';
import type { HttpResponse } from '../../functions/http.ts';
import { defaultDownloadHosts } from '../../functions/limits.ts';
import { systemTime, type Time } from '../../functions/time.ts';
import { fuzzRuns } from '../fuzz-runs.ts';
import { acceleratedTime } from './world.ts';

const defaultPolicy: LinkPolicy = {
  hosts: defaultDownloadHosts,
  trustedOrigin: undefined,
};
const secret = 'X-Amz-Signature=c0ffee';

function refusalOf(link: string, policy = defaultPolicy): ArchiverError | undefined {
  try {
    allowedUrl(link, policy);
    return undefined;
  } catch (error) {
    if (error instanceof ArchiverError) return error;
    throw error;
  }
}

/** Starts a storage on a real socket and a download whose trusted origin it is. */
async function startStorage(listener: RequestListener, time: Time = systemTime) {
  let requests = 0;
  const server = createServer(listener)
    .on('request', () => {
      requests += 1;
    })
    .listen(0, '127.0.0.1');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const policy = { hosts: [], trustedOrigin: origin };
  const download = createDownload({
    policy,
    httpGet: createGuardedHttpGet(policy, '0.0.0-test'),
    time,
  });
  return { origin, download, requests: () => requests };
}

describe('allowedUrl', () => {
  it.each([
    'https://s3.amazonaws.com/bucket/path/to/document?X-Amz-Algorithm=AWS4-HMAC-SHA256',
    'https://bucket.s3.amazonaws.com/a',
    'https://s3.us-east-1.amazonaws.com/bucket/a',
    'https://a.bucket.with.dots.s3.eu-central-1.amazonaws.com/a',
    'https://bucket.s3.dualstack.eu-west-1.amazonaws.com/a',
    'https://S3.AMAZONAWS.COM/bucket/a',
    'https://s3.amazonaws.com:443/bucket/a',
  ])('accepts %s', (link) => {
    expect(refusalOf(link)).toBeUndefined();
  });

  it.each([
    'http://s3.amazonaws.com/a',
    'ftp://s3.amazonaws.com/a',
    'file:///etc/passwd',
    'data:text/plain,hello',
    'javascript:alert(1)',
    '//s3.amazonaws.com/a',
    's3.amazonaws.com/a',
    '',
    'https://',
    'https://evil.example/a',
    'https://s3.amazonaws.com.evil.example/a',
    'https://evil.example/s3.amazonaws.com',
    'https://evil.example?s3.amazonaws.com',
    'https://evil.example#s3.amazonaws.com',
    'https://evil.example\\@s3.amazonaws.com/a',
    'https://s3.amazonaws.com@evil.example/a',
    'https://user:pass@s3.amazonaws.com/a',
    'https://user@s3.amazonaws.com/a',
    'https://s3.amazonaws.com:8443/a',
    'https://s3.amazonaws.com:22/a',
    'https://evils3.amazonaws.com/a',
    'https://s3-amazonaws.com/a',
    'https://s3.amazonaws.com./a',
    'https://bucket.s3.amazonaws.com.evil/a',
    'https://ec2-1-2-3-4.compute.amazonaws.com/a',
    'https://my-load-balancer.elb.amazonaws.com/a',
    'https://127.0.0.1/a',
    'https://127.1/a',
    'https://2130706433/a',
    'https://0x7f000001/a',
    'https://0177.0.0.1/a',
    'https://0/a',
    'https://[::1]/a',
    'https://[::ffff:127.0.0.1]/a',
    'https://[::ffff:7f00:1]/a',
    'https://[fe80::1]/a',
    'https://[fd00:ec2::254]/a',
    'https://169.254.169.254/latest/meta-data/',
    'https://169.254.170.2/v2/credentials',
    'https://2852039166/latest/meta-data/',
    'https://10.0.0.1/a',
    'https://172.16.0.1/a',
    'https://192.168.0.1/a',
    'https://100.64.0.1/a',
    'https://0.0.0.0/a',
    'https://224.0.0.1/a',
    'https://255.255.255.255/a',
    'https://localhost/a',
    'https://localhost.localdomain/a',
    'https://metadata.google.internal/a',
    'https://instance-data/a',
    'https://ｓ3.amazonaws.com.evil.example/a',
    'https://s3。amazonaws。com.evil.example/a',
    'https://ѕ3.amazonaws.com/a',
    'https://xn--3-6tb.amazonaws.com/a',
    'https://s3.amazonaws.com%2eevil.example/a',
    'https://s3.amazonaws.com%00.evil.example/a',
    'https://s3.amazonaws.com\t.evil.example/a',
    'https://.s3.amazonaws.com/a',
    'https://..s3.amazonaws.com/a',
    'https://_.evil.example/.s3.amazonaws.com',
    'https://s3-x.us-east-1.elb.amazonaws.com/a',
    ' https://s3.amazonaws.com/a',
    'https://s3.amazonaws.com/a b',
    'https://s3.amazonaws.com/a\r\nHost: evil.example',
    'https://s3.amazonaws.com/a\0b',
    'https://s3.amazonaws.com/a\u0085b',
  ])('throws LinkNotAllowed without the secret query for %j', (link) => {
    const refusal = refusalOf(`${link}?${secret}`);

    expect(refusal?.code).toBe('LinkNotAllowed');
    expect(refusal?.message).not.toContain(secret);
  });

  it('accepts only https URLs of allowed hosts for arbitrary text', () => {
    const hostile = fc.oneof(
      fc.webUrl({
        withQueryParameters: true,
        withFragments: true,
        authoritySettings: { withPort: true, withUserInfo: true, withIPv4: true, withIPv6: true },
      }),
      fc.string({ unit: 'binary' }).map((text) => `https://${text}.s3.amazonaws.com/`),
      fc.string({ unit: 'binary' }).map((text) => `https://s3.amazonaws.com${text}`),
      fc.string({ unit: 'binary' }),
    );

    fc.assert(
      fc.property(hostile, (link) => {
        if (refusalOf(link) !== undefined) return;
        const url = new URL(link);
        expect(url.protocol).toBe('https:');
        expect(url.hostname).toMatch(/^([a-z0-9.-]+\.)?s3([.-][a-z0-9.-]+)?\.amazonaws\.com$/);
        expect(url.username + url.password + url.port).toBe('');
      }),
      { numRuns: fuzzRuns() },
    );
  });

  it.each([
    [`https://s3.amazonaws.com/${'a'.repeat(8_192)}`, 'it is longer than 8192 characters'],
    ['https://s3.amazonaws.com/a b', 'it contains a space or a control character'],
    ['https://s3.amazonaws.com/a\n', 'it contains a space or a control character'],
    ['s3.amazonaws.com/a', 'it is not a URL'],
    ['https://user@s3.amazonaws.com/a', 'it contains user info'],
    ['https://:pass@s3.amazonaws.com/a', 'it contains user info'],
    ['http://s3.amazonaws.com/a', 'it is not https'],
    ['https://s3.amazonaws.com:8443/a', 'it contains a port'],
    ['https://evil.example/a', 'its host is not among the allowed download hosts'],
  ])('says which rule the link violates, without the link: %.40s', (link, rule) => {
    expect(refusalOf(link)?.message).toBe(
      `The download link from Telnyx is not allowed: ${rule}. If Telnyx moved its storage, add the host to downloadHosts.`,
    );
  });

  it('throws LinkNotAllowed for a link of more than 8,192 characters or a host name of more than 253', () => {
    const prefix = 'https://s3.amazonaws.com/';
    const hostOf = (length: number) => `${'a'.repeat(length - '.s3.amazonaws.com'.length)}.s3.amazonaws.com`;

    expect(refusalOf(prefix + 'a'.repeat(8_192 - prefix.length))).toBeUndefined();
    expect(refusalOf(prefix + 'a'.repeat(8_193 - prefix.length))?.code).toBe('LinkNotAllowed');
    expect(refusalOf(`https://${hostOf(253)}/a`)).toBeUndefined();
    expect(refusalOf(`https://${hostOf(254)}/a`)?.code).toBe('LinkNotAllowed');
  });

  it('accepts the trusted origin of a local stack but no other origin on the same machine', () => {
    const local = { hosts: [], trustedOrigin: 'http://127.0.0.1:4566' };

    expect(refusalOf('http://127.0.0.1:4566/a?b', local)).toBeUndefined();
    expect(refusalOf('http://127.0.0.1:4567/a?b', local)?.code).toBe('LinkNotAllowed');
    expect(refusalOf('http://user@127.0.0.1:4566/a', local)?.code).toBe('LinkNotAllowed');
  });
});

describe('a download from an allowed host name that resolves to a loopback address', () => {
  it.each([
    ['without a trusted origin', undefined],
    ['with another trusted origin', 'http://127.0.0.1:9'],
  ])('fails with LinkNotAllowed before it connects, %s', async (_case, trustedOrigin) => {
    let connections = 0;
    const server = createServer().on('connection', () => {
      connections += 1;
    });
    await new Promise<void>((resolve) =>
      server.listen(443, '127.0.0.1', resolve).on('error', () => resolve()),
    );
    onTestFinished(() => void server.close());
    const policy = { hosts: ['localhost'], trustedOrigin };
    const download = createDownload({
      policy,
      httpGet: createGuardedHttpGet(policy, '0.0.0-test'),
      time: systemTime,
    });

    const downloading = download('https://localhost/a', new AbortController().signal);

    await expect(downloading).rejects.toMatchObject({
      code: 'LinkNotAllowed',
      message: expect.stringContaining('not allowed: its host resolves to an address that is not public.'),
    });
    expect(connections).toBe(0);
  });
});

describe('a download', () => {
  const responseWith = (status: number): HttpResponse => ({
    status,
    headers: {},
    body: Readable.from(['no']),
  });

  it('sends no credentials and requests the identity encoding', async () => {
    const seen: Record<string, string>[] = [];
    const download = createDownload({
      policy: defaultPolicy,
      httpGet: async (_url, { headers }) => {
        seen.push(headers);
        return responseWith(200);
      },
      time: systemTime,
    });

    await download('https://s3.amazonaws.com/a', new AbortController().signal);

    expect(seen).toEqual([{ 'accept-encoding': 'identity' }]);
  });

  it.each([
    ['/bucket/a/./b/../c', '/bucket/a/./b/../c'],
    ['/bucket//a///b//', '/bucket//a///b//'],
    ['/..', '/..'],
    ['//evil.example/a', '//evil.example/a'],
    ['/bucket/a%2Fb%2f%2E%2E/%2e', '/bucket/a%2Fb%2f%2E%2E/%2e'],
    ["/bucket/a+b'(c)|d^e`f{g}\\h", "/bucket/a+b'(c)|d^e`f{g}\\h"],
    ['/bucket/a?X-Amz-Date=1&x=../y//z%2F#fragment', '/bucket/a?X-Amz-Date=1&x=../y//z%2F'],
    ['/bucket/Müller', '/bucket/M%C3%BCller'],
    ['/bucket/📄', '/bucket/%F0%9F%93%84'],
    ['?x=1', '/?x=1'],
    ['', '/'],
  ])(
    'sends the request target of a link that ends in %j unchanged except for non-ASCII characters',
    async (target, expected) => {
      const targets: (string | undefined)[] = [];
      const { origin, download } = await startStorage((request, response) => {
        targets.push(request.url);
        response.end();
      });

      const response = await download(origin + target, new AbortController().signal);

      response.body.destroy();
      expect(targets).toEqual([expected]);
    },
  );

  it.each([
    ['http:/', '/a'],
    ['http:', '/a'],
    ['http:///', '/a'],
    ['http:/', '/http://127.0.0.1/a'],
    ['http:\\\\', '/a'],
    ['http://', '\\a'],
  ])('throws LinkNotAllowed for %s<host>%s, which only a lenient parser accepts', async (scheme, target) => {
    const { origin, download, requests } = await startStorage((_request, response) => void response.end());

    const downloading = download(scheme + new URL(origin).host + target, new AbortController().signal);

    await expect(downloading).rejects.toMatchObject({
      code: 'LinkNotAllowed',
      message: expect.stringContaining('not allowed: it is not an absolute URL.'),
    });
    expect(requests()).toBe(0);
  });

  it.each<[number, ErrorCode]>([
    [204, 'DownloadFailed'],
    [206, 'DownloadFailed'],
    [299, 'DownloadFailed'],
    [300, 'RedirectRefused'],
    [301, 'RedirectRefused'],
    [304, 'RedirectRefused'],
    [307, 'RedirectRefused'],
    [399, 'RedirectRefused'],
    [400, 'DownloadRefused'],
    [401, 'DownloadRefused'],
    [403, 'LinkExpired'],
    [404, 'DownloadRefused'],
    [408, 'DownloadFailed'],
    [410, 'DownloadRefused'],
    [429, 'DownloadFailed'],
    [451, 'DownloadRefused'],
    [499, 'DownloadRefused'],
    [500, 'DownloadFailed'],
    [503, 'DownloadFailed'],
  ])('with the status %i fails with %s', async (status, code) => {
    const { origin, download } = await startStorage((_request, response) =>
      response.writeHead(status, { location: 'https://evil.example/' }).end(),
    );

    const downloading = download(`${origin}/a?${secret}`, new AbortController().signal);

    await expect(downloading).rejects.toMatchObject({
      code,
      message: expect.stringContaining(String(status)),
    });
    await expect(downloading).rejects.not.toHaveProperty('message', expect.stringContaining(secret));
  });

  it.each([
    [403, 'The storage returned 403 for the download link, as it does for an expired link.'],
    [301, 'The storage returned 301; redirects are not followed.'],
    [404, 'The storage returned 404 for the download link. The next attempt uses a fresh link.'],
    [503, 'The storage returned 503 for the download link. The next attempt uses a fresh link.'],
  ])('says what the status %i means', async (status, message) => {
    const download = createDownload({
      policy: defaultPolicy,
      httpGet: async () => responseWith(status),
      time: systemTime,
    });

    await expect(download('https://s3.amazonaws.com/a', new AbortController().signal)).rejects.toHaveProperty(
      'message',
      message,
    );
  });

  it('keeps the error of the connection as the cause', async () => {
    const error = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
    const download = createDownload({
      policy: defaultPolicy,
      httpGet: () => Promise.reject(error),
      time: systemTime,
    });

    await expect(download('https://s3.amazonaws.com/a', new AbortController().signal)).rejects.toMatchObject({
      code: 'DownloadFailed',
      message: 'The connection to the storage failed (Error ECONNRESET).',
      cause: error,
    });
  });

  it('destroys the body of a response with an error status', async () => {
    const response = responseWith(500);
    const download = createDownload({
      policy: defaultPolicy,
      httpGet: async () => response,
      time: systemTime,
    });

    await expect(download('https://s3.amazonaws.com/a', new AbortController().signal)).rejects.toHaveProperty(
      'code',
      'DownloadFailed',
    );

    expect(response.body.destroyed).toBe(true);
  });

  it('fails with DownloadFailed and an error without the link when the connection is refused', async () => {
    const policy = { hosts: [], trustedOrigin: 'http://127.0.0.1:9' };
    const download = createDownload({
      policy,
      httpGet: createGuardedHttpGet(policy, '0.0.0-test'),
      time: systemTime,
    });

    const downloading = download('http://127.0.0.1:9/a?X-Amz-Signature=c0ffee', new AbortController().signal);

    await expect(downloading).rejects.toMatchObject({ code: 'DownloadFailed' });
    await expect(downloading).rejects.toThrow(/^The connection to the storage failed \([\w ]+\)\.$/);
  });

  it('connects to a trusted https origin on this machine, with an agent that keeps its connections', async () => {
    const connect = vi.spyOn(RequestFilteringHttpsAgent.prototype, 'createConnection');
    onTestFinished(() => connect.mockRestore());
    const policy = { hosts: [], trustedOrigin: 'https://127.0.0.1:9' };
    const httpGet = createGuardedHttpGet(policy, '0.0.0-test');
    const download = createDownload({ policy, httpGet, time: systemTime });

    const downloading = download('https://127.0.0.1:9/a', new AbortController().signal);

    // An address that the agent refuses would be LinkNotAllowed.
    await expect(downloading).rejects.toMatchObject({ code: 'DownloadFailed' });
    expect(connect.mock.contexts[0]).toMatchObject({ keepAlive: true });
  });

  it('rejects with the reason of its signal', async () => {
    const stop = new AbortController();
    const download = createDownload({
      policy: defaultPolicy,
      httpGet: async () => {
        stop.abort(new RangeError('Stopped.'));
        throw new Error('AbortError');
      },
      time: systemTime,
    });

    await expect(download('https://s3.amazonaws.com/a', stop.signal)).rejects.toThrow(RangeError);
  });

  it('fails with DownloadFailed when the headers do not arrive', async () => {
    const { origin, download } = await startStorage(() => undefined, acceleratedTime(50));

    await expect(download(`${origin}/a`, new AbortController().signal)).rejects.toMatchObject({
      code: 'DownloadFailed',
      message: 'The storage did not respond within 8 s.',
    });
  });
});
