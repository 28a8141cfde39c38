/** Output of a command: results on stdout, everything else on stderr, so that a pipe carries only results. */
import { styleText } from 'node:util';
import { printable, printableJson } from './escape.ts';
import { type Progress, type ProgressState, type ProgressTime, startProgress } from './progress.ts';
import { askForLine, askToConfirm } from './prompts.ts';
import { createScreen } from './screen.ts';
import { asStyled, type Printable, StyledText } from './styled.ts';
import { fitLine } from './wrap.ts';

export type Style = 'red' | 'green' | 'yellow' | 'bold' | 'dim';

/** Escapes all text that is printed, except the template of `styled`: names and reasons of others need no other filter. */
export interface Terminal {
  /** Whether results are printed as JSON, one object per line. */
  readonly json: boolean;
  /** Characters that fit into a line of stdout; undefined if it is not a terminal. */
  readonly columns: number | undefined;
  /** Prints a result on stdout, each argument on a line of its own; nothing with `--json`. */
  print(...lines: Printable[]): void;
  /** Prints a result as JSON on stdout; nothing without `--json`. */
  record(value: object): void;
  /** Prints messages on stderr, with or without `--json`, each argument on a line of its own. */
  note(...lines: Printable[]): void;
  /** Shows progress on stderr: a bar if both outputs are a terminal, otherwise lines, nothing with `--json`. */
  progress(describe: () => ProgressState, options?: { lineEveryMs: number }): Progress;
  /** Adds colour if stdout is a terminal and `NO_COLOR` is not set. Use it within the template tag `styled`. */
  paint(style: Style, text: Printable): Printable;
  /** Clears the screen if stdout is a terminal. */
  clear(): void;
  /**
   * Asks a yes/no question on stderr. The default answer is no, also at the end of the input (Ctrl-D).
   *
   * @throws Error if stdin is not a terminal, InterruptedError at Ctrl-C, or the signal's reason
   */
  confirm(question: string, signal: AbortSignal): Promise<boolean>;
  /**
   * Asks on stderr for a line of text.
   *
   * @throws as `confirm`
   */
  ask(question: string, signal: AbortSignal): Promise<string>;
}

export interface TerminalOptions {
  json: boolean;
  time: ProgressTime;
  stdin: NodeJS.ReadStream;
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
}

export function createTerminal({ json, time, stdin, stdout, stderr }: TerminalOptions): Terminal {
  const screen = createScreen(stderr);
  // Where stdout leads to another program, such as `tee`, that program may print to the same terminal at any time.
  const isLive = stdout.isTTY && stderr.isTTY;
  return {
    json,
    get columns() {
      return stdout.isTTY ? stdout.columns : undefined;
    },
    print: (...lines) => {
      if (!json) screen.print(stdout, lines);
    },
    record: (value) => {
      if (json) stdout.write(`${printableJson(value)}\n`);
    },
    note: (...lines) => screen.print(stderr, lines),
    progress: (describe, options) =>
      json
        ? { stop: () => undefined }
        : startProgress(describe, { ...options, screen, stream: stderr, isLive, time }),
    paint: (style, text) => {
      const { plain, coloured } = asStyled(text);
      return new StyledText(plain, styleText(style, coloured, { stream: stdout }));
    },
    clear: () => {
      if (stdout.isTTY && !json) stdout.write('\x1b[2J\x1b[3J\x1b[H');
    },
    confirm: (question, signal) =>
      askToConfirm(fitLine(printable(question), stderr), { stdin, stderr }, signal),
    ask: (question, signal) => askForLine(fitLine(printable(question), stderr), { stdin, stderr }, signal),
  };
}
