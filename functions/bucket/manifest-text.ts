/**
 * The text format of a manifest: the lines of `sha256sum`, which can check them in a copy of the archive, and of
 * BagIt's `manifest-sha256.txt` (RFC 8493, section 2.1.3).
 *
 * The first line names the previous manifest, if there is one. The following lines name each document and its receipt,
 * sorted by document ID.
 */
import { createReadStream } from 'node:fs';
import { documentIdOfObject, documentIdOfReceipt, documentKey, manifestPrefix, receiptKey } from './keys.ts';

/** @param timestamp as `formatTimestamp` returns it */
export function manifestKey(timestamp: string): string {
  return `${manifestPrefix}${timestamp}/manifest-sha256.txt`;
}

/** The tag file beside a manifest names the manifest's digest, so the loss of either file shows in the other. */
export function tagManifestKey(timestamp: string): string {
  return `${manifestPrefix}${timestamp}/tagmanifest-sha256.txt`;
}

/**
 * The manifest of a stretch of IDs. The audit function writes the documents of each stretch into a file of its own; the
 * manifest itself then is a root file, which names these files.
 *
 * @param from first ID or a prefix of IDs, inclusive; empty: no bound
 * @param before exclusive, in the same form
 */
export function stretchManifestKey(timestamp: string, from: string, before: string): string {
  return `${manifestPrefix}${timestamp}/ids_${from}_${before}.txt`;
}

const keyPattern =
  /^manifests\/(?<timestamp>\d{8}T\d{6}Z)\/(?:(?<tag>tag)?manifest-sha256|ids_(?<from>[0-9a-f-]{0,36})_(?<before>[0-9a-f-]{0,36}))\.txt$/;

export interface ManifestKey {
  timestamp: string;
  file: 'manifest' | 'tag' | { from: string; before: string };
}

/** Reads a key under `manifests/`. @returns undefined for a key that the archiver does not write */
export function parseManifestKey(key: string): ManifestKey | undefined {
  const { timestamp, tag, from, before } = keyPattern.exec(key)?.groups ?? {};
  if (timestamp === undefined) return undefined;
  if (from !== undefined && before !== undefined) return { timestamp, file: { from, before } };
  return { timestamp, file: tag === undefined ? 'manifest' : 'tag' };
}

/** Seconds since the Unix epoch in ISO 8601's basic format, such as `20261124T041537Z`: sorts by time. */
export function formatTimestamp(seconds: number): string {
  return new Date(seconds * 1_000).toISOString().replace(/[-:]|\.\d+/g, '');
}

/** @returns seconds since the Unix epoch, or NaN for other text */
export function parseTimestamp(timestamp: string): number {
  // V8 parses no date with anything behind its time zone.
  const extended = timestamp.replace(/^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z/, '$1-$2-$3T$4:$5:$6Z');
  return Date.parse(extended) / 1_000;
}

/** What a manifest says about one document. SHA-256 digests in lower-case hex. */
export interface ManifestEntry {
  id: string;
  document: string | undefined;
  receipt: string | undefined;
}

export interface ManifestLine {
  sha256: string;
  key: string;
}

export function formatLine({ sha256, key }: ManifestLine): string {
  return `${sha256}  ${key}\n`;
}

export function formatEntry({ id, document, receipt }: ManifestEntry): string {
  const documentLine = document === undefined ? '' : formatLine({ sha256: document, key: documentKey(id) });
  return documentLine + (receipt === undefined ? '' : formatLine({ sha256: receipt, key: receiptKey(id) }));
}

const linePattern = /^[0-9a-f]{64} {2}\S+\n?$/;

/** Parses one line, with or without its line feed. @returns undefined for other text */
export function parseLine(line: string): ManifestLine | undefined {
  return linePattern.test(line) ? { sha256: line.slice(0, 64), key: line.slice(66).trimEnd() } : undefined;
}

/** Parses a line that names a manifest. @returns undefined for other text */
export function parseManifestReference(line: string): ManifestLine | undefined {
  const parsed = parseLine(line);
  return parsed && parseManifestKey(parsed.key)?.file === 'manifest' ? parsed : undefined;
}

/** Reads the first line of a file. @returns the manifest that it names, or undefined if it does not name one */
export async function readPredecessor(path: string): Promise<ManifestLine | undefined> {
  try {
    // Stryker disable next-line StringLiteral: neither text names a manifest.
    for await (const [line] of readLines(path)) return parseManifestReference(line ?? '');
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return undefined;
}

/**
 * Reads a manifest from a file: its documents, sorted by ID.
 *
 * @throws RangeError if the archiver did not write it in this form
 */
export async function* readManifestEntries(path: string): AsyncGenerator<ManifestEntry> {
  let current: ManifestEntry | undefined;
  let isFirst = true;
  for await (const lines of readLines(path)) {
    for (const line of lines) {
      const wasFirst = isFirst;
      isFirst = false;
      if (wasFirst && parseManifestReference(line)) continue;
      const parsed = parseLine(line);
      const target = parsed && parseKey(parsed.key);
      if (!parsed || !target)
        throw new RangeError('A line of the manifest is not about a document or a receipt.');
      if (current && target.id === current.id) {
        if (current[target.part] !== undefined) throw new RangeError('The manifest names a file twice.');
        current[target.part] = parsed.sha256;
        continue;
      }
      if (current) {
        // Stryker disable next-line EqualityOperator: the same ID is handled above.
        if (target.id < current.id) throw new RangeError('The manifest is not sorted.');
        yield current;
      }
      current = { id: target.id, document: undefined, receipt: undefined, [target.part]: parsed.sha256 };
    }
  }
  if (current) yield current;
}

/** More than a digest, two spaces and any key of the archiver. Bounds the memory that a damaged file takes. */
const maxLineLength = 1_024;

/** In blocks, because a step of an async generator costs more than the work on a line. */
async function* readLines(path: string): AsyncGenerator<string[]> {
  let rest = '';
  // Stryker disable next-line ObjectLiteral,StringLiteral: only saves time; the lines of a manifest are ASCII.
  for await (const chunk of createReadStream(path, { encoding: 'utf8', highWaterMark: 256 * 1024 })) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() as string;
    if (rest.length > maxLineLength) throw new RangeError('A line of the manifest is too long.');
    yield lines;
  }
  if (rest !== '') throw new RangeError('The manifest is truncated.');
}

function parseKey(key: string): { id: string; part: 'document' | 'receipt' } | undefined {
  const receiptId = documentIdOfReceipt(key);
  if (receiptId !== undefined) return { id: receiptId, part: 'receipt' };
  const id = documentIdOfObject(key);
  return id === undefined ? undefined : { id, part: 'document' };
}
