/** Progress of a long command: a live bar on a terminal, otherwise plain lines at intervals. */
import { SingleBar } from 'cli-progress';
import { every, type Timer } from './every.ts';

export interface ProgressState {
  ended: number;
  /** Undefined while unknown: no bar is drawn. */
  total: number | undefined;
  /** Text to show, such as `12 of 40 documents · 3 MB/s`. */
  text: string;
  /** Outside a terminal, a line is written only when this changes. Empty: nothing to report yet. @default the text */
  lineKey?: string;
}

export interface Progress {
  /** Shows the final state and restores the terminal. */
  stop(): void;
}

export interface ProgressOptions {
  stream: NodeJS.WriteStream;
  timer: Timer;
  /** Milliseconds between two lines outside a terminal. @default 5,000 */
  lineEveryMs?: number;
}

const barEveryMs = 100;
const barWidth = 16;

export function startProgress(describe: () => ProgressState, options: ProgressOptions): Progress {
  return options.stream.isTTY ? bar(describe, options) : lines(describe, options);
}

function bar(describe: () => ProgressState, { stream, timer }: ProgressOptions): Progress {
  const progress = new SingleBar({
    stream,
    hideCursor: true,
    format: (_options, _params, { state }: { state: ProgressState }) => drawBar(state) + state.text,
  });
  progress.start(1, 0, { state: describe() });
  const show = () => {
    const state = describe();
    progress.setTotal(Math.max(1, state.total ?? state.ended + 1));
    progress.update(state.ended, { state });
  };
  const stopTicking = every(timer, barEveryMs, show);
  return {
    stop: () => {
      stopTicking();
      show();
      progress.stop();
    },
  };
}

function drawBar({ ended, total }: ProgressState): string {
  if (total === undefined) return '';
  const filled = Math.min(barWidth, Math.round((barWidth * ended) / Math.max(1, total)));
  return `${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)} `;
}

function lines(
  describe: () => ProgressState,
  { stream, timer, lineEveryMs = 5_000 }: ProgressOptions,
): Progress {
  let last = '';
  const show = () => {
    const { text, lineKey = text } = describe();
    if (lineKey === last) return;
    last = lineKey;
    stream.write(`${text}\n`);
  };
  const stopTicking = every(timer, lineEveryMs, show);
  return {
    stop: () => {
      stopTicking();
      show();
    },
  };
}
