/** A Lambda function: containers are reused, paused between invocations and sometimes killed. */
import type { Context } from 'aws-lambda';
import { Container, type Invocation } from './container.ts';
import type { SimulationContext } from './context.ts';

export type Handler<Event> = (event: Event, context: Context) => Promise<unknown>;

/** The result of an invocation for its caller. */
type InvocationResult = { answer: unknown } | { crashed: string };

type OnEnd = (result: InvocationResult, invocation: Invocation) => void;

/** The known facts of an invocation before it starts; see `Invocation`. */
export interface InvocationStart {
  hops?: number;
  lane?: string;
  secret?: string | undefined;
  causes?: readonly string[];
}

interface Instance<Event> {
  number: number;
  container: Container;
  handler: Handler<Event>;
}

export interface FunctionOptions<Event> {
  name: string;
  timeoutMs: number;
  /** Initializes a container and returns its handler. */
  start: (container: Container) => Handler<Event>;
}

const coldStartMs = { min: 200, max: 900 };

export class LambdaFunction<Event> {
  readonly #options: FunctionOptions<Event>;
  readonly #context: SimulationContext;
  readonly #idle: Instance<Event>[] = [];
  #containers = 0;
  /** Number of the first container that may be reused. */
  #oldest = 1;
  #invocations = 0;

  constructor(options: FunctionOptions<Event>, context: SimulationContext) {
    this.#options = options;
    this.#context = context;
  }

  /** Simulates a deployment: current containers receive no further invocation. */
  replaceContainers(): void {
    this.#idle.length = 0;
    this.#oldest = this.#containers + 1;
  }

  /** @param onEnd called with the result when the invocation has ended */
  invoke(event: Event, start: InvocationStart, onEnd: OnEnd): void {
    const { clock, random, injector } = this.#context;
    const reused = this.#idle.pop();
    if (reused) {
      if (random.chance(0.5)) reused.container.deadSockets = 3;
      clock.after(random.between(1, 5), () => this.#run(reused, event, start, onEnd));
      return;
    }
    this.#containers += 1;
    const number = this.#containers;
    const container = new Container(`${this.#options.name}-${number}`, this.#context);
    if (injector.shouldInject('lambda-clock-wrong'))
      container.clockErrorMs = random.pick([-600_000, 600_000]);
    clock.after(random.between(coldStartMs.min, coldStartMs.max), () => {
      this.#run({ number, container, handler: this.#options.start(container) }, event, start, onEnd);
    });
  }

  #run(
    instance: Instance<Event>,
    event: Event,
    { hops = 0, lane = '', secret, causes = [] }: InvocationStart,
    onEnd: OnEnd,
  ): void {
    const { clock, random, injector, monitor, eventLog } = this.#context;
    const { name, timeoutMs } = this.#options;
    const { container, handler } = instance;
    this.#invocations += 1;
    const invocation: Invocation = {
      id: `${name}#${this.#invocations}`,
      functionName: name,
      startedAt: clock.monotonic(),
      limitMs: timeoutMs,
      since: monitor.moment,
      lane,
      linksRead: [],
      recordRequests: new Map(),
      hops,
      causes: new Set(container.clockErrorMs === 0 ? causes : [...causes, 'lambda-clock-wrong']),
      metrics: new Map(),
      confirmed: new Map(),
      possiblyConfirmed: new Map(),
      secret,
    };
    if (container.knowsRateLimit) invocation.causes.add('rate limit known');
    container.invocation = invocation;
    eventLog.add(invocation.id, `starts in ${container.id}`);
    const cancelLimit = clock.after(timeoutMs, () => {
      monitor.timedOut(invocation);
      container.kill('timeout');
    });
    if (injector.shouldInject('lambda-killed-at-random')) {
      clock.after(random.between(0, 3_000), () => {
        if (container.invocation === invocation) container.kill('at random');
      });
    }
    if (injector.shouldInject('lambda-clock-jumps')) {
      clock.after(random.between(0, 500), () => {
        container.clockErrorMs += random.pick([-3_600_000, 3_600_000]);
        invocation.causes.add('lambda-clock-wrong');
      });
    }
    container.onDeath = (why) => {
      cancelLimit();
      clock.after(1, () => onEnd({ crashed: why }, invocation));
    };
    const ended = (outcome: { answer: unknown } | { thrown: unknown }) => {
      if (!container.alive) return;
      cancelLimit();
      monitor.returned(invocation, outcome, container);
      eventLog.add(invocation.id, 'answer' in outcome ? 'returns' : 'throws');
      container.invocation = undefined;
      container.onDeath = () => undefined;
      if (instance.number >= this.#oldest) this.#idle.push(instance);
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
