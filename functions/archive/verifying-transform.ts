/** The bytes on their way from Telnyx's storage to S3: counted, hashed and measured against what was promised. */
import { createHash } from 'node:crypto';
import { Transform, type TransformCallback } from 'node:stream';
import { ArchiverError } from '../errors.ts';

export interface Promised {
  bytes: number;
  /** Lower-case hex, where Telnyx states it. */
  sha256: string | undefined;
}

/**
 * Passes bytes on unchanged. Errors as soon as there are more bytes than promised, and before the end if there are
 * fewer or their digest is another one, so that no upload ever ends well with wrong bytes.
 *
 * Emits ArchiverError SizeMismatch or ChecksumMismatch.
 */
export class VerifyingTransform extends Transform {
  /** Lower-case hex; there once all bytes have passed and are right. */
  digest: string | undefined;
  /** Bytes that have passed so far. */
  passed = 0;
  readonly #hash = createHash('sha256');
  readonly #promised: Promised;

  constructor(promised: Promised) {
    super();
    this.#promised = promised;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    this.passed += chunk.length;
    if (this.passed > this.#promised.bytes) {
      callback(sizeMismatch(`more than the ${this.#promised.bytes}`));
      return;
    }
    this.#hash.update(chunk);
    callback(null, chunk);
  }

  override _flush(callback: TransformCallback): void {
    if (this.passed !== this.#promised.bytes) {
      callback(sizeMismatch(`${this.passed} instead of ${this.#promised.bytes}`));
      return;
    }
    const digest = this.#hash.digest('hex');
    if (this.#promised.sha256 !== undefined && digest !== this.#promised.sha256) {
      callback(
        new ArchiverError(
          'ChecksumMismatch',
          'The bytes that arrived do not have the SHA-256 that Telnyx states for the document.',
        ),
      );
      return;
    }
    this.digest = digest;
    callback();
  }
}

function sizeMismatch(what: string): ArchiverError {
  return new ArchiverError('SizeMismatch', `The download held ${what} bytes that were announced.`);
}
