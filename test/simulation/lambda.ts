/** Lambda: containers that are reused, frozen in between, and now and then killed. */
import type { Context } from 'aws-lambda';
import { Container, type Invocation } from './container.ts';
import type { Surroundings } from './surroundings.ts';

export type Handler<Event> = (event: Event, context: Context) => Promise<unknown>;

/** How an invocation ended for whoever asked for it. */
type Ending = { answer: unknown } | { crashed: string };

type OnEnd = (ending: Ending, invocation: Invocation) => void;

/** What is known of an invocation before it starts; see `Invocation`. */
export interface Beginning {
  hops?: number;
  lane?: string;
  secret?: string | undefined;
  suffered?: readonly string[];
}

/** Where an invocation runs. */
interface Place<Event> {
  number: number;
  container: Container;
  handler: Handler<Event>;
}

export interface FunctionOptions<Event> {
  name: string;
  timeoutMs: number;
  /** Runs the module: once per container. */
  start: (container: Container) => Handler<Event>;
}

const coldStartMs = { least: 200, most: 900 };

export class LambdaFunction<Event> {
  readonly #options: FunctionOptions<Event>;
  readonly #surroundings: Surroundings;
  readonly #idle: Place<Event>[] = [];
  #containers = 0;
  /** Number of the first container that may be used again. */
  #oldest = 1;
  #invocations = 0;

  constructor(options: FunctionOptions<Event>, surroundings: Surroundings) {
    this.#options = options;
    this.#surroundings = surroundings;
  }

  /** Deploys anew: containers that are there now take no further invocation. */
  replaceContainers(): void {
    this.#idle.length = 0;
    this.#oldest = this.#containers + 1;
  }

  /** @param onEnd told how it ended, and of which invocation */
  invoke(event: Event, beginning: Beginning, onEnd: OnEnd): void {
    const { clock, random, weather } = this.#surroundings;
    const reused = this.#idle.pop();
    if (reused) {
      if (random.chance(0.5)) reused.container.deadSockets = 3;
      clock.after(random.between(1, 5), () => this.#run(reused, event, beginning, onEnd));
      return;
    }
    this.#containers += 1;
    const number = this.#containers;
    const container = new Container(`${this.#options.name}-${number}`, this.#surroundings);
    if (weather.strikes('lambda-clock-wrong')) container.clockErrorMs = random.pick([-600_000, 600_000]);
    clock.after(random.between(coldStartMs.least, coldStartMs.most), () => {
      this.#run({ number, container, handler: this.#options.start(container) }, event, beginning, onEnd);
    });
  }

  #run(
    place: Place<Event>,
    event: Event,
    { hops = 0, lane = '', secret, suffered = [] }: Beginning,
    onEnd: OnEnd,
  ): void {
    const { clock, random, weather, watch, journal } = this.#surroundings;
    const { name, timeoutMs } = this.#options;
    const { container, handler } = place;
    this.#invocations += 1;
    const invocation: Invocation = {
      id: `${name}#${this.#invocations}`,
      functionName: name,
      startedAt: clock.monotonic(),
      limitMs: timeoutMs,
      since: watch.moment,
      lane,
      asked: new Map(),
      hops,
      suffered: new Set(container.clockErrorMs === 0 ? suffered : [...suffered, 'lambda-clock-wrong']),
      metrics: new Map(),
      confirmed: new Map(),
      perhapsConfirmed: new Map(),
      secret,
    };
    if (container.knowsRateLimit) invocation.suffered.add('rate limit known');
    container.invocation = invocation;
    journal.note(invocation.id, `starts in ${container.id}`);
    const cancelLimit = clock.after(timeoutMs, () => {
      watch.timedOut(invocation);
      container.kill('its time limit is over');
    });
    if (weather.strikes('lambda-killed-anytime')) {
      clock.after(random.between(0, 3_000), () => {
        if (container.invocation === invocation) container.kill('just so');
      });
    }
    if (weather.strikes('lambda-clock-jumps')) {
      clock.after(random.between(0, 500), () => {
        container.clockErrorMs += random.pick([-3_600_000, 3_600_000]);
        invocation.suffered.add('lambda-clock-wrong');
      });
    }
    container.onDeath = (why) => {
      cancelLimit();
      clock.after(1, () => onEnd({ crashed: why }, invocation));
    };
    const ended = (outcome: { answer: unknown } | { thrown: unknown }) => {
      if (!container.alive) return;
      cancelLimit();
      watch.returned(invocation, outcome, container);
      journal.note(invocation.id, 'answer' in outcome ? 'returns' : 'throws');
      container.invocation = undefined;
      container.onDeath = () => undefined;
      if (place.number >= this.#oldest) this.#idle.push(place);
      onEnd('answer' in outcome ? outcome : { crashed: 'the handler threw' }, invocation);
    };
    const deadline = clock.monotonic() + timeoutMs;
    handler(
      event,
      contextOf(invocation, () => deadline - clock.monotonic()),
    ).then(
      (answer) => ended({ answer }),
      (thrown: unknown) => ended({ thrown }),
    );
  }
}

function contextOf({ id, functionName }: Invocation, remainingMs: () => number): Context {
  const unsupported = () => {
    throw new Error('Node.js 24 on Lambda has no callbacks.');
  };
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionName,
    functionVersion: '$LATEST',
    invokedFunctionArn: `arn:aws:lambda:eu-central-1:123456789012:function:${functionName}`,
    memoryLimitInMB: '512',
    awsRequestId: id,
    logGroupName: functionName,
    logStreamName: functionName,
    getRemainingTimeInMillis: () => Math.floor(remainingMs()),
    done: unsupported,
    fail: unsupported,
    succeed: unsupported,
  };
}
