/** People and the schedule: sweeps every minute, backfills, redrives, deployments, and slips of the hand. */
import { planSweep } from '../../functions/discover/sweep.ts';
import { sweep } from '../../functions/limits.ts';
import type { Account } from './account.ts';
import type { Queue } from './queue.ts';
import type { Surroundings } from './surroundings.ts';
import { laneNames, type Scene } from './watch.ts';

const minute = 60_000;
const manySpans = 150;

/** Bodies that the document lanes cannot read; ids in them are nobody's. */
const malformed = [
  '',
  'no JSON',
  '{}',
  '[]',
  'null',
  '{"v":"1","kind":"document"}',
  '{"v":1,"kind":"document","documentId":"../../x","trigger":"operator","requestedAt":"2026-11-24T00:00:00Z"}',
  `{"v":1,"kind":"document","documentId":"${'A'.repeat(36)}","trigger":"operator","requestedAt":"2026-11-24T00:00:00Z"}`,
  '{"v":1,"kind":"document","trigger":"sweep","requestedAt":"now"}',
  '{"v":1,"kind":"recent","requestedAt":"2026-11-24T00:00:00+01"}',
];
const ofTomorrow = '{"v":2,"kind":"document","documents":["later"]}';
const inWrongQueue = [
  '{"v":1,"kind":"recent","requestedAt":"2026-11-24T00:00:00Z"}',
  '{"v":1,"kind":"letter","requestedAt":"2026-11-24T00:00:00Z"}',
];
const unreadable = new Set([...malformed, ofTomorrow, ...inWrongQueue]);

/** Not a byte of it leaves room for the attributes of a dead letter. */
const huge = `{"v":1,"kind":"document",${'x'.repeat(1024 ** 2 - 25)}`;

export function isUnreadable(body: string): boolean {
  if (unreadable.has(body) || body.startsWith(huge.slice(0, 100))) return true;
  const mistyped = /"createdAfter":"([^"]*)","createdBefore":"([^"]*)"/.exec(body);
  return mistyped !== null && Date.parse(mistyped[1] ?? '') >= Date.parse(mistyped[2] ?? '');
}

export class Operator {
  readonly #scene: Scene;
  readonly #account: Account;
  readonly #surroundings: Surroundings;

  constructor(scene: Scene, surroundings: Surroundings) {
    this.#scene = scene;
    this.#account = scene.account;
    this.#surroundings = surroundings;
  }

  /** The schedule. @param until milliseconds since the Unix epoch */
  sweepUntil(until: number): void {
    const { clock, weather } = this.#surroundings;
    const period = sweep.intervalMinutes * minute;
    for (let at = Math.ceil(clock.now() / period) * period; at < until; at += period) {
      clock.at(at, () => {
        if (weather.strikes('schedule-misses')) return;
        // Once all is clear, only the sweeps that have something to read: the others would ask twice and end.
        if (weather.isClear && !this.#isThereAnythingToRead(at)) return;
        this.#ask({ kind: 'recent', requestedAt: instant(at) });
        if (weather.strikes('schedule-repeats')) this.#ask({ kind: 'recent', requestedAt: instant(at + 1) });
      });
    }
  }

  /** Each minute of the weather's time. */
  fumble(): void {
    const { random, weather } = this.#surroundings;
    const { documents, backfill, discovery, spans } = this.#scene.queues;
    const anyQueue = () => random.pick([documents, backfill, discovery, spans]);
    if (weather.strikes('message-malformed')) anyQueue().accept(random.pick(malformed));
    if (weather.strikes('message-huge')) anyQueue().accept(huge);
    if (weather.strikes('message-of-tomorrow')) anyQueue().accept(ofTomorrow);
    if (weather.strikes('message-in-wrong-queue')) {
      random.pick([documents, backfill]).accept(random.pick(inWrongQueue));
    }
    const ids = [...this.#account.documents.keys()];
    if (weather.strikes('operator-sends-id')) documents.accept(`${random.pick(ids)}\n`);
    if (weather.strikes('message-worn')) {
      const elsewhere = [...this.#account.documents.values()].filter(
        ({ hopeless }) => hopeless === 'LinkNotAllowed',
      );
      const ageMs = 9 * 24 * 60 * minute - random.integer(0, 20) * minute;
      const id = elsewhere.length > 0 ? random.pick(elsewhere).id : random.pick(ids);
      backfill.accept(id, { receives: random.integer(100, 900), ageMs });
    }
  }

  /** Asks for all documents of a span, in two parts that touch. */
  backfill(from: number, to: number): void {
    const middle = Math.round((from + to) / 2_000) * 1_000;
    this.#span(from, middle);
    this.#span(middle, to);
  }

  /** Asks for all documents of a span, cut into very many. */
  backfillYears(from: number, to: number): void {
    const width = Math.ceil((to - from) / manySpans / 1_000) * 1_000;
    for (let at = from; at < to; at += width) this.#span(at, Math.min(to, at + width));
  }

  /** Does so once more, or means to. */
  backfillAgain(from: number, to: number): void {
    const { weather } = this.#surroundings;
    if (weather.strikes('operator-backfills-twice')) this.backfill(from, to);
    if (weather.strikes('operator-backfills-years')) this.backfillYears(from, to);
    if (weather.strikes('operator-mistypes-span')) this.#span(to, from);
  }

  /** Moves all dead letters back to where they came from. */
  redrive(): void {
    const { queues, deadLetters } = this.#scene;
    for (const lane of laneNames) {
      redriveOne(deadLetters[lane], queues[lane]);
    }
  }

  #isThereAnythingToRead(requestedAt: number): boolean {
    const bands = planSweep(instant(requestedAt));
    return [...this.#account.documents.values()].some(({ createdAt }) =>
      bands.some(({ window }) => createdAt >= window.from && createdAt <= window.to),
    );
  }

  #span(createdAfter: number, createdBefore: number): void {
    this.#ask({
      kind: 'span',
      createdAfter: instant(createdAfter),
      createdBefore: instant(createdBefore),
      requestedAt: instant(this.#surroundings.clock.now()),
    });
  }

  #ask(message: Record<string, unknown>): void {
    const { discovery, spans } = this.#scene.queues;
    (message.kind === 'span' ? spans : discovery).accept(JSON.stringify({ v: 1, ...message }));
  }
}

function redriveOne(from: Queue, to: Queue): void {
  for (const { body } of from.drain()) to.accept(body);
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}
