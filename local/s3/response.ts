import { errorXml, type S3Error } from './s3-error.ts';

/** Response before a fault is applied. */
export interface S3Response {
  readonly status: number;
  /** Lower-case names. Content-Length is derived from `length`. */
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes of the body; for a HEAD, those that a GET would return. */
  readonly length: number;
  /** Opens the body. */
  readonly body: () => AsyncIterable<Buffer>;
  /** Error code of an error response. */
  readonly code?: string;
  /** Releases resources of the body. Called once, whether or not the body was opened. */
  readonly release?: () => Promise<void>;
}

export interface RequestId {
  readonly id: string;
  readonly hostId: string;
}

export async function* bytesOf(bytes: Buffer): AsyncGenerator<Buffer, void, undefined> {
  if (bytes.length > 0) yield bytes;
}

export const noBytes = () => bytesOf(Buffer.alloc(0));

export function emptyResponse(status: number, headers: Readonly<Record<string, string>> = {}): S3Response {
  return { status, headers, length: 0, body: noBytes };
}

export function xmlResponse(status: number, xml: Buffer): S3Response {
  return {
    status,
    headers: { 'content-type': 'application/xml' },
    length: xml.length,
    body: () => bytesOf(xml),
  };
}

export function errorResponse(error: S3Error, { id, hostId }: RequestId): S3Response {
  const response = xmlResponse(error.status, errorXml(error, id, hostId));
  return { ...response, headers: { ...response.headers, ...error.headers }, code: error.code };
}
