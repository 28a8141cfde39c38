/** Counts, hashes and verifies the bytes of a download on their way to S3. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { ArchiverError, nameOf } from '../errors.ts';

/** What the bytes of a download are verified against. */
export type ExpectedContent = {
  /** Lower-case hex, if known. */
  sha256: string | undefined;
} & (
  | { bytes: number }
  /** The length is not known: any length up to `maxBytes` is accepted. */
  | { bytes: undefined; maxBytes: number }
);

/**
 * Readable stream over a download that verifies length and SHA-256 while the bytes pass. Destroys itself before its end
 * on a mismatch, so an upload can never complete with wrong bytes. Owns the source: destroying either destroys both.
 *
 * Emits no `error` event: on a failure the reader sees `close` without `end`, and `verified` rejects with the reason.
 * A Transform stream behind the source would need twice the work per chunk (docs/performance.md).
 */
export class VerifyingBody extends Readable {
  /**
   * Resolves with the SHA-256 (lower-case hex) once all bytes have arrived and match, even if the reader has not yet
   * read them. Rejects with ArchiverError SizeMismatch, ChecksumMismatch, DocumentTooLarge or DownloadFailed, or with
   * the reason the stream was aborted or destroyed, whichever comes first.
   */
  readonly verified: Promise<string>;
  /** The value of `verified` once it has resolved. */
  digest: string | undefined;
  bytesReceived = 0;
  readonly #source: Readable;
  readonly #verification = Promise.withResolvers<string>();

  constructor(source: Readable, expected: ExpectedContent) {
    super();
    this.#source = source;
    this.verified = this.#verification.promise;
    // Prevents an unhandled rejection when nobody awaits it.
    this.verified.catch(() => undefined);

    const hash = createHash('sha256');
    const maxBytes = expected.bytes === undefined ? expected.maxBytes : expected.bytes;
    source.on('data', (chunk: Buffer) => {
      this.bytesReceived += chunk.length;
      if (this.bytesReceived > maxBytes) {
        this.abort(
          expected.bytes === undefined
            ? documentTooLarge(`more than ${maxBytes}`, maxBytes)
            : sizeMismatch(maxBytes, 'more'),
        );
        return;
      }
      hash.update(chunk);
      if (!this.push(chunk)) source.pause();
    });
    source.on('end', () => {
      if (expected.bytes !== undefined && this.bytesReceived !== expected.bytes) {
        this.abort(sizeMismatch(expected.bytes, this.bytesReceived));
        return;
      }
      const digest = hash.digest('hex');
      if (expected.sha256 !== undefined && digest !== expected.sha256) {
        this.abort(checksumMismatch());
        return;
      }
      this.digest = digest;
      this.#verification.resolve(digest);
      this.push(null);
    });
    source.on('error', (error) => this.abort(interrupted(nameOf(error), error)));
    const onClose = () => {
      if (this.digest === undefined) this.abort(interrupted('closed early', undefined));
    };
    source.on('close', onClose);
    source.pause();
    if (source.destroyed) onClose();
  }

  /** False while the reader is slower than the source, and once all bytes are verified. */
  get isWaitingForSource(): boolean {
    return this.digest === undefined && !this.#source.isPaused();
  }

  /** Destroys the stream and its source. Does not change `verified` once it has settled. */
  abort(reason: unknown): void {
    this.#verification.reject(reason);
    this.destroy();
  }

  override _read(): void {
    this.#source.resume();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#verification.reject(error ?? interrupted('closed by the reader', undefined));
    this.#source.destroy();
    done();
  }
}

/** @param bytes the document's length, or a description such as `more than 10` */
export function documentTooLarge(bytes: number | string, maxBytes: number): ArchiverError {
  return new ArchiverError(
    'DocumentTooLarge',
    `The document has ${bytes} bytes; the limit is ${maxBytes}. Raise maxDocumentBytes to archive it.`,
  );
}

function sizeMismatch(expected: number, received: number | 'more'): ArchiverError {
  return new ArchiverError('SizeMismatch', `Expected ${expected} bytes, received ${received}.`);
}

function checksumMismatch(): ArchiverError {
  return new ArchiverError(
    'ChecksumMismatch',
    'The bytes received do not have the SHA-256 that Telnyx states or, if it states none, that of the first download.',
  );
}

function interrupted(why: string, cause: unknown): ArchiverError {
  return new ArchiverError('DownloadFailed', `The download was interrupted (${why}).`, { cause });
}
