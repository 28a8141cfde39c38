/** Parses POST /documents: JSON with the file in base64, or `multipart/form-data`. */
import type { IncomingMessage } from 'node:http';
import { readBody } from '../../functions/http.ts';
import { RequestError, telnyxErrorCodes } from './response.ts';

export interface UploadedFile {
  fileName: string;
  bytes: Buffer;
  customerReference: string;
}

/** Limits of Telnyx for one file (guide to documents). */
const maxFileBytes = 20_000_000;
const maxFileNameLength = 512;
/** A file in base64 and the rest of the request. */
const maxRequestBytes = Math.ceil((maxFileBytes * 4) / 3) + 64 * 1024;

/** @throws RequestError for uploads that Telnyx rejects */
export async function readUpload(request: IncomingMessage): Promise<UploadedFile> {
  const contentType = request.headers['content-type'] ?? '';
  const body = await readBody(request, maxRequestBytes).catch((error: unknown) => {
    throw error instanceof RangeError ? tooLarge() : error;
  });
  const upload = contentType.startsWith('multipart/form-data')
    ? await fromForm(body, contentType)
    : fromJson(body);
  if (upload.bytes.length > maxFileBytes) throw tooLarge();
  if (upload.fileName.length > maxFileNameLength) throw invalid('filename is longer than 512 characters');
  return upload;
}

function fromJson(body: Buffer): UploadedFile {
  let fields: unknown;
  try {
    fields = JSON.parse(body.toString('utf8'));
  } catch {
    throw new RequestError(400, telnyxErrorCodes.badRequest, 'The body is not JSON');
  }
  const { file, filename, customer_reference } = Object(fields) as Record<string, unknown>;
  if (typeof file !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(file)) {
    throw invalid('file must be base64; this stand-in does not fetch URLs');
  }
  return {
    fileName: text(filename) || 'document',
    bytes: Buffer.from(file, 'base64'),
    customerReference: text(customer_reference),
  };
}

async function fromForm(body: Buffer, contentType: string): Promise<UploadedFile> {
  const form = await new Response(new Uint8Array(body), { headers: { 'content-type': contentType } })
    .formData()
    .catch(() => {
      throw new RequestError(400, telnyxErrorCodes.badRequest, 'The body is not multipart/form-data');
    });
  const file = form.get('file');
  if (file === null || typeof file === 'string') throw invalid('missing part `file` with a filename');
  return {
    fileName: file.name,
    bytes: Buffer.from(await file.arrayBuffer()),
    customerReference: text(form.get('customer_reference')),
  };
}

const text = (value: unknown) => (typeof value === 'string' ? value : '');

const invalid = (title: string) => new RequestError(422, telnyxErrorCodes.badRequest, title);

const tooLarge = () => invalid('The file is larger than 20 MB');
