import { once } from 'node:events';
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ExpectedContent, VerifyingBody } from '../../functions/archive/verifying-body.ts';
import { propertyRuns } from '../fuzz-runs.ts';
import { sha256 } from './world.ts';

const pieces = fc.array(
  fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  { maxLength: 20 },
);

/** Reads a body over `chunks`. `verified` is its digest or the code of its error. */
async function readThrough(chunks: readonly Buffer[], expected: ExpectedContent) {
  const body = new VerifyingBody(Readable.from(chunks), expected);
  const out: Buffer[] = [];
  body.on('data', (chunk: Buffer) => out.push(chunk));
  const closed = once(body, 'close');
  const verified = await body.verified.catch((error: { code: string }) => error.code);
  await closed;
  return { body, out: Buffer.concat(out), verified };
}

describe('VerifyingBody', () => {
  it('passes matching bytes on unchanged in any chunks and resolves with their digest', async () => {
    await fc.assert(
      fc.asyncProperty(pieces, fc.boolean(), async (chunks, stated) => {
        const whole = Buffer.concat(chunks);
        const digest = sha256(whole);

        const { body, out, verified } = await readThrough(chunks, {
          bytes: whole.length,
          sha256: stated ? digest : undefined,
        });

        expect(out).toEqual(whole);
        expect([verified, body.digest]).toEqual([digest, digest]);
        expect(body.bytesReceived).toBe(whole.length);
        expect(body.readableEnded).toBe(true);
      }),
      { numRuns: propertyRuns(300) },
    );
  });

  it('fails with SizeMismatch and passes on at most the expected number of bytes when the length differs', async () => {
    await fc.assert(
      fc.asyncProperty(pieces, fc.integer({ min: -50, max: 50 }), async (chunks, off) => {
        const whole = Buffer.concat(chunks);
        const bytes = whole.length + off;
        fc.pre(off !== 0 && bytes >= 0);

        const { body, out, verified } = await readThrough(chunks, { bytes, sha256: undefined });

        expect(verified).toBe('SizeMismatch');
        expect(body.digest).toBeUndefined();
        expect(body.readableEnded).toBe(false);
        expect(out.length).toBeLessThanOrEqual(bytes);
      }),
      { numRuns: propertyRuns(300) },
    );
  });

  it.each([
    ['more', 12, undefined, 'Expected 10 bytes, received more.'],
    ['fewer', 8, undefined, 'Expected 10 bytes, received 8.'],
    ['different', 10, '0'.repeat(64), 'The bytes received do not have the SHA-256 that Telnyx states'],
  ])('explains the mismatch when the source sends %s bytes', async (_which, length, sha256, message) => {
    const body = new VerifyingBody(Readable.from([Buffer.alloc(length)]), { bytes: 10, sha256 });

    body.resume();

    await expect(body.verified).rejects.toThrow(message);
  });

  it('fails with ChecksumMismatch for any single flipped bit', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 2_000 }),
        fc.nat(),
        fc.nat({ max: 7 }),
        async (array, position, bit) => {
          const right = Buffer.from(array);
          const wrong = Buffer.from(right);
          const at = position % wrong.length;
          wrong[at] = (wrong[at] ?? 0) ^ (1 << bit);

          const { body, verified } = await readThrough([wrong], {
            bytes: right.length,
            sha256: sha256(right),
          });

          expect(verified).toBe('ChecksumMismatch');
          expect(body.readableEnded).toBe(false);
        },
      ),
      { numRuns: propertyRuns(300) },
    );
  });

  it('stops reading the source when its own reader does not read', async () => {
    let reads = 0;
    const source = new Readable({
      read() {
        reads += 1;
        this.push(Buffer.alloc(64 * 1_024));
      },
    });
    const body = new VerifyingBody(source, { bytes: 2 ** 40, sha256: undefined });
    expect(body.isWaitingForSource).toBe(false);

    body.on('readable', () => undefined);
    await turn();
    await turn();

    const before = reads;
    await turn();
    expect(reads).toBe(before);
    expect(reads).toBeLessThan(6);
    expect(body.isWaitingForSource).toBe(false);
    body.destroy();
  });

  it('waits for the source while its reader wants bytes and stops waiting once all bytes are verified', async () => {
    const source = new Readable({ read: () => undefined });
    const body = new VerifyingBody(source, { bytes: 3, sha256: undefined });
    body.on('readable', () => undefined);
    await turn();
    expect(body.isWaitingForSource).toBe(true);

    source.push('abc');
    source.push(null);
    await body.verified;

    expect(body.isWaitingForSource).toBe(false);
    body.destroy();
  });

  it('keeps the received bytes for its reader after the source has closed', async () => {
    const source = Readable.from([Buffer.from('abc')]);
    const body = new VerifyingBody(source, { bytes: 3, sha256: undefined });
    const closed = once(source, 'close');
    body.read(0);
    await closed;

    const out = await body.toArray();

    expect(Buffer.concat(out).toString()).toBe('abc');
  });
});

describe('an aborted or failed VerifyingBody', () => {
  const expected = { bytes: 10, sha256: undefined };
  const silentSource = () => new Readable({ read: () => undefined });

  it('rejects with the first abort reason and destroys its source', async () => {
    const source = silentSource();
    const body = new VerifyingBody(source, expected);
    const reason = new Error('The time is up.');

    body.abort(reason);
    body.abort(new Error('A later reason.'));

    await expect(body.verified).rejects.toBe(reason);
    expect([body.destroyed, source.destroyed]).toEqual([true, true]);
  });

  it.each([
    [
      'emits an error',
      () => Object.assign(new Error('https://secret'), { code: 'ECONNRESET' }),
      'Error ECONNRESET',
    ],
    ['closes', () => undefined, 'closed early'],
  ])(
    'fails with DownloadFailed and quotes no secret when its source %s',
    async (_how, makeError, description) => {
      const source = silentSource();
      const body = new VerifyingBody(source, expected);

      source.destroy(makeError());

      const error = await body.verified.catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({
        code: 'DownloadFailed',
        message: `The download was interrupted (${description}).`,
      });
      expect(body.destroyed).toBe(true);
    },
  );

  it('keeps the error of its source as the cause', async () => {
    const source = silentSource();
    const error = new Error('read ECONNRESET');
    const body = new VerifyingBody(source, expected);

    source.destroy(error);

    await expect(body.verified).rejects.toHaveProperty('cause', error);
  });

  it('accepts a length that is not known up to the limit, and fails with DocumentTooLarge above it', async () => {
    const bodyOf = (length: number) =>
      new VerifyingBody(Readable.from([Buffer.alloc(length)]), {
        bytes: undefined,
        maxBytes: 10,
        sha256: undefined,
      }).resume();

    await expect(bodyOf(10).verified).resolves.toMatch(/^[0-9a-f]{64}$/);
    await expect(bodyOf(11).verified).rejects.toMatchObject({
      code: 'DocumentTooLarge',
      message: 'The document has more than 10 bytes; the limit is 10. Raise maxDocumentBytes to archive it.',
    });
  });

  it('rejects at once when its source is already closed', async () => {
    const source = silentSource().destroy();
    await once(source, 'close');

    const { verified } = new VerifyingBody(source, expected);

    await expect(verified).rejects.toMatchObject({ code: 'DownloadFailed' });
  });

  it('emits no error, rejects with the reason and destroys its source when the reader destroys it', async () => {
    const source = silentSource();
    const body = new VerifyingBody(source, expected);
    const reason = new Error('The upload failed.');

    body.destroy(reason);

    await expect(body.verified).rejects.toBe(reason);
    expect(source.destroyed).toBe(true);
  });

  it('rejects with DownloadFailed when the reader destroys it without a reason', async () => {
    const body = new VerifyingBody(silentSource(), expected);

    body.destroy();

    await expect(body.verified).rejects.toThrow('The download was interrupted (closed by the reader).');
  });

  it('keeps its digest when it is aborted after the verification', async () => {
    const body = new VerifyingBody(Readable.from([Buffer.alloc(10)]), expected);
    body.resume();
    const digest = await body.verified;

    body.abort(new Error('Too late.'));

    await expect(body.verified).resolves.toBe(digest);
  });
});
