import { printable } from './escape.ts';

/** Breaks a text at spaces, but not within backticks: what is longer has a line of its own, so that it can be copied. */
export function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const [word] of text.matchAll(/`[^`]*`\S*|\S+/g)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** The width of a terminal that does not state it, in characters. */
export const defaultColumns = 80;

/**
 * Wraps the sentences of a line that does not fit into the terminal. What is indented or in columns, such as a command, stays
 * one line, and so does everything where the output is not a terminal.
 */
export function fitLine(line: string, { isTTY, columns }: NodeJS.WriteStream): string {
  const staysWhole = !isTTY || /^ | {2}/.test(line);
  return staysWhole ? line : wrapped(line, columns || defaultColumns).join('\n');
}

/** A message of several lines, escaped and wrapped: it may quote a file, such as a list of IDs. */
export function fitMessage(text: string, stream: NodeJS.WriteStream): string {
  return text
    .split('\n')
    .map((line) => fitLine(printable(line), stream))
    .join('\n');
}
