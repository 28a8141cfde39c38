/** A process with its own clock that can be killed between any two steps: a Lambda container, or a command. */
import type { Time } from '../../functions/time.ts';
import type { SimulationContext } from './context.ts';
import type { FaultName } from './faults.ts';

/** One invocation, as the simulation sees it. */
export interface Invocation {
  id: string;
  functionName: string;
  /** Monotonic milliseconds. */
  startedAt: number;
  limitMs: number;
  /** `InvariantMonitor.moment` at its start. */
  since: number;
  /** Number of functions that the message has passed through. */
  hops: number;
  /** Name of the queue of its messages; empty for a webhook. */
  lane: string;
  /** Links that Telnyx has listed to it, of any resource. */
  linksRead: { documentId: string; id: string; type: string }[];
  /** Times of the requests for each document's record (monotonic milliseconds), by document ID. */
  recordRequests: Map<string, number[]>;
  /** Faults and facts that this invocation has met: they justify the error codes it reports. */
  causes: Set<string>;
  /** Sums of its metrics, by `<name>` and `<name> <code>`. */
  metrics: Map<string, number>;
  /** Counts of the work that services have confirmed to it. */
  confirmed: Map<string, number>;
  /** Counts of work that may be confirmed: only the function can tell. */
  possiblyConfirmed: Map<string, number>;
  /** A text that must not occur in its log. */
  secret: string | undefined;
}

/** How a service responds to a call. A service may also never respond. */
export interface Reply<Answer> {
  /** @param onDelivered called when the response has arrived */
  succeed(answer: Answer, onDelivered?: (invocation: Invocation) => void): void;
  /** Creates the response only if the caller still exists. */
  succeedWith(make: () => Answer): void;
  fail(error: Error): void;
  /** Fails after `ms` milliseconds, without transit time. */
  failAfter(ms: number, error: () => Error): void;
}

export class Container {
  readonly id: string;
  readonly time: Time;
  /** Error of the wall clock in milliseconds. */
  clockErrorMs = 0;
  /** Number of connections that died during a pause: a call over one of them fails. */
  deadSockets = 0;
  /** Whether Telnyx has stated the remainder of its rate limit to this container. */
  knowsRateLimit = false;
  openCalls = 0;
  openBodies = 0;
  openTimers = 0;
  alive = true;
  invocation: Invocation | undefined;
  onDeath: (why: string) => void = () => undefined;
  readonly #context: SimulationContext;
  readonly #kills: { before: FaultName; after: FaultName };

  constructor(
    id: string,
    context: SimulationContext,
    kills: { before: FaultName; after: FaultName } = {
      before: 'lambda-killed-before-call',
      after: 'lambda-killed-after-call',
    },
  ) {
    const { clock } = context;
    this.id = id;
    this.#context = context;
    this.#kills = kills;
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
    this.#context.eventLog.add(this.id, `killed: ${why}`);
    this.onDeath(why);
  }

  /** Writes a log line, unless the process is dead. */
  write(line: string): void {
    if (this.alive) this.#context.monitor.logged(line, this.invocation);
  }

  recordCause(what: FaultName | (string & {})): void {
    this.invocation?.causes.add(what);
  }

  /** Whether the fault occurs in this container's call. If true, it is recorded as a cause. */
  shouldInject(name: FaultName): boolean {
    if (!this.#context.injector.shouldInject(name)) return false;
    this.recordCause(name);
    return true;
  }

  /** The first of the faults that occurs. */
  firstToInject<const Name extends FaultName>(names: readonly Name[]): Name | undefined {
    return names.find((name) => this.shouldInject(name));
  }

  /**
   * A call to a service. Once sent, the request arrives even if the caller aborts or is killed. The process may be killed
   * before, during or after the call.
   *
   * @param arrive called when the request reaches the service
   */
  call<Answer>(
    what: string,
    signal: AbortSignal | undefined,
    arrive: (reply: Reply<Answer>) => void,
  ): Promise<Answer> {
    const { clock, random, injector } = this.#context;
    if (signal?.aborted) return Promise.reject(abortError());
    if (this.alive && injector.shouldInject(this.#kills.before)) this.kill(`before ${what}`);
    if (!this.alive) return new Promise(() => undefined);
    const dies = injector.shouldInject(this.#kills.after);
    const requestMs = random.between(1, 40);
    const responseMs = random.between(1, 40);
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
        succeed: (answer, onDelivered) =>
          back(responseMs, () => {
            if (this.invocation) onDelivered?.(this.invocation);
            resolve(answer);
          }),
        succeedWith: (make) => back(responseMs, () => resolve(make())),
        fail: (error) => back(responseMs, () => reject(error)),
        failAfter: (ms, error) => back(ms, () => reject(error())),
      };
      if (this.deadSockets > 0 && this.shouldInject('lambda-resumes-with-dead-sockets')) {
        this.deadSockets -= 1;
        reply.fail(connectionReset());
        return;
      }
      clock.after(requestMs, () => arrive(reply));
    });
  }
}

/** The error of an aborted request in `node:http` and the AWS SDK. */
export function abortError(): Error {
  return Object.assign(new Error('The operation was aborted'), { name: 'AbortError', code: 'ABORT_ERR' });
}

export function connectionReset(): Error {
  return Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
}

export function timeoutError(): Error {
  return Object.assign(new Error('Request timed out.'), { name: 'TimeoutError' });
}
