import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { type IncomingHttpHeaders, request } from 'node:http';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { telnyxAt } from '../../../cli/target/telnyx.ts';
import { systemTime } from '../../../functions/time.ts';
import { Documents } from '../../../local/telnyx/documents.ts';
import { type FaultKind, type FaultRule, Faults, faultKinds } from '../../../local/telnyx/faults.ts';
import { apiKey, shiftedTime, startWorld, temporaryFolder } from './world.ts';

const kinds = Object.keys(faultKinds) as FaultKind[];
const documents = new Documents({ storage: '/nowhere', time: systemTime, expire: false });
const someDocument = () => documents.addRecord('a.pdf', 100, '0'.repeat(64));

interface Download {
  status: number | undefined;
  headers: IncomingHttpHeaders;
  bytes: Buffer;
  /** Complete, cut or reset, or no end within the timeout. */
  ending: 'complete' | 'broken' | 'silence';
}

/** A GET without redirects, decoding and connection reuse. Only sends the API key to the API, since the storage rejects it. */
function download(url: string, timeoutMs = 5_000): Promise<Download> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let status: number | undefined;
    let responseHeaders: IncomingHttpHeaders = {};
    const headers = url.includes('/v2/') ? { authorization: `Bearer ${apiKey}` } : {};
    const end = (ending: Download['ending']) => {
      clearTimeout(timer);
      outgoing.destroy();
      resolve({ status, headers: responseHeaders, bytes: Buffer.concat(chunks), ending });
    };
    const timer = setTimeout(() => end('silence'), timeoutMs);
    const outgoing = request(url, { agent: false, headers });
    outgoing.on('error', () => end('broken'));
    outgoing.on('response', (response) => {
      ({ statusCode: status, headers: responseHeaders } = response);
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => end('complete'));
      response.on('error', () => end('broken'));
    });
    outgoing.end();
  });
}

const content = Buffer.alloc(200_000, 'telnyx ');

/** Starts a stand-in with one document, to which the fault applies once. */
async function worldWith(kind: FaultKind) {
  const folder = await temporaryFolder();
  await writeFile(join(folder, 'a.pdf'), content);
  const world = await startWorld({ folder, faults: [{ kind, times: 1 }] });
  const [document] = world.standIn.documents.all();
  const path = `${world.standIn.url}/documents/${document?.id}`;
  return { ...world, path };
}

describe('a fault at the API', () => {
  const expectations: Partial<Record<FaultKind, (download: Download) => void>> = {
    'rate-limited': ({ status, headers, bytes }) => {
      expect(status).toBe(429);
      expect(headers).toMatchObject({ 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1' });
      expect(JSON.parse(bytes.toString()).errors[0].code).toBe('10011');
    },
    'server-error': ({ status, bytes }) => {
      expect(status).toBe(500);
      expect(JSON.parse(bytes.toString()).errors[0].code).toBe('10007');
    },
    'html-error': ({ status, headers, bytes }) => {
      expect(status).toBe(502);
      expect(headers['content-type']).toBe('text/html');
      expect(bytes.toString()).toContain('<html>');
    },
    'api-reset': ({ status, ending }) => expect([status, ending]).toEqual([undefined, 'broken']),
    'api-stall': ({ status, ending }) => expect([status, ending]).toEqual([undefined, 'silence']),
    'not-json': ({ status, bytes }) => {
      expect(status).toBe(200);
      expect(() => JSON.parse(bytes.toString())).toThrow(SyntaxError);
    },
    'wrong-shape': ({ status, bytes }) => {
      expect(status).toBe(200);
      expect(JSON.parse(bytes.toString()).data).toBeUndefined();
    },
    gone: ({ status }) => expect(status).toBe(404),
    'gateway-not-found': ({ status, bytes }) => {
      expect(status).toBe(404);
      expect(bytes.toString()).toContain('<html>');
    },
    'gateway-forbidden': ({ status, bytes }) => {
      expect(status).toBe(403);
      expect(bytes.toString()).toContain('<html>');
    },
    'gateway-unauthorised': ({ status, bytes }) => {
      expect(status).toBe(401);
      expect(JSON.parse(bytes.toString())).toEqual({ message: 'Unauthorized' });
    },
    'key-rejected': ({ status, bytes }) => {
      expect(status).toBe(401);
      expect(JSON.parse(bytes.toString()).errors[0].code).toBe('10009');
    },
    'key-forbidden': ({ status, bytes }) => {
      expect(status).toBe(403);
      expect(JSON.parse(bytes.toString()).errors[0].code).toBe('10010');
    },
  };
  const ofApi = kinds.filter((kind) => faultKinds[kind].at === 'api');

  it.each(ofApi)('%s applies to the record and to the link, then to neither', async (kind) => {
    for (const part of ['', '/download_link']) {
      const { path } = await worldWith(kind);

      const affected = await download(`${path}${part}`, 500);
      const unaffected = await download(`${path}${part}`);

      expectations[kind]?.(affected);
      expect(expectations[kind], 'an expectation').toBeDefined();
      expect(unaffected.status).toBe(200);
    }
  });

  it('gone returns the error object without an array for a link, as in the specification', async () => {
    const { path } = await worldWith('gone');

    expect(JSON.parse((await download(`${path}/download_link`)).bytes.toString())).toMatchObject({
      code: '10005',
    });
  });

  it('link-refused applies to the link and not to the record', async () => {
    const { path } = await worldWith('link-refused');

    expect((await download(path)).status).toBe(200);
    expect((await download(`${path}/download_link`)).status).toBe(422);
    expect((await download(`${path}/download_link`)).status).toBe(200);
  });

  it('odd-path returns a link whose path a URL parser changes, which invalidates the signature', async () => {
    const { path } = await worldWith('odd-path');
    const { url } = JSON.parse((await download(`${path}/download_link`)).bytes.toString()).data;
    const { host, href } = new URL(url);
    const get = (target: string) => {
      const [hostname, port] = host.split(':');
      return new Promise<number | undefined>((resolve, reject) => {
        request({ hostname, port, path: target, agent: false }, (response) => {
          response.resume();
          resolve(response.statusCode);
        })
          .on('error', reject)
          .end();
      });
    };
    const asItCame = url.slice(url.indexOf(host) + host.length);

    expect(asItCame).toMatch(/^\/[\w-]+\/a\/\.\/b\/\.\.\/\/[0-9a-f-]{36}\?/);
    expect(await get(asItCame)).toBe(200);
    expect(await get(href.slice(href.indexOf(host) + host.length))).toBe(403);
  });

  it('applies to a route when the rule names it, and rules can be added and cleared', async () => {
    const { standIn, call } = await startWorld();
    const order = standIn.orders.addPortingOrder({});
    standIn.faults.add(
      { kind: 'rate-limited', route: 'GET documents', times: 2 },
      { kind: 'server-error', route: 'GET porting_orders {id}' },
    );

    const list = [await call('documents'), await call('documents'), await call('documents')];
    const look = [await call(`porting_orders/${order}`), await call('document_links')];
    standIn.faults.clear();

    expect(list.map(({ status }) => status)).toEqual([429, 429, 200]);
    expect(look.map(({ status }) => status)).toEqual([500, 200]);
    expect((await call(`porting_orders/${order}`)).status).toBe(200);
  });
});

describe('a fault in the record', () => {
  const trueFacts = {
    sha256: createHash('sha256').update(content).digest('hex'),
    size: { unit: 'bytes', amount: content.length },
    av_scan_status: 'scanned',
  };

  it.each<[FaultKind, Record<string, unknown>]>([
    ['wrong-hash', { ...trueFacts, sha256: expect.stringMatching(/^(bad0){16}$/) }],
    ['no-hash', { size: trueFacts.size, av_scan_status: 'scanned' }],
    ['wrong-size', { ...trueFacts, size: { unit: 'bytes', amount: content.length + 1 } }],
    ['no-size', { sha256: trueFacts.sha256, av_scan_status: 'scanned' }],
    ['infected', { ...trueFacts, av_scan_status: 'infected' }],
  ])('%s changes only its field, once', async (kind, expected) => {
    const { path } = await worldWith(kind);
    const facts = async () => {
      const { data } = JSON.parse((await download(path)).bytes.toString());
      return Object.fromEntries(Object.entries(data).filter(([name]) => name in trueFacts));
    };

    expect(await facts()).toEqual(expected);
    expect(await facts()).toEqual(trueFacts);
  });
});

it('created-status returns the record with 201 instead of 200', async () => {
  const { path } = await worldWith('created-status');

  const [affected, unaffected] = [await download(path), await download(path)];

  expect([affected.status, unaffected.status]).toEqual([201, 200]);
  expect(affected.bytes).toEqual(unaffected.bytes);
});

describe('a record outside the specification', () => {
  /** The record as parsed by the functions. */
  const documentWith = async (kind: FaultKind) => {
    const { path, standIn } = await worldWith(kind);
    const text = (await download(path)).bytes.toString();
    standIn.faults.add({ kind, times: 1 });
    const telnyx = telnyxAt(new URL(standIn.url), apiKey, systemTime);
    const [{ id = '' } = {}] = standIn.documents.all();
    return { text, document: await telnyx.document(id, new AbortController().signal) };
  };

  it.each([
    ['malformed-fields', 6, false],
    ['exact-numbers', 0, false],
    ['oversized-record', 0, true],
    ['nested-record', 0, true],
  ] as const)('%s is parsed with %i malformed fields; the text is cut: %s', async (kind, malformed, cut) => {
    const { text, document } = await documentWith(kind);

    expect(document.malformed).toHaveLength(malformed);
    expect(document.cut).toBe(cut);
    expect(text === `{"data":${document.record}}`).toBe(!cut);
    expect(document.record.length).toBeLessThan(3_000);
  });

  it('exact-numbers keeps numbers that JSON.parse would round', async () => {
    const { document } = await documentWith('exact-numbers');

    expect(document.record).toContain('"account_id":2791500000000000123,"weight":1e400');
  });
});

describe('a fault in the download', () => {
  const whole = { status: 200, ending: 'complete' };
  const half = content.length / 2;
  const expectations: Partial<Record<FaultKind, (download: Download) => void>> = {
    'link-expired': ({ status, bytes }) => {
      expect(status).toBe(403);
      expect(bytes.toString()).toContain('<Code>AccessDenied</Code><Message>Request has expired</Message>');
    },
    'download-refused': ({ status }) => expect(status).toBe(400),
    'download-missing': ({ status, bytes }) => {
      expect(status).toBe(404);
      expect(bytes.toString()).toContain('<Code>NoSuchKey</Code>');
    },
    'download-reset': ({ bytes, ending }) => {
      expect(ending).toBe('broken');
      expect(bytes.length).toBeLessThanOrEqual(half);
    },
    truncated: ({ headers, bytes, ending }) => {
      expect([ending, bytes.length, headers['content-length']]).toEqual([
        'broken',
        half,
        `${content.length}`,
      ]);
    },
    'cut-silently': ({ headers, bytes, ending }) => {
      expect([ending, bytes.length, headers['content-length']]).toEqual(['complete', half, undefined]);
    },
    'download-stall': ({ bytes, ending }) => expect([ending, bytes.length]).toEqual(['silence', half]),
    'wrong-bytes': ({ status, bytes, ending }) => {
      expect({ status, ending }).toEqual(whole);
      expect(bytes.length).toBe(content.length);
      expect(bytes.equals(content)).toBe(false);
    },
    longer: ({ bytes, ending }) => expect([ending, bytes.length]).toEqual(['complete', content.length + 7]),
    compressed: ({ headers, bytes, ending }) => {
      expect([ending, headers['content-encoding']]).toEqual(['complete', 'gzip']);
      expect(bytes.length).toBeLessThan(half);
    },
    redirected: ({ status, headers }) => {
      expect(status).toBe(302);
      expect(headers.location).toContain('169.254.169.254');
    },
  };
  const ofDownload = kinds.filter((kind) => faultKinds[kind].at === 'download');

  it.each(ofDownload)('%s applies to the first download and not to the next', async (kind) => {
    const { path } = await worldWith(kind);
    const link = async () => JSON.parse((await download(`${path}/download_link`)).bytes.toString()).data.url;

    const affected = await download(await link(), 500);
    const unaffected = await download(await link());

    expectations[kind]?.(affected);
    expect(expectations[kind], 'an expectation').toBeDefined();
    expect({ status: unaffected.status, ending: unaffected.ending }).toEqual(whole);
    expect(unaffected.bytes.equals(content)).toBe(true);
  });
});

describe('a download link', () => {
  it('expires after ten minutes', async () => {
    const time = shiftedTime();
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'a.pdf'), content);
    const { standIn, call } = await startWorld({ folder, time });
    const [document] = standIn.documents.all();
    const { url } = (await call(`documents/${document?.id}/download_link`)).body.data;

    time.offsetMs = 590_000;
    expect((await download(url)).status).toBe(200);
    time.offsetMs = 610_000;
    const late = await download(url);

    expect(late.status).toBe(403);
    expect(late.bytes.toString()).toContain('expired');
    expect(new URL(url).searchParams.get('X-Amz-Expires')).toBe('600');
  });
});

describe('Faults', () => {
  it('applies a rule to its document, at most as often as it allows', () => {
    fc.assert(
      fc.property(fc.constantFrom(...kinds), fc.integer({ min: 0, max: 5 }), (kind, times) => {
        const [target, other] = [someDocument(), someDocument()];
        const faults = new Faults([{ kind, document: target.id, times }], () => 0);
        const { at } = faultKinds[kind];
        const affected = (document: typeof target) =>
          Array.from({ length: 8 }, () => faults.next(at, { document })).filter((found) => found === kind)
            .length;

        expect(affected(target)).toBe(times);
        expect(affected(other)).toBe(0);
      }),
    );
  });

  it('counts each document separately', () => {
    const faults = new Faults([{ kind: 'gone', times: 1 }], () => 0);
    const [one, other] = [someDocument(), someDocument()];

    expect(faults.next('api', { document: one })).toBe('gone');
    expect(faults.next('api', { document: other })).toBe('gone');
    expect(faults.next('api', { document: one })).toBeUndefined();
  });

  it('shares the limit between rules with the same budget and counts each kind separately', () => {
    const rules: FaultRule[] = (['gone', 'not-json', 'wrong-shape'] as const).map((kind, index) => ({
      kind,
      rate: (index + 1) / 3,
      times: 2,
      budget: 'all',
    }));
    const draws = [0.9, 0.9, 0.9, 0.1];
    const faults = new Faults(rules, () => draws.shift() ?? 0);
    const [one, other] = [someDocument(), someDocument()];

    const affected = [1, 2, 3].map(() => faults.next('api', { document: one }));

    expect(affected).toEqual(['wrong-shape', 'not-json', undefined]);
    expect(faults.next('api', { document: other })).toBe('gone');
    expect(Object.fromEntries(faults.counts())).toEqual({ gone: 1, 'not-json': 1, 'wrong-shape': 1 });
  });

  it('applies a rule with the given probability', () => {
    const dice = [0.1, 0.9, 0.2, 0.5];
    const faults = new Faults([{ kind: 'server-error', rate: 0.5 }], () => dice.shift() ?? 0);
    const document = someDocument();

    const affected = [1, 2, 3, 4].map(() => faults.next('api', { document }));

    expect(affected).toEqual(['server-error', undefined, 'server-error', undefined]);
  });

  it('applies one fault per request, from the first matching rule', () => {
    const rules: FaultRule[] = [{ kind: 'truncated', times: 1 }, { kind: 'longer' }];
    const faults = new Faults(rules, () => 0);
    const document = someDocument();

    expect([1, 2].map(() => faults.download(document)?.kind)).toEqual(['truncate', 'longer']);
  });
});
