import { S3Error } from './s3-error.ts';

/**
 * Decoder of the `aws-chunked` content coding with unsigned chunks and a trailer
 * (`x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER`):
 * `<hex size>\r\n<bytes>\r\n … 0\r\n<name>:<value>\r\n … \r\n`.
 *
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
 */
export class AwsChunkedDecoder {
  readonly trailers = new Map<string, string>();
  #state: 'size' | 'bytes' | 'after-bytes' | 'trailer' | 'done' = 'size';
  #line = '';
  #remaining = 0;
  #chunks = 0;
  #lastSize: number | undefined;

  /**
   * Decodes the next piece of the body, which may be split anywhere. Returns views into `piece`, not copies.
   *
   * @throws {S3Error} IncompleteBody or MalformedTrailerError for broken framing; InvalidChunkSizeError when
   *   a chunk other than the last has fewer than 8,192 bytes, which real S3 rejects
   */
  push(piece: Buffer): Buffer[] {
    const decoded: Buffer[] = [];
    let at = 0;
    while (at < piece.length) {
      if (this.#state === 'bytes') {
        const bytes = piece.subarray(at, at + this.#remaining);
        decoded.push(bytes);
        at += bytes.length;
        this.#remaining -= bytes.length;
        if (this.#remaining === 0) this.#state = 'after-bytes';
        continue;
      }
      if (this.#state === 'done') throw malformedTrailer();
      const newline = piece.indexOf(0x0a, at);
      const end = newline === -1 ? piece.length : newline + 1;
      this.#line += piece.toString('latin1', at, end);
      at = end;
      if (this.#line.length > MAX_LINE_LENGTH) throw incompleteBody();
      if (newline !== -1) {
        const line = this.#line;
        this.#line = '';
        this.#takeLine(line);
      }
    }
    return decoded;
  }

  /** @throws {S3Error} IncompleteBody if the body ended before its last chunk and trailer */
  end(): void {
    if (this.#state !== 'done') throw incompleteBody();
  }

  #takeLine(line: string): void {
    if (!line.endsWith('\r\n')) throw incompleteBody();
    const text = line.slice(0, -2);
    if (this.#state === 'size') this.#takeSize(text);
    else if (this.#state === 'after-bytes') {
      if (text !== '') throw incompleteBody();
      this.#state = 'size';
    } else if (text === '') this.#state = 'done';
    else {
      const colon = text.indexOf(':');
      if (colon < 1) throw malformedTrailer();
      this.trailers.set(text.slice(0, colon).trim().toLowerCase(), text.slice(colon + 1).trim());
    }
  }

  #takeSize(text: string): void {
    if (!/^[0-9a-fA-F]{1,12}$/.test(text)) throw incompleteBody();
    const size = Number.parseInt(text, 16);
    this.#chunks += 1;
    if (size === 0) {
      this.#state = 'trailer';
      return;
    }
    if (this.#lastSize !== undefined && this.#lastSize < MIN_CHUNK_BYTES) {
      throw new S3Error(
        403,
        'InvalidChunkSizeError',
        'Only the last chunk is allowed to have a size less than 8192 bytes',
        { Chunk: String(this.#chunks), BadChunkSize: String(this.#lastSize) },
      );
    }
    this.#lastSize = size;
    this.#remaining = size;
    this.#state = 'bytes';
  }
}

const MIN_CHUNK_BYTES = 8192;
const MAX_LINE_LENGTH = 8192;

const incompleteBody = () => new S3Error(400, 'IncompleteBody', 'The request body terminated unexpectedly');

export const malformedTrailer = () =>
  new S3Error(
    400,
    'MalformedTrailerError',
    'The request contained trailing data that was not well-formed or did not conform to our published schema.',
  );
