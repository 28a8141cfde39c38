import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as realSleep } from 'node:timers/promises';
import { HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { describe, expect, it, vi } from 'vitest';
import { archiveDocument } from '../../functions/archive/archive-document.ts';
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import { ArchiverError, type ErrorCode } from '../../functions/errors.ts';
import type { S3Fault } from '../../local/s3/faults.ts';
import {
  hurriedTime,
  messageFor,
  ofDownload,
  ofReceipt,
  ofUpload,
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

async function codeOf(work: Promise<unknown>): Promise<ErrorCode> {
  const error = await work.then(
    () => new Error('It was archived.'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ArchiverError)) throw error;
  return error.code;
}

async function expectNothingStored(world: World, id: string) {
  expect(await world.object(id)).toBeUndefined();
  expect(await world.receipt(id)).toBeUndefined();
}

describe('a document that is new', () => {
  it('ends as an exact copy with a receipt that tells its whole story', async () => {
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

  it('is archived although fields of its record are malformed, with one warning and a metric', async () => {
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

  it('is archived with a mark in its receipt where its record is cut, and counted', async () => {
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

  it('has Telnyx’s record in its receipt as it came, numbers and all', async () => {
    const world = await startWorld();
    const record = '{"id" : "x",\n"account":2791500000000000123, "e":1e400}';
    const document = await world.add(megabyte, { record });

    await archive(world, document.id);

    const receipt = await readFile(join(world.directory, 'archive', receiptKey(document.id)), 'utf8');
    expect(receipt).toContain(`"telnyx": ${record}\n}\n`);
  });

  it('costs three requests to S3, one download and no connection more than it must', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte);

    await archive(world, document.id);

    expect(Object.fromEntries(world.s3.requests)).toEqual({ HeadObject: 1, PutObject: 2, GetObject: 1 });
    expect(world.linkCalls).toHaveLength(1);
    expect(world.s3.connections.accepted).toBeLessThanOrEqual(2);
  });

  it.each([
    ['its hash', { sha256: undefined }],
    ['its size', { bytes: undefined }],
    ['its hash and its size', { sha256: undefined, bytes: undefined }],
  ])('is archived although Telnyx does not state %s', async (_what, facts) => {
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
    'of %i bytes is copied exactly, with its hash stated or not',
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

describe('a document that is archived already', () => {
  it('costs one request to S3 and none to Telnyx', async () => {
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

  it('is written once even if twenty deliveries race', async () => {
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

describe('a key that is taken', () => {
  const put = (world: World, key: string, body: Buffer, extra = {}) =>
    world.client.send(new PutObjectCommand({ Bucket: 'archive', Key: key, Body: body, ...extra }));

  it.each([
    ['with the hash that S3 states', { ChecksumAlgorithm: 'SHA256' }],
    ['with no SHA-256 at S3, so that its bytes are read back', { ChecksumAlgorithm: 'CRC32' }],
  ])('by the same bytes %s is receipted as it stands', async (_how, checksum) => {
    const world = await startWorld();
    const document = await world.add(megabyte);
    const standing = await put(world, documentKey(document.id), megabyte, checksum);

    await archive(world, document.id);

    expect((await world.receipt(document.id))?.object).toMatchObject({
      versionId: standing.VersionId,
      sha256: sha256(megabyte),
    });
  });

  it('by the same bytes is recognised even if nobody states the hash', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte, { sha256: undefined });
    await put(world, documentKey(document.id), megabyte);

    await archive(world, document.id);

    expect((await world.receipt(document.id))?.object.sha256).toBe(sha256(megabyte));
  });

  it('by the same bytes is recognised even if nobody states the hash and S3 refuses before it has read them', async () => {
    const world = await startWorld();
    const bytes = someBytes(20_000_000);
    const document = await world.add(bytes, { sha256: undefined });
    await put(world, documentKey(document.id), bytes);
    const early: S3Fault = { kind: 'error', status: 412, code: 'PreconditionFailed', when: 'before-body' };
    world.fail(early, ofUpload);

    await archive(world, document.id);

    expect((await world.receipt(document.id))?.object.sha256).toBe(sha256(bytes));
    // The download, the same once more for its digest, and what stands in the bucket, which has no SHA-256.
    expect(world.s3.requests.get('GetObject')).toBe(3);
  });

  it.each([
    ['states', {}],
    ['does not state', { sha256: undefined }],
  ])('by other bytes is a KeyCollision and stays as it is, if Telnyx %s the hash', async (_how, facts) => {
    const world = await startWorld();
    const document = await world.add(megabyte, facts);
    const other = someBytes(1_000);
    await put(world, documentKey(document.id), other);

    expect(await codeOf(archive(world, document.id))).toBe('KeyCollision');

    expect((await world.object(document.id))?.equals(other)).toBe(true);
    expect(await world.receipt(document.id)).toBeUndefined();
  });

  it('and is free again when looked at is a BucketConflict, and tried again', async () => {
    const world = await startWorld({ time: hurriedTime(4) });
    const document = await world.add(megabyte);
    const taken: S3Fault = { kind: 'error', status: 412, code: 'PreconditionFailed', when: 'after-body' };
    world.fail(taken, ofUpload);

    await archive(world, document.id);

    expect(world.lines.join('')).toContain('BucketConflict');
    expect((await world.object(document.id))?.equals(megabyte)).toBe(true);
  });

  it('by a receipt for other bytes is a KeyCollision', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte);
    const receipt = Buffer.from(JSON.stringify({ object: { sha256: 'f'.repeat(64) } }));
    // Written by another delivery, between this one's look and its own receipt.
    const headOnce = world.dependencies.receipts.exists;
    world.dependencies.receipts.exists = async (...args) => {
      const found = await headOnce(...args);
      await put(world, receiptKey(document.id), receipt);
      return found;
    };

    expect(await codeOf(archive(world, document.id))).toBe('KeyCollision');
    expect(world.s3.requests.get('PutObject')).toBe(3);
  });
});

describe('a download that goes wrong once', () => {
  const once: [string, S3Fault][] = [
    ['is reset before the first byte', { kind: 'reset', during: 'response', afterBytes: 0 }],
    ['is reset in the middle', { kind: 'reset', during: 'response', afterBytes: 500_000 }],
    ['ends early, against its Content-Length', { kind: 'truncate', afterBytes: 500_000, withLength: true }],
    ['ends early without a Content-Length', { kind: 'truncate', afterBytes: 500_000, withLength: false }],
    ['is longer than announced', { kind: 'longer', extraBytes: 10, withLength: false }],
    ['has one bit flipped', { kind: 'corrupt', atByte: 777_777 }],
    ['is compressed on the way', { kind: 'gzip', real: true }],
    ['is redirected', { kind: 'redirect', location: 'http://127.0.0.1:9/elsewhere' }],
    ['is refused as expired', { kind: 'error', status: 403, code: 'AccessDenied', when: 'before-body' }],
    ['is answered with 500', { kind: 'error', status: 500, code: 'InternalError', when: 'before-body' }],
  ];

  it.each(once)('%s is tried again with a fresh link, and archived', async (_what, fault) => {
    const world = await startWorld();
    const document = await world.add(megabyte);
    world.fail(fault, ofDownload);

    await archive(world, document.id);

    expect(world.linkCalls).toHaveLength(2);
    expect((await world.object(document.id))?.equals(megabyte)).toBe(true);
  });
});

describe('a download that goes wrong for good', () => {
  const forGood: [string, S3Fault, ErrorCode][] = [
    ['reset in the middle', { kind: 'reset', during: 'response', afterBytes: 500_000 }, 'DownloadFailed'],
    ['cut, with a length', { kind: 'truncate', afterBytes: 500_000, withLength: true }, 'DownloadFailed'],
    ['cut, without a length', { kind: 'truncate', afterBytes: 500_000, withLength: false }, 'SizeMismatch'],
    ['too long', { kind: 'longer', extraBytes: 10, withLength: false }, 'SizeMismatch'],
    ['with one bit flipped', { kind: 'corrupt', atByte: 0 }, 'ChecksumMismatch'],
    ['really compressed', { kind: 'gzip', real: true }, 'SizeMismatch'],
    ['redirected', { kind: 'redirect', location: 'http://127.0.0.1:9/' }, 'RedirectRefused'],
    ['expired', { kind: 'error', status: 403, code: 'AccessDenied', when: 'before-body' }, 'LinkExpired'],
    ['not there', { kind: 'error', status: 404, code: 'NoSuchKey', when: 'before-body' }, 'DownloadFailed'],
  ];

  it.each(forGood)('(%s) is given up with its code, and nothing is stored', async (_what, fault, code) => {
    const world = await startWorld({ time: hurriedTime(4) });
    const document = await world.add(megabyte);
    world.fail(fault, ofDownload, always);

    expect(await codeOf(archive(world, document.id))).toBe(code);

    await expectNothingStored(world, document.id);
    expect(world.linkCalls).toHaveLength(3);
  });

  it('(wrong hash at Telnyx) is given up as ChecksumMismatch, and nothing is stored', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte, { sha256: 'a'.repeat(64) });

    expect(await codeOf(archive(world, document.id))).toBe('ChecksumMismatch');

    await expectNothingStored(world, document.id);
  });

  it('(another length at Telnyx than at its storage) is given up as SizeMismatch before a byte is sent', async () => {
    const world = await startWorld({ time: hurriedTime(4) });
    const document = await world.add(megabyte, { bytes: megabyte.length + 1 });

    expect(await codeOf(archive(world, document.id))).toBe('SizeMismatch');

    expect(world.s3.requests.get('PutObject')).toBeUndefined();
    await expectNothingStored(world, document.id);
  });

  it('(no length from anyone) is given up as LengthUnknown, as S3 must know it beforehand', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte, { bytes: undefined });
    world.fail({ kind: 'truncate', afterBytes: 1_000_000, withLength: false }, ofDownload, always);

    expect(await codeOf(archive(world, document.id))).toBe('LengthUnknown');
  });

  it('keeps raw bytes where the encoding is only claimed', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte);
    world.fail({ kind: 'gzip', real: false }, ofDownload, always);

    await archive(world, document.id);

    expect((await world.object(document.id))?.equals(megabyte)).toBe(true);
  });
});

describe('a neighbour that falls silent', () => {
  it('is named as the source when the download stalls', async () => {
    const world = await startWorld({ time: hurriedTime(20) });
    const document = await world.add(megabyte);
    world.fail({ kind: 'stall', during: 'response', afterBytes: 200_000 }, ofDownload, always);

    expect(await codeOf(archive(world, document.id))).toBe('DownloadFailed');

    await expectNothingStored(world, document.id);
  });

  it('is named as S3 when the upload stalls, although the source is then silent too', async () => {
    const bytes = someBytes(20_000_000);
    const world = await startWorld({ time: hurriedTime(20) });
    const document = await world.add(bytes);
    // Longer than the source's patience in hurried time, to see that it does not run out.
    const signal = AbortSignal.timeout(2_000);
    world.fail({ kind: 'stall', during: 'request', afterBytes: 1_000_000 }, ofUpload, always);

    await expect(archive(world, document.id, { signal })).rejects.toHaveProperty('name', 'TimeoutError');

    expect(world.linkCalls).toHaveLength(1);
    await expectNothingStored(world, document.id);
  });

  it('is given up when its upload gets no answer, by the socket timeout of the client', async () => {
    const { NodeHttpHandler } = await import('@smithy/node-http-handler');
    const requestHandler = new NodeHttpHandler({ requestTimeout: 500, throwOnRequestTimeout: true });
    const world = await startWorld({ s3Config: { requestHandler } });
    const document = await world.add(megabyte);
    world.fail({ kind: 'stall', during: 'request', afterBytes: 100_000 }, ofUpload, always);

    expect(await codeOf(archive(world, document.id))).toBe('BucketUnavailable');
  });
});

describe('an upload that goes wrong', () => {
  const transient: [string, S3Fault][] = [
    ['503 SlowDown', { kind: 'error', status: 503, code: 'SlowDown', when: 'before-body' }],
    ['500 after all bytes', { kind: 'error', status: 500, code: 'InternalError', when: 'after-body' }],
    ['409', { kind: 'error', status: 409, code: 'ConditionalRequestConflict', when: 'after-body' }],
    ['400 BadDigest', { kind: 'error', status: 400, code: 'BadDigest', when: 'after-body' }],
    ['a reset in the middle', { kind: 'reset', during: 'request', afterBytes: 300_000 }],
    ['a lost reply', { kind: 'lose-reply' }],
  ];

  it.each(transient)(
    'with %s is tried again, link and all, and the key is written once',
    async (_what, fault) => {
      const world = await startWorld();
      const document = await world.add(megabyte);
      world.fail(fault, ofUpload);

      await archive(world, document.id);

      expect(world.linkCalls).toHaveLength(2);
      expect((await world.object(document.id))?.equals(megabyte)).toBe(true);
      expect((await world.receipt(document.id))?.object.sha256).toBe(sha256(megabyte));
    },
  );

  const forGood: [string, number, string, ErrorCode][] = [
    ['no permission', 403, 'AccessDenied', 'BucketMisconfigured'],
    ['no bucket', 404, 'NoSuchBucket', 'BucketMisconfigured'],
    ['another region', 301, 'PermanentRedirect', 'BucketMisconfigured'],
    ['no conditional writes', 501, 'NotImplemented', 'BucketMisconfigured'],
    ['a disabled KMS key', 400, 'KMS.DisabledException', 'EncryptionKeyUnavailable'],
  ];

  it.each(forGood)(
    'for want of %s waits for a person, without another attempt',
    async (_what, status, code, expected) => {
      const world = await startWorld();
      const document = await world.add(megabyte);
      world.fail({ kind: 'error', status, code, when: 'after-body' }, ofUpload, always);

      expect(await codeOf(archive(world, document.id))).toBe(expected);

      expect(world.linkCalls).toHaveLength(1);
      await expectNothingStored(world, document.id);
    },
  );

  it('hints at permissions where S3 refuses before it has read the body', async () => {
    const world = await startWorld();
    const document = await world.add(someBytes(5_000_000));
    world.fail({ kind: 'error', status: 403, code: 'AccessDenied', when: 'before-body' }, ofUpload, always);

    const error = await archive(world, document.id).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );

    expect(error).toBeInstanceOf(ArchiverError);
    expect((error as ArchiverError).message).toMatch(/permission|denies/);
  });

  it('leaves an object without a receipt when the receipt fails, and the next receive writes only that', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte);
    world.fail({ kind: 'error', status: 403, code: 'AccessDenied', when: 'after-body' }, ofReceipt);
    expect(await codeOf(archive(world, document.id))).toBe('BucketMisconfigured');
    const version = await world.client.send(
      new HeadObjectCommand({ Bucket: 'archive', Key: documentKey(document.id) }),
    );

    await archive(world, document.id);

    expect((await world.receipt(document.id))?.object.versionId).toBe(version.VersionId);
  });
});

describe('a document that must not be archived', () => {
  it.each<[string, object, ErrorCode]>([
    ['infected', { infected: true }, 'DocumentInfected'],
    ['larger than the stage allows, as Telnyx says', { bytes: 1_000_001 }, 'DocumentTooLarge'],
  ])('because it is %s is refused', async (_why, facts, code) => {
    const world = await startWorld({ overrides: { maxDocumentBytes: 1_000_000 } });
    const document = await world.add(megabyte, facts);

    expect(await codeOf(archive(world, document.id))).toBe(code);

    await expectNothingStored(world, document.id);
  });

  it('because it is larger than the stage allows, as its storage says, is refused', async () => {
    const world = await startWorld({ overrides: { maxDocumentBytes: 999_999 } });
    const document = await world.add(megabyte, { bytes: undefined });

    expect(await codeOf(archive(world, document.id))).toBe('DocumentTooLarge');
  });

  it('is archived where the stage wants infected documents too', async () => {
    const world = await startWorld({ overrides: { archiveInfected: true } });
    const document = await world.add(megabyte, { infected: true });

    expect(await archive(world, document.id)).toMatchObject({ outcome: 'archived' });
  });
});

describe('the bounds of trying', () => {
  it('lets a document that Telnyx does not know yet be looked up twice, not more', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte);
    const lookUp = vi
      .spyOn(world.dependencies.telnyx, 'document')
      .mockRejectedValue(new ArchiverError('DocumentGone', 'gone'));

    expect(await codeOf(archive(world, document.id))).toBe('DocumentGone');

    expect(lookUp).toHaveBeenCalledTimes(2);
  });

  it('waits out a short rate limit and leaves a long one to the queue', async () => {
    const world = await startWorld({ time: hurriedTime(20) });
    const document = await world.add(megabyte);
    const limited = (retryAfterMs: number) => new ArchiverError('RateLimited', 'slow down', { retryAfterMs });
    const lookUp = vi.spyOn(world.dependencies.telnyx, 'document');

    lookUp.mockRejectedValueOnce(limited(60_000));
    expect(await codeOf(archive(world, document.id))).toBe('RateLimited');
    lookUp.mockRejectedValueOnce(limited(1_000));
    expect(await archive(world, document.id)).toMatchObject({ outcome: 'archived' });
  });

  it('does not try again after what is a mistake of its own', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte);
    const mistake = new TypeError('x is not a function');
    world.dependencies.telnyx = { ...world.dependencies.telnyx, document: () => Promise.reject(mistake) };

    await expect(archive(world, document.id)).rejects.toBe(mistake);

    expect(world.linkCalls).toHaveLength(1);
  });

  it('begins no further attempt when the time left is short', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte);
    world.fail(
      { kind: 'error', status: 500, code: 'InternalError', when: 'before-body' },
      ofDownload,
      always,
    );

    const deadline = world.dependencies.time.monotonic() + 2_000;
    expect(await codeOf(archive(world, document.id, { deadline }))).toBe('DownloadFailed');

    expect(world.linkCalls).toHaveLength(1);
  });

  it('ends at once with the signal, in the middle of the bytes, and leaves neither object nor connection in use', async () => {
    const world = await startWorld();
    const document = await world.add(someBytes(20_000_000));
    world.fail({ kind: 'drip', bytesPerSecond: 1_000_000 }, ofDownload, always);
    const abort = new AbortController();
    const reason = new ArchiverError('OutOfTime', 'over');
    const work = archive(world, document.id, { signal: abort.signal });
    while ((world.s3.requests.get('PutObject') ?? 0) === 0) await realSleep(5);

    abort.abort(reason);

    await expect(work).rejects.toBe(reason);
    await expectNothingStored(world, document.id);
    await vi.waitFor(() => expect(world.s3.connections.open).toBeLessThanOrEqual(1));
  });

  it('never shows a presigned URL in a log line, whatever goes wrong', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte);
    world.fail({ kind: 'error', status: 403, code: 'AccessDenied', when: 'before-body' }, ofDownload, always);

    const error = await archive(world, document.id).catch((thrown: unknown) => thrown);

    expect(`${(error as Error).message} ${world.lines.join(' ')}`).not.toMatch(
      /X-Amz|Signature|127\.0\.0\.1/,
    );
    expect(world.lines.length).toBeGreaterThan(0);
  });
});
