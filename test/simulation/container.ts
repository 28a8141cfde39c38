/** A Lambda container: a process with a clock of its own, which may die between any two steps. */
import type { Time } from '../../functions/time.ts';
import type { FaultName } from './faults.ts';
import type { Surroundings } from './surroundings.ts';

/** One invocation, and what is known of it from outside. */
export interface Invocation {
  id: string;
  functionName: string;
  /** Monotonic milliseconds of the world. */
  startedAt: number;
  limitMs: number;
  /** `Watch.moment` at its start. */
  since: number;
  /** Functions and queues between here and the event that began it all. */
  hops: number;
  /** Name of the queue whose messages it works on; empty for a webhook. */
  lane: string;
  /** When it asked Telnyx for each document's record, monotonic milliseconds of the world. */
  asked: Map<string, number[]>;
  /** What has struck it, faults and facts: the reasons that it may give for a failure. */
  suffered: Set<string>;
  /** Sums of the metrics it has written, by `name` and `name code`. */
  metrics: Map<string, number>;
  /** Sums of what its neighbours have confirmed to it. */
  confirmed: Map<string, number>;
  /** Sums of what may or may not count as confirmed. */
  perhapsConfirmed: Map<string, number>;
  /** Something that must not be in its log. */
  secret: string | undefined;
}

/** How a neighbour answers a call. Not at all is an answer too. */
export interface Reply<Answer> {
  /** @param onDelivered called once the caller has it */
  with(answer: Answer, onDelivered?: (invocation: Invocation) => void): void;
  /** With what is made only for a caller that is still there. */
  making(make: () => Answer): void;
  failing(error: Error): void;
  /** Fails after so many milliseconds more. */
  failingAfter(ms: number, error: () => Error): void;
  /** Whether anybody still waits for it. */
  isAwaited(): boolean;
}

export class Container {
  readonly id: string;
  readonly time: Time;
  /** Milliseconds by which the wall clock is off. */
  clockErrorMs = 0;
  /** Sockets that died during a freeze: the next call over one of them breaks. */
  deadSockets = 0;
  /** Whether Telnyx has ever stated here how little of its rate limit is left. */
  knowsRateLimit = false;
  openCalls = 0;
  openBodies = 0;
  openTimers = 0;
  alive = true;
  invocation: Invocation | undefined;
  onDeath: (why: string) => void = () => undefined;
  readonly #surroundings: Surroundings;

  constructor(id: string, surroundings: Surroundings) {
    const { clock } = surroundings;
    this.id = id;
    this.#surroundings = surroundings;
    this.time = {
      now: () => clock.now() + this.clockErrorMs,
      monotonic: () => clock.monotonic(),
      after: (ms, callback) => {
        let open = true;
        const close = () => {
          if (open) this.openTimers -= 1;
          open = false;
        };
        this.openTimers += 1;
        const cancel = clock.after(ms, () => {
          if (!this.alive) return;
          close();
          callback();
        });
        return () => {
          close();
          cancel();
        };
      },
    };
  }

  kill(why: string): void {
    if (!this.alive) return;
    this.alive = false;
    this.#surroundings.journal.note(this.id, `dies: ${why}`);
    this.onDeath(why);
  }

  /** A line of its log; a dead process writes none. */
  write(line: string): void {
    if (this.alive) this.#surroundings.watch.logged(line, this.invocation);
  }

  suffers(what: FaultName | (string & {})): void {
    this.invocation?.suffered.add(what);
  }

  /** Whether this kind of fault strikes this container's call. */
  strikes(name: FaultName): boolean {
    if (!this.#surroundings.weather.strikes(name)) return false;
    this.suffers(name);
    return true;
  }

  /** The first of the kinds that strikes. */
  oneOf<const Name extends FaultName>(names: readonly Name[]): Name | undefined {
    return names.find((name) => this.strikes(name));
  }

  /**
   * A call to a neighbour: on its way, there, and on its way back. Once under way it arrives, whatever becomes of
   * the caller. The process may die before, meanwhile or after.
   *
   * @param arrive what the neighbour does
   */
  call<Answer>(
    what: string,
    signal: AbortSignal | undefined,
    arrive: (reply: Reply<Answer>) => void,
  ): Promise<Answer> {
    const { clock, random, weather } = this.#surroundings;
    if (signal?.aborted) return Promise.reject(abortError());
    if (this.alive && weather.strikes('lambda-killed-before-call')) this.kill(`before ${what}`);
    if (!this.alive) return new Promise(() => undefined);
    const dies = weather.strikes('lambda-killed-after-call');
    const wayThere = random.between(1, 40);
    const wayBack = random.between(1, 40);
    this.openCalls += 1;
    return new Promise((resolve, reject) => {
      let open = true;
      const close = (settle: () => void) => {
        if (!open || !this.alive) return;
        open = false;
        this.openCalls -= 1;
        signal?.removeEventListener('abort', onAbort);
        settle();
      };
      const onAbort = () => close(() => reject(abortError()));
      signal?.addEventListener('abort', onAbort, { once: true });
      const back = (ms: number, settle: () => void) => {
        clock.after(ms, () => {
          if (!open || !this.alive) return;
          if (dies) this.kill(`after ${what}`);
          else close(settle);
        });
      };
      const reply: Reply<Answer> = {
        with: (answer, onDelivered) =>
          back(wayBack, () => {
            if (this.invocation) onDelivered?.(this.invocation);
            resolve(answer);
          }),
        making: (make) => back(wayBack, () => resolve(make())),
        failing: (error) => back(wayBack, () => reject(error)),
        failingAfter: (ms, error) => back(ms, () => reject(error())),
        isAwaited: () => open && this.alive,
      };
      if (this.deadSockets > 0 && this.strikes('lambda-thaws-with-dead-sockets')) {
        this.deadSockets -= 1;
        reply.failing(connectionReset());
        return;
      }
      clock.after(wayThere, () => arrive(reply));
    });
  }
}

/** As `node:http` and the SDK reject what is aborted. */
export function abortError(): Error {
  return Object.assign(new Error('The operation was aborted'), { name: 'AbortError', code: 'ABORT_ERR' });
}

export function connectionReset(): Error {
  return Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
}

export function timeoutError(): Error {
  return Object.assign(new Error('Request timed out.'), { name: 'TimeoutError' });
}
