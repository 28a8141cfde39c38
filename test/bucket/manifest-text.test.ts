import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import {
  formatEntry,
  formatLine,
  formatTimestamp,
  manifestKey,
  parseLine,
  parseManifestKey,
  parseTimestamp,
  readManifestEntries,
  readPredecessor,
  tagManifestKey,
} from '../../functions/bucket/manifest-text.ts';
import { collected } from '../collected.ts';

const [first, second] = [
  '00000001-0000-4000-8000-000000000000',
  '00000002-0000-4000-8000-000000000000',
] as const;
const [digest, other] = ['ab'.repeat(32), 'cd'.repeat(32)];

async function fileOf(text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'manifest-text-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'manifest');
  await writeFile(path, text);
  return path;
}

const read = async (text: string) => collected(readManifestEntries(await fileOf(text)));
const timestamp = '20261124T123456Z';
const predecessor = { sha256: digest, key: manifestKey(timestamp) };

describe('readManifestEntries', () => {
  it('returns the entries that were written, also those with one digest only', async () => {
    const documents = [
      { id: first, document: digest, receipt: undefined },
      { id: second, document: undefined, receipt: other },
    ];

    expect(await read(documents.map(formatEntry).join(''))).toEqual(documents);
  });

  it('returns both digests of a document, in any order', async () => {
    const text = `${digest}  ${receiptKey(first)}\n${other}  ${documentKey(first)}\n`;

    expect(await read(text)).toEqual([{ id: first, document: other, receipt: digest }]);
    expect(formatEntry({ id: first, document: other, receipt: digest })).toBe(
      `${other}  documents/${first}\n${digest}  receipts/${first}.json\n`,
    );
  });

  it('skips the first line if it names the previous manifest, and returns nothing from an empty file', async () => {
    const entry = { id: first, document: digest, receipt: digest };

    expect(await read(formatLine(predecessor) + formatEntry(entry))).toEqual([entry]);
    expect(await read(formatLine(predecessor))).toEqual([]);
    expect(await read('')).toEqual([]);
  });

  it('reads every line of a file of several blocks', async () => {
    const entries = Array.from({ length: 4_000 }, (_, number) => ({
      id: `${number.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`,
      document: digest,
      receipt: other,
    }));

    expect(await read(entries.map(formatEntry).join(''))).toEqual(entries);
  });

  it.each([
    ['names the previous manifest twice', formatLine(predecessor).repeat(2), 'not about a document'],
    [
      'names the previous manifest after a document',
      `${digest}  ${documentKey(first)}\n${formatLine(predecessor)}`,
      'not about a document',
    ],
    [
      'begins with a tag file',
      formatLine({ sha256: digest, key: tagManifestKey(timestamp) }),
      'not about a document',
    ],
    ['has an empty line', `${digest}  ${documentKey(first)}\n\n`, 'not about a document'],
    ['names a receipt twice', `${digest}  ${receiptKey(first)}\n`.repeat(2), 'names a file twice'],
    ['ends after 1,024 characters of a line', 'x'.repeat(1_024), 'is truncated'],
    ['has a line in another format', 'abc\n', 'not about a document'],
    ['names another type of file', `${digest}  audits/x\n`, 'not about a document'],
    ['names a document without a valid ID', `${digest}  documents/x\n`, 'not about a document'],
    ['names a file twice', `${digest}  ${documentKey(first)}\n`.repeat(2), 'names a file twice'],
    [
      'is not sorted',
      `${digest}  ${documentKey(second)}\n${digest}  ${receiptKey(first)}\n`,
      'is not sorted',
    ],
    ['has a line of more than 1,024 characters', 'x'.repeat(1_025), 'too long'],
    ['ends in the middle of a line', `${digest}  ${documentKey(first)}`, 'is truncated'],
  ])('throws RangeError if the manifest %s', async (_case, text, message) => {
    await expect(read(text)).rejects.toThrow(RangeError);
    await expect(read(text)).rejects.toThrow(message);
  });
});

describe('the name of the previous manifest', () => {
  it('is read from the first line', async () => {
    const entry = formatEntry({ id: first, document: digest, receipt: digest });

    expect(await readPredecessor(await fileOf(formatLine(predecessor) + entry))).toEqual(predecessor);
  });

  it.each([
    ['the file is empty', ''],
    ['the first line names a document', formatEntry({ id: first, document: digest, receipt: digest })],
    ['the first line names a tag file', formatLine({ sha256: digest, key: tagManifestKey(timestamp) })],
    ['the second line names a manifest', `\n${formatLine(predecessor)}`],
    ['the first line has no end', formatLine(predecessor).trimEnd()],
    ['the first line is too long', 'x'.repeat(2_000)],
  ])('is undefined if %s', async (_case, text) => {
    expect(await readPredecessor(await fileOf(text))).toBeUndefined();
  });

  it('fails if the file does not exist', async () => {
    await expect(readPredecessor('/does/not/exist')).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('a line of a manifest', () => {
  it('is parsed with and without its line feed', () => {
    const line = { sha256: digest, key: 'documents/x' };

    expect(formatLine(line)).toBe(`${digest}  documents/x\n`);
    expect(parseLine(formatLine(line))).toEqual(line);
    expect(parseLine(formatLine(line).trimEnd())).toEqual(line);
  });

  it.each([
    '',
    digest,
    `${digest} documents/x`,
    `${digest}   documents/x`,
    `${digest}  `,
    `${digest}  documents/x y`,
    `${digest}  documents/x\n\n`,
    `${digest.toUpperCase()}  documents/x`,
    `${digest.slice(1)}  documents/x`,
    `a${digest}  documents/x`,
  ])('is not %j', (line) => {
    expect(parseLine(line)).toBeUndefined();
  });
});

describe('the key of a manifest', () => {
  it('has the timestamp, and the name that tells it from its tag file', () => {
    expect(manifestKey(timestamp)).toBe('manifests/20261124T123456Z/manifest-sha256.txt');
    expect(tagManifestKey(timestamp)).toBe('manifests/20261124T123456Z/tagmanifest-sha256.txt');
    expect(parseManifestKey(manifestKey(timestamp))).toEqual({ timestamp, isTag: false });
    expect(parseManifestKey(tagManifestKey(timestamp))).toEqual({ timestamp, isTag: true });
  });

  it.each([
    '',
    'manifests/',
    'manifests/20261124T123456Z/',
    'manifests/20261124T123456Z/manifest-sha512.txt',
    'manifests/20261124T123456Z/manifest-sha256xtxt',
    'manifests/20261124T123456Z/manifest-sha256.txt.bak',
    'manifests/20261124T123456Z/a/manifest-sha256.txt',
    'manifests/2026-11-24/manifest-sha256.txt',
    'manifests/20261124T12345Z/manifest-sha256.txt',
    'manifests/2026112T123456Z/manifest-sha256.txt',
    'old/manifests/20261124T123456Z/manifest-sha256.txt',
  ])('is not %j', (key) => {
    expect(parseManifestKey(key)).toBeUndefined();
  });
});

describe('the timestamp in the key of a manifest', () => {
  it('is parsed back to the second, and other text is NaN', () => {
    const now = Date.UTC(2026, 10, 24, 12, 34, 56) / 1_000;

    expect(formatTimestamp(now)).toBe('20261124T123456Z');
    expect(parseTimestamp(formatTimestamp(now))).toBe(now);
    expect(parseTimestamp('x20261124T123456Z')).toBeNaN();
    expect(parseTimestamp('20261124T123456Zx')).toBeNaN();
    expect(parseTimestamp('20261324T123456Z')).toBeNaN();
    // `+002026-11-24T12:34:56Z` is a date with an expanded year.
    expect(parseTimestamp('+0020261124T123456Z')).toBeNaN();
  });
});
