import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../cli/command.ts';
import { chosenDocumentIds, parseDocumentIds, readDocumentIds } from '../../cli/document-ids.ts';
import { newFolder } from './world.ts';

const id = '5a3b1e00-0000-4000-8000-000000000001';

describe('document IDs', () => {
  it('are returned in lower case, without duplicates, empty lines and comments', () => {
    const ids = parseDocumentIds([` ${id.toUpperCase()}\r`, '', '# a comment', id], 'line');

    expect(ids).toEqual([id]);
  });

  it('are rejected with the number of each invalid line', () => {
    expect(() => parseDocumentIds([id, 'x', `${id}0`], 'line')).toThrow(
      /line 2: "x"[\s\S]*line 3[\s\S]*Nothing was done/,
    );
  });

  it('are read from a file or from standard input', async () => {
    const file = join(await newFolder(), 'ids');
    await writeFile(file, `${id}\n`);

    expect(await readDocumentIds(file, Readable.from([]))).toEqual([id]);
    expect(await readDocumentIds('-', Readable.from([id, '\n']))).toEqual([id]);
    await expect(readDocumentIds(`${file}x`, Readable.from([]))).rejects.toThrow(/one document ID per line/);
  });

  it('are refused with ten problems at most, each cut to 60 characters, and the number of the others', () => {
    const bad = (count: number) => Array.from({ length: count }, (_, n) => ` x${n}${'y'.repeat(100)} `);
    const shown = (count: number) =>
      Array.from({ length: count }, (_, n) => `  --id ${n + 1}: "x${n}${'y'.repeat(58)}"\n`).join('');
    const messageOf = (count: number) => {
      try {
        return parseDocumentIds(bad(count), '--id').join();
      } catch (error) {
        return (error as Error).message;
      }
    };

    expect(messageOf(10)).toBe(`Not a valid document ID (expected a UUID):\n${shown(10)}Nothing was done.`);
    expect(messageOf(12)).toBe(
      `Not a valid document ID (expected a UUID):\n${shown(10)}  and 2 more\nNothing was done.`,
    );
  });

  it('are refused with the number of their line, and a file that cannot be read with the cause', async () => {
    await expect(readDocumentIds('-', Readable.from([`${id}\nx\n`]))).rejects.toThrow('\n  line 2: "x"\n');
    await expect(readDocumentIds('/nowhere/ids', Readable.from([]))).rejects.toMatchObject({
      cause: { code: 'ENOENT' },
    });
  });

  it('of a command are its arguments or those in a file, and not none', async () => {
    const file = join(await newFolder(), 'ids');
    await writeFile(file, `${id}\n`);
    const empty = join(await newFolder(), 'ids');
    await writeFile(empty, '# none\n');
    const either = 'Pass the document IDs as arguments, or a file of them with --ids.';

    expect(await chosenDocumentIds([id.toUpperCase()], undefined)).toEqual([id]);
    expect(await chosenDocumentIds([], file)).toEqual([id]);
    await expect(chosenDocumentIds([id, 'x'], undefined)).rejects.toThrow('argument 2: "x"');
    await expect(chosenDocumentIds([id], file)).rejects.toThrow(new UsageError(either));
    await expect(chosenDocumentIds([], undefined)).rejects.toThrow(new UsageError(either));
    await expect(chosenDocumentIds([], empty)).rejects.toThrow(
      new UsageError('No document IDs were given. Nothing was done.'),
    );
  });
});
