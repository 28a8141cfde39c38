/** `Content-Disposition` of the stored object, so that a download from the S3 console has the file's own name. */
import { extname } from 'node:path';
import { create } from 'content-disposition';

/** Percent-encoded, this stays far below the 8 kB that S3 takes for all headers. */
const longestNameBytes = 200;
const longestExtension = 16;

/**
 * `attachment` with the file name after RFC 6266 (ASCII fallback and RFC 8187 form), cut to 200 bytes of UTF-8
 * between characters and before the extension. The whole name stands in the receipt.
 */
export function contentDisposition(fileName: string | undefined): string {
  const name = fileName
    ?.toWellFormed()
    // Control characters, line ends of any kind, and what turns the reading direction round.
    .replace(/[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '')
    .replace(/[/\\]/g, '_')
    .trim();
  return name === undefined || name === '' ? 'attachment' : create(cut(name));
}

function cut(name: string): string {
  const ending = extname(name);
  const extension = ending.length <= longestExtension ? ending : '';
  const room = longestNameBytes - Buffer.byteLength(extension);
  let kept = '';
  let bytes = 0;
  for (const character of name.slice(0, name.length - extension.length)) {
    bytes += Buffer.byteLength(character);
    if (bytes > room) break;
    kept += character;
  }
  return kept + extension;
}

/** The media type for S3 to keep: Telnyx's if it is one (RFC 9110, section 8.3.1), else that of unknown bytes. */
export function contentType(stated: string | undefined): string {
  const type = /^[\w!#$&^.+-]{1,100}\/[\w!#$&^.+-]{1,100}(\s*;\s*[\w-]{1,40}=[\w.+-]{1,60})?$/;
  return stated?.trim().match(type)?.[0] ?? 'application/octet-stream';
}
