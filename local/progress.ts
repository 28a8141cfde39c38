/** Shows how far the archive is while it works: a live bar on a terminal, a plain line per change otherwise. */
import { SingleBar } from 'cli-progress';
import type { Time } from '../functions/time.ts';
import { every } from './every.ts';
import type { Totals } from './ledger.ts';

export interface Progress {
  /** Shows the totals of now for the last time, and leaves the terminal as it was. */
  stop(): void;
}

export interface ProgressOptions {
  totals: () => Totals;
  stream: NodeJS.WriteStream;
  time: Time;
}

const barEveryMs = 100;
const lineEveryMs = 1_000;

export function showProgress({ totals, stream, time }: ProgressOptions): Progress {
  const began = time.monotonic();
  const seconds = () => Math.max(0.001, (time.monotonic() - began) / 1_000);
  return stream.isTTY ? bar(totals, stream, time, seconds) : lines(totals, stream, time, seconds);
}

function bar(totals: () => Totals, stream: NodeJS.WriteStream, time: Time, seconds: () => number): Progress {
  const progress = new SingleBar({
    stream,
    hideCursor: true,
    clearOnComplete: false,
    format: (_options, _params, { now }: { now: Totals }) => describe(now, seconds(), barOf(now)),
  });
  progress.start(1, 0, { now: totals() });
  const show = () => {
    const now = totals();
    progress.setTotal(Math.max(1, now.documents));
    progress.update(now.ended, { now });
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

function lines(
  totals: () => Totals,
  stream: NodeJS.WriteStream,
  time: Time,
  seconds: () => number,
): Progress {
  let last = '';
  const show = () => {
    const now = totals();
    const state = JSON.stringify(now);
    if (state === last || now.documents + now.waiting + now.deadLettered === 0) return;
    last = state;
    stream.write(`${describe(now, seconds(), '')}\n`);
  };
  const stopTicking = every(time, lineEveryMs, show);
  return {
    stop: () => {
      stopTicking();
      show();
    },
  };
}

const barWidth = 16;

function barOf(now: Totals): string {
  const filled = Math.round((barWidth * now.ended) / Math.max(1, now.documents));
  return `${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)} `;
}

function describe(now: Totals, seconds: number, before: string): string {
  const parts = [
    `${now.ended} of ${now.documents} documents`,
    formatBytes(now.bytes),
    `${formatBytes(now.bytes / seconds)}/s`,
  ];
  if (now.waiting > 0) parts.push(`${now.waiting} waiting`);
  parts.push(`${now.deadLettered} failed`);
  return before + parts.join(' · ');
}

/** Decimal units, as S3 and Telnyx count. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
