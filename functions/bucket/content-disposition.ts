/** Headers of the stored object. `Content-Disposition` gives a download from the S3 console its original file name. */
import { extname } from 'node:path';
import { create } from 'content-disposition';

/** Stays far below S3's limit of 8 kB for all headers, even when percent-encoded. */
const maxNameBytes = 200;
const maxExtensionLength = 16;

/**
 * Builds `attachment` with the file name as RFC 6266 defines it (ASCII fallback and RFC 8187 form). A name of more than
 * 200 bytes of UTF-8 is truncated between characters, before the extension. The receipt has the full name.
 */
export function contentDisposition(fileName: string | undefined): string {
  const name = fileName
    ?.toWellFormed()
    // Control characters, line separators and bidirectional control characters.
    .replace(/[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '')
    .replace(/[/\\]/g, '_')
    .trim();
  return name === undefined || name === '' ? 'attachment' : create(truncate(name));
}

function truncate(name: string): string {
  const suffix = extname(name);
  const extension = suffix.length <= maxExtensionLength ? suffix : '';
  const available = maxNameBytes - Buffer.byteLength(extension);
  let kept = '';
  let bytes = 0;
  for (const character of name.slice(0, name.length - extension.length)) {
    bytes += Buffer.byteLength(character);
    if (bytes > available) break;
    kept += character;
  }
  return kept + extension;
}

/** Telnyx's media type if it is valid (RFC 9110, section 8.3.1), otherwise `application/octet-stream`. */
export function contentType(stated: string | undefined): string {
  const type = /^[\w!#$&^.+-]{1,100}\/[\w!#$&^.+-]{1,100}(\s*;\s*[\w-]{1,40}=[\w.+-]{1,60})?$/;
  return stated?.trim().match(type)?.[0] ?? 'application/octet-stream';
}
