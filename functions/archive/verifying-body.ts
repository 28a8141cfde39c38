/** The bytes on their way from Telnyx's storage to S3: counted, hashed and compared with what was promised. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { ArchiverError, nameOf } from '../errors.ts';

/** What a download must turn out to be. */
export type Promised = {
  /** Lower-case hex, where it is known. */
  sha256: string | undefined;
} & (
  | { bytes: number }
  /** Neither Telnyx nor its storage states the length: any up to `maxBytes` will do. */
  | { bytes: undefined; maxBytes: number }
);

/**
 * A download's bytes, unchanged, for whoever uploads them. Breaks off as soon as there are more than promised, and
 * before its end if there are fewer or their digest is another one, so that no upload ever ends well with wrong
 * bytes. Owns the source: neither of the two outlives the other.
 *
 * It emits no errors: a reader sees it close without an end, and `verified` tells why. One stream over the source,
 * rather than a Transform behind it, is half the work for each piece (docs/performance.md).
 */
export class VerifyingBody extends Readable {
  /**
   * Lower-case hex, as soon as all bytes have come and are right, read or not. Rejects with ArchiverError
   * SizeMismatch, ChecksumMismatch, DocumentTooLarge or DownloadFailed, or whatever else it was broken off with first.
   */
  readonly verified: Promise<string>;
  /** What `verified` has come to, if it has. */
  digest: string | undefined;
  /** Bytes that have come so far. */
  passed = 0;
  readonly #source: Readable;
  readonly #settle = Promise.withResolvers<string>();

  constructor(source: Readable, promised: Promised) {
    super();
    this.#source = source;
    this.verified = this.#settle.promise;
    // Nobody need ask.
    this.verified.catch(() => undefined);

    const hash = createHash('sha256');
    const most = promised.bytes === undefined ? promised.maxBytes : promised.bytes;
    source.on('data', (chunk: Buffer) => {
      this.passed += chunk.length;
      if (this.passed > most) {
        this.breakOff(
          promised.bytes === undefined
            ? documentTooLarge(`more than ${most}`, most)
            : sizeMismatch(`more than the ${most}`),
        );
        return;
      }
      hash.update(chunk);
      if (!this.push(chunk)) source.pause();
    });
    source.on('end', () => {
      if (promised.bytes !== undefined && this.passed !== promised.bytes) {
        this.breakOff(sizeMismatch(`${this.passed} instead of ${promised.bytes}`));
        return;
      }
      const digest = hash.digest('hex');
      if (promised.sha256 !== undefined && digest !== promised.sha256) {
        this.breakOff(checksumMismatch());
        return;
      }
      this.digest = digest;
      this.#settle.resolve(digest);
      this.push(null);
    });
    source.on('error', (error) => this.breakOff(brokenOff(nameOf(error), error)));
    const onClose = () => {
      if (this.digest === undefined) this.breakOff(brokenOff('closed early', undefined));
    };
    source.on('close', onClose);
    source.pause();
    if (source.destroyed) onClose();
  }

  /** Whether bytes are asked for and have not come; otherwise the silence is the reader's, or there are no more. */
  get awaitsSource(): boolean {
    return this.digest === undefined && !this.#source.isPaused();
  }

  /** Ends it and its source. Without effect on what has been verified, or is broken off already. */
  breakOff(cause: unknown): void {
    this.#settle.reject(cause);
    this.destroy();
  }

  override _read(): void {
    this.#source.resume();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#settle.reject(error ?? brokenOff('nobody reads it', undefined));
    this.#source.destroy();
    done();
  }
}

/** @param bytes the document's length, or words for it */
export function documentTooLarge(bytes: number | string, maxBytes: number): ArchiverError {
  return new ArchiverError(
    'DocumentTooLarge',
    `The document has ${bytes} bytes; at most ${maxBytes} are archived. Raise maxDocumentBytes to archive it.`,
  );
}

function sizeMismatch(what: string): ArchiverError {
  return new ArchiverError('SizeMismatch', `The download held ${what} bytes that were announced.`);
}

function checksumMismatch(): ArchiverError {
  return new ArchiverError(
    'ChecksumMismatch',
    'The bytes that arrived do not have the SHA-256 that Telnyx states or, where it states none, that of the first reading.',
  );
}

function brokenOff(why: string, cause: unknown): ArchiverError {
  return new ArchiverError('DownloadFailed', `The download broke off (${why}).`, { cause });
}
