/** Output of a command: results on stdout, everything else on stderr, so that a pipe carries only results. */
import { styleText } from 'node:util';
import { printableJson } from './escape.ts';
import type { Timer } from './every.ts';
import { type Progress, type ProgressState, startProgress } from './progress.ts';
import { askToConfirm } from './prompts.ts';

export type Style = 'red' | 'green' | 'yellow' | 'bold' | 'dim';

export interface Terminal {
  /** Whether results are printed as JSON, one object per line. */
  readonly json: boolean;
  /** Prints a result as text on stdout; nothing with `--json`. */
  print(text: string): void;
  /** Prints a result as JSON on stdout; nothing without `--json`. */
  record(value: object): void;
  /** Prints a message on stderr, with or without `--json`. */
  note(text: string): void;
  /** Shows progress on stderr: a bar on a terminal, lines elsewhere, nothing with `--json`. */
  progress(describe: () => ProgressState): Progress;
  /** Adds colour if stdout is a terminal and `NO_COLOR` is not set. */
  paint(style: Style, text: string): string;
  /** Clears the screen if stdout is a terminal. */
  clear(): void;
  /**
   * Asks a yes/no question on stderr.
   *
   * @throws Error if stdin is not a terminal, or the signal's reason
   */
  confirm(question: string, signal: AbortSignal): Promise<boolean>;
}

export interface TerminalOptions {
  json: boolean;
  time: Timer;
  stdin: NodeJS.ReadStream;
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
}

export function createTerminal({ json, time, stdin, stdout, stderr }: TerminalOptions): Terminal {
  return {
    json,
    print: (text) => {
      if (!json) stdout.write(`${text}\n`);
    },
    record: (value) => {
      if (json) stdout.write(`${printableJson(value)}\n`);
    },
    note: (text) => {
      stderr.write(`${text}\n`);
    },
    progress: (describe) =>
      json ? { stop: () => undefined } : startProgress(describe, { stream: stderr, timer: time }),
    paint: (style, text) => styleText(style, text, { stream: stdout }),
    clear: () => {
      if (stdout.isTTY && !json) stdout.write('\x1b[2J\x1b[3J\x1b[H');
    },
    confirm: (question, signal) => askToConfirm(question, { stdin, stderr }, signal),
  };
}
