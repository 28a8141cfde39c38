import { AwsChunkedDecoder } from './aws-chunked.ts';
import { BodyDigests, type Checksum, expectedDigests } from './checksums.ts';
import { header, type S3Request } from './request.ts';
import { headerNotImplemented, S3Error } from './s3-error.ts';

/** Body of a request that writes, decoded and compared with every digest that the request announces. */
export class Payload {
  /** Whether the client sends a checksum or an MD5 of the body. */
  readonly hasChecksum: boolean;
  readonly #framing: Framing;
  readonly #digests: BodyDigests;

  /**
   * Checks the headers.
   *
   * @throws {S3Error} EntityTooLarge, or another one for a header that is not valid or not supported
   */
  constructor(request: S3Request, maxBytes: number) {
    const expected = expectedDigests(request);
    this.hasChecksum = expected.checksum !== undefined || expected.md5 !== undefined;
    this.#digests = new BodyDigests(expected);
    this.#framing = bodyFraming(request);
    if (this.#framing.length > maxBytes) {
      throw new S3Error(400, 'EntityTooLarge', 'Your proposed upload exceeds the maximum allowed size', {
        ProposedSize: String(this.#framing.length),
        MaxSizeAllowed: String(maxBytes),
      });
    }
  }

  /**
   * Reads the body. Its bytes are not proven until `verify`.
   *
   * @throws {S3Error} IncompleteBody, or that of the decoder
   */
  async *read(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
    const { length, decoder } = this.#framing;
    let received = 0;
    for await (const chunk of decoded(body, decoder)) {
      received += chunk.length;
      if (received > length) throw incompleteBody();
      this.#digests.update(chunk);
      yield chunk;
    }
    if (received !== length) throw incompleteBody();
  }

  /**
   * Call it once, after the last byte.
   *
   * @throws {S3Error} as `BodyDigests.verify`
   */
  verify(): { md5: string; checksum: Checksum | undefined } {
    return this.#digests.verify(this.#framing.decoder?.trailers ?? new Map());
  }
}

async function* decoded(
  body: AsyncIterable<Buffer>,
  decoder: AwsChunkedDecoder | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  if (!decoder) {
    yield* body;
    return;
  }
  for await (const piece of body) yield* decoder.push(piece);
  decoder.end();
}

interface Framing {
  /** Bytes of the decoded body, as announced. */
  readonly length: number;
  readonly decoder?: AwsChunkedDecoder;
}

function bodyFraming(request: S3Request): Framing {
  const payload = header(request, 'x-amz-content-sha256') ?? 'UNSIGNED-PAYLOAD';
  if (payload === 'STREAMING-UNSIGNED-PAYLOAD-TRAILER') {
    return {
      length: lengthIn(request, 'x-amz-decoded-content-length'),
      decoder: new AwsChunkedDecoder(),
    };
  }
  if (payload.startsWith('STREAMING-')) {
    // Signed chunks: the SDK for JavaScript does not send them.
    throw headerNotImplemented('x-amz-content-sha256');
  }
  if (payload !== 'UNSIGNED-PAYLOAD' && !/^[0-9a-f]{64}$/.test(payload)) {
    throw new S3Error(
      400,
      'InvalidArgument',
      'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, or a valid sha256 value.',
      { ArgumentName: 'x-amz-content-sha256', ArgumentValue: payload },
    );
  }
  if (header(request, 'x-amz-trailer') !== undefined) throw headerNotImplemented('x-amz-trailer');
  if (header(request, 'transfer-encoding') !== undefined) throw headerNotImplemented('Transfer-Encoding');
  return { length: lengthIn(request, 'content-length') };
}

function lengthIn(request: S3Request, name: string): number {
  const text = header(request, name);
  if (text === undefined || !/^\d{1,15}$/.test(text)) {
    throw new S3Error(411, 'MissingContentLength', 'You must provide the Content-Length HTTP header.');
  }
  return Number(text);
}

const incompleteBody = () =>
  new S3Error(
    400,
    'IncompleteBody',
    'You did not provide the number of bytes specified by the Content-Length HTTP header',
  );
