/** Document ids as people give them: on the command line, in a file, or through a pipe. */
import { readFile } from 'node:fs/promises';
import { text as readToTheEnd } from 'node:stream/consumers';
import { uuidPattern } from '../functions/uuid.ts';

const mostProblems = 10;

/**
 * Each id once, lower-case.
 *
 * @param texts one id each; blanks around it, empty ones and those that begin with `#` do not count
 * @param place what the position of a text is called, such as `line`
 * @throws Error that names what is no UUID
 */
export function parseDocumentIds(texts: readonly string[], place: string): string[] {
  const ids = new Set<string>();
  const problems: string[] = [];
  for (const [position, text] of texts.entries()) {
    const id = text.trim().toLowerCase();
    if (id === '' || id.startsWith('#')) continue;
    if (uuidPattern.test(id)) ids.add(id);
    else problems.push(`${place} ${position + 1}: ${JSON.stringify(text.trim().slice(0, 60))}`);
  }
  if (problems.length > 0) {
    const more = problems.length > mostProblems ? [`and ${problems.length - mostProblems} more`] : [];
    throw new Error(
      `A document id is a UUID, and this is none:\n  ${[...problems.slice(0, mostProblems), ...more].join('\n  ')}\nNothing was sent.`,
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
          throw new Error(`${file} cannot be read. It is to hold one document id per line.`, {
            cause: error,
          });
        });
  return parseDocumentIds(content.split('\n'), 'line');
}
