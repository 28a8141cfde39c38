import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as realSleep } from 'node:timers/promises';
import { HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { describe, expect, it, vi } from 'vitest';
import { archiveDocument } from '../../functions/archive/archive-document.ts';
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import { ArchiverError, type ErrorCode } from '../../functions/errors.ts';
import type { TelnyxDocument } from '../../functions/telnyx/client.ts';
import { systemTime } from '../../functions/time.ts';
import type { Trigger } from '../../functions/trigger.ts';
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

const put = (world: World, key: string, body: Buffer, extra = {}) =>
  world.client.send(new PutObjectCommand({ Bucket: 'archive', Key: key, Body: body, ...extra }));

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

describe('a document whose length neither Telnyx nor its storage states', () => {
  /** The end of the connection is the end of the body. */
  const withoutLength: S3Fault = { kind: 'truncate', afterBytes: megabyte.length, withLength: false };
  const unstated = { bytes: undefined, sha256: undefined };

  it.each([
    ['stated', { bytes: undefined }, 'telnyx'],
    ['not stated', unstated, 'archiver'],
  ])('is read twice, through two links, and put once, with its hash %s', async (_how, facts, statedBy) => {
    const world = await startWorld();
    const document = await world.add(megabyte, facts);
    world.fail(withoutLength, ofDownload, always);
    const putOnce = vi.spyOn(world.dependencies.bucket, 'putOnce');

    expect(await archive(world, document.id)).toMatchObject({ outcome: 'archived', bytes: megabyte.length });

    expect(world.linkCalls).toHaveLength(2);
    expect(world.s3.requests.get('GetObject')).toBe(2);
    expect(putOnce.mock.calls[0]?.[0]).toMatchObject({ bytes: megabyte.length, sha256: sha256(megabyte) });
    expect((await world.object(document.id))?.equals(megabyte)).toBe(true);
    expect((await world.receipt(document.id))?.object).toMatchObject({
      bytes: megabyte.length,
      sha256: sha256(megabyte),
      sha256StatedBy: statedBy,
    });
  });

  it('is archived if it is empty', async () => {
    const world = await startWorld();
    const document = await world.add(Buffer.alloc(0), unstated);
    world.fail(withoutLength, ofDownload, always);

    expect(await archive(world, document.id)).toMatchObject({ outcome: 'archived', bytes: 0 });
  });

  it('is archived if it has exactly as many bytes as the stage allows', async () => {
    const world = await startWorld({ overrides: { maxDocumentBytes: megabyte.length } });
    const document = await world.add(megabyte, unstated);
    world.fail(withoutLength, ofDownload, always);

    expect(await archive(world, document.id)).toMatchObject({ outcome: 'archived' });
  });

  it('is DocumentTooLarge at the first byte over the limit, however much would follow', async () => {
    const bytes = someBytes(20_000_000);
    const world = await startWorld({ overrides: { maxDocumentBytes: 999_999 } });
    const document = await world.add(bytes, unstated);
    world.fail({ ...withoutLength, afterBytes: bytes.length }, ofDownload, always);
    const download = vi.fn(world.dependencies.download);
    world.dependencies.download = download;

    expect(await codeOf(archive(world, document.id))).toBe('DocumentTooLarge');

    expect(world.linkCalls).toHaveLength(1);
    expect((await download.mock.results[0]?.value)?.body.destroyed).toBe(true);
    await expectNothingStored(world, document.id);
  });

  it.each<[string, S3Fault, ErrorCode]>([
    ['ends earlier', { ...withoutLength, afterBytes: 999_999 }, 'SizeMismatch'],
    ['is longer', { kind: 'longer', extraBytes: 1, withLength: false }, 'SizeMismatch'],
    ['announces another length', { kind: 'longer', extraBytes: 1, withLength: true }, 'SizeMismatch'],
    ['holds other bytes', { kind: 'corrupt', atByte: 5 }, 'ChecksumMismatch'],
  ])('is not stored if the second reading %s than the first', async (_how, fault, code) => {
    const world = await startWorld();
    // One byte more than the first reading shows, unless the length is what shall be right.
    const isShort = fault.kind === 'longer' && fault.withLength;
    const document = await world.add(megabyte, unstated);
    const first = isShort ? { ...withoutLength, afterBytes: 999_999 } : withoutLength;
    world.fail(first, ofDownload);
    world.fail(fault, ofDownload);

    const deadline = world.dependencies.time.monotonic();
    expect(await codeOf(archive(world, document.id, { deadline }))).toBe(code);

    await expectNothingStored(world, document.id);
  });

  it('is given up as ChecksumMismatch after the first reading if that has another hash than Telnyx states', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte, { bytes: undefined, sha256: 'a'.repeat(64) });
    world.fail(withoutLength, ofDownload, always);

    const deadline = world.dependencies.time.monotonic();
    expect(await codeOf(archive(world, document.id, { deadline }))).toBe('ChecksumMismatch');

    expect(world.linkCalls).toHaveLength(1);
  });

  it('needs no third reading to recognise the object that another delivery has stored', async () => {
    const world = await startWorld();
    const document = await world.add(megabyte, unstated);
    world.fail(withoutLength, ofDownload, always);
    await put(world, documentKey(document.id), megabyte);

    expect(await archive(world, document.id)).toMatchObject({ outcome: 'archived' });

    expect(world.linkCalls).toHaveLength(2);
  });
});

describe('a document that a sweep or a span has just found without a receipt', () => {
  /** The order in which questions are asked and answered, with a receipt that is looked for until `answer` is called. */
  async function startAsking(trigger: Trigger, receives = 1, document?: () => Promise<TelnyxDocument>) {
    const world = await startWorld();
    const known = await world.add(megabyte);
    const found = Promise.withResolvers<boolean>();
    const asked: string[] = [];
    const { telnyx, receipts } = world.dependencies;
    world.dependencies.receipts = {
      ...receipts,
      exists: () => {
        asked.push('receipt');
        return found.promise;
      },
    };
    world.dependencies.telnyx = {
      ...telnyx,
      document: (id, signal) => {
        asked.push('metadata');
        return document ? document() : telnyx.document(id, signal);
      },
      downloadLink: (id, signal) => {
        asked.push('link');
        return telnyx.downloadLink(id, signal);
      },
    };
    const message = { ...messageFor(known.id), trigger };
    const work = archiveDocument(message, receive({ receives }), world.dependencies);
    await realSleep(0);
    return { world, known, asked, found, work };
  }

  it.each(['sweep', 'backfill'] as const)(
    'asks for receipt, metadata and link at once (%s), with the same requests as ever',
    async (trigger) => {
      const { world, known, asked, found, work } = await startAsking(trigger);

      const askedAtOnce = [...asked].sort();
      found.resolve(false);

      expect(askedAtOnce).toEqual(['link', 'metadata', 'receipt']);
      expect(await work).toMatchObject({ outcome: 'archived' });
      expect(asked).toHaveLength(3);
      expect(Object.fromEntries(world.s3.requests)).toEqual({ PutObject: 2, GetObject: 1 });
      expect((await world.object(known.id))?.equals(megabyte)).toBe(true);
    },
  );

  it.each<[Trigger, number]>([
    ['webhook', 1],
    ['operator', 1],
    ['sweep', 2],
    ['backfill', 2],
  ])('asks for the receipt first where that may well exist (%s, receive %i)', async (trigger, receives) => {
    const { asked, found, work } = await startAsking(trigger, receives);

    const askedAtOnce = [...asked];
    found.resolve(true);

    expect(askedAtOnce).toEqual(['receipt']);
    expect(await work).toEqual({ outcome: 'already-archived' });
    expect(asked).toEqual(['receipt']);
  });

  it('is already-archived if the receipt turns out to exist, whatever Telnyx answers, and nothing is downloaded', async () => {
    const gone = () => Promise.reject(new ArchiverError('DocumentGone', 'gone'));
    const { world, found, work } = await startAsking('sweep', 1, gone);

    found.resolve(true);

    expect(await work).toEqual({ outcome: 'already-archived' });
    expect(Object.fromEntries(world.s3.requests)).toEqual({});
  });

  it.each(['the receipt exists', 'the receipt cannot be looked for'])(
    'leaves no question unanswered when %s',
    async (what) => {
      const answer = Promise.withResolvers<TelnyxDocument>();
      const { found, work } = await startAsking('sweep', 1, () => answer.promise);
      let isDone = false;
      const done = work.then(
        () => undefined,
        (error: unknown) => error,
      );
      done.then(() => {
        isDone = true;
      });
      const unavailable = new ArchiverError('BucketUnavailable', 'down');

      if (what === 'the receipt exists') found.resolve(true);
      else found.reject(unavailable);
      await realSleep(20);
      const wasDone = isDone;
      answer.reject(new ArchiverError('TelnyxUnavailable', 'down'));

      expect(wasDone).toBe(false);
      expect(await done).toBe(what === 'the receipt exists' ? undefined : unavailable);
    },
  );

  it('asks Telnyx afresh in the next attempt when the first answer was a failure', async () => {
    let failures = 0;
    const world = await startWorld({ time: hurriedTime(20) });
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
    ['not there', { kind: 'error', status: 404, code: 'NoSuchKey', when: 'before-body' }, 'DownloadRefused'],
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

  it('(one byte every 1.5 s) is given up as DownloadFailed after 15 s, not at the end of the invocation', async () => {
    const factor = 30;
    const time = {
      ...hurriedTime(factor),
      monotonic: () => systemTime.monotonic() * factor,
    };
    const world = await startWorld({ time });
    const document = await world.add(megabyte);
    world.fail({ kind: 'drip', bytesPerSecond: factor / 1.5 }, ofDownload, always);
    const began = time.monotonic();

    const deadline = began + 20_000;
    expect(await codeOf(archive(world, document.id, { deadline }))).toBe('DownloadFailed');

    expect(world.s3.requests.get('PutObject')).toBe(1);
    expect(time.monotonic() - began).toBeLessThan(57_000);
    await expectNothingStored(world, document.id);
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

  it('looks a document up once more when Telnyx first says that it is gone, also after another failure', async () => {
    const world = await startWorld({ time: hurriedTime(20) });
    const document = await world.add(megabyte);
    vi.spyOn(world.dependencies.telnyx, 'document')
      .mockRejectedValueOnce(new ArchiverError('TelnyxUnavailable', 'down'))
      .mockRejectedValueOnce(new ArchiverError('DocumentGone', 'gone'));

    expect(await archive(world, document.id)).toMatchObject({ outcome: 'archived' });
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

  it('tries again after a mistake of its own, and names it as Unexpected in the end', async () => {
    const world = await startWorld({ time: hurriedTime(20) });
    const document = await world.add(megabyte);
    const mistake = new TypeError('x is not a function');
    world.dependencies.telnyx = { ...world.dependencies.telnyx, document: () => Promise.reject(mistake) };

    await expect(archive(world, document.id)).rejects.toMatchObject({ code: 'Unexpected', cause: mistake });

    expect(world.linkCalls).toHaveLength(3);
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
