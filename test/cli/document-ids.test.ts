import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { parseDocumentIds, readDocumentIds } from '../../cli/document-ids.ts';
import { newFolder } from './world.ts';

const id = '5a3b1e00-0000-4000-8000-000000000001';

describe('document IDs', () => {
  it('are returned in lower case, without duplicates, empty lines and comments', () => {
    const ids = parseDocumentIds([` ${id.toUpperCase()}\r`, '', '# a comment', id], 'line');

    expect(ids).toEqual([id]);
  });

  it('are rejected with the number of each invalid line', () => {
    expect(() => parseDocumentIds([id, 'x', `${id}0`], 'line')).toThrow(
      /line 2: "x"[\s\S]*line 3[\s\S]*Nothing was sent/,
    );
  });

  it('are read from a file or from standard input', async () => {
    const file = join(await newFolder(), 'ids');
    await writeFile(file, `${id}\n`);

    expect(await readDocumentIds(file, Readable.from([]))).toEqual([id]);
    expect(await readDocumentIds('-', Readable.from([id, '\n']))).toEqual([id]);
    await expect(readDocumentIds(`${file}x`, Readable.from([]))).rejects.toThrow(/one document ID per line/);
  });
});
