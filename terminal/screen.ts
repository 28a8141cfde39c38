/** The only writer of a command's output, so that a progress bar and printed lines never overwrite each other. */
import { asStyled, type Printable } from './styled.ts';
import { defaultColumns, fitLine } from './wrap.ts';

export interface Screen {
  /** Prints lines, above the status line if there is one. */
  print(stream: NodeJS.WriteStream, lines: readonly Printable[]): void;
  /** Characters that fit into the status line. */
  statusWidth(): number;
  /** Shows a line that stays below all other output until it is replaced or removed. Cut to the terminal's width. */
  showStatus(text: string): void;
  /** Prints the status line like any other line and stops showing it. */
  endStatus(): void;
}

const clearLine = '\r\x1b[K';

/** @param statusStream a terminal */
export function createScreen(statusStream: NodeJS.WriteStream): Screen {
  let status: string | undefined;
  // A character in the last column makes some terminals wrap.
  const statusWidth = () => (statusStream.columns || defaultColumns) - 1;
  const draw = () => {
    if (status === undefined) return;
    const cut = [...asStyled(status).plain].slice(0, statusWidth()).join('');
    statusStream.write(clearLine + cut);
  };
  return {
    statusWidth,
    print: (stream, lines) => {
      if (status !== undefined) statusStream.write(clearLine);
      stream.write(lines.map((line) => `${shown(line, stream)}\n`).join(''));
      draw();
    },
    showStatus: (text) => {
      status = text;
      draw();
    },
    endStatus: () => {
      draw();
      if (status !== undefined) statusStream.write('\n');
      status = undefined;
    },
  };
}

/** What is styled has its own line breaks. */
function shown(line: Printable, stream: NodeJS.WriteStream): string {
  const { coloured } = asStyled(line);
  return typeof line === 'string' ? fitLine(coloured, stream) : coloured;
}
