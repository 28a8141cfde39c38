/**
 * Telnyx's list of an account's documents. It is not sorted by ID, so all of it is held in memory, in a compact form:
 * 73 bytes per document, 4 more during sorting, and the text of its file name and reference.
 */
import { clockSkewMs } from '../limits.ts';
import { type Candidate, listDocuments } from '../telnyx/lists.ts';
import type { RetryingTelnyx } from '../telnyx/retrying-telnyx.ts';
import { readWindow } from '../telnyx/window.ts';

export interface ListedDocument {
  id: string;
  /** Milliseconds since the Unix epoch; undefined if Telnyx does not state it. */
  createdAt: number | undefined;
  bytes: number | undefined;
  /** Lower-case hex. */
  sha256: string | undefined;
  infected: boolean;
  fileName: string | undefined;
  customerReference: string | undefined;
}

const perChunk = 65_536;
const idBytes = 16;
const digestBytes = 32;
const flag = { digest: 1, infected: 2 };
/** A file name has at most 512 characters (Telnyx's guide to documents). The rest of a longer text is dropped. */
const maxTextLength = 512;
const firstTextBytes = 64 * 1_024;

interface Chunk {
  ids: Buffer;
  digests: Buffer;
  createdAt: Float64Array;
  sizes: Float64Array;
  flags: Uint8Array;
  /** File name and reference of each document, one after the other, in UTF-8. */
  texts: Buffer;
  nameEnds: Uint32Array;
  referenceEnds: Uint32Array;
}

export class TelnyxDocuments {
  readonly #chunks: Chunk[] = [];
  #count = 0;

  /** Documents added, including duplicates. */
  get count(): number {
    return this.#count;
  }

  add({ id, createdAt, bytes, sha256, infected, fileName, customerReference }: ListedDocument): void {
    const at = this.#count % perChunk;
    if (at === 0) {
      this.#chunks.push({
        ids: Buffer.alloc(perChunk * idBytes),
        digests: Buffer.alloc(perChunk * digestBytes),
        createdAt: new Float64Array(perChunk),
        sizes: new Float64Array(perChunk),
        flags: new Uint8Array(perChunk),
        texts: Buffer.alloc(firstTextBytes),
        nameEnds: new Uint32Array(perChunk),
        referenceEnds: new Uint32Array(perChunk),
      });
    }
    const { chunk } = this.#locate(this.#count);
    this.#count += 1;
    chunk.ids.write(id.replaceAll('-', ''), at * idBytes, 'hex');
    if (sha256 !== undefined) chunk.digests.write(sha256, at * digestBytes, 'hex');
    chunk.createdAt[at] = createdAt ?? Number.NaN;
    chunk.sizes[at] = bytes ?? Number.NaN;
    chunk.flags[at] = (sha256 === undefined ? 0 : flag.digest) | (infected ? flag.infected : 0);
    const nameEnd = appendText(chunk, startOfTexts(chunk, at), fileName);
    chunk.nameEnds[at] = nameEnd;
    chunk.referenceEnds[at] = appendText(chunk, nameEnd, customerReference);
  }

  /** The documents sorted by ID, without duplicates. */
  *sorted(): Generator<ListedDocument> {
    const order = Uint32Array.from({ length: this.#count }, (_, position) => position);
    order.sort((a, b) => this.#compare(a, b));
    let previous: number | undefined;
    for (const position of order) {
      if (previous === undefined || this.#compare(previous, position) !== 0) yield this.#read(position);
      previous = position;
    }
  }

  #locate(position: number): { chunk: Chunk; at: number } {
    const chunk = this.#chunks[Math.floor(position / perChunk)] as Chunk;
    return { chunk, at: position % perChunk };
  }

  #compare(a: number, b: number): number {
    const left = this.#locate(a);
    const right = this.#locate(b);
    return left.chunk.ids.compare(
      right.chunk.ids,
      right.at * idBytes,
      (right.at + 1) * idBytes,
      left.at * idBytes,
      (left.at + 1) * idBytes,
    );
  }

  #read(position: number): ListedDocument {
    const { chunk, at } = this.#locate(position);
    const hex = chunk.ids.toString('hex', at * idBytes, (at + 1) * idBytes);
    const flags = Number(chunk.flags[at]);
    return {
      id: [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-'),
      createdAt: numberOrUndefined(Number(chunk.createdAt[at])),
      bytes: numberOrUndefined(Number(chunk.sizes[at])),
      sha256:
        flags & flag.digest
          ? chunk.digests.toString('hex', at * digestBytes, (at + 1) * digestBytes)
          : undefined,
      infected: (flags & flag.infected) !== 0,
      fileName: readText(chunk, startOfTexts(chunk, at), chunk.nameEnds[at]),
      customerReference: readText(chunk, Number(chunk.nameEnds[at]), chunk.referenceEnds[at]),
    };
  }
}

function startOfTexts({ referenceEnds }: Chunk, at: number): number {
  return at === 0 ? 0 : Number(referenceEnds[at - 1]);
}

/** @returns the end of the text */
function appendText(chunk: Chunk, start: number, text = ''): number {
  const kept = text.slice(0, maxTextLength);
  const end = start + Buffer.byteLength(kept);
  // Stryker disable next-line EqualityOperator: a buffer that grows one byte too early has the same text.
  if (end > chunk.texts.length) {
    // No text is longer than the first buffer, so twice the length is always enough.
    const larger = Buffer.alloc(2 * chunk.texts.length);
    chunk.texts.copy(larger);
    chunk.texts = larger;
  }
  chunk.texts.write(kept, start);
  return end;
}

function readText({ texts }: Chunk, start: number, end: number | undefined): string | undefined {
  return end === start ? undefined : texts.toString('utf8', start, end);
}

function numberOrUndefined(number: number): number | undefined {
  return Number.isNaN(number) ? undefined : number;
}

/**
 * Reads all of Telnyx's list, as discovery reads a time span.
 *
 * @param now milliseconds since the Unix epoch
 * @returns the number of rows without a valid ID
 * @throws ArchiverError the errors of `readWindow`
 */
export async function readTelnyxDocuments(
  telnyx: RetryingTelnyx,
  now: number,
  documents: TelnyxDocuments,
): Promise<number> {
  let invalidRows = 0;
  const window = { from: 0, to: now + clockSkewMs };
  const list = (created: { after: number; before: number }, pageNumber: number) =>
    listDocuments(telnyx, created, pageNumber);
  for await (const candidates of readWindow(window, list)) {
    for (const candidate of candidates) {
      if (candidate.id === undefined) invalidRows += 1;
      else documents.add(toListedDocument(candidate.id, candidate));
    }
  }
  return invalidRows;
}

export function toListedDocument(id: string, { createdAt, stated }: Omit<Candidate, 'id'>): ListedDocument {
  const { bytes, sha256, infected, fileName, customerReference } = stated ?? {};
  return { id, createdAt, bytes, sha256, infected: infected === true, fileName, customerReference };
}
