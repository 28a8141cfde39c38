/**
 * What Telnyx lists of an account's documents, held compactly: its list is not sorted by id, so it has to be held
 * whole. 65 bytes a document, and 4 more while it is being sorted.
 */

import { type Candidate, listDocuments } from '../telnyx/lists.ts';
import type { RetryingTelnyx } from '../telnyx/retrying-telnyx.ts';
import { readWindow } from '../telnyx/window.ts';

export interface ListedDocument {
  id: string;
  /** Milliseconds since the Unix epoch, where Telnyx says so. */
  createdAt: number | undefined;
  bytes: number | undefined;
  /** Lower-case hex. */
  sha256: string | undefined;
  infected: boolean;
}

const perChunk = 65_536;
const idBytes = 16;
const digestBytes = 32;
const flag = { digest: 1, infected: 2 };

interface Chunk {
  ids: Buffer;
  digests: Buffer;
  createdAt: Float64Array;
  sizes: Float64Array;
  flags: Uint8Array;
}

export class TelnyxDocuments {
  readonly #chunks: Chunk[] = [];
  #count = 0;

  /** Documents added, repetitions included. */
  get count(): number {
    return this.#count;
  }

  add({ id, createdAt, bytes, sha256, infected }: ListedDocument): void {
    const at = this.#count % perChunk;
    if (at === 0) {
      this.#chunks.push({
        ids: Buffer.alloc(perChunk * idBytes),
        digests: Buffer.alloc(perChunk * digestBytes),
        createdAt: new Float64Array(perChunk),
        sizes: new Float64Array(perChunk),
        flags: new Uint8Array(perChunk),
      });
    }
    const { chunk } = this.#place(this.#count);
    this.#count += 1;
    chunk.ids.write(id.replaceAll('-', ''), at * idBytes, 'hex');
    if (sha256 !== undefined) chunk.digests.write(sha256, at * digestBytes, 'hex');
    chunk.createdAt[at] = createdAt ?? Number.NaN;
    chunk.sizes[at] = bytes ?? Number.NaN;
    chunk.flags[at] = (sha256 === undefined ? 0 : flag.digest) | (infected ? flag.infected : 0);
  }

  /** Sorted by id, each id once. */
  *sorted(): Generator<ListedDocument> {
    const order = new Uint32Array(this.#count);
    for (let position = 0; position < order.length; position += 1) order[position] = position;
    order.sort((a, b) => this.#compare(a, b));
    let before: number | undefined;
    for (const position of order) {
      if (before === undefined || this.#compare(before, position) !== 0) yield this.#read(position);
      before = position;
    }
  }

  #place(position: number): { chunk: Chunk; at: number } {
    const chunk = this.#chunks[Math.floor(position / perChunk)] as Chunk;
    return { chunk, at: position % perChunk };
  }

  #compare(a: number, b: number): number {
    const one = this.#place(a);
    const other = this.#place(b);
    return one.chunk.ids.compare(
      other.chunk.ids,
      other.at * idBytes,
      (other.at + 1) * idBytes,
      one.at * idBytes,
      (one.at + 1) * idBytes,
    );
  }

  #read(position: number): ListedDocument {
    const { chunk, at } = this.#place(position);
    const hex = chunk.ids.toString('hex', at * idBytes, (at + 1) * idBytes);
    const flags = Number(chunk.flags[at]);
    return {
      id: [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-'),
      createdAt: known(chunk.createdAt[at]),
      bytes: known(chunk.sizes[at]),
      sha256:
        flags & flag.digest
          ? chunk.digests.toString('hex', at * digestBytes, (at + 1) * digestBytes)
          : undefined,
      infected: (flags & flag.infected) !== 0,
    };
  }
}

function known(number: number | undefined): number | undefined {
  return number === undefined || Number.isNaN(number) ? undefined : number;
}

/**
 * Reads Telnyx's whole list, as discovery reads a span.
 *
 * @param now milliseconds since the Unix epoch
 * @returns how many rows have no readable id
 * @throws ArchiverError those of `readWindow`
 */
export async function readTelnyxDocuments(
  telnyx: RetryingTelnyx,
  now: number,
  documents: TelnyxDocuments,
): Promise<number> {
  let unreadable = 0;
  const window = { from: 0, to: now + clockSkewMs };
  const list = (created: { after: number; before: number }, pageNumber: number) =>
    listDocuments(telnyx, created, pageNumber);
  for await (const candidates of readWindow(window, list)) {
    for (const candidate of candidates) {
      if (candidate.id === undefined) unreadable += 1;
      else documents.add(toDocument(candidate.id, candidate));
    }
  }
  return unreadable;
}

/** Telnyx's clock may be ahead of this machine's. */
export const clockSkewMs = 5 * 60_000;

function toDocument(id: string, { createdAt, stated }: Candidate): ListedDocument {
  return {
    id,
    createdAt,
    bytes: stated?.bytes,
    sha256: stated?.sha256,
    infected: stated?.infected === true,
  };
}
