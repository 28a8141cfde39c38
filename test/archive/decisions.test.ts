/** Every decision about one document, in memory and virtual time: when to try again, what to refuse, what is the same. */
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import {
  type ArchiveDependencies,
  archiveDocument,
  type DocumentReceive,
} from '../../functions/archive/archive-document.ts';
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import { createReceipts, type Receipt } from '../../functions/bucket/receipts.ts';
import type { Bucket, NewObject, StoredObject } from '../../functions/bucket/store.ts';
import { ArchiverError, type ErrorCode, errorCodes, retryPolicies } from '../../functions/errors.ts';
import type { HttpResponse } from '../../functions/http.ts';
import { retryTimings } from '../../functions/limits.ts';
import { createLog } from '../../functions/log.ts';
import type { DocumentMessage } from '../../functions/queue/messages.ts';
import type { TelnyxDocument } from '../../functions/telnyx/client.ts';
import { virtualTime } from '../fakes/clock.ts';
import { noon } from '../fakes/documents.ts';
import { sha256 } from '../fakes/memory-bucket.ts';

const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const bytes = Buffer.from('the bytes of a document');
const others = Buffer.from('the bytes of a document?'.slice(1));
const key = documentKey(id);

const known: TelnyxDocument = {
  id,
  fileName: 'letter.pdf',
  customerReference: undefined,
  contentType: 'application/pdf',
  createdAt: '2026-11-24T00:00:00Z',
  sha256: sha256(bytes),
  bytes: bytes.length,
  infected: false,
  record: `{"id":"${id}"}`,
  cut: false,
  malformed: [],
};

async function wholeOf(body: NewObject['body']): Promise<Buffer> {
  if (Buffer.isBuffer(body)) return body;
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

interface Options {
  document?: Partial<TelnyxDocument>;
  /** Bytes that the storage sends. @default those of the document */
  sends?: Buffer;
  /** @default the length of what is sent; null: none is announced */
  announces?: number | null;
  /** Thrown in place of the download's answer, by its number from 1 on. */
  fails?: (download: number) => unknown;
  /** Of Telnyx's metadata, by its number from 1 on. */
  telnyxFails?: (request: number) => unknown;
  /** What stands at the document's key. */
  stands?: Partial<StoredObject> & { body?: Buffer };
  /** Whether a PUT where something stands is refused without reading the body. */
  refusesEarly?: boolean;
  overrides?: Partial<ArchiveDependencies>;
  message?: Partial<DocumentMessage>;
  receive?: Partial<DocumentReceive>;
}

async function archive({ document, stands, ...options }: Options = {}) {
  const { sends = bytes, announces = sends.length, fails, telnyxFails, refusesEarly = false } = options;
  const time = virtualTime(noon);
  const lines: Record<string, unknown>[] = [];
  const at: number[] = [];
  const bodies: Readable[] = [];
  const links: string[] = [];
  const objects = new Map<string, { body: Buffer; stated: StoredObject }>();
  const hashes: string[] = [];
  const stored = (body: Buffer, stated: Partial<StoredObject> = {}): StoredObject => ({
    bytes: body.length,
    sha256: sha256(body),
    etag: '"e"',
    versionId: 'v',
    ...stated,
  });
  if (stands) {
    const { body = bytes, ...stated } = stands;
    objects.set(key, { body, stated: stored(body, stated) });
  }
  const bucket: Bucket = {
    head: async (name) => objects.get(name)?.stated,
    putOnce: async ({ key: name, body, sha256: digest }) => {
      const isThere = objects.has(name);
      if (isThere && refusesEarly) return 'exists';
      const whole = await wholeOf(body);
      if (isThere) return 'exists';
      if (digest !== undefined && digest !== sha256(whole))
        throw new ArchiverError('ChecksumMismatch', 'S3.');
      objects.set(name, { body: whole, stated: stored(whole) });
      return stored(whole);
    },
    read: async (name) => objects.get(name)?.body,
    hash: async (name) => {
      hashes.push(name);
      return sha256(objects.get(name)?.body ?? Buffer.alloc(0));
    },
    list: async () => [],
  };
  let metadata = 0;
  const dependencies: ArchiveDependencies = {
    telnyx: {
      document: async () => {
        metadata += 1;
        at.push(time.monotonic());
        const failure = telnyxFails?.(metadata);
        if (failure) throw failure;
        return { ...known, ...document };
      },
      downloadLink: async () => {
        links.push(`link-${links.length + 1}`);
        return `link-${links.length}`;
      },
      get: () => Promise.reject(new Error('The archive function reads no lists.')),
    },
    download: async (): Promise<HttpResponse> => {
      const failure = fails?.(bodies.length + 1);
      const body = Readable.from([sends]);
      bodies.push(body);
      if (failure) throw failure;
      return {
        status: 200,
        headers: announces === null ? {} : { 'content-length': String(announces) },
        body,
      };
    },
    bucket,
    receipts: createReceipts(bucket),
    log: createLog({ name: 'test', write: (line) => lines.push(JSON.parse(line)), now: time.now }),
    time,
    random: () => 0.5,
    timings: retryTimings,
    archiveInfected: false,
    maxDocumentBytes: 1_000,
    version: '1.2.3',
    ...options.overrides,
  };
  const message: DocumentMessage = {
    v: 1,
    kind: 'document',
    documentId: id,
    trigger: 'operator',
    requestedAt: '2026-11-24T00:00:00Z',
    ...options.message,
  };
  const ended = await archiveDocument(
    message,
    { receives: 1, ageMs: 0, deadline: 57_000, signal: new AbortController().signal, ...options.receive },
    dependencies,
  ).then(
    (outcome) => outcome,
    (error: unknown) => error as ArchiverError,
  );
  const receipt = objects.get(receiptKey(id))?.body.toString('utf8');
  return {
    ended,
    at,
    links,
    bodies,
    hashes,
    object: objects.get(key)?.body,
    receipt: receipt === undefined ? undefined : (JSON.parse(receipt) as Receipt),
    logged: lines.filter((line) => !('_aws' in line)),
    counted: lines.filter((line) => '_aws' in line).map(({ _aws, ...metrics }) => metrics),
  };
}

const failing = (code: ErrorCode, details = {}) => new ArchiverError(code, 'A failure.', details);

describe('a document that fails', () => {
  const worthAnotherAttempt = (code: ErrorCode) =>
    retryPolicies[code] === 'retry' ||
    ['TelnyxUnavailable', 'DownloadFailed', 'BucketConflict', 'BucketUnavailable'].includes(code);

  it.each(errorCodes.filter((code) => code !== 'DocumentGone'))(
    'through %s is tried as often as that helps',
    async (code) => {
      const { ended, at } = await archive({ telnyxFails: () => failing(code) });

      expect(ended).toMatchObject({ code });
      expect(at).toHaveLength(worthAnotherAttempt(code) ? 3 : 1);
    },
  );

  it.each([
    ['shortest', 0, [0, 200, 600]],
    ['longest', 0.999, [0, 399.8, 1_199.4]],
  ])('is tried again after waits that double: the %s', async (_which, random, moments) => {
    const { at } = await archive({
      telnyxFails: () => failing('TelnyxUnavailable'),
      overrides: { random: () => random },
    });

    expect(at.map((moment) => Math.round(moment * 10) / 10)).toEqual(moments);
  });

  it.each([
    ['TelnyxUnavailable', 1_500, [0, 1_500, 3_000]],
    ['TelnyxUnavailable', 2_000, [0, 2_000, 4_000]],
    ['TelnyxUnavailable', 2_001, [0]],
    ['RateLimited', 1_500, [0, 1_500, 3_000]],
    ['RateLimited', undefined, [0]],
  ] as const)(
    'through %s with a stated wait of %s ms is tried again then, or not in this receive',
    async (code, retryAfterMs, moments) => {
      const { at } = await archive({ telnyxFails: () => failing(code, { retryAfterMs }) });

      expect(at).toEqual(moments);
    },
  );

  it.each([
    [599_999, 'LinkRefused', [0, 300, 900], false],
    [600_000, 'LinkRefused', [0, 7_500, 15_000], true],
    [600_000, 'TelnyxUnavailable', [0, 300, 900], false],
  ] as const)(
    'at an age of %i ms through %s is tried at the moments %j, conclusively: %s',
    async (ageMs, code, moments, conclusive) => {
      const { ended, at } = await archive({ telnyxFails: () => failing(code), receive: { ageMs } });

      expect(at).toEqual(moments);
      expect(ended).toMatchObject({ code, conclusive });
    },
  );

  it('of ten minutes is not tried again in this receive where the other side asks for more than two seconds', async () => {
    const { at } = await archive({
      telnyxFails: () => failing('LinkRefused', { retryAfterMs: 2_001 }),
      receive: { ageMs: 600_000 },
    });

    expect(at).toEqual([0]);
  });

  it('logs each further attempt with its number, its wait and why', async () => {
    const { logged } = await archive({
      telnyxFails: () => failing('TelnyxUnavailable', { retryAfterMs: 100.6 }),
    });

    expect(logged).toMatchObject(
      [1, 2].map((attempt) => ({
        level: 'INFO',
        message: 'Trying again',
        documentId: id,
        attempt,
        retryInMs: 101,
        code: 'TelnyxUnavailable',
      })),
    );
  });

  it.each([
    ['twice', ['DocumentGone', 'DocumentGone'], 'DocumentGone', 2],
    ['and then is there', ['DocumentGone'], undefined, 2],
    ['after another failure', ['TelnyxUnavailable', 'DocumentGone'], undefined, 3],
    [
      'before and after another failure',
      ['DocumentGone', 'TelnyxUnavailable', 'DocumentGone'],
      'DocumentGone',
      3,
    ],
  ] as const)(
    'because Telnyx does not know it is looked up twice: %s',
    async (_when, codes, code, requests) => {
      const { ended, at } = await archive({
        telnyxFails: (request) => {
          const next = codes[request - 1];
          return next && failing(next);
        },
      });

      expect(ended).toMatchObject(code === undefined ? { outcome: 'archived' } : { code });
      expect(at).toHaveLength(requests);
    },
  );
});

describe('a document that is refused', () => {
  it.each<[string, Options, Partial<ArchiverError>]>([
    [
      'is infected',
      { document: { infected: true } },
      {
        code: 'DocumentInfected',
        message:
          "Telnyx's scanner found malware in the document. Set archiveInfected to keep such documents too.",
      },
    ],
    [
      'is too large by its record',
      { document: { bytes: 1_001 } },
      {
        code: 'DocumentTooLarge',
        message: 'The document has 1001 bytes; the limit is 1000. Raise maxDocumentBytes to archive it.',
      },
    ],
  ])('without a download because it %s', async (_why, options, error) => {
    const { ended, bodies, object, receipt } = await archive(options);

    expect(ended).toMatchObject(error);
    expect(bodies).toEqual([]);
    expect([object, receipt]).toEqual([undefined, undefined]);
  });

  it('because its storage announces too much, with the download closed', async () => {
    const { ended, bodies, object } = await archive({ document: { bytes: undefined }, announces: 1_001 });

    expect(ended).toMatchObject({ code: 'DocumentTooLarge' });
    expect(bodies[0]?.destroyed).toBe(true);
    expect(object).toBeUndefined();
  });

  it('because its storage announces another length than its record, with the download closed', async () => {
    const { ended, bodies } = await archive({ announces: bytes.length + 1, receive: { deadline: 0 } });

    expect(ended).toMatchObject({
      code: 'SizeMismatch',
      message: 'Expected 23 bytes, but the Content-Length is 24.',
    });
    expect(bodies[0]?.destroyed).toBe(true);
  });

  it('not if it is infected and the stage archives that, or as large as may be', async () => {
    const infected = await archive({ document: { infected: true }, overrides: { archiveInfected: true } });
    const large = await archive({ overrides: { maxDocumentBytes: bytes.length } });

    expect([infected.ended, large.ended]).toMatchObject([{ outcome: 'archived' }, { outcome: 'archived' }]);
  });
});

describe('a document whose length or digest is not stated', () => {
  it.each<[string, Options, number, number]>([
    ['length', { document: { bytes: undefined } }, 1, 1],
    ['announcement', { announces: null }, 1, 1],
    ['length, nor an announcement', { document: { bytes: undefined }, announces: null }, 2, 2],
    ['digest', { document: { sha256: undefined } }, 1, 1],
  ])('is archived without its %s', async (_what, options, downloads, links) => {
    const result = await archive(options);

    expect(result.ended).toMatchObject({ outcome: 'archived', bytes: bytes.length });
    expect(result.bodies).toHaveLength(downloads);
    expect(result.links).toHaveLength(links);
    expect(result.object?.equals(bytes)).toBe(true);
    expect(result.receipt?.object).toEqual({
      key,
      bytes: bytes.length,
      sha256: sha256(bytes),
      sha256StatedBy: options.document && 'sha256' in options.document ? 'archiver' : 'telnyx',
      etag: '"e"',
      versionId: 'v',
    });
  });

  it('is too large at the first byte over the limit of the first reading', async () => {
    const { ended, object, bodies } = await archive({
      document: { bytes: undefined },
      announces: null,
      overrides: { maxDocumentBytes: bytes.length - 1 },
    });

    expect(ended).toMatchObject({
      code: 'DocumentTooLarge',
      message: expect.stringMatching(/^The document has more than \d+ bytes/),
    });
    expect(bodies).toHaveLength(1);
    expect(object).toBeUndefined();
  });

  it('is not read a second time if its first reading has another digest than its record', async () => {
    const { ended, bodies } = await archive({
      document: { bytes: undefined, sha256: sha256(others) },
      announces: null,
      // No time for a second attempt.
      receive: { deadline: 1 },
    });

    expect(ended).toMatchObject({ code: 'ChecksumMismatch' });
    expect(bodies).toHaveLength(1);
  });
});

describe('a document whose key is taken', () => {
  /** The state of a receipt that a tombstone replaces before the request of this number. */
  const erasedFrom = (request: number) => {
    let requests = 0;
    return async () => {
      requests += 1;
      return requests < request ? undefined : ('erased' as const);
    };
  };

  it.each<[string, Options, number, number]>([
    ['S3 states its digest', {}, 1, 0],
    ['S3 states no digest, so that its bytes are read back', { stands: { sha256: undefined } }, 1, 1],
    ['Telnyx states no digest and all bytes were read', { document: { sha256: undefined } }, 1, 0],
    [
      'Telnyx states no digest and S3 refused before the bytes were read',
      { document: { sha256: undefined }, refusesEarly: true },
      2,
      0,
    ],
  ])('by the same bytes gets its receipt: %s', async (_how, options, downloads, hashes) => {
    const result = await archive({ stands: {}, ...options });

    expect(result.ended).toMatchObject({ outcome: 'archived' });
    expect(result.bodies).toHaveLength(downloads);
    expect(result.hashes).toHaveLength(hashes);
    expect(result.receipt?.object.sha256).toBe(sha256(bytes));
  });

  it.each<[string, Options]>([
    ['by S3’s digest', { stands: { body: others } }],
    ['by its bytes', { stands: { body: others, sha256: undefined } }],
    [
      'by a second download',
      { document: { sha256: undefined }, stands: { body: others }, refusesEarly: true },
    ],
  ])('by other bytes gets none, and nothing is overwritten: %s', async (_how, options) => {
    const { ended, object, receipt } = await archive(options);

    expect(ended).toMatchObject({
      code: 'KeyCollision',
      message:
        'The key of this document already holds different bytes. Nothing was overwritten. Compare the two manually.',
    });
    expect(object?.equals(others)).toBe(true);
    expect(receipt).toBeUndefined();
  });

  it.each<[string, Options]>([
    ['by S3’s digest', { stands: { body: others } }],
    ['by its bytes', { stands: { body: others, sha256: undefined } }],
    [
      'where neither digest is known',
      { document: { sha256: undefined }, stands: { body: others, sha256: undefined }, refusesEarly: true },
    ],
  ])(
    'by other bytes after an erasure has begun is erased, not compared and not downloaded again: %s',
    async (_how, options) => {
      const state = erasedFrom(2);

      const result = await archive({
        ...options,
        overrides: { receipts: { state, writeOnce: async () => 'written' } },
      });

      expect(result.ended).toEqual({ outcome: 'erased' });
      expect(result.bodies).toHaveLength(1);
      expect(result.hashes).toEqual([]);
      expect(result.object?.equals(others)).toBe(true);
      // Each further attempt is logged.
      expect(result.logged).toEqual([]);
    },
  );

  it('by other bytes is erased if the erasure begins while the two are compared', async () => {
    const result = await archive({
      stands: { body: others },
      overrides: { receipts: { state: erasedFrom(3), writeOnce: async () => 'written' } },
    });

    expect(result.ended).toEqual({ outcome: 'erased' });
    expect(result.object?.equals(others)).toBe(true);
    expect(result.logged).toEqual([]);
  });

  it('is not compared with a second download that ends early', async () => {
    const sent = [bytes, bytes.subarray(1)];
    const download = async (): Promise<HttpResponse> => ({
      status: 200,
      headers: {},
      body: Readable.from([sent.shift() ?? bytes]),
    });

    const { ended } = await archive({
      document: { sha256: undefined },
      stands: {},
      refusesEarly: true,
      overrides: { download },
      receive: { deadline: 1 },
    });

    expect(ended).toMatchObject({ code: 'SizeMismatch' });
  });

  it('for a moment only is a conflict that passes', async () => {
    const isTaken: Partial<Bucket> = { putOnce: async () => 'exists', head: async () => undefined };
    const { ended, at } = await archive({
      overrides: { bucket: isTaken as Bucket },
    });

    expect(ended).toMatchObject({
      code: 'BucketConflict',
      message: 'The object existed during the upload but was then not found.',
    });
    expect(at).toHaveLength(3);
  });
});

describe('the metadata of a document', () => {
  it.each([
    ['sweep', 1, true],
    ['backfill', 1, true],
    ['webhook', 1, false],
    ['operator', 1, false],
    ['sweep', 2, false],
    ['backfill', 2, false],
  ] as const)(
    'is asked for beside the receipt only if a listing has just shown that there is none: %s, receive %i',
    async (trigger, receives, isParallel) => {
      const order: string[] = [];
      const state = async () => {
        order.push('receipt');
        await new Promise(setImmediate);
        order.push('no receipt');
        return undefined;
      };

      await archive({
        message: { trigger },
        receive: { receives },
        telnyxFails: () => void order.push('metadata'),
        overrides: { receipts: { state, writeOnce: async () => 'written' } },
      });

      expect(order.indexOf('metadata') < order.indexOf('no receipt')).toBe(isParallel);
    },
  );
});

describe('a receipt', () => {
  it('has everything that is known of the document and of what asked for it', async () => {
    const event = { id: 'e1', type: 'x', occurredAt: '2026-11-24T00:00:00Z' };

    const { ended, receipt, logged, counted } = await archive({
      message: { trigger: 'webhook', event },
      receive: { receives: 4 },
    });

    expect(ended).toEqual({ outcome: 'archived', bytes: bytes.length, createdAt: known.createdAt });
    expect(receipt).toEqual({
      v: 1,
      documentId: id,
      archivedAt: new Date(noon).toISOString(),
      object: {
        key,
        bytes: bytes.length,
        sha256: sha256(bytes),
        sha256StatedBy: 'telnyx',
        etag: '"e"',
        versionId: 'v',
      },
      request: { trigger: 'webhook', event, requestedAt: '2026-11-24T00:00:00Z', receives: 4 },
      archiver: '1.2.3',
      telnyx: { id },
    });
    expect([...logged, ...counted]).toEqual([]);
  });

  it('that another delivery has written is why the document is already archived', async () => {
    const { ended } = await archive({
      overrides: { receipts: { state: async () => undefined, writeOnce: async () => 'archived' } },
    });

    expect(ended).toEqual({ outcome: 'already-archived' });
  });

  it('that is there already ends it before Telnyx is asked', async () => {
    const { ended, at } = await archive({
      overrides: { receipts: { state: async () => 'archived', writeOnce: async () => 'written' } },
    });

    expect(ended).toEqual({ outcome: 'already-archived' });
    expect(at).toEqual([]);
  });

  it('that was erased ends it before Telnyx is asked', async () => {
    const { ended, at, bodies } = await archive({
      overrides: { receipts: { state: async () => 'erased', writeOnce: async () => 'written' } },
    });

    expect(ended).toEqual({ outcome: 'erased' });
    expect([at, bodies]).toEqual([[], []]);
  });

  it('that was erased during the copy is why the document is erased, and nothing is reported', async () => {
    const { ended, logged, counted } = await archive({
      overrides: { receipts: { state: async () => undefined, writeOnce: async () => 'erased' } },
    });

    expect(ended).toEqual({ outcome: 'erased' });
    expect([...logged, ...counted]).toEqual([]);
  });

  it('that cannot be looked for fails the document, whatever Telnyx answers', async () => {
    const { ended, bodies } = await archive({
      message: { trigger: 'sweep' },
      overrides: {
        receipts: {
          state: () => Promise.reject(failing('BucketMisconfigured')),
          writeOnce: async () => 'written',
        },
      },
    });

    expect(ended).toMatchObject({ code: 'BucketMisconfigured' });
    expect(bodies).toEqual([]);
  });

  it('of a record that is malformed or cut says so in the log, with a metric', async () => {
    const { logged, counted, receipt } = await archive({ document: { malformed: ['a', 'b'], cut: true } });

    expect(logged).toMatchObject([
      {
        level: 'WARN',
        message: 'Ignored malformed fields of the record',
        documentId: id,
        problems: 2,
        reason: 'a, b',
      },
      {
        level: 'WARN',
        message: 'The record is oversized; the receipt holds only its documented fields',
        documentId: id,
      },
    ]);
    expect(counted).toEqual([{ FieldsMalformed: 2 }, { RecordsCut: 1 }]);
    expect(receipt?.telnyxCut).toBe(true);
  });
});
