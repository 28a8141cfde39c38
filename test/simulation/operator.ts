/** The schedule and the operator: sweeps every minute, backfills, redrives and mistakes. */
import { planSweep } from '../../functions/discover/sweep.ts';
import { sweep } from '../../functions/limits.ts';
import { laneNames } from '../../functions/queue/lanes.ts';
import type { Account } from './account.ts';
import type { SimulationContext } from './context.ts';
import type { WorldState } from './invariant-monitor.ts';
import type { Queue } from './queue.ts';

const minute = 60_000;
const manySpans = 150;

/** Bodies that the functions cannot read. */
const malformed = [
  '',
  'not JSON',
  '{}',
  '[]',
  'null',
  '{"v":"1","kind":"document"}',
  '{"v":1,"kind":"document","documentId":"../../x","trigger":"operator","requestedAt":"2026-11-24T00:00:00Z"}',
  `{"v":1,"kind":"document","documentId":"${'A'.repeat(36)}","trigger":"operator","requestedAt":"2026-11-24T00:00:00Z"}`,
  '{"v":1,"kind":"document","trigger":"sweep","requestedAt":"now"}',
  '{"v":1,"kind":"recent","requestedAt":"2026-11-24T00:00:00+01"}',
];
const ofLaterVersion = '{"v":2,"kind":"document","documents":["later"]}';
const inWrongQueue = [
  '{"v":1,"kind":"recent","requestedAt":"2026-11-24T00:00:00Z"}',
  '{"v":1,"kind":"letter","requestedAt":"2026-11-24T00:00:00Z"}',
];
const unreadable = new Set([...malformed, ofLaterVersion, ...inWrongQueue]);

/** So large that it leaves no room for the attributes of a dead letter. */
const maximumSizeBody = `{"v":1,"kind":"document",${'x'.repeat(1024 ** 2 - 25)}`;

export function isUnreadable(body: string): boolean {
  if (unreadable.has(body) || body.startsWith(maximumSizeBody.slice(0, 100))) return true;
  const reversedSpan = /"createdAfter":"([^"]*)","createdBefore":"([^"]*)"/.exec(body);
  return reversedSpan !== null && Date.parse(reversedSpan[1] ?? '') >= Date.parse(reversedSpan[2] ?? '');
}

export class Operator {
  readonly #world: WorldState;
  readonly #account: Account;
  readonly #context: SimulationContext;

  constructor(world: WorldState, context: SimulationContext) {
    this.#world = world;
    this.#account = world.account;
    this.#context = context;
  }

  /** Schedules the sweeps. @param until milliseconds since the Unix epoch */
  sweepUntil(until: number): void {
    const { clock, injector } = this.#context;
    const period = sweep.intervalMinutes * minute;
    for (let at = Math.ceil(clock.now() / period) * period; at < until; at += period) {
      clock.at(at, () => {
        if (injector.shouldInject('schedule-skips-sweep')) return;
        // After faults have stopped, skip sweeps that would find nothing: this saves time.
        if (injector.isStopped && !this.#findsAnything(at)) return;
        this.#queue({ kind: 'recent', requestedAt: instant(at) });
        if (injector.shouldInject('schedule-repeats-sweep'))
          this.#queue({ kind: 'recent', requestedAt: instant(at + 1) });
      });
    }
  }

  /** Called every minute while faults occur. */
  makeMistakes(): void {
    const { random, injector } = this.#context;
    const { documents, backfill, discovery, spans } = this.#world.queues;
    const anyQueue = () => random.pick([documents, backfill, discovery, spans]);
    if (injector.shouldInject('message-malformed')) anyQueue().send(random.pick(malformed));
    if (injector.shouldInject('message-of-maximum-size')) anyQueue().send(maximumSizeBody);
    if (injector.shouldInject('message-of-later-version')) anyQueue().send(ofLaterVersion);
    if (injector.shouldInject('message-in-wrong-queue')) {
      random.pick([documents, backfill]).send(random.pick(inWrongQueue));
    }
    const ids = [...this.#account.documents.keys()];
    if (injector.shouldInject('operator-sends-bare-id')) documents.send(`${random.pick(ids)}\n`);
    if (injector.shouldInject('message-received-hundreds-of-times')) {
      const onDisallowedHost = [...this.#account.documents.values()].filter(
        ({ expectedFailure }) => expectedFailure === 'LinkNotAllowed',
      );
      const ageMs = 9 * 24 * 60 * minute - random.integer(0, 20) * minute;
      const id = onDisallowedHost.length > 0 ? random.pick(onDisallowedHost).id : random.pick(ids);
      backfill.send(id, { receives: random.integer(100, 900), ageMs });
    }
  }

  /** Requests all documents of a time span, in two spans that meet. */
  backfill(from: number, to: number): void {
    const middle = Math.round((from + to) / 2_000) * 1_000;
    this.#span(from, middle);
    this.#span(middle, to);
  }

  /** Requests all documents of a time span, in many spans. */
  backfillManySpans(from: number, to: number): void {
    const width = Math.ceil((to - from) / manySpans / 1_000) * 1_000;
    for (let at = from; at < to; at += width) this.#span(at, Math.min(to, at + width));
  }

  /** Sometimes repeats the backfill, splits it, or reverses its bounds by mistake. */
  backfillAgain(from: number, to: number): void {
    const { injector } = this.#context;
    if (injector.shouldInject('operator-backfills-twice')) this.backfill(from, to);
    if (injector.shouldInject('operator-backfills-many-spans')) this.backfillManySpans(from, to);
    if (injector.shouldInject('operator-reverses-span')) this.#span(to, from);
  }

  /** Moves all dead letters back to their queues. */
  redrive(): void {
    const { queues, deadLetters } = this.#world;
    for (const lane of laneNames) {
      redriveOne(deadLetters[lane], queues[lane]);
    }
  }

  #findsAnything(requestedAt: number): boolean {
    const bands = planSweep(instant(requestedAt));
    return [...this.#account.documents.values()].some(({ createdAt }) =>
      bands.some(({ window }) => createdAt >= window.from && createdAt <= window.to),
    );
  }

  #span(createdAfter: number, createdBefore: number): void {
    this.#queue({
      kind: 'span',
      createdAfter: instant(createdAfter),
      createdBefore: instant(createdBefore),
      requestedAt: instant(this.#context.clock.now()),
    });
  }

  #queue(message: Record<string, unknown>): void {
    const { discovery, spans } = this.#world.queues;
    (message.kind === 'span' ? spans : discovery).send(JSON.stringify({ v: 1, ...message }));
  }
}

function redriveOne(from: Queue, to: Queue): void {
  for (const { body } of from.takeVisible()) to.send(body);
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}
