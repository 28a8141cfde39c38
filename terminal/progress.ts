/** Progress of a long command: a live bar on a terminal, otherwise plain lines at intervals. */
import { every, type Timer } from './every.ts';
import type { Screen } from './screen.ts';
import { createTimeLeft } from './time-left.ts';

export interface ProgressState {
  ended: number;
  /** Undefined while unknown: neither a bar nor the time left is shown. */
  total: number | undefined;
  /** Text to show, such as `12 of 40 documents · 3 MB/s`. The time left is put before it. */
  text: string;
  /** Outside a terminal, a line is written only when this changes. Empty: nothing to report yet. @default the text */
  lineKey?: string;
}

export interface Progress {
  /** Prints the final state. Any further call does nothing. */
  stop(): void;
}

export interface ProgressTime extends Timer {
  /** Milliseconds of a monotonic clock. */
  monotonic(): number;
}

export interface ProgressOptions {
  screen: Screen;
  stream: NodeJS.WriteStream;
  /** Whether to draw a bar. */
  isLive: boolean;
  time: ProgressTime;
  /** Milliseconds between two lines outside a terminal. @default 5,000 */
  lineEveryMs?: number;
}

const barEveryMs = 100;
const maxBarWidth = 16;
const minBarWidth = 8;

export function startProgress(
  describe: () => ProgressState,
  { screen, stream, isLive, time, lineEveryMs = 5_000 }: ProgressOptions,
): Progress {
  const timeLeft = createTimeLeft();
  const read = () => {
    const state = describe();
    const left = timeLeft.describe(state.ended, state.total, time.monotonic());
    return { ...state, line: left === undefined ? state.text : `${left} · ${state.text}` };
  };
  let lastKey = '';
  const showLine = () => {
    const { text, line, lineKey = text } = read();
    if (lineKey === lastKey) return;
    lastKey = lineKey;
    screen.print(stream, [line]);
  };
  const showBar = () => {
    const state = read();
    screen.showStatus(drawBar(state, screen.statusWidth() - state.line.length - 1) + state.line);
  };
  const show = isLive ? showBar : showLine;
  if (isLive) show();
  const stopTicking = every(time, isLive ? barEveryMs : lineEveryMs, show);
  let isStopped = false;
  return {
    stop: () => {
      if (isStopped) return;
      isStopped = true;
      stopTicking();
      show();
      screen.endStatus();
    },
  };
}

/** @param room characters that the text leaves; the bar is left out before the text is cut */
function drawBar({ ended, total }: ProgressState, room: number): string {
  const barWidth = Math.min(maxBarWidth, room);
  if (total === undefined || barWidth < minBarWidth) return '';
  const filled = Math.min(barWidth, Math.round((barWidth * ended) / Math.max(1, total)));
  return `${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)} `;
}
