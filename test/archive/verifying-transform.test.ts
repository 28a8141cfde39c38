import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VerifyingTransform } from '../../functions/archive/verifying-transform.ts';
import { sha256 } from './world.ts';

const pieces = fc.array(
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  { maxLength: 20 },
);

/** What comes out at the other end, or the code of the error that ended it. */
async function through(chunks: readonly Buffer[], verifier: VerifyingTransform): Promise<Buffer | string> {
  const out: Buffer[] = [];
  const sink = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      out.push(chunk);
      done();
    },
  });
  try {
    await pipeline(Readable.from(chunks), verifier, sink);
    return Buffer.concat(out);
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe('the verifying transform', () => {
  it('passes the right bytes on unchanged, however they are cut, and knows their digest', async () => {
    await fc.assert(
      fc.asyncProperty(pieces, fc.boolean(), async (chunks, stated) => {
        const whole = Buffer.concat(chunks);
        const digest = sha256(whole);
        const verifier = new VerifyingTransform({ bytes: whole.length, sha256: stated ? digest : undefined });

        const out = await through(chunks, verifier);

        expect(out).toEqual(whole);
        expect(verifier.digest).toBe(digest);
        expect(verifier.passed).toBe(whole.length);
      }),
      { numRuns: 300 },
    );
  });

  it('refuses any other number of bytes than promised', async () => {
    await fc.assert(
      fc.asyncProperty(pieces, fc.integer({ min: -50, max: 50 }), async (chunks, off) => {
        const whole = Buffer.concat(chunks);
        fc.pre(off !== 0 && whole.length + off >= 0);
        const verifier = new VerifyingTransform({ bytes: whole.length + off, sha256: undefined });

        expect(await through(chunks, verifier)).toBe('SizeMismatch');

        expect(verifier.digest).toBeUndefined();
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ['more', 12, undefined, 'The download held more than the 10 bytes that were announced.'],
    ['fewer', 8, undefined, 'The download held 8 instead of 10 bytes that were announced.'],
    ['other', 10, '0'.repeat(64), 'The bytes that arrived do not have the SHA-256 that Telnyx states'],
  ])('says what is wrong with %s bytes', async (_which, length, digest, words) => {
    const verifier = new VerifyingTransform({ bytes: 10, sha256: digest });

    const passing = pipeline(Readable.from([Buffer.alloc(length)]), verifier.resume());

    await expect(passing).rejects.toThrow(words);
  });

  it('lets no more bytes out than were promised', async () => {
    const verifier = new VerifyingTransform({ bytes: 10, sha256: undefined });
    const out: Buffer[] = [];
    verifier.on('data', (chunk: Buffer) => out.push(chunk));
    verifier.on('error', () => verifier.destroy());

    verifier.write(Buffer.alloc(8));
    verifier.end(Buffer.alloc(8));
    await new Promise((resolve) => verifier.on('close', resolve));

    expect(Buffer.concat(out).length).toBeLessThanOrEqual(10);
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
          const verifier = new VerifyingTransform({ bytes: right.length, sha256: sha256(right) });

          expect(await through([wrong], verifier)).toBe('ChecksumMismatch');
        },
      ),
      { numRuns: 300 },
    );
  });
});
