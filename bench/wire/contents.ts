/** Documents that need no disk: as many bytes as their id says, the same ones each time. */
import { createHash } from 'node:crypto';

const blockBytes = 1024 ** 2;

/** One block of bytes that no link of the chain could compress (a linear congruential generator's high bytes). */
const block = Buffer.alloc(blockBytes);
for (let at = 0, state = 1; at < blockBytes; at += 1) {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  block[at] = state >>> 24;
}

export interface BenchDocument {
  /** UUID whose last twelve digits are the size. */
  id: string;
  bytes: number;
  /** Lower-case hex. */
  sha256: string;
}

let made = 0;
const run = (Date.now() % 2 ** 32).toString(16).padStart(8, '0');

/** A document that has not been there before. */
export function newDocument(bytes: number): BenchDocument {
  made += 1;
  const number = made.toString(16).padStart(8, '0');
  const id = `${number}-${run.slice(0, 4)}-4${run.slice(4, 7)}-8000-${bytes.toString(16).padStart(12, '0')}`;
  return { id, bytes, sha256: digestOf(bytes) };
}

export function sizeOf(id: string): number {
  return Number.parseInt(id.slice(-12), 16);
}

const digests = new Map<number, string>();

/** SHA-256 of the document of that size, lower-case hex. */
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
