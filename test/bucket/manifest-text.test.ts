import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import { documentsIn, linesOf, secondsOfStamp, stampOf } from '../../functions/bucket/manifest-text.ts';
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
  return collected(documentsIn(path));
}

describe('the documents of a manifest', () => {
  it('are those that were written, halves of a document alike', async () => {
    const documents = [
      { id: first, document: digest, receipt: undefined },
      { id: second, document: undefined, receipt: other },
    ];

    expect(await read(documents.map(linesOf).join(''))).toEqual(documents);
  });

  it.each([
    ['has a line that is none', 'abc\n', 'names no document'],
    ['names another kind of file', `${digest}  audits/x\n`, 'names no document'],
    ['names a document without a proper id', `${digest}  documents/x\n`, 'names no document'],
    ['names a file twice', `${digest}  ${documentKey(first)}\n`.repeat(2), 'names a file twice'],
    [
      'is not sorted',
      `${digest}  ${documentKey(second)}\n${digest}  ${receiptKey(first)}\n`,
      'is not sorted',
    ],
    ['has a line without end', 'x'.repeat(1_025), 'longer than any'],
    ['ends within a line', `${digest}  ${documentKey(first)}`, 'is cut off'],
  ])('are refused where it %s', async (_what, text, why) => {
    await expect(read(text)).rejects.toThrow(RangeError);
    await expect(read(text)).rejects.toThrow(why);
  });
});

describe('the stamp in a manifest’s key', () => {
  it('is read back to the second, and other text is no time', () => {
    const now = Date.UTC(2026, 10, 24, 12, 34, 56) / 1_000;

    expect(stampOf(now)).toBe('20261124T123456Z');
    expect(secondsOfStamp(stampOf(now))).toBe(now);
    expect(secondsOfStamp('x20261124T123456Z')).toBeNaN();
  });
});
