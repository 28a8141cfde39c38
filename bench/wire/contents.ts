/** Generated documents: the ID states the size, and the bytes are deterministic. */
import { createHash } from 'node:crypto';

const blockBytes = 1024 ** 2;

/** A block of incompressible bytes (high bytes of a linear congruential generator). */
const block = Buffer.alloc(blockBytes);
for (let at = 0, state = 1; at < blockBytes; at += 1) {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  block[at] = state >>> 24;
}

export interface BenchDocument {
  /** UUID; the last twelve digits are the size in bytes. */
  id: string;
  bytes: number;
  /** Lower-case hex. */
  sha256: string;
}

let count = 0;
const run = (Date.now() % 2 ** 32).toString(16).padStart(8, '0');

/** Creates a document with a new ID. */
export function newDocument(bytes: number): BenchDocument {
  count += 1;
  const number = count.toString(16).padStart(8, '0');
  const id = `${number}-${run.slice(0, 4)}-4${run.slice(4, 7)}-8000-${bytes.toString(16).padStart(12, '0')}`;
  return { id, bytes, sha256: digestOf(bytes) };
}

export function sizeOf(id: string): number {
  return Number.parseInt(id.slice(-12), 16);
}

const digests = new Map<number, string>();

/** SHA-256 of a document of this size, lower-case hex. */
export function digestOf(bytes: number): string {
  let digest = digests.get(bytes);
  if (digest === undefined) {
    const hash = createHash('sha256');
    for (const piece of piecesOf(bytes)) hash.update(piece);
    digest = hash.digest('hex');
    digests.set(bytes, digest);
  }
  return digest;
}

export function* piecesOf(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= blockBytes)
    yield left < blockBytes ? block.subarray(0, left) : block;
}
