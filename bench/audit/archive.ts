/**
 * HTTP server for a generated archive of any size and its Telnyx account. Responses are computed on request, because a
 * million files would measure the file system. Every ten thousandth document has a defect for the audit to find.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';

export interface GeneratedArchive {
  /** Endpoint of S3. Telnyx's API is at `/v2`. */
  endpoint: string;
  defects: number;
  /** Number of requests by operation. */
  requests: ReadonlyMap<string, number>;
  close(): void;
}

const defectEach = 10_000;
const pageKeys = 1_000;
/** Spreads creation times over the IDs. Not divisible by 2 or 5, so that it has no common factor with the count. */
const scatter = 7_919_003;
const oldest = Date.parse('2024-01-01T00:00:00Z');
const apartMs = 60_000;

export async function openArchive(count: number): Promise<GeneratedArchive> {
  const idOf = (number: number) => {
    const head = Math.floor((number * 2 ** 32) / count);
    return `${head.toString(16).padStart(8, '0')}-0000-4000-8000-${number.toString(16).padStart(12, '0')}`;
  };
  /** Inverse of `idOf`: the last twelve digits of the ID are the number. */
  const numberOf = (id: string) => Number.parseInt(id.slice(-12), 16);
  /** Number of the document that was created n-th. */
  const createdAs = (order: number) => (order * scatter) % count;
  const bodyOf = (number: number) => Buffer.from(`document ${number}`);
  const hex = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
  const orderOf = new Uint32Array(count);
  for (let order = 0; order < count; order += 1) orderOf[createdAs(order)] = order;

  function recordOf(number: number) {
    const body = bodyOf(number);
    const createdAt = new Date(oldest + (orderOf[number] ?? 0) * apartMs).toISOString();
    return {
      id: idOf(number),
      record_type: 'document',
      created_at: createdAt,
      updated_at: createdAt,
      content_type: 'application/pdf',
      filename: `Letter of authorisation ${number}.pdf`,
      customer_reference: `PO-${number % 1_000}`,
      sha256: hex(body),
      size: { unit: 'bytes', amount: body.length },
      status: 'verified',
      av_scan_status: 'scanned',
    };
  }

  function receiptOf(number: number): Buffer {
    const telnyx = recordOf(number);
    const archivedAt = new Date(Date.parse(telnyx.created_at) + 2_000 + (number % 60_000)).toISOString();
    const receipt = {
      v: 1,
      documentId: telnyx.id,
      archivedAt,
      object: {
        key: documentKey(telnyx.id),
        bytes: telnyx.size.amount,
        sha256: telnyx.sha256,
        sha256StatedBy: 'telnyx',
        etag: '"0123456789abcdef0123456789abcdef"',
        versionId: 'abcdefghijklmnopqrstuvwxyz012345',
      },
      request: { trigger: 'sweep', requestedAt: telnyx.created_at, receives: 1 },
      archiver: '0.1.0',
      telnyx,
    };
    return Buffer.from(`${JSON.stringify(receipt, undefined, 2)}\n`);
  }

  const isDefect = (number: number) => number % defectEach === defectEach / 2;
  const requests = new Map<string, number>();

  function handle(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://bench');
    const key = decodeURIComponent(url.pathname.replace(/^\/archive\/?/, ''));
    const operation = url.pathname.startsWith('/v2/')
      ? 'telnyx'
      : key === ''
        ? 'list'
        : (request.method ?? '').toLowerCase();
    requests.set(operation, (requests.get(operation) ?? 0) + 1);
    if (operation === 'telnyx') telnyxPage(url.searchParams, response);
    else if (operation === 'list') listing(url.searchParams, response);
    else if (operation === 'put') {
      request.resume().on('end', () => response.end());
    } else object(key, operation, response);
  }

  /** Lists one version each of `documents/…`, then `receipts/…`. Manifests written by an audit are not stored. */
  function listing(query: URLSearchParams, response: ServerResponse): void {
    const prefix = query.get('prefix') ?? '';
    const after = query.get('key-marker') ?? '';
    const entries: string[] = [];
    for (const [keyOf, first] of [
      [documentKey, 'documents/'],
      [receiptKey, 'receipts/'],
    ] as const) {
      if (!first.startsWith(prefix) && !prefix.startsWith(first)) continue;
      let number =
        after < first
          ? 0
          : after.startsWith(first)
            ? numberOf(after.slice(first.length, first.length + 36)) + 1
            : count;
      for (; number < count && entries.length <= pageKeys; number += 1) {
        const key = keyOf(idOf(number));
        if (key <= after || !key.startsWith(prefix) || (keyOf === documentKey && isDefect(number))) continue;
        const size = keyOf === documentKey ? bodyOf(number).length : 900;
        entries.push(
          `<Version><ETag>&quot;0123456789abcdef0123456789abcdef&quot;</ETag><ChecksumAlgorithm>SHA256</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>${size}</Size><StorageClass>STANDARD</StorageClass><Key>${key}</Key><VersionId>abcdefghijklmnopqrstuvwxyz012345</VersionId><IsLatest>true</IsLatest><LastModified>2026-01-01T00:00:00.000Z</LastModified></Version>`,
        );
      }
    }
    const isTruncated = entries.length > pageKeys;
    const page = entries.slice(0, pageKeys).join('');
    const [, last = ''] = isTruncated ? (/.*<Key>(.*?)<\/Key>/s.exec(page) ?? []) : [];
    const next = isTruncated
      ? `<NextKeyMarker>${last}</NextKeyMarker><NextVersionIdMarker>abcdefghijklmnopqrstuvwxyz012345</NextVersionIdMarker>`
      : '';
    response.setHeader('content-type', 'application/xml');
    response.end(
      `<?xml version="1.0" encoding="UTF-8"?><ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>archive</Name><IsTruncated>${isTruncated}</IsTruncated>${next}${page}</ListVersionsResult>`,
    );
  }

  function object(key: string, operation: string, response: ServerResponse): void {
    const [folder, name = ''] = key.split('/');
    const number = numberOf(name.slice(0, 36));
    if (!(number < count) || (folder === 'documents' && isDefect(number))) {
      response.statusCode = 404;
      response.end(operation === 'head' ? undefined : '<Error><Code>NoSuchKey</Code></Error>');
      return;
    }
    const body = folder === 'receipts' ? receiptOf(number) : bodyOf(number);
    response.setHeader('x-amz-checksum-sha256', createHash('sha256').update(body).digest('base64'));
    response.setHeader('content-length', body.length);
    response.end(operation === 'head' ? undefined : body);
  }

  /** A page of the list, newest first, as Telnyx sorts it. */
  function telnyxPage(query: URLSearchParams, response: ServerResponse): void {
    const after = Date.parse(query.get('filter[created_at][gt]') ?? '');
    const before = Date.parse(query.get('filter[created_at][lt]') ?? '');
    const rows = Number(query.get('page[size]'));
    const newest = Math.min(count - 1, Math.ceil((before - oldest) / apartMs) - 1);
    const top = newest - (Number(query.get('page[number]')) - 1) * rows;
    const data = [];
    for (let order = top; order > top - rows && order >= 0 && oldest + order * apartMs > after; order -= 1) {
      data.push(recordOf(createdAs(order)));
    }
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ data, meta: {} }));
  }

  const server = createServer(handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    defects: Array.from({ length: count }, (_, number) => number).filter(isDefect).length,
    requests,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
