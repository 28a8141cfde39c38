/** What a command says, and where: results to stdout, all else to stderr, so that a pipe carries results only. */
import { createInterface } from 'node:readline/promises';
import { styleText } from 'node:util';
import { SingleBar } from 'cli-progress';
import type { Time } from '../functions/time.ts';
import { every } from '../local/every.ts';

/** How far a command is. */
export interface Stand {
  ended: number;
  /** Undefined where nobody knows yet. */
  total: number | undefined;
  /** For a person, such as `12 of 40 documents · 3 MB/s`. */
  text: string;
}

export interface Progress {
  /** Shows the stand of now for the last time, and leaves the terminal as it was. */
  stop(): void;
}

export type Style = 'red' | 'green' | 'yellow' | 'bold' | 'dim';

export interface Terminal {
  /** Whether results are wanted as JSON, one object per line. */
  readonly json: boolean;
  /** A result for a person, on stdout; says nothing with `--json`. */
  print(text: string): void;
  /** A result for a program, on stdout; says nothing without `--json`. */
  record(value: object): void;
  /** On stderr, with `--json` or without. */
  note(text: string): void;
  /** On stderr: a bar on a terminal; in a log a line now and then; nothing with `--json`. */
  progress(describe: () => Stand): Progress;
  /** Colours, where stdout is a terminal and `NO_COLOR` is not set. */
  paint(style: Style, text: string): string;
  /** Clears the screen of a terminal; elsewhere nothing happens. */
  clear(): void;
  /**
   * Asks on stderr for a yes.
   *
   * @throws Error where nobody is there to answer
   */
  confirm(question: string, signal: AbortSignal): Promise<boolean>;
}

export interface TerminalOptions {
  json: boolean;
  time: Time;
  stdin: NodeJS.ReadStream;
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
}

const barEveryMs = 100;
const lineEveryMs = 5_000;
const barWidth = 24;

export function createTerminal({ json, time, stdin, stdout, stderr }: TerminalOptions): Terminal {
  return {
    json,
    print: (text) => {
      if (!json) stdout.write(`${text}\n`);
    },
    record: (value) => {
      if (json) stdout.write(`${harmlessJson(value)}\n`);
    },
    note: (text) => {
      stderr.write(`${text}\n`);
    },
    progress: (describe) => {
      if (json) return { stop: () => undefined };
      return stderr.isTTY ? bar(describe, stderr, time) : lines(describe, stderr, time);
    },
    paint: (style, text) => styleText(style, text, { stream: stdout }),
    clear: () => {
      if (stdout.isTTY && !json) stdout.write('\x1b[2J\x1b[3J\x1b[H');
    },
    confirm: async (question, signal) => {
      if (!stdin.isTTY) throw new Error('Nobody is there to be asked. Give --yes to go on without asking.');
      const prompt = createInterface({ input: stdin, output: stderr });
      try {
        const answer = await prompt.question(`${question} [y/N] `, { signal });
        return /^y(es)?$/i.test(answer.trim());
      } finally {
        prompt.close();
      }
    },
  };
}

/**
 * JSON whose strings carry no character that a terminal obeys, nor one that changes the reading direction: the words of
 * others are in dead letters and file names. Escaped, so that a program reads the same text.
 */
function harmlessJson(value: object): string {
  return JSON.stringify(value).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    // UTF-16 code units, of which JSON writes four hex digits each (RFC 8259, section 7).
    character
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}

function bar(describe: () => Stand, stream: NodeJS.WriteStream, time: Time): Progress {
  const progress = new SingleBar({
    stream,
    hideCursor: true,
    format: (_options, _params, { stand }: { stand: Stand }) => drawn(stand) + stand.text,
  });
  progress.start(1, 0, { stand: describe() });
  const show = () => {
    const stand = describe();
    progress.setTotal(Math.max(1, stand.total ?? stand.ended + 1));
    progress.update(stand.ended, { stand });
  };
  const stopTicking = every(time, barEveryMs, show);
  return {
    stop: () => {
      stopTicking();
      show();
      progress.stop();
    },
  };
}

function drawn({ ended, total }: Stand): string {
  if (total === undefined) return '';
  const filled = Math.min(barWidth, Math.round((barWidth * ended) / Math.max(1, total)));
  return `${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)} `;
}

function lines(describe: () => Stand, stream: NodeJS.WriteStream, time: Time): Progress {
  let last = '';
  const show = () => {
    const { text } = describe();
    if (text === last) return;
    last = text;
    stream.write(`${text}\n`);
  };
  const stopTicking = every(time, lineEveryMs, show);
  return {
    stop: () => {
      stopTicking();
      show();
    },
  };
}
