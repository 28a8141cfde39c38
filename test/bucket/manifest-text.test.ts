import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import {
  formatEntry,
  formatTimestamp,
  parseTimestamp,
  readManifestEntries,
} from '../../functions/bucket/manifest-text.ts';
import { collected } from '../collected.ts';

const [first, second] = [
  '00000001-0000-4000-8000-000000000000',
  '00000002-0000-4000-8000-000000000000',
] as const;
const [digest, other] = ['ab'.repeat(32), 'cd'.repeat(32)];

async function read(text: string) {
  const folder = await mkdtemp(join(tmpdir(), 'manifest-text-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'manifest');
  await writeFile(path, text);
  return collected(readManifestEntries(path));
}

describe('readManifestEntries', () => {
  it('returns the entries that were written, also those with one digest only', async () => {
    const documents = [
      { id: first, document: digest, receipt: undefined },
      { id: second, document: undefined, receipt: other },
    ];

    expect(await read(documents.map(formatEntry).join(''))).toEqual(documents);
  });

  it.each([
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

describe('the timestamp in the key of a manifest', () => {
  it('is parsed back to the second, and other text is NaN', () => {
    const now = Date.UTC(2026, 10, 24, 12, 34, 56) / 1_000;

    expect(formatTimestamp(now)).toBe('20261124T123456Z');
    expect(parseTimestamp(formatTimestamp(now))).toBe(now);
    expect(parseTimestamp('x20261124T123456Z')).toBeNaN();
  });
});
