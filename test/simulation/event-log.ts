/** Everything that happens in a simulation, in order. */
import { createHash } from 'node:crypto';
import type { Time } from '../../functions/time.ts';

interface Entry {
  at: number;
  /** ID of the document, order, message or event. */
  subject: string;
  what: string;
}

export class EventLog {
  readonly #time: Time;
  readonly #entries: Entry[] = [];

  constructor(time: Time) {
    this.#time = time;
  }

  add(subject: string, what: string): void {
    this.#entries.push({ at: this.#time.monotonic(), subject, what });
  }

  get length(): number {
    return this.#entries.length;
  }

  /** One line per entry. */
  *lines(): Generator<string> {
    for (const { at, subject, what } of this.#entries) yield `${at.toFixed(3)} ${subject} ${what}`;
  }

  /** SHA-256 of all lines, lower-case hex. */
  digest(): string {
    const hash = createHash('sha256');
    for (const line of this.lines()) hash.update(`${line}\n`);
    return hash.digest('hex');
  }

  /** The last entries that mention `subject`; of all entries if it is undefined. */
  excerpt(subject: string | undefined, max = 60): string[] {
    const matching = this.#entries.filter(
      (entry) =>
        subject === undefined ||
        entry.subject.includes(subject) ||
        new RegExp(`${subject}\\b`).test(entry.what),
    );
    return matching
      .slice(-max)
      .map(({ at, subject: about, what }) => `${formatElapsed(at)}  ${about}  ${what}`);
  }
}

function formatElapsed(ms: number): string {
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  return `${two(ms / 3_600_000)}:${two((ms / 60_000) % 60)}:${((ms / 1_000) % 60).toFixed(3).padStart(6, '0')}`;
}
