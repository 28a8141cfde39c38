import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AwsChunkedDecoder } from '../../../local/s3/aws-chunked.ts';
import { propertyRuns } from '../../fuzz-runs.ts';

/** Encodes bytes as the SDK does: chunks of the given sizes, then the trailer. */
function framed(
  bytes: Buffer,
  sizes: readonly number[],
  trailer = 'x-amz-checksum-crc32:AAAAAA==\r\n',
): Buffer {
  const parts: (Buffer | string)[] = [];
  let at = 0;
  for (const size of [...sizes, bytes.length]) {
    const chunk = bytes.subarray(at, at + size);
    at += chunk.length;
    if (chunk.length > 0) parts.push(`${chunk.length.toString(16)}\r\n`, chunk, '\r\n');
  }
  parts.push('0\r\n', trailer, '\r\n');
  return Buffer.concat(parts.map((part) => Buffer.from(part)));
}

/** Splits a body into pieces, repeating the given sizes. */
function* pieces(body: Buffer, sizes: readonly number[]): Generator<Buffer> {
  for (let at = 0, turn = 0; at < body.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? body.length;
    yield body.subarray(at, at + size);
    at += size;
  }
}

function decode(
  body: Buffer,
  cuts: readonly number[],
): { bytes: Buffer; trailers: ReadonlyMap<string, string> } {
  const decoder = new AwsChunkedDecoder();
  const decoded: Buffer[] = [];
  for (const piece of pieces(body, cuts)) decoded.push(...decoder.push(piece));
  decoder.end();
  return { bytes: Buffer.concat(decoded), trailers: decoder.trailers };
}

test('decodes a body to the same bytes, wherever it is split', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 0, maxLength: 40_000, size: 'max' }),
      fc.array(fc.integer({ min: 8192, max: 20_000 }), { maxLength: 4 }),
      fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 20_000 })), {
        minLength: 1,
      }),
      (data, sizes, cuts) => {
        const bytes = Buffer.from(data);

        const decoded = decode(framed(bytes, sizes), cuts);

        expect(decoded.bytes.equals(bytes)).toBe(true);
        expect([...decoded.trailers]).toEqual([['x-amz-checksum-crc32', 'AAAAAA==']]);
      },
    ),
    { numRuns: propertyRuns(200) },
  );
});

test('throws IncompleteBody for a body that is cut at any position', () => {
  const body = framed(Buffer.from('some bytes'), []);
  for (let length = 0; length < body.length; length += 1) {
    expect(() => decode(body.subarray(0, length), [7])).toThrow(
      expect.objectContaining({ code: 'IncompleteBody' }),
    );
  }
});

test('throws InvalidChunkSizeError when a chunk other than the last is smaller than 8 KiB, as S3 does', () => {
  const bytes = Buffer.alloc(10_000);

  expect(() => decode(framed(bytes, [8191]), [512])).toThrow(
    expect.objectContaining({
      status: 403,
      code: 'InvalidChunkSizeError',
      details: { Chunk: '2', BadChunkSize: '8191' },
    }),
  );
  expect(decode(framed(bytes, [8192]), [512]).bytes).toHaveLength(10_000);
});

test.each([
  ['a size that is not a number', 'xyz\r\n'],
  ['a size with a minus', '-5\r\nhello\r\n0\r\n\r\n'],
  ['a bare line feed after the size', '5\nhello\r\n0\r\n\r\n'],
  ['a chunk longer than its size', '4\r\nhello\r\n0\r\n\r\n'],
  ['a line without end', '0'.repeat(9000)],
])('throws IncompleteBody for broken framing with %s', (_what, body) => {
  expect(() => decode(Buffer.from(body), [3])).toThrow(expect.objectContaining({ code: 'IncompleteBody' }));
});

test.each([
  ['no colon', '0\r\nx-amz-checksum-crc32\r\n\r\n'],
  ['bytes after the end', '0\r\n\r\nmore'],
])('throws MalformedTrailerError for a trailer with %s', (_what, body) => {
  expect(() => decode(Buffer.from(body), [3])).toThrow(
    expect.objectContaining({ code: 'MalformedTrailerError' }),
  );
});
