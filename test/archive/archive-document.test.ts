import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as realSleep } from 'node:timers/promises';
import { HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { describe, expect, it, vi } from 'vitest';
import { archiveDocument } from '../../functions/archive/archive-document.ts';
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import type { ReceiptState } from '../../functions/bucket/receipts.ts';
import { ArchiverError, type ErrorCode } from '../../functions/errors.ts';
import type { TelnyxDocument } from '../../functions/telnyx/client.ts';
import type { Trigger } from '../../functions/trigger.ts';
import type { S3Fault } from '../../local/s3/faults.ts';
import {
  acceleratedTime,
  isDownload,
  isReceiptUpload,
  isUpload,
  messageFor,
  receive,
  sha256,
  someBytes,
  startWorld,
  type World,
} from './world.ts';

const megabyte = someBytes(1_000_000);
const always = Number.POSITIVE_INFINITY;

const archive = (world: World, id: string, overrides = {}) =>
  archiveDocument(messageFor(id), receive(overrides), world.dependencies);

async function errorCodeOf(work: Promise<unknown>): Promise<ErrorCode> {
  const error = await work.then(
    () => new Error('Expected an error, but it resolved.'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ArchiverError)) throw error;
  return error.code;
}

async function expectNothingStored(world: World, id: string) {
  expect(await world.object(id)).toBeUndefined();
  expect(await world.receipt(id)).toBeUndefined();
}

const put = (world: World, key: string, body: Buffer, extra = {}) =>
  world.client.send(new PutObjectCommand({ Bucket: 'archive', Key: key, Body: body, ...extra }));

describe('archiveDocument for a new document', () => {
  it('stores an exact copy and a receipt with all facts about it', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte, { fileName: 'Vollmacht Müller.pdf' });
    const event = { id: 'e1', type: 'number_order.complete', occurredAt: '2026-11-24T00:00:00Z' };

    const outcome = await archiveDocument(
      { ...messageFor(document.id), trigger: 'webhook', event },
      receive({ receives: 2 }),
      world.dependencies,
    );

    expect(outcome).toEqual({ outcome: 'archived', bytes: 1_000_000, createdAt: document.createdAt });
    expect((await world.object(document.id))?.equals(megabyte)).toBe(true);
    const stored = await world.client.send(
      new HeadObjectCommand({ Bucket: 'archive', Key: documentKey(document.id), ChecksumMode: 'ENABLED' }),
    );
    expect(stored.ChecksumSHA256).toBe(Buffer.from(sha256(megabyte), 'hex').toString('base64'));
    expect(stored.ContentType).toBe('application/pdf');
    expect(stored.ContentDisposition).toContain("filename*=UTF-8''Vollmacht%20M%C3%BCller.pdf");
    expect(await world.receipt(document.id)).toEqual({
      v: 1,
      documentId: document.id,
      archivedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      object: {
        key: `documents/${document.id}`,
        bytes: 1_000_000,
        sha256: sha256(megabyte),
        sha256StatedBy: 'telnyx',
        etag: stored.ETag,
        versionId: stored.VersionId,
      },
      request: { trigger: 'webhook', event, requestedAt: '2026-11-24T00:00:00Z', receives: 2 },
      archiver: '0.0.0-test',
      telnyx: JSON.parse(document.record),
    });
  });

  it('archives a document with malformed record fields, logs one warning and counts the fields', async () => {
    const world = await startWorld();
    const record = '{"id":"x","filename":12345,"size":10}';
    const malformed = ['filename', 'size'];
    const document = await world.add(megabyte, { fileName: undefined, bytes: undefined, record, malformed });

    expect(await archive(world, document.id)).toMatchObject({ outcome: 'archived' });

    const lines = world.lines.map((line) => JSON.parse(line));
    expect(lines.filter(({ level }) => level === 'WARN')).toMatchObject([
      { documentId: document.id, problems: 2, reason: 'filename, size' },
    ]);
    expect(lines.filter(({ FieldsMalformed }) => FieldsMalformed !== undefined)).toMatchObject([
      { FieldsMalformed: 2 },
    ]);
    expect((await world.receipt(document.id))?.telnyx).toEqual(JSON.parse(record));
  });

  it('sets telnyxCut in the receipt and counts RecordsCut only when the record is cut', async () => {
    const world = await startWorld();
    const [whole, cut] = [await world.add(megabyte), await world.add(megabyte, { cut: true })];

    await archive(world, whole.id);
    const countedBefore = world.lines.filter((line) => line.includes('"RecordsCut":1')).length;
    await archive(world, cut.id);

    expect(countedBefore).toBe(0);
    expect(world.lines.filter((line) => line.includes('"RecordsCut":1'))).toHaveLength(1);
    expect(await world.receipt(whole.id)).not.toHaveProperty('telnyxCut');
    expect((await world.receipt(cut.id))?.telnyxCut).toBe(true);
  });

  it('writes the record from Telnyx unchanged into the receipt, including numbers JavaScript cannot represent', async () => {
    const world = await startWorld();
    const record = '{"id" : "x",\n"account":2791500000000000123, "e":1e400}';
    const document = await world.add(megabyte, { record });

    await archive(world, document.id);

    const receipt = await readFile(join(world.directory, 'archive', receiptKey(document.id)), 'utf8');
    expect(receipt).toContain(`"telnyx": ${record}\n}\n`);
  });

  it('sends three requests to the bucket and one download over at most two connections', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte);

    await archive(world, document.id);

    expect(Object.fromEntries(world.s3.requests)).toEqual({ HeadObject: 1, PutObject: 2, GetObject: 1 });
    expect(world.linkCalls).toHaveLength(1);
    expect(world.s3.connections.accepted).toBeLessThanOrEqual(2);
  });

  it.each([
    ['the SHA-256', { sha256: undefined }],
    ['the size', { bytes: undefined }],
    ['the SHA-256 and the size', { sha256: undefined, bytes: undefined }],
  ])('archives a document when Telnyx does not state %s', async (_what, facts) => {
    const world = await startWorld();
    const document = await world.add(megabyte, facts);

    await archive(world, document.id);

    expect((await world.object(document.id))?.equals(megabyte)).toBe(true);
    expect((await world.receipt(document.id))?.object).toMatchObject({
      sha256: sha256(megabyte),
      sha256StatedBy: 'sha256' in facts ? 'archiver' : 'telnyx',
    });
  });

  it.each([0, 1, 65_536, 20_000_000])(
    'copies %i bytes exactly whether or not Telnyx states the SHA-256',
    async (length) => {
      const world = await startWorld();
      const bytes = someBytes(length);
      const stated = await world.add(bytes);
      const unstated = await world.add(bytes, { sha256: undefined });

      await archive(world, stated.id);
      await archive(world, unstated.id);

      expect((await world.object(stated.id))?.equals(bytes)).toBe(true);
      expect((await world.object(unstated.id))?.equals(bytes)).toBe(true);
    },
  );
});

describe('archiveDocument when neither Telnyx nor its storage states the length', () => {
  /** A response without Content-Length: the body ends when the connection closes. */
  const withoutLength: S3Fault = { kind: 'truncate', afterBytes: megabyte.length, withLength: false };
  const unstated = { bytes: undefined, sha256: undefined };

  it.each([
    ['stated', { bytes: undefined }, 'telnyx'],
    ['not stated', unstated, 'archiver'],
  ])(
    'downloads the document twice with two links and uploads it once when the SHA-256 is %s',
    async (_how, facts, statedBy) => {
      const world = await startWorld();
      const document = await world.add(megabyte, facts);
      world.fail(withoutLength, isDownload, always);
      const putOnce = vi.spyOn(world.dependencies.bucket, 'putOnce');

      expect(await archive(world, document.id)).toMatchObject({
        outcome: 'archived',
        bytes: megabyte.length,
      });

      expect(world.linkCalls).toHaveLength(2);
      expect(world.s3.requests.get('GetObject')).toBe(2);
      expect(putOnce.mock.calls[0]?.[0]).toMatchObject({ bytes: megabyte.length, sha256: sha256(megabyte) });
      expect((await world.object(document.id))?.equals(megabyte)).toBe(true);
      expect((await world.receipt(document.id))?.object).toMatchObject({
        bytes: megabyte.length,
        sha256: sha256(megabyte),
        sha256StatedBy: statedBy,
      });
    },
  );

  it('archives an empty document', async () => {
    const world = await startWorld();
    const document = await world.add(Buffer.alloc(0), unstated);
    world.fail(withoutLength, isDownload, always);

    expect(await archive(world, document.id)).toMatchObject({ outcome: 'archived', bytes: 0 });
  });

  it('archives a document of exactly maxDocumentBytes', async () => {
    const world = await startWorld({ overrides: { maxDocumentBytes: megabyte.length } });
    const document = await world.add(megabyte, unstated);
    world.fail(withoutLength, isDownload, always);

    expect(await archive(world, document.id)).toMatchObject({ outcome: 'archived' });
  });

  it('fails with DocumentTooLarge and closes the download at the first byte over the limit', async () => {
    const bytes = someBytes(20_000_000);
    const world = await startWorld({ overrides: { maxDocumentBytes: 999_999 } });
    const document = await world.add(bytes, unstated);
    world.fail({ ...withoutLength, afterBytes: bytes.length }, isDownload, always);
    const download = vi.fn(world.dependencies.download);
    world.dependencies.download = download;

    expect(await errorCodeOf(archive(world, document.id))).toBe('DocumentTooLarge');

    expect(world.linkCalls).toHaveLength(1);
    expect((await download.mock.results[0]?.value)?.body.destroyed).toBe(true);
    await expectNothingStored(world, document.id);
  });

  it.each<[string, S3Fault, ErrorCode]>([
    ['is shorter', { ...withoutLength, afterBytes: 999_999 }, 'SizeMismatch'],
    ['is longer', { kind: 'longer', extraBytes: 1, withLength: false }, 'SizeMismatch'],
    ['states a different length', { kind: 'longer', extraBytes: 1, withLength: true }, 'SizeMismatch'],
    ['has different bytes', { kind: 'corrupt', atByte: 5 }, 'ChecksumMismatch'],
  ])('stores nothing when the second download %s', async (_how, fault, code) => {
    const world = await startWorld();
    // Where the second download has one byte more, the first one is cut by one byte, so that it states a valid length.
    const isShort = fault.kind === 'longer' && fault.withLength;
    const document = await world.add(megabyte, unstated);
    const first = isShort ? { ...withoutLength, afterBytes: 999_999 } : withoutLength;
    world.fail(first, isDownload);
    world.fail(fault, isDownload);

    const deadline = world.dependencies.time.monotonic();
    expect(await errorCodeOf(archive(world, document.id, { deadline }))).toBe(code);

    await expectNothingStored(world, document.id);
  });

  it('fails with ChecksumMismatch after the first download when its SHA-256 differs from the one Telnyx states', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte, { bytes: undefined, sha256: 'a'.repeat(64) });
    world.fail(withoutLength, isDownload, always);

    const deadline = world.dependencies.time.monotonic();
    expect(await errorCodeOf(archive(world, document.id, { deadline }))).toBe('ChecksumMismatch');

    expect(world.linkCalls).toHaveLength(1);
  });

  it('downloads only twice when another delivery has already stored the object', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte, unstated);
    world.fail(withoutLength, isDownload, always);
    await put(world, documentKey(document.id), megabyte);

    expect(await archive(world, document.id)).toMatchObject({ outcome: 'archived' });

    expect(world.linkCalls).toHaveLength(2);
  });
});

describe('archiveDocument when a sweep or a span has just found no receipt', () => {
  /** Starts archiving a document; the receipt check is pending until the test settles `receiptCheck`. */
  async function startWithPendingReceiptCheck(
    trigger: Trigger,
    receives = 1,
    document?: () => Promise<TelnyxDocument>,
  ) {
    const world = await startWorld();
    const known = await world.add(megabyte);
    const receiptCheck = Promise.withResolvers<ReceiptState | undefined>();
    const requests: string[] = [];
    const { telnyx, receipts } = world.dependencies;
    world.dependencies.receipts = {
      ...receipts,
      state: () => {
        requests.push('receipt');
        return receiptCheck.promise;
      },
    };
    world.dependencies.telnyx = {
      ...telnyx,
      document: (id, signal) => {
        requests.push('metadata');
        return document ? document() : telnyx.document(id, signal);
      },
      downloadLink: (id, signal) => {
        requests.push('link');
        return telnyx.downloadLink(id, signal);
      },
    };
    const message = { ...messageFor(known.id), trigger };
    const work = archiveDocument(message, receive({ receives }), world.dependencies);
    await realSleep(0);
    return { world, known, requests, receiptCheck, work };
  }

  it.each(['sweep', 'backfill'] as const)(
    'requests receipt, metadata and link in parallel for the trigger %s, without extra requests',
    async (trigger) => {
      const { world, known, requests, receiptCheck, work } = await startWithPendingReceiptCheck(trigger);

      const initialRequests = [...requests].sort();
      receiptCheck.resolve(undefined);

      expect(initialRequests).toEqual(['link', 'metadata', 'receipt']);
      expect(await work).toMatchObject({ outcome: 'archived' });
      expect(requests).toHaveLength(3);
      expect(Object.fromEntries(world.s3.requests)).toEqual({ PutObject: 2, GetObject: 1 });
      expect((await world.object(known.id))?.equals(megabyte)).toBe(true);
    },
  );

  it.each<[Trigger, number]>([
    ['webhook', 1],
    ['operator', 1],
    ['sweep', 2],
    ['backfill', 2],
  ])('requests only the receipt at first for the trigger %s in receive %i', async (trigger, receives) => {
    const { requests, receiptCheck, work } = await startWithPendingReceiptCheck(trigger, receives);

    const initialRequests = [...requests];
    receiptCheck.resolve('archived');

    expect(initialRequests).toEqual(['receipt']);
    expect(await work).toEqual({ outcome: 'already-archived' });
    expect(requests).toEqual(['receipt']);
  });

  it('returns already-archived and downloads nothing when the receipt exists, even if the Telnyx request fails', async () => {
    const gone = () => Promise.reject(new ArchiverError('DocumentGone', 'gone'));
    const { world, receiptCheck, work } = await startWithPendingReceiptCheck('sweep', 1, gone);

    receiptCheck.resolve('archived');

    expect(await work).toEqual({ outcome: 'already-archived' });
    expect(Object.fromEntries(world.s3.requests)).toEqual({});
  });

  it.each(['the receipt exists', 'the receipt check fails'])(
    'waits for the pending Telnyx requests when %s',
    async (what) => {
      const metadata = Promise.withResolvers<TelnyxDocument>();
      const { receiptCheck, work } = await startWithPendingReceiptCheck('sweep', 1, () => metadata.promise);
      let hasEnded = false;
      const done = work.then(
        () => undefined,
        (error: unknown) => error,
      );
      done.then(() => {
        hasEnded = true;
      });
      const unavailable = new ArchiverError('BucketUnavailable', 'down');

      if (what === 'the receipt exists') receiptCheck.resolve('archived');
      else receiptCheck.reject(unavailable);
      await realSleep(20);
      const hadEnded = hasEnded;
      metadata.reject(new ArchiverError('TelnyxUnavailable', 'down'));

      expect(hadEnded).toBe(false);
      expect(await done).toBe(what === 'the receipt exists' ? undefined : unavailable);
    },
  );

  it('repeats the Telnyx requests in the next attempt when one of them failed', async () => {
    let failures = 0;
    const world = await startWorld({ time: acceleratedTime(20) });
    const known = await world.add(megabyte);
    const { telnyx } = world.dependencies;
    world.dependencies.telnyx = {
      ...telnyx,
      document: async (id, signal) => {
        failures += 1;
        if (failures === 1) throw new ArchiverError('DocumentGone', 'gone');
        return telnyx.document(id, signal);
      },
    };

    const outcome = await archiveDocument(
      { ...messageFor(known.id), trigger: 'sweep' },
      receive(),
      world.dependencies,
    );

    expect(outcome).toMatchObject({ outcome: 'archived' });
    expect(world.linkCalls).toHaveLength(2);
  });
});

describe('archiveDocument for a document that is already archived', () => {
  it('sends one request to S3 and none to Telnyx', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte);
    await archive(world, document.id);
    const before = new Map(world.s3.requests);

    const outcome = await archive(world, document.id);

    expect(outcome).toEqual({ outcome: 'already-archived' });
    expect(world.s3.requests.get('HeadObject')).toBe((before.get('HeadObject') ?? 0) + 1);
    expect(world.s3.requests.get('PutObject')).toBe(before.get('PutObject'));
    expect(world.linkCalls).toHaveLength(1);
  });

  it('stores the document once when twenty deliveries run at the same time', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte);

    const outcomes = await Promise.all(Array.from({ length: 20 }, () => archive(world, document.id)));

    expect(outcomes.filter(({ outcome }) => outcome === 'archived')).toHaveLength(1);
    const stored = await world.client.send(
      new HeadObjectCommand({ Bucket: 'archive', Key: documentKey(document.id) }),
    );
    expect((await world.receipt(document.id))?.object.versionId).toBe(stored.VersionId);
  });
});

describe('archiveDocument when the object key is taken', () => {
  it.each([
    ['whose SHA-256 S3 states', { ChecksumAlgorithm: 'SHA256' }],
    ['whose SHA-256 S3 does not state, by reading it back', { ChecksumAlgorithm: 'CRC32' }],
  ])('writes a receipt for an identical object %s', async (_how, checksum) => {
    const world = await startWorld();
    const document = await world.add(megabyte);
    const existing = await put(world, documentKey(document.id), megabyte, checksum);

    await archive(world, document.id);

    expect((await world.receipt(document.id))?.object).toMatchObject({
      versionId: existing.VersionId,
      sha256: sha256(megabyte),
    });
  });

  it('accepts an identical object when neither Telnyx nor S3 states the SHA-256', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte, { sha256: undefined });
    await put(world, documentKey(document.id), megabyte);

    await archive(world, document.id);

    expect((await world.receipt(document.id))?.object.sha256).toBe(sha256(megabyte));
  });

  it('accepts an identical object when no SHA-256 is stated and S3 returns 412 before reading the body', async () => {
    const world = await startWorld();
    const bytes = someBytes(20_000_000);
    const document = await world.add(bytes, { sha256: undefined });
    await put(world, documentKey(document.id), bytes);
    const early: S3Fault = { kind: 'error', status: 412, code: 'PreconditionFailed', when: 'before-body' };
    world.fail(early, isUpload);

    await archive(world, document.id);

    expect((await world.receipt(document.id))?.object.sha256).toBe(sha256(bytes));
    // The download, a second download for its digest, and the object itself, for which S3 states no SHA-256.
    expect(world.s3.requests.get('GetObject')).toBe(3);
  });

  it.each([
    ['states', {}],
    ['does not state', { sha256: undefined }],
  ])(
    'fails with KeyCollision and keeps a different object when Telnyx %s the SHA-256',
    async (_how, facts) => {
      const world = await startWorld();
      const document = await world.add(megabyte, facts);
      const other = someBytes(1_000);
      await put(world, documentKey(document.id), other);

      expect(await errorCodeOf(archive(world, document.id))).toBe('KeyCollision');

      expect((await world.object(document.id))?.equals(other)).toBe(true);
      expect(await world.receipt(document.id)).toBeUndefined();
    },
  );

  it('retries with BucketConflict when the existing object is gone at the check after the upload', async () => {
    const world = await startWorld({ time: acceleratedTime(4) });
    const document = await world.add(megabyte);
    const taken: S3Fault = { kind: 'error', status: 412, code: 'PreconditionFailed', when: 'after-body' };
    world.fail(taken, isUpload);

    await archive(world, document.id);

    expect(world.lines.join('')).toContain('BucketConflict');
    expect((await world.object(document.id))?.equals(megabyte)).toBe(true);
  });

  it('fails with KeyCollision when another delivery wrote a receipt for different bytes', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte);
    const receipt = Buffer.from(JSON.stringify({ object: { sha256: 'f'.repeat(64) } }));
    // Another delivery writes its receipt between this delivery's receipt check and its own receipt.
    const receiptState = world.dependencies.receipts.state;
    world.dependencies.receipts.state = async (...args) => {
      const found = await receiptState(...args);
      await put(world, receiptKey(document.id), receipt);
      return found;
    };

    expect(await errorCodeOf(archive(world, document.id))).toBe('KeyCollision');
    expect(world.s3.requests.get('PutObject')).toBe(3);
  });
});

describe('archiveDocument when one download fails', () => {
  const faults: [string, S3Fault][] = [
    ['is reset before the first byte', { kind: 'reset', during: 'response', afterBytes: 0 }],
    ['is reset in the middle', { kind: 'reset', during: 'response', afterBytes: 500_000 }],
    ['is shorter than its Content-Length', { kind: 'truncate', afterBytes: 500_000, withLength: true }],
    [
      'is shorter than Telnyx states, without a Content-Length',
      { kind: 'truncate', afterBytes: 500_000, withLength: false },
    ],
    ['is longer than Telnyx states', { kind: 'longer', extraBytes: 10, withLength: false }],
    ['has one bit flipped', { kind: 'corrupt', atByte: 777_777 }],
    ['is gzip-encoded', { kind: 'gzip', real: true }],
    ['is redirected', { kind: 'redirect', location: 'http://127.0.0.1:9/elsewhere' }],
    ['returns 403', { kind: 'error', status: 403, code: 'AccessDenied', when: 'before-body' }],
    ['returns 500', { kind: 'error', status: 500, code: 'InternalError', when: 'before-body' }],
  ];

  it.each(faults)(
    'archives the document with a fresh link when the first download %s',
    async (_what, fault) => {
      const world = await startWorld();
      const document = await world.add(megabyte);
      world.fail(fault, isDownload);

      await archive(world, document.id);

      expect(world.linkCalls).toHaveLength(2);
      expect((await world.object(document.id))?.equals(megabyte)).toBe(true);
    },
  );
});

describe('archiveDocument when every download fails', () => {
  const faults: [string, S3Fault, ErrorCode][] = [
    ['is reset in the middle', { kind: 'reset', during: 'response', afterBytes: 500_000 }, 'DownloadFailed'],
    [
      'is shorter than its Content-Length',
      { kind: 'truncate', afterBytes: 500_000, withLength: true },
      'DownloadFailed',
    ],
    [
      'is short, without a Content-Length',
      { kind: 'truncate', afterBytes: 500_000, withLength: false },
      'SizeMismatch',
    ],
    ['is too long', { kind: 'longer', extraBytes: 10, withLength: false }, 'SizeMismatch'],
    ['has one bit flipped', { kind: 'corrupt', atByte: 0 }, 'ChecksumMismatch'],
    ['is gzip-encoded', { kind: 'gzip', real: true }, 'SizeMismatch'],
    ['is redirected', { kind: 'redirect', location: 'http://127.0.0.1:9/' }, 'RedirectRefused'],
    ['returns 403', { kind: 'error', status: 403, code: 'AccessDenied', when: 'before-body' }, 'LinkExpired'],
    [
      'returns 404',
      { kind: 'error', status: 404, code: 'NoSuchKey', when: 'before-body' },
      'DownloadRefused',
    ],
  ];

  it.each(faults)('stores nothing after three attempts when the download %s', async (_what, fault, code) => {
    const world = await startWorld({ time: acceleratedTime(4) });
    const document = await world.add(megabyte);
    world.fail(fault, isDownload, always);

    expect(await errorCodeOf(archive(world, document.id))).toBe(code);

    await expectNothingStored(world, document.id);
    expect(world.linkCalls).toHaveLength(3);
  });

  it('fails with ChecksumMismatch and stores nothing when Telnyx states a wrong SHA-256', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte, { sha256: 'a'.repeat(64) });

    expect(await errorCodeOf(archive(world, document.id))).toBe('ChecksumMismatch');

    await expectNothingStored(world, document.id);
  });

  it('fails with SizeMismatch before any upload when Telnyx and its storage state different lengths', async () => {
    const world = await startWorld({ time: acceleratedTime(4) });
    const document = await world.add(megabyte, { bytes: megabyte.length + 1 });

    expect(await errorCodeOf(archive(world, document.id))).toBe('SizeMismatch');

    expect(world.s3.requests.get('PutObject')).toBeUndefined();
    await expectNothingStored(world, document.id);
  });

  it('fails with DownloadFailed soon after 15 s when the storage sends one byte every 1.5 s', async () => {
    const factor = 30;
    const time = acceleratedTime(factor);
    const world = await startWorld({ time });
    const document = await world.add(megabyte);
    world.fail({ kind: 'drip', bytesPerSecond: factor / 1.5 }, isDownload, always);
    const began = time.monotonic();

    const deadline = began + 20_000;
    expect(await errorCodeOf(archive(world, document.id, { deadline }))).toBe('DownloadFailed');

    expect(world.s3.requests.get('PutObject')).toBe(1);
    expect(time.monotonic() - began).toBeLessThan(57_000);
    await expectNothingStored(world, document.id);
  });

  it('stores the bytes unchanged when the response claims gzip but is not compressed', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte);
    world.fail({ kind: 'gzip', real: false }, isDownload, always);

    await archive(world, document.id);

    expect((await world.object(document.id))?.equals(megabyte)).toBe(true);
  });
});

describe('archiveDocument when a connection stalls', () => {
  it('fails with DownloadFailed when the download stalls', async () => {
    const world = await startWorld({ time: acceleratedTime(20) });
    const document = await world.add(megabyte);
    world.fail({ kind: 'stall', during: 'response', afterBytes: 200_000 }, isDownload, always);

    expect(await errorCodeOf(archive(world, document.id))).toBe('DownloadFailed');

    await expectNothingStored(world, document.id);
  });

  it('does not fail with DownloadFailed when the upload stalls and the source therefore sends nothing', async () => {
    const bytes = someBytes(20_000_000);
    const world = await startWorld({ time: acceleratedTime(20) });
    const document = await world.add(bytes);
    // Longer than the idle timeout of the download in accelerated time, to show that the timeout does not fire.
    const signal = AbortSignal.timeout(2_000);
    world.fail({ kind: 'stall', during: 'request', afterBytes: 1_000_000 }, isUpload, always);

    await expect(archive(world, document.id, { signal })).rejects.toHaveProperty('name', 'TimeoutError');

    expect(world.linkCalls).toHaveLength(1);
    await expectNothingStored(world, document.id);
  });

  it('fails with BucketUnavailable by the socket timeout of the S3 client when the upload gets no response', async () => {
    const { NodeHttpHandler } = await import('@smithy/node-http-handler');
    const requestHandler = new NodeHttpHandler({ requestTimeout: 500, throwOnRequestTimeout: true });
    const world = await startWorld({ s3Config: { requestHandler } });
    const document = await world.add(megabyte);
    world.fail({ kind: 'stall', during: 'request', afterBytes: 100_000 }, isUpload, always);

    expect(await errorCodeOf(archive(world, document.id))).toBe('BucketUnavailable');
  });
});

describe('archiveDocument when an upload fails', () => {
  const transient: [string, S3Fault][] = [
    ['a 503 SlowDown', { kind: 'error', status: 503, code: 'SlowDown', when: 'before-body' }],
    ['a 500 after all bytes', { kind: 'error', status: 500, code: 'InternalError', when: 'after-body' }],
    ['a 409', { kind: 'error', status: 409, code: 'ConditionalRequestConflict', when: 'after-body' }],
    ['a 400 BadDigest', { kind: 'error', status: 400, code: 'BadDigest', when: 'after-body' }],
    ['a reset in the middle', { kind: 'reset', during: 'request', afterBytes: 300_000 }],
    ['a lost reply', { kind: 'lose-reply' }],
  ];

  it.each(transient)('stores the object once, with a fresh link, after %s', async (_what, fault) => {
    const world = await startWorld();
    const document = await world.add(megabyte);
    world.fail(fault, isUpload);

    await archive(world, document.id);

    expect(world.linkCalls).toHaveLength(2);
    expect((await world.object(document.id))?.equals(megabyte)).toBe(true);
    expect((await world.receipt(document.id))?.object.sha256).toBe(sha256(megabyte));
  });

  const forGood: [string, number, string, ErrorCode][] = [
    ['permission is missing', 403, 'AccessDenied', 'BucketMisconfigured'],
    ['the bucket does not exist', 404, 'NoSuchBucket', 'BucketMisconfigured'],
    ['the bucket is in another region', 301, 'PermanentRedirect', 'BucketMisconfigured'],
    ['conditional writes are not supported', 501, 'NotImplemented', 'BucketMisconfigured'],
    ['the KMS key is disabled', 400, 'KMS.DisabledException', 'EncryptionKeyUnavailable'],
  ];

  it.each(forGood)('does not retry when %s', async (_what, status, code, expected) => {
    const world = await startWorld();
    const document = await world.add(megabyte);
    world.fail({ kind: 'error', status, code, when: 'after-body' }, isUpload, always);

    expect(await errorCodeOf(archive(world, document.id))).toBe(expected);

    expect(world.linkCalls).toHaveLength(1);
    await expectNothingStored(world, document.id);
  });

  it('mentions permissions in the error when S3 returns 403 before it reads the body', async () => {
    const world = await startWorld();
    const document = await world.add(someBytes(5_000_000));
    world.fail({ kind: 'error', status: 403, code: 'AccessDenied', when: 'before-body' }, isUpload, always);

    const error = await archive(world, document.id).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );

    expect(error).toBeInstanceOf(ArchiverError);
    expect((error as ArchiverError).message).toMatch(/permission|denies/);
  });

  it('keeps the object when the receipt fails, and writes only the receipt in the next receive', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte);
    world.fail({ kind: 'error', status: 403, code: 'AccessDenied', when: 'after-body' }, isReceiptUpload);
    expect(await errorCodeOf(archive(world, document.id))).toBe('BucketMisconfigured');
    const version = await world.client.send(
      new HeadObjectCommand({ Bucket: 'archive', Key: documentKey(document.id) }),
    );

    await archive(world, document.id);

    expect((await world.receipt(document.id))?.object.versionId).toBe(version.VersionId);
  });
});

describe('archiveDocument for a document that must not be archived', () => {
  it.each<[string, object, ErrorCode]>([
    ['is infected', { infected: true }, 'DocumentInfected'],
    ['is larger than maxDocumentBytes according to Telnyx', { bytes: 1_000_001 }, 'DocumentTooLarge'],
  ])('stores nothing when the document %s', async (_why, facts, code) => {
    const world = await startWorld({ overrides: { maxDocumentBytes: 1_000_000 } });
    const document = await world.add(megabyte, facts);

    expect(await errorCodeOf(archive(world, document.id))).toBe(code);

    await expectNothingStored(world, document.id);
  });

  it('fails with DocumentTooLarge when the document is larger than maxDocumentBytes according to its storage', async () => {
    const world = await startWorld({ overrides: { maxDocumentBytes: 999_999 } });
    const document = await world.add(megabyte, { bytes: undefined });

    expect(await errorCodeOf(archive(world, document.id))).toBe('DocumentTooLarge');
  });

  it('archives an infected document when archiveInfected is set', async () => {
    const world = await startWorld({ overrides: { archiveInfected: true } });
    const document = await world.add(megabyte, { infected: true });

    expect(await archive(world, document.id)).toMatchObject({ outcome: 'archived' });
  });
});

describe('the retries of archiveDocument', () => {
  it('looks up a document that Telnyx does not know twice and then fails with DocumentGone', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte);
    const documentRequest = vi
      .spyOn(world.dependencies.telnyx, 'document')
      .mockRejectedValue(new ArchiverError('DocumentGone', 'gone'));

    expect(await errorCodeOf(archive(world, document.id))).toBe('DocumentGone');

    expect(documentRequest).toHaveBeenCalledTimes(2);
  });

  it('retries the first DocumentGone even after another failure', async () => {
    const world = await startWorld({ time: acceleratedTime(20) });
    const document = await world.add(megabyte);
    vi.spyOn(world.dependencies.telnyx, 'document')
      .mockRejectedValueOnce(new ArchiverError('TelnyxUnavailable', 'down'))
      .mockRejectedValueOnce(new ArchiverError('DocumentGone', 'gone'));

    expect(await archive(world, document.id)).toMatchObject({ outcome: 'archived' });
  });

  it('retries after a short rate limit and fails with RateLimited after a long one', async () => {
    const world = await startWorld({ time: acceleratedTime(20) });
    const document = await world.add(megabyte);
    const limited = (retryAfterMs: number) => new ArchiverError('RateLimited', 'slow down', { retryAfterMs });
    const documentRequest = vi.spyOn(world.dependencies.telnyx, 'document');

    documentRequest.mockRejectedValueOnce(limited(60_000));
    expect(await errorCodeOf(archive(world, document.id))).toBe('RateLimited');
    documentRequest.mockRejectedValueOnce(limited(1_000));
    expect(await archive(world, document.id)).toMatchObject({ outcome: 'archived' });
  });

  it('retries after a programming error and finally fails with Unexpected', async () => {
    const world = await startWorld({ time: acceleratedTime(20) });
    const document = await world.add(megabyte);
    const bug = new TypeError('x is not a function');
    world.dependencies.telnyx = { ...world.dependencies.telnyx, document: () => Promise.reject(bug) };

    await expect(archive(world, document.id)).rejects.toMatchObject({ code: 'Unexpected', cause: bug });

    expect(world.linkCalls).toHaveLength(3);
  });

  it('starts no further attempt when less than 5 s are left', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte);
    world.fail(
      { kind: 'error', status: 500, code: 'InternalError', when: 'before-body' },
      isDownload,
      always,
    );

    const deadline = world.dependencies.time.monotonic() + 2_000;
    expect(await errorCodeOf(archive(world, document.id, { deadline }))).toBe('DownloadFailed');

    expect(world.linkCalls).toHaveLength(1);
  });

  it('stops in the middle of a download when the signal aborts, without an object or a connection in use', async () => {
    const world = await startWorld();
    const document = await world.add(someBytes(20_000_000));
    world.fail({ kind: 'drip', bytesPerSecond: 1_000_000 }, isDownload, always);
    const abort = new AbortController();
    const reason = new ArchiverError('OutOfTime', 'over');
    const work = archive(world, document.id, { signal: abort.signal });
    while ((world.s3.requests.get('PutObject') ?? 0) === 0) await realSleep(5);

    abort.abort(reason);

    await expect(work).rejects.toBe(reason);
    await expectNothingStored(world, document.id);
    await vi.waitFor(() => expect(world.s3.connections.open).toBeLessThanOrEqual(1));
  });

  it('never writes a presigned URL to an error or a log line', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte);
    world.fail({ kind: 'error', status: 403, code: 'AccessDenied', when: 'before-body' }, isDownload, always);

    const error = await archive(world, document.id).catch((thrown: unknown) => thrown);

    expect(`${(error as Error).message} ${world.lines.join(' ')}`).not.toMatch(
      /X-Amz|Signature|127\.0\.0\.1/,
    );
    expect(world.lines.length).toBeGreaterThan(0);
  });
});
