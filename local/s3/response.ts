import { errorXml, type S3Error } from './s3-error.ts';

/** What the server is going to say, before a fault or the wire touches it. */
export interface S3Response {
  readonly status: number;
  /** Lower-case names; Content-Length is made from `length`. */
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes of the body, or for a HEAD the number of bytes that a GET would bring. */
  readonly length: number;
  /** Opens the body. */
  readonly body: () => AsyncIterable<Buffer>;
  /** The error's code, for an answer that is one. */
  readonly code?: string;
  /** Lets go of what the body needs; called once, whether or not the body was opened. */
  readonly release?: () => Promise<void>;
}

export interface RequestId {
  readonly id: string;
  readonly hostId: string;
}

export async function* bytesOf(bytes: Buffer): AsyncGenerator<Buffer, void, undefined> {
  if (bytes.length > 0) yield bytes;
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
  return { ...xmlResponse(error.status, errorXml(error, id, hostId)), code: error.code };
}
