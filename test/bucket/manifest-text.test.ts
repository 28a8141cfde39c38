import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import {
  countDocuments,
  formatEntry,
  formatLine,
  formatTimestamp,
  isWithin,
  manifestKey,
  nextTimestamp,
  overlap,
  parseLine,
  parseManifestKey,
  parseTimestamp,
  readManifestEntries,
  readManifestHead,
  stretchManifestKey,
  tagManifestKey,
} from '../../functions/bucket/manifest-text.ts';
import { collected } from '../collected.ts';
import { propertyRuns } from '../fuzz-runs.ts';

const [first, second] = [
  '00000001-0000-4000-8000-000000000000',
  '00000002-0000-4000-8000-000000000000',
] as const;
const [digest, other] = ['ab'.repeat(32), 'cd'.repeat(32)];

const read = async (text: string, stretch?: { from: string; before: string }) =>
  collected(readManifestEntries([Buffer.from(text)], stretch));
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

  it('reads the same entries from chunks of any size', async () => {
    const entries = Array.from({ length: 20 }, (_, number) => ({
      id: `${number.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`,
      document: digest,
      receipt: other,
    }));
    const bytes = Buffer.from(entries.map(formatEntry).join(''));

    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: bytes.length }), async (size) => {
        const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, position) =>
          bytes.subarray(position * size, (position + 1) * size),
        );

        expect(await collected(readManifestEntries(chunks))).toEqual(entries);
      }),
      { numRuns: propertyRuns(100) },
    );
  });

  it('reads the entries of a stretch file up to both of its bounds', async () => {
    const entries = [first, second].map((id) => ({ id, document: digest, receipt: digest }));
    const text = entries.map(formatEntry).join('');

    expect(await read(text, { from: first, before: '00000003' })).toEqual(entries);
    expect(await read(text, { from: '', before: '' })).toEqual(entries);
    expect(await read('', { from: '', before: '' })).toEqual([]);
    await expect(read(text, { from: '', before: second })).rejects.toThrow('not about its stretch');
    await expect(read(text, { from: '00000002', before: '' })).rejects.toThrow('not about its stretch');
    await expect(read(formatLine(predecessor) + text, { from: '', before: '' })).rejects.toThrow(RangeError);
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

describe('countDocuments', () => {
  it('counts the documents of a manifest, none in a text that is not one, and throws if it cannot be read', async () => {
    const entry = formatEntry({ id: first, document: digest, receipt: digest });
    const countIn = (text: string) => countDocuments(readManifestEntries([Buffer.from(text)]));
    async function* failing(): AsyncGenerator<Buffer> {
      yield Buffer.from(entry);
      throw new Error('read ECONNRESET');
    }

    expect(await countIn(entry)).toBe(1);
    expect(await countIn('')).toBe(0);
    expect(await countIn(`${entry}not a manifest\n`)).toBeUndefined();
    await expect(countDocuments(readManifestEntries(failing()))).rejects.toThrow('read ECONNRESET');
  });
});

describe('the files that a manifest names', () => {
  const headOf = (...lines: string[]) =>
    readManifestHead([Buffer.from(lines.join(''))], manifestKey(timestamp));
  const entry = formatEntry({ id: first, document: digest, receipt: digest });
  const stretch = (from: string, before: string, at = timestamp) =>
    formatLine({ sha256: digest, key: stretchManifestKey(at, { from, before }) });

  it('are the previous manifest, in the first line', async () => {
    expect(await headOf(formatLine(predecessor), entry)).toEqual({ predecessor, stretches: undefined });
    expect(await headOf(formatLine(predecessor))).toEqual({ predecessor, stretches: undefined });
  });

  it.each([
    ['the file is empty', ''],
    ['the first line names a document', entry],
    ['the first line names a tag file', formatLine({ sha256: digest, key: tagManifestKey(timestamp) })],
    ['the second line names a manifest', `\n${formatLine(predecessor)}`],
    ['the first line has no end', formatLine(predecessor).trimEnd()],
    ['the first line is too long', 'x'.repeat(2_000)],
  ])('are none if %s', async (_case, text) => {
    expect(await headOf(text)).toEqual({ predecessor: undefined, stretches: undefined });
  });

  it('are the stretch files of a root manifest, with or without a previous manifest', async () => {
    const stretches = [
      { sha256: digest, key: `manifests/${timestamp}/ids__4.txt`, from: '', before: '4' },
      { sha256: digest, key: `manifests/${timestamp}/ids_4_${second}.txt`, from: '4', before: second },
    ];
    const lines = [stretch('', '4'), stretch('8', '')];

    expect(await headOf(formatLine(predecessor), ...lines)).toMatchObject({ predecessor });
    expect((await headOf(...lines))?.stretches?.map(({ from, before }) => [from, before])).toEqual([
      ['', '4'],
      ['8', ''],
    ]);
    expect((await headOf(stretch('', '4')))?.stretches).toEqual([stretches[0]]);
  });

  it.each([
    ['overlap', [stretch('', '4'), stretch('3', '')]],
    ['are not in order', [stretch('8', ''), stretch('', '8')]],
    ['are followed by others after the last ID', [stretch('', ''), stretch('8', '')]],
    ['are of another manifest', [stretch('', '', '20261101T000000Z')]],
    ['are followed by a document', [stretch('', ''), entry]],
    ['are followed by a manifest', [stretch('', '4'), formatLine(predecessor)]],
    ['are named twice', [stretch('', ''), stretch('', '')]],
    ['end in the middle of a line', [stretch('', '4'), stretch('4', '').trimEnd()]],
    ['are followed by an empty line', [stretch('', ''), '\n']],
  ])('are no stretch files if these %s, and it has no entries either', async (_case, lines) => {
    expect(await headOf(formatLine(predecessor), ...lines)).toEqual({ predecessor, stretches: undefined });
    await expect(read([formatLine(predecessor), ...lines].join(''))).rejects.toThrow(RangeError);
  });

  it('are read up to the first line about a document', async () => {
    let ended = false;
    async function* chunks() {
      try {
        yield Buffer.from(formatLine(predecessor) + entry);
        throw new Error('Read too far.');
      } finally {
        ended = true;
      }
    }

    expect(await readManifestHead(chunks(), manifestKey(timestamp))).toMatchObject({ predecessor });
    expect(ended).toBe(true);
  });

  it('cannot be told if the text cannot be read', async () => {
    async function* failing(): AsyncGenerator<Buffer> {
      yield Buffer.alloc(0);
      throw new Error('read ECONNRESET');
    }

    await expect(readManifestHead(failing(), manifestKey(timestamp))).rejects.toThrow('read ECONNRESET');
  });
});

describe('a stretch of IDs', () => {
  const bound = fc.constantFrom('', '0', '00000001', first, second, '8', 'f');

  it('overlaps another one exactly if a text is within both', () => {
    const candidates = ['', '0', '00000001', first, second, '3', '8', '9', 'f', 'ff'];
    const range = fc
      .record({ from: bound, before: bound })
      .filter(({ from, before }) => before === '' || from < before);

    fc.assert(
      fc.property(range, range, (a, b) => {
        const isShared = candidates.some((text) => isWithin(text, a) && isWithin(text, b));

        expect(overlap(a, b)).toBe(isShared);
      }),
      { numRuns: propertyRuns(500) },
    );
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
    expect(parseManifestKey(manifestKey(timestamp))).toEqual({ timestamp, file: 'manifest' });
    expect(parseManifestKey(tagManifestKey(timestamp))).toEqual({ timestamp, file: 'tag' });
  });

  it('has the bounds of the stretch, if it is that of a stretch file', () => {
    for (const stretch of [
      { from: '', before: '' },
      { from: '0000', before: first },
      { from: second, before: 'fff' },
    ]) {
      expect(parseManifestKey(stretchManifestKey(timestamp, stretch))).toEqual({ timestamp, file: stretch });
    }
    expect(stretchManifestKey(timestamp, { from: '00a', before: '' })).toBe(
      'manifests/20261124T123456Z/ids_00a_.txt',
    );
  });

  it.each([
    '',
    'manifests/20261124T123456Z/ids.txt',
    'manifests/20261124T123456Z/ids_00a.txt',
    'manifests/20261124T123456Z/ids_b_a.txt',
    'manifests/20261124T123456Z/ids_a_a.txt',
    'manifests/20261124T123456Z/ids_x_.txt',
    'manifests/20261124T123456Z/ids__/.txt',
    'manifests/20261124T123456Z/others.txt',
    'manifests/20261124T123456Z/tagids__.txt',
    'manifests/20261124T123456Z/telnyx_1.txt',
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

  it('is that of the clock, or a second after the latest manifest if the clock is behind', () => {
    const now = Date.UTC(2026, 10, 24, 12, 34, 56) / 1_000;

    expect(nextTimestamp(undefined, now + 0.9)).toBe('20261124T123456Z');
    expect(nextTimestamp('20261124T123455Z', now)).toBe('20261124T123456Z');
    expect(nextTimestamp('20261124T123456Z', now)).toBe('20261124T123457Z');
  });
});
