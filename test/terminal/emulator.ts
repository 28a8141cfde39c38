/** A terminal emulator that shows what a command's output looks like on a screen. */
import { PassThrough } from 'node:stream';
import xterm from '@xterm/headless';
import { createTerminal } from '../../terminal/terminal.ts';
import { VirtualClock } from '../fakes/clock.ts';

/** Starts a terminal of 80 columns, with stdout and stderr on the same screen. */
export function createEmulator({ columns = 80, json = false, time = new VirtualClock(0) } = {}) {
  const emulator = new xterm.Terminal({ cols: columns, rows: 24, scrollback: 1_000, allowProposedApi: true });
  let title: string | undefined;
  emulator.onTitleChange((text) => {
    title = text;
  });
  let bytes = '';
  // Writes at once, as Node does to a terminal.
  const write = (text: string) => {
    bytes += text;
    // As the terminal driver does for output (termios(3), ONLCR).
    emulator.write(text.replaceAll('\n', '\r\n'));
    return true;
  };
  const properties = { write, isTTY: true, columns, getColorDepth: () => 8, hasColors: () => true };
  const stream = Object.assign(new PassThrough(), properties) as unknown as NodeJS.WriteStream;
  const stdin = process.stdin;
  return {
    time,
    /** Its output. */
    stream,
    terminal: createTerminal({ json, time, stdin, stdout: stream, stderr: stream }),
    /** What was written since the last call. */
    takeBytes: () => {
      const taken = bytes;
      bytes = '';
      return taken;
    },
    title: () => title,
    /** The lines on the screen and above it, without wrapping, trailing blanks and trailing empty lines. */
    lines: async () => {
      await new Promise<void>((resolve) => emulator.write('', resolve));
      const { active: buffer } = emulator.buffer;
      const lines: string[] = [];
      for (let row = 0; row < buffer.length; row += 1) {
        const line = buffer.getLine(row);
        const text = line?.translateToString(true) ?? '';
        if (line?.isWrapped) lines[lines.length - 1] += text;
        else lines.push(text);
      }
      while (lines.at(-1) === '') lines.pop();
      return lines;
    },
  };
}
