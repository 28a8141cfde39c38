/** Reads the bodies of POST /documents, in each of its forms, and of PATCH /documents/{id}. */
import type { IncomingMessage } from 'node:http';
import { basename } from 'node:path/posix';
import { unescape as decodePercents } from 'node:querystring';
import { Readable } from 'node:stream';
import { readBody } from '../../functions/http.ts';
import { RequestError, telnyxErrors, unprocessable } from './response.ts';

export interface UploadedFile {
  fileName: string;
  bytes: Buffer;
  customerReference: string;
}

/** What an update changes; undefined is unchanged. */
export interface DocumentChanges {
  fileName?: string | undefined;
  customerReference?: string | undefined;
}

/** Limits of Telnyx for one file (guide to documents). */
const maxFileBytes = 20_000_000;
const maxFileNameLength = 512;
/** A file in base64 and the rest of the request. */
const maxRequestBytes = Math.ceil((maxFileBytes * 4) / 3) + 64 * 1024;
const fetchTimeoutMs = 10_000;

/** Fields of a record that Telnyx sets. */
const readOnlyFields = [
  'id',
  'record_type',
  'created_at',
  'updated_at',
  'content_type',
  'sha256',
  'size',
  'status',
  'av_scan_status',
];

/**
 * @throws RequestError for an upload that Telnyx rejects, and for a file at a URL that cannot be fetched. The error
 *   does not contain the URL.
 */
export async function readUpload(request: IncomingMessage): Promise<UploadedFile> {
  const body = await bodyOf(request);
  const upload =
    mediaTypeOf(request) === 'multipart/form-data'
      ? await fromForm(request, body)
      : await fromJson(request, body);
  if (upload.bytes.length > maxFileBytes) throw tooLarge();
  return { ...upload, fileName: checkedFileName(upload.fileName) };
}

/** @throws RequestError for a field that is read-only or has an invalid value */
export async function readChanges(request: IncomingMessage): Promise<DocumentChanges> {
  const fields = jsonFields(request, await bodyOf(request));
  const readOnly = readOnlyFields.find((name) => name in fields);
  if (readOnly !== undefined) throw invalidField(readOnly, 'is read-only');
  const fileName = textField(fields, 'filename');
  return {
    fileName: fileName === undefined ? undefined : checkedFileName(fileName),
    customerReference: textField(fields, 'customer_reference'),
  };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  try {
    return await readBody(request, maxRequestBytes);
  } catch (error) {
    throw error instanceof RangeError ? tooLarge() : error;
  }
}

async function fromJson(request: IncomingMessage, body: Buffer): Promise<UploadedFile> {
  const fields = jsonFields(request, body);
  const url = textField(fields, 'url');
  const file = textField(fields, 'file');
  const fileName = textField(fields, 'filename');
  const customerReference = textField(fields, 'customer_reference') ?? '';
  if (url !== undefined) {
    if (file !== undefined) throw invalidField('file', 'is an alternative to url');
    return {
      fileName: fileName ?? fileNameOf(url),
      bytes: await fetchFile(url),
      customerReference,
    };
  }
  if (file === undefined) throw invalidField('file', 'is missing, and so is url');
  if (file.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(file))
    throw invalidField('file', 'is not base64');
  return { fileName: fileName ?? 'document', bytes: Buffer.from(file, 'base64'), customerReference };
}

async function fromForm(request: IncomingMessage, body: Buffer): Promise<UploadedFile> {
  const headers = { 'content-type': request.headers['content-type'] ?? '' };
  const form = await new Response(new Uint8Array(body), { headers }).formData().catch(() => {
    throw new RequestError(400, telnyxErrors.badRequest, 'The body is not multipart/form-data');
  });
  const file = form.get('file');
  if (file === null || typeof file === 'string')
    throw invalidField('file', 'is missing, or has no file name');
  const reference = form.get('customer_reference') ?? '';
  if (typeof reference !== 'string') throw invalidField('customer_reference', 'is not a text');
  return {
    fileName: file.name,
    bytes: Buffer.from(await file.arrayBuffer()),
    customerReference: reference,
  };
}

/** @throws RequestError 422 if the URL cannot be fetched within ten seconds, or if the file is too large */
async function fetchFile(url: string): Promise<Buffer> {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw invalidField('url', 'is not an http or https URL');
  }
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(fetchTimeoutMs) });
    const body = response.body ? Readable.fromWeb(response.body) : Readable.from([]);
    if (!response.ok) {
      body.destroy();
      throw invalidField('url', `returns ${response.status}`);
    }
    return await readBody(body, maxFileBytes);
  } catch (error) {
    if (error instanceof RequestError) throw error;
    throw error instanceof RangeError
      ? tooLarge()
      : invalidField('url', `cannot be fetched (${error instanceof Error ? error.name : typeof error})`);
  }
}

function fileNameOf(url: string): string {
  return URL.canParse(url) ? decodePercents(basename(new URL(url).pathname)) || 'document' : 'document';
}

/** @throws RequestError for another content type, invalid JSON, or JSON that is not an object */
function jsonFields(request: IncomingMessage, body: Buffer): Readonly<Record<string, unknown>> {
  if (mediaTypeOf(request) !== 'application/json')
    throw unprocessable('Content-Type is not supported. Send application/json.');
  let fields: unknown;
  try {
    fields = JSON.parse(body.toString('utf8'));
  } catch {
    throw new RequestError(400, telnyxErrors.badRequest, 'The body is not JSON');
  }
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) {
    throw unprocessable('The body is not an object', { pointer: '' });
  }
  return fields as Record<string, unknown>;
}

function mediaTypeOf(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').replace(/;.*/s, '').trim().toLowerCase();
}

function textField(fields: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = fields[name];
  if (value === undefined || typeof value === 'string') return value;
  throw invalidField(name, 'is not a text');
}

function checkedFileName(fileName: string): string {
  if (fileName.length > maxFileNameLength) throw invalidField('filename', 'is longer than 512 characters');
  if (/[\p{Cc}\p{Cs}]/u.test(fileName))
    throw invalidField('filename', 'has characters that cannot be printed');
  return fileName;
}

const invalidField = (name: string, problem: string) =>
  unprocessable(`${name} ${problem}`, { pointer: `/${name}` });

const tooLarge = () => unprocessable('The file is larger than 20 MB', { pointer: '/file' });
