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

/** A line as it is shown: sentences are wrapped; what is indented or in columns, such as a command, stays one line. */
export function wrapSentences(line: string, width: number): string {
  const isOneLine = line.length <= width || /^ | {2}/.test(line);
  return isOneLine ? line : wrapped(line, width).join('\n');
}
