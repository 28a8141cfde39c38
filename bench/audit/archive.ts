/**
 * A generated archive of any size and its Telnyx account. Responses are computed on request, because a million files would
 * measure the file system.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import {
  auditPrefix,
  documentIdOfObject,
  documentIdOfReceipt,
  documentKey,
  documentPrefix,
  receiptKey,
  receiptPrefix,
} from '../../functions/bucket/keys.ts';

export interface ArchiveOptions {
  documents: number;
  /** One document of so many has lost its object, for the audit to find. @default none */
  defectEach?: number;
  /** Size of all objects, which then have the same bytes. @default a few bytes, different for each */
  bytes?: number;
}

interface ArchiveRequest {
  method: string;
  /** Path and query. `/archive` is the bucket, `/v2` Telnyx's API. */
  url: URL;
  body: Buffer;
}

interface ArchiveAnswer {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
}

export interface GeneratedArchive {
  /** The objects that are not generated. Of what an audit writes, those of its runs are kept. */
  stored: Map<string, Buffer>;
  defects: number;
  /** Number of requests by operation. */
  requests: ReadonlyMap<string, number>;
  /** The numbers of the documents whose IDs are in a stretch. */
  numbersOf(stretch: { from: string; before: string }): Iterable<number>;
  idOf(number: number): string;
  /** What is in the listing of the object, and of the receipt. */
  listed: { etag: string; versionId: string; modified: number; receiptBytes: number };
  objectOf(number: number): { body: Buffer; sha256: string };
  receiptOf(number: number): Buffer;
  answer(request: ArchiveRequest): ArchiveAnswer;
}

const pageKeys = 1_000;
/** Spreads creation times over the IDs. Not divisible by 2 or 5, so that it has no common factor with the count. */
const scatter = 7_919_003;
const oldest = Date.parse('2024-01-01T00:00:00Z');
const apartMs = 60_000;
const listed = {
  etag: '"0123456789abcdef0123456789abcdef"',
  versionId: 'abcdefghijklmnopqrstuvwxyz012345',
  modified: Date.parse('2026-01-01T00:00:00Z'),
  receiptBytes: 900,
};
const modified = new Date(listed.modified).toISOString();

export function generateArchive({ documents: count, defectEach, bytes }: ArchiveOptions): GeneratedArchive {
  const idOf = (number: number) => {
    const head = Math.floor((number * 2 ** 32) / count);
    return `${head.toString(16).padStart(8, '0')}-0000-4000-8000-${number.toString(16).padStart(12, '0')}`;
  };
  /** The first number whose ID is not before the text. */
  const firstFrom = (text: string): number => {
    if (text > idOf(count - 1)) return count;
    const [head = ''] = /^[0-9a-f]{0,8}/.exec(text) ?? [];
    let number = Math.max(0, Math.floor((Number.parseInt(head.padEnd(8, '0'), 16) * count) / 2 ** 32) - 1);
    while (idOf(number) < text) number += 1;
    return number;
  };
  /** Inverse of `idOf`: the last twelve digits of the ID are the number. */
  const numberOf = (id = '') => Number.parseInt(id.slice(-12), 16);
  /** Number of the document that was created n-th. */
  const createdAs = (order: number) => (order * scatter) % count;
  const hex = (body: Buffer) => createHash('sha256').update(body).digest('hex');
  const describe = (body: Buffer) => ({ body, sha256: hex(body) });
  const sameObject = bytes === undefined ? undefined : describe(Buffer.alloc(bytes, 'document '));
  const objectOf = (number: number) => sameObject ?? describe(Buffer.from(`document ${number}`));
  const orderOf = new Uint32Array(count);
  for (let order = 0; order < count; order += 1) orderOf[createdAs(order)] = order;

  function recordOf(number: number) {
    const { body, sha256 } = objectOf(number);
    const createdAt = new Date(oldest + (orderOf[number] ?? 0) * apartMs).toISOString();
    return {
      id: idOf(number),
      record_type: 'document',
      created_at: createdAt,
      updated_at: createdAt,
      content_type: 'application/pdf',
      filename: `Letter of authorisation ${number}.pdf`,
      customer_reference: `PO-${number % 1_000}`,
      sha256,
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
        etag: listed.etag,
        versionId: listed.versionId,
      },
      request: { trigger: 'sweep', requestedAt: telnyx.created_at, receives: 1 },
      archiver: '0.1.0',
      telnyx,
    };
    return Buffer.from(`${JSON.stringify(receipt, undefined, 2)}\n`);
  }

  const isDefect = (number: number) => defectEach !== undefined && number % defectEach === defectEach / 2;
  const stored = new Map<string, Buffer>();
  const requests = new Map<string, number>();

  function answer({ method, url, body }: ArchiveRequest): ArchiveAnswer {
    const key = decodeURIComponent(url.pathname.replace(/^\/archive\/?/, ''));
    const operation = url.pathname.startsWith('/v2/') ? 'telnyx' : key === '' ? 'list' : method.toLowerCase();
    requests.set(operation, (requests.get(operation) ?? 0) + 1);
    if (operation === 'telnyx') return telnyxPage(url.searchParams);
    if (operation === 'list') return listing(url.searchParams);
    return operation === 'put' ? put(key, body) : object(key, operation);
  }

  function put(key: string, body: Buffer): ArchiveAnswer {
    if (stored.has(key)) return failure(412, 'PreconditionFailed');
    if (key.startsWith(auditPrefix)) stored.set(key, body);
    return { status: 200, headers: {}, body: Buffer.alloc(0) };
  }

  /** The keys under `prefix` after `after`, in their order, with the size of their objects. */
  function* keys(prefix: string, after: string): Generator<[key: string, bytes: number]> {
    const own = [...stored].filter(([key]) => key > after && key.startsWith(prefix));
    own.sort(([a], [b]) => (a < b ? -1 : 1));
    const sizes = own.map(([key, body]): [string, number] => [key, body.length]);
    yield* sizes.filter(([key]) => key < documentPrefix);
    yield* generated(documentPrefix, documentKey, (number) => objectOf(number).body.length);
    yield* sizes.filter(([key]) => key > documentPrefix);
    yield* generated(receiptPrefix, receiptKey, () => listed.receiptBytes);

    function* generated(
      folder: string,
      keyOf: (id: string) => string,
      sizeOf: (number: number) => number,
    ): Generator<[string, number]> {
      const start = after > prefix ? after : prefix;
      if (!folder.startsWith(prefix) && !prefix.startsWith(folder)) return;
      let number = start.startsWith(folder)
        ? firstFrom(start.slice(folder.length))
        : start < folder
          ? 0
          : count;
      for (; number < count; number += 1) {
        const key = keyOf(idOf(number));
        if (!key.startsWith(prefix)) return;
        if (key > after && !(folder === documentPrefix && isDefect(number))) yield [key, sizeOf(number)];
      }
    }
  }

  /** A page of objects or, as they have one version each, of versions. */
  function listing(query: URLSearchParams): ArchiveAnswer {
    const isVersions = query.has('versions');
    const prefix = query.get('prefix') ?? '';
    const after = query.get(isVersions ? 'key-marker' : 'start-after') ?? '';
    const entries: string[] = [];
    let last = '';
    let isTruncated = false;
    for (const [key, size] of keys(prefix, after)) {
      isTruncated = entries.length === pageKeys;
      if (isTruncated) break;
      last = key;
      const version = isVersions ? `<VersionId>${listed.versionId}</VersionId><IsLatest>true</IsLatest>` : '';
      const element = isVersions ? 'Version' : 'Contents';
      entries.push(
        `<${element}><ETag>${listed.etag.replaceAll('"', '&quot;')}</ETag><ChecksumAlgorithm>SHA256</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>${size}</Size><StorageClass>STANDARD</StorageClass><Key>${key}</Key>${version}<LastModified>${modified}</LastModified></${element}>`,
      );
    }
    const next =
      isTruncated && isVersions
        ? `<NextKeyMarker>${last}</NextKeyMarker><NextVersionIdMarker>${listed.versionId}</NextVersionIdMarker>`
        : '';
    const root = isVersions ? 'ListVersionsResult' : 'ListBucketResult';
    return {
      status: 200,
      headers: { 'content-type': 'application/xml' },
      body: Buffer.from(
        `<?xml version="1.0" encoding="UTF-8"?><${root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>archive</Name><IsTruncated>${isTruncated}</IsTruncated>${next}${entries.join('')}</${root}>`,
      ),
    };
  }

  function object(key: string, operation: string): ArchiveAnswer {
    const number = numberOf(documentIdOfObject(key) ?? documentIdOfReceipt(key));
    const isObject = key.startsWith(documentPrefix);
    const isGenerated = number < count && !(isObject && isDefect(number));
    const body = stored.get(key) ?? (isGenerated && !isObject ? receiptOf(number) : undefined);
    const found = body ? describe(body) : isGenerated ? objectOf(number) : undefined;
    if (!found) return failure(404, operation === 'head' ? undefined : 'NoSuchKey');
    const headers = {
      'x-amz-checksum-sha256': Buffer.from(found.sha256, 'hex').toString('base64'),
      'content-length': String(found.body.length),
    };
    return { status: 200, headers, body: operation === 'head' ? Buffer.alloc(0) : found.body };
  }

  /** A page of the list, newest first, as Telnyx sorts it. */
  function telnyxPage(query: URLSearchParams): ArchiveAnswer {
    const after = Date.parse(query.get('filter[created_at][gt]') ?? '');
    const before = Date.parse(query.get('filter[created_at][lt]') ?? '');
    const rows = Number(query.get('page[size]'));
    const newest = Math.min(count - 1, Math.ceil((before - oldest) / apartMs) - 1);
    const top = newest - (Number(query.get('page[number]')) - 1) * rows;
    const data = [];
    for (let order = top; order > top - rows && order >= 0 && oldest + order * apartMs > after; order -= 1) {
      data.push(recordOf(createdAs(order)));
    }
    const headers = { 'content-type': 'application/json' };
    return { status: 200, headers, body: Buffer.from(JSON.stringify({ data, meta: {} })) };
  }

  return {
    stored,
    defects: defectEach === undefined ? 0 : Math.floor(count / defectEach),
    requests,
    *numbersOf({ from, before }) {
      const end = before === '' ? count : firstFrom(before);
      for (let number = firstFrom(from); number < end; number += 1) yield number;
    },
    idOf,
    listed,
    objectOf,
    receiptOf,
    answer,
  };
}

function failure(status: number, code: string | undefined): ArchiveAnswer {
  const body = Buffer.from(code === undefined ? '' : `<Error><Code>${code}</Code></Error>`);
  return { status, headers: {}, body };
}

/** Serves an archive over HTTP. @param delayMs wait before each response */
export async function serveArchive(archive: GeneratedArchive, delayMs = 0) {
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://bench');
    const body = await buffer(request);
    const respond = () => {
      const answer = archive.answer({ method: request.method ?? '', url, body });
      response.writeHead(answer.status, answer.headers).end(answer.body);
    };
    if (delayMs > 0) setTimeout(respond, delayMs);
    else respond();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    /** Endpoint of S3. Telnyx's API is at `/v2`. */
    endpoint: `http://127.0.0.1:${port}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
