/** Document IDs from the command line, a file or standard input. */
import { readFile } from 'node:fs/promises';
import { text as readToTheEnd } from 'node:stream/consumers';
import { uuidPattern } from '../functions/uuid.ts';
import { printableJson } from '../terminal/escape.ts';
import { UsageError } from './command.ts';

const maxProblems = 10;

/**
 * Parses IDs and removes duplicates.
 *
 * @param texts one ID each, trimmed; empty texts and those that start with `#` are skipped
 * @param place word for the position of a text in error messages, such as `line`
 * @returns lower-case IDs
 * @throws UsageError that lists the invalid ones
 */
export function parseDocumentIds(texts: readonly string[], place: string): string[] {
  const ids = new Set<string>();
  const problems: string[] = [];
  for (const [position, text] of texts.entries()) {
    const id = text.trim().toLowerCase();
    if (id === '' || id.startsWith('#')) continue;
    if (uuidPattern.test(id)) ids.add(id);
    else problems.push(`${place} ${position + 1}: ${printableJson(text.trim().slice(0, 60))}`);
  }
  if (problems.length > 0) {
    const more = problems.length > maxProblems ? [`and ${problems.length - maxProblems} more`] : [];
    throw new UsageError(
      `Not a valid document ID (expected a UUID):\n  ${[...problems.slice(0, maxProblems), ...more].join('\n  ')}\nNothing was done.`,
    );
  }
  return [...ids];
}

/** @param file a path, or `-` for standard input */
export async function readDocumentIds(file: string, stdin: NodeJS.ReadableStream): Promise<string[]> {
  const content =
    file === '-'
      ? await readToTheEnd(stdin)
      : await readFile(file, 'utf8').catch((error: unknown) => {
          throw new Error(`Cannot read ${file}. It must contain one document ID per line.`, {
            cause: error,
          });
        });
  return parseDocumentIds(content.split('\n'), 'line');
}

/**
 * The IDs of a command that takes them as arguments or from a file.
 *
 * @throws UsageError if there are none, or both
 */
export async function chosenDocumentIds(
  texts: readonly string[],
  file: string | undefined,
): Promise<string[]> {
  if (texts.length > 0 === (file !== undefined)) {
    throw new UsageError('Pass the document IDs as arguments, or a file of them with --ids.');
  }
  const ids =
    file === undefined ? parseDocumentIds(texts, 'argument') : await readDocumentIds(file, process.stdin);
  if (ids.length === 0) throw new UsageError('No document IDs were given. Nothing was done.');
  return ids;
}
