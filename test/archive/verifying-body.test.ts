import { once } from 'node:events';
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Promised, VerifyingBody } from '../../functions/archive/verifying-body.ts';
import { propertyRuns } from '../fuzz-runs.ts';
import { sha256 } from './world.ts';

const pieces = fc.array(
  fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  { maxLength: 20 },
);

/** What comes out at the other end, or the code of the error that ended it. */
async function through(chunks: readonly Buffer[], promised: Promised) {
  const body = new VerifyingBody(Readable.from(chunks), promised);
  const out: Buffer[] = [];
  body.on('data', (chunk: Buffer) => out.push(chunk));
  const closed = once(body, 'close');
  const verified = await body.verified.catch((error: { code: string }) => error.code);
  await closed;
  return { body, out: Buffer.concat(out), verified };
}

describe('the verifying body', () => {
  it('passes the right bytes on unchanged, however they are cut, and knows their digest', async () => {
    await fc.assert(
      fc.asyncProperty(pieces, fc.boolean(), async (chunks, stated) => {
        const whole = Buffer.concat(chunks);
        const digest = sha256(whole);

        const { body, out, verified } = await through(chunks, {
          bytes: whole.length,
          sha256: stated ? digest : undefined,
        });

        expect(out).toEqual(whole);
        expect([verified, body.digest]).toEqual([digest, digest]);
        expect(body.passed).toBe(whole.length);
        expect(body.readableEnded).toBe(true);
      }),
      { numRuns: propertyRuns(300) },
    );
  });

  it('refuses any other number of bytes than promised, and lets no more of them out', async () => {
    await fc.assert(
      fc.asyncProperty(pieces, fc.integer({ min: -50, max: 50 }), async (chunks, off) => {
        const whole = Buffer.concat(chunks);
        const bytes = whole.length + off;
        fc.pre(off !== 0 && bytes >= 0);

        const { body, out, verified } = await through(chunks, { bytes, sha256: undefined });

        expect(verified).toBe('SizeMismatch');
        expect(body.digest).toBeUndefined();
        expect(body.readableEnded).toBe(false);
        expect(out.length).toBeLessThanOrEqual(bytes);
      }),
      { numRuns: propertyRuns(300) },
    );
  });

  it.each([
    ['more', 12, undefined, 'The download held more than the 10 bytes that were announced.'],
    ['fewer', 8, undefined, 'The download held 8 instead of 10 bytes that were announced.'],
    ['other', 10, '0'.repeat(64), 'The bytes that arrived do not have the SHA-256 that Telnyx states'],
  ])('says what is wrong with %s bytes', async (_which, length, digest, words) => {
    const body = new VerifyingBody(Readable.from([Buffer.alloc(length)]), { bytes: 10, sha256: digest });

    body.resume();

    await expect(body.verified).rejects.toThrow(words);
  });

  it('notices any single flipped bit', async () => {
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

          const { body, verified } = await through([wrong], { bytes: right.length, sha256: sha256(right) });

          expect(verified).toBe('ChecksumMismatch');
          expect(body.readableEnded).toBe(false);
        },
      ),
      { numRuns: propertyRuns(300) },
    );
  });

  it('asks the source for no more than its reader takes', async () => {
    let asked = 0;
    const source = new Readable({
      read() {
        asked += 1;
        this.push(Buffer.alloc(64 * 1_024));
      },
    });
    const body = new VerifyingBody(source, { bytes: 2 ** 40, sha256: undefined });
    expect(body.awaitsSource).toBe(false);

    body.on('readable', () => undefined);
    await turn();
    await turn();

    const before = asked;
    await turn();
    expect(asked).toBe(before);
    expect(asked).toBeLessThan(6);
    expect(body.awaitsSource).toBe(false);
    body.destroy();
  });

  it('awaits the source while its reader is ahead, and no longer once everything has come', async () => {
    const source = new Readable({ read: () => undefined });
    const body = new VerifyingBody(source, { bytes: 3, sha256: undefined });
    body.on('readable', () => undefined);
    await turn();
    expect(body.awaitsSource).toBe(true);

    source.push('abc');
    source.push(null);
    await body.verified;

    expect(body.awaitsSource).toBe(false);
    body.destroy();
  });

  it('keeps what has come for a reader that is slower than the source is to close', async () => {
    const source = Readable.from([Buffer.from('abc')]);
    const body = new VerifyingBody(source, { bytes: 3, sha256: undefined });
    const closed = once(source, 'close');
    body.read(0);
    await closed;

    const out = await body.toArray();

    expect(Buffer.concat(out).toString()).toBe('abc');
  });
});

describe('a verifying body that is broken off', () => {
  const promised = { bytes: 10, sha256: undefined };
  const endless = () => new Readable({ read: () => undefined });

  it('tells the first cause, and destroys its source', async () => {
    const source = endless();
    const body = new VerifyingBody(source, promised);
    const cause = new Error('The time is up.');

    body.breakOff(cause);
    body.breakOff(new Error('And something else.'));

    await expect(body.verified).rejects.toBe(cause);
    expect([body.destroyed, source.destroyed]).toEqual([true, true]);
  });

  it.each([
    ['breaks', () => Object.assign(new Error('https://secret'), { code: 'ECONNRESET' }), 'Error ECONNRESET'],
    ['closes', () => undefined, 'closed early'],
  ])('because its source %s says so, without what may be secret', async (_how, makeError, words) => {
    const source = endless();
    const body = new VerifyingBody(source, promised);

    source.destroy(makeError());

    const error = await body.verified.catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'DownloadFailed', message: `The download broke off (${words}).` });
    expect(body.destroyed).toBe(true);
  });

  it('from the start, over a source that is closed already, does not wait for it', async () => {
    const source = endless().destroy();
    await once(source, 'close');

    const { verified } = new VerifyingBody(source, promised);

    await expect(verified).rejects.toMatchObject({ code: 'DownloadFailed' });
  });

  it('by its reader emits no error, tells it, and destroys its source', async () => {
    const source = endless();
    const body = new VerifyingBody(source, promised);
    const cause = new Error('The upload failed.');

    body.destroy(cause);

    await expect(body.verified).rejects.toBe(cause);
    expect(source.destroyed).toBe(true);
  });

  it('by its reader without a cause says that nobody reads it', async () => {
    const body = new VerifyingBody(endless(), promised);

    body.destroy();

    await expect(body.verified).rejects.toThrow('The download broke off (nobody reads it).');
  });

  it('after the bytes were verified leaves it at that', async () => {
    const body = new VerifyingBody(Readable.from([Buffer.alloc(10)]), promised);
    body.resume();
    const digest = await body.verified;

    body.breakOff(new Error('Too late.'));

    await expect(body.verified).resolves.toBe(digest);
  });
});
