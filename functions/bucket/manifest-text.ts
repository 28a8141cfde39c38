/**
 * The text format of a manifest: the lines of `sha256sum`, which can check them in a copy of the archive, and of
 * BagIt's `manifest-sha256.txt` (RFC 8493, section 2.1.3).
 *
 * The first line names the previous manifest, if there is one. The following lines name each document and its receipt,
 * sorted by document ID. Or the manifest is a root: the following lines name its stretch files, in the order of their
 * stretches, which do not overlap. The lines about the documents of a stretch are in its file.
 */
import { parsePartName, partName } from '../audit-names.ts';
import { documentIdOfObject, documentIdOfReceipt, documentKey, manifestPrefix, receiptKey } from './keys.ts';

/** @param timestamp as `formatTimestamp` returns it */
export function manifestKey(timestamp: string): string {
  return `${manifestPrefix}${timestamp}/manifest-sha256.txt`;
}

/** The tag file beside a manifest names the manifest's digest, so the loss of either file shows in the other. */
export function tagManifestKey(timestamp: string): string {
  return `${manifestPrefix}${timestamp}/tagmanifest-sha256.txt`;
}

/** A stretch of document IDs. Each bound is a prefix of an ID, or a whole one, compared as text; empty: no bound. */
export interface IdRange {
  /** Inclusive. */
  from: string;
  /** Exclusive. */
  before: string;
}

/** Whether the stretches have a text in common. */
export function overlap(a: IdRange, b: IdRange): boolean {
  return (a.before === '' || b.from < a.before) && (b.before === '' || a.from < b.before);
}

export function isWithin(id: string, { from, before }: IdRange): boolean {
  return id >= from && (before === '' || id < before);
}

/** The stretch file: the part of a root manifest that is about a stretch of IDs. */
export function stretchManifestKey(timestamp: string, { from, before }: IdRange): string {
  return `${manifestPrefix}${timestamp}/${partName({ sort: 'ids', from, before })}.txt`;
}

const keyPattern =
  /^manifests\/(?<timestamp>\d{8}T\d{6}Z)\/(?:(?<tag>tag)?manifest-sha256|(?<part>ids_[^/]*))\.txt$/;

export interface ManifestKey {
  timestamp: string;
  file: 'manifest' | 'tag' | IdRange;
}

/** Reads a key under `manifests/`. @returns undefined for a key that the archiver does not write */
export function parseManifestKey(key: string): ManifestKey | undefined {
  const { timestamp, tag, part } = keyPattern.exec(key)?.groups ?? {};
  if (timestamp === undefined) return undefined;
  if (part === undefined) return { timestamp, file: tag === undefined ? 'manifest' : 'tag' };
  const stretch = parsePartName(part);
  return stretch?.sort === 'ids'
    ? { timestamp, file: { from: stretch.from, before: stretch.before } }
    : undefined;
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

/** The timestamp of a new manifest. @param latest that of the newest one: keys sort in the order of the chain, even if a clock is behind */
export function nextTimestamp(latest: string | undefined, seconds: number): string {
  const earliest = latest === undefined ? 0 : parseTimestamp(latest) + 1;
  return formatTimestamp(Math.max(earliest, Math.floor(seconds)));
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

export interface ManifestHead {
  /** The previous manifest, as this one names it. */
  predecessor: ManifestLine | undefined;
  /** The stretch files of a root manifest, in order; undefined if this manifest names the documents itself. */
  stretches: StretchLine[] | undefined;
}

/** A line of a root manifest. */
export interface StretchLine extends ManifestLine, IdRange {}

type Chunks = AsyncIterable<Buffer> | Iterable<Buffer>;

/**
 * Reads which other files a manifest names: of a root manifest all lines, otherwise only the first two. A text in another
 * form is not a root manifest either, and `readManifestEntries` throws.
 *
 * @param key of the manifest
 */
export async function readManifestHead(chunks: Chunks, key: string): Promise<ManifestHead> {
  let predecessor: ManifestLine | undefined;
  const stretches: StretchLine[] = [];
  // Stryker disable next-line OptionalChaining: it is the key of a manifest; required by the type.
  const timestamp = parseManifestKey(key)?.timestamp;
  try {
    let isFirst = true;
    for await (const lines of readLines(chunks)) {
      for (const line of lines) {
        if (isFirst) {
          isFirst = false;
          predecessor = parseManifestReference(line);
          if (predecessor) continue;
        }
        const stretch = parseStretchLine(line, timestamp);
        if (!stretch || !follows(stretch, stretches.at(-1))) return { predecessor, stretches: undefined };
        stretches.push(stretch);
      }
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { predecessor, stretches: undefined };
  }
  return { predecessor, stretches: stretches.length > 0 ? stretches : undefined };
}

function parseStretchLine(line: string, timestamp: string | undefined): StretchLine | undefined {
  const named = parseLine(line);
  const parsed = named && parseManifestKey(named.key);
  if (!parsed || parsed.timestamp !== timestamp || typeof parsed.file === 'string') return undefined;
  return { ...named, ...parsed.file };
}

function follows({ from }: IdRange, last: IdRange | undefined): boolean {
  return last === undefined || (last.before !== '' && last.before <= from);
}

/**
 * Reads the documents of a manifest or of a stretch file, sorted by ID.
 *
 * @param stretch of a stretch file: it names no predecessor, and no document outside its stretch
 * @throws RangeError if the archiver did not write it in this form
 */
export async function* readManifestEntries(chunks: Chunks, stretch?: IdRange): AsyncGenerator<ManifestEntry> {
  let current: ManifestEntry | undefined;
  let isFirst = stretch === undefined;
  for await (const lines of readLines(chunks)) {
    for (const line of lines) {
      const wasFirst = isFirst;
      isFirst = false;
      if (wasFirst && parseManifestReference(line)) continue;
      const parsed = parseLine(line);
      const target = parsed && parseKey(parsed.key);
      if (!parsed || !target)
        throw new RangeError('A line of the manifest is not about a document or a receipt.');
      if (stretch && !isWithin(target.id, stretch)) {
        throw new RangeError('A line of the manifest is not about its stretch of IDs.');
      }
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

/** @returns the number of documents; undefined if the archiver did not write the text in this form */
export async function countDocuments(entries: AsyncIterable<ManifestEntry>): Promise<number | undefined> {
  try {
    let documents = 0;
    for await (const _entry of entries) documents += 1;
    return documents;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** More than a digest, two spaces and any key of the archiver. Bounds the memory that a damaged file takes. */
const maxLineLength = 1_024;

/** In blocks, because a step of an async generator costs more than the work on a line. */
async function* readLines(chunks: Chunks): AsyncGenerator<string[]> {
  let rest = '';
  for await (const chunk of chunks) {
    // The lines of a manifest are ASCII, and a chunk may end within a character of another text.
    const lines = (rest + chunk.toString('latin1')).split('\n');
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
