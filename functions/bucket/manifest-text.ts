/**
 * The text of a manifest: lines as `sha256sum` writes them and checks them inside the archive's folder, and as
 * BagIt's `manifest-sha256.txt` has them (RFC 8493, section 2.1.3).
 *
 * The first line names the manifest before this one, if there is one. Then, sorted by id, each document and its
 * receipt.
 */
import { createReadStream } from 'node:fs';
import { uuidPattern } from '../uuid.ts';
import { documentIdOfReceipt, documentKey, documentPrefix, manifestPrefix, receiptKey } from './keys.ts';

/** A manifest of the archive, and a second file that names its digest: that one of the two is gone, the other shows. */
export function manifestKey(stamp: string): string {
  return `${manifestPrefix}${stamp}/manifest-sha256.txt`;
}

export function tagManifestKey(stamp: string): string {
  return `${manifestPrefix}${stamp}/tagmanifest-sha256.txt`;
}

const keyPattern = /^manifests\/(\d{8}T\d{6}Z)\/(tag)?manifest-sha256\.txt$/;

/** What a key under `manifests/` is, or undefined where it is none of the archiver's. */
export function manifestOfKey(key: string): { stamp: string; isTag: boolean } | undefined {
  const [, stamp, tag] = keyPattern.exec(key) ?? [];
  return stamp === undefined ? undefined : { stamp, isTag: tag !== undefined };
}

/** Seconds since the Unix epoch as ISO 8601's basic format, whose order is that of time. */
export function stampOf(seconds: number): string {
  return new Date(seconds * 1_000).toISOString().replace(/[-:]|\.\d+/g, '');
}

export function secondsOfStamp(stamp: string): number {
  const extended = stamp.replace(/^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z$/, '$1-$2-$3T$4:$5:$6Z');
  return Date.parse(extended) / 1_000;
}

/** A document in a manifest, with the digests in lower-case hex that it names. */
export interface NamedDocument {
  id: string;
  document: string | undefined;
  receipt: string | undefined;
}

export interface NamedFile {
  sha256: string;
  key: string;
}

export function lineOf({ sha256, key }: NamedFile): string {
  return `${sha256}  ${key}\n`;
}

export function linesOf({ id, document, receipt }: NamedDocument): string {
  const documentLine = document === undefined ? '' : lineOf({ sha256: document, key: documentKey(id) });
  return documentLine + (receipt === undefined ? '' : lineOf({ sha256: receipt, key: receiptKey(id) }));
}

/** One line, with or without its line end; undefined where it is none. */
export function readLine(line: string): NamedFile | undefined {
  const [, sha256, key] = /^([0-9a-f]{64}) {2}(\S+)\n?$/.exec(line) ?? [];
  return sha256 === undefined || key === undefined ? undefined : { sha256, key };
}

/** The manifest before, as the first line of a manifest names it. */
export function predecessorIn(line: string): NamedFile | undefined {
  const named = readLine(line);
  return named && manifestOfKey(named.key)?.isTag === false ? named : undefined;
}

/**
 * The documents that a manifest names, in its order.
 *
 * @throws RangeError where it is no manifest of the archiver's, or not sorted
 */
export async function* documentsIn(path: string): AsyncGenerator<NamedDocument> {
  let current: NamedDocument | undefined;
  let isFirst = true;
  for await (const line of linesIn(path)) {
    const wasFirst = isFirst;
    isFirst = false;
    if (wasFirst && predecessorIn(line)) continue;
    const named = readLine(line);
    const place = named && placeOf(named.key);
    if (!named || !place) throw new RangeError('A line of the manifest names no document and no receipt.');
    if (current && place.id === current.id) {
      if (current[place.part] !== undefined) throw new RangeError('The manifest names a file twice.');
      current[place.part] = named.sha256;
      continue;
    }
    if (current) {
      if (place.id < current.id) throw new RangeError('The manifest is not sorted.');
      yield current;
    }
    current = { id: place.id, document: undefined, receipt: undefined, [place.part]: named.sha256 };
  }
  if (current) yield current;
}

/** A digest, two blanks and a key: whatever is longer is none of ours, and is not read to its end. */
const longestLine = 1_024;

async function* linesIn(path: string): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of createReadStream(path, { encoding: 'utf8', highWaterMark: 256 * 1024 })) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() as string;
    if (rest.length > longestLine)
      throw new RangeError('A line of the manifest is longer than any could be.');
    yield* lines;
  }
  if (rest !== '') throw new RangeError('The manifest is cut off.');
}

function placeOf(key: string): { id: string; part: 'document' | 'receipt' } | undefined {
  const ofReceipt = documentIdOfReceipt(key);
  if (ofReceipt !== undefined) return { id: ofReceipt, part: 'receipt' };
  const id = key.startsWith(documentPrefix) ? key.slice(documentPrefix.length) : '';
  return uuidPattern.test(id) ? { id, part: 'document' } : undefined;
}
