/** All that happens in a world, in order. */
import { createHash } from 'node:crypto';
import type { Time } from '../../functions/time.ts';

interface Entry {
  at: number;
  /** What it is about: a document's, order's, message's or event's id. */
  subject: string;
  what: string;
}

export class Journal {
  readonly #time: Time;
  readonly #entries: Entry[] = [];

  constructor(time: Time) {
    this.#time = time;
  }

  note(subject: string, what: string): void {
    this.#entries.push({ at: this.#time.monotonic(), subject, what });
  }

  get length(): number {
    return this.#entries.length;
  }

  /** The whole of it, a line per entry. */
  *lines(): Generator<string> {
    for (const { at, subject, what } of this.#entries) yield `${at.toFixed(3)} ${subject} ${what}`;
  }

  /** SHA-256 of all lines, lower-case hex. */
  digest(): string {
    const hash = createHash('sha256');
    for (const line of this.lines()) hash.update(`${line}\n`);
    return hash.digest('hex');
  }

  /** The last entries about a document, or what else `subject` names; of all if it names nothing. */
  story(subject: string | undefined, most = 60): string[] {
    const told = this.#entries.filter(
      (entry) =>
        subject === undefined || entry.subject === subject || new RegExp(`${subject}\\b`).test(entry.what),
    );
    return told.slice(-most).map(({ at, subject: about, what }) => `${clockTime(at)}  ${about}  ${what}`);
  }
}

function clockTime(ms: number): string {
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  return `${two(ms / 3_600_000)}:${two((ms / 60_000) % 60)}:${((ms / 1_000) % 60).toFixed(3).padStart(6, '0')}`;
}
