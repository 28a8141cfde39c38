/**
 * An operator with a break-glass role, who erases, holds and releases documents. A command that is killed or that fails is
 * run again minutes or hours later.
 */
import type { ErasureDependencies } from '../../cli/erasure/examine.ts';
import { documentIdOfReceipt, receiptPrefix } from '../../functions/bucket/keys.ts';
import type { Archiver } from './archiver.ts';
import { Container } from './container.ts';
import type { SimulationContext } from './context.ts';
import type { WorldState } from './invariant-monitor.ts';
import type { RandomSource } from './random.ts';
import { type Bucket, createS3OfAll } from './s3-client.ts';
import type { Webhooks } from './webhooks.ts';

const second = 1_000;
const minute = 60 * second;
const kills = { before: 'operator-process-killed', after: 'operator-process-killed' } as const;

export interface BreakGlassOptions {
  archiver: Archiver;
  bucket: Bucket;
  /** Undefined for an archiver that keeps none. */
  catalogue?: Bucket;
  world: WorldState;
  webhooks: Pick<Webhooks, 'announce'>;
  random: RandomSource;
  /** The end of the deliveries of erased documents, milliseconds since the Unix epoch. */
  deliveriesUntil: number;
}

export class BreakGlassOperator {
  readonly #options: BreakGlassOptions;
  readonly #context: SimulationContext;
  readonly #erasures = new Map<string, 'stopped' | 'running' | 'finished'>();
  /** From the start of the hold to the end of its release. */
  readonly #held = new Set<string>();
  #commands = 0;

  constructor(options: BreakGlassOptions, context: SimulationContext) {
    this.#options = options;
    this.#context = context;
    const { queues, account } = options.world;
    for (const queue of [queues.documents, queues.backfill]) {
      queue.onReceived = ({ subject }) => {
        if (!account.documents.has(subject) || this.#erasures.has(subject)) return;
        if (!context.injector.shouldInject('operator-erases-document-under-way')) return;
        context.clock.after(options.random.between(0, 1.5 * second), () => this.#order(subject));
      };
    }
  }

  /** IDs of the documents whose erasure has been ordered, and whether it is finished. */
  get erasures(): ReadonlyMap<string, 'stopped' | 'running' | 'finished'> {
    return this.#erasures;
  }

  /** Whether a document is being erased, or held until its release. */
  isChanging(documentId: string): boolean {
    return (this.#erasures.get(documentId) ?? 'finished') !== 'finished' || this.#held.has(documentId);
  }

  /** Called every minute while faults occur. */
  work(): void {
    const { injector } = this.#context;
    if (injector.shouldInject('operator-erases-document')) this.#order(this.#chooseToErase());
    if (injector.shouldInject('operator-holds-document')) this.#hold(this.#any(this.#archived()));
  }

  /** A document in any state. */
  #chooseToErase(): string {
    const { random, world } = this.#options;
    const dead = Object.values(world.deadLetters).flatMap((queue) =>
      queue.messages().flatMap(({ subject }) => (world.account.documents.has(subject) ? subject : [])),
    );
    return this.#any(random.pick([[], [...this.#held], this.#archived(), dead]));
  }

  #archived(): string[] {
    const { objects } = this.#options.world.store.list(receiptPrefix, '', Number.POSITIVE_INFINITY);
    return objects.flatMap(({ key }) => documentIdOfReceipt(key) ?? []);
  }

  /** One of the documents; of all that ever exist if there are none. */
  #any(ids: readonly string[]): string {
    const { random, world } = this.#options;
    return random.pick(ids.length > 0 ? ids : [...world.account.documents.keys()]);
  }

  /** Erases a document, once. Telnyx announces it again, seconds to hours later. */
  #order(documentId: string): void {
    const { clock, injector } = this.#context;
    const { random, world, webhooks, deliveriesUntil } = this.#options;
    const document = world.account.documents.get(documentId);
    if (!document || this.#erasures.has(documentId)) return;
    this.#erasures.set(documentId, 'stopped');
    this.#erase(documentId);
    if (injector.shouldInject('operator-holds-document-being-erased')) {
      // An undisturbed erasure takes about 0.6 s.
      clock.after(random.between(0, 0.6 * second), () => this.#hold(documentId));
    }
    for (const exponent of [random.between(0, 3), random.between(3, 5)]) {
      const at = Math.max(document.createdAt, clock.now()) + 10 ** exponent * second;
      clock.at(Math.min(at, deliveriesUntil), () => webhooks.announce([document]));
    }
  }

  #erase(documentId: string): void {
    if (this.#erasures.get(documentId) !== 'stopped') return;
    const { clock, monitor } = this.#context;
    const { archiver, random } = this.#options;
    this.#erasures.set(documentId, 'running');
    const order = { basis: 'DSR-2026-114', erasedBy: 'operator', bypassGovernance: false };
    const confirmedAfterMs = random.pick([0, 0, random.between(0, 5 * minute)]);
    const work = async (dependencies: ErasureDependencies, pause: (ms: number) => Promise<void>) => {
      const found = await archiver.examine(documentId, dependencies);
      const refusal = archiver.refusalOf(found, order.bypassGovernance, dependencies.now());
      if (refusal) return refusal.reason;
      await pause(confirmedAfterMs);
      const { unfinished } = await archiver.eraseDocument(found, order, dependencies);
      return unfinished?.reason ?? 'erased';
    };
    this.#run('erase', documentId, work, (outcome) => {
      this.#erasures.set(documentId, outcome === 'erased' ? 'finished' : 'stopped');
      if (outcome === 'erased') monitor.erasures.completed(documentId);
      // Otherwise the erasure goes on after the release.
      else if (!this.#held.has(documentId))
        clock.after(this.#minutesOrHours(), () => this.#erase(documentId));
    });
  }

  #hold(documentId: string): void {
    if (this.#held.has(documentId)) return;
    const { clock, monitor } = this.#context;
    const { archiver } = this.#options;
    this.#held.add(documentId);
    const order = { reason: 'Case 1', by: 'operator' };
    const work = (dependencies: ErasureDependencies) => archiver.placeHold(documentId, order, dependencies);
    this.#run('hold', documentId, work, (outcome) => {
      if (outcome === 'erased' || outcome === 'not-archived') {
        this.#held.delete(documentId);
        this.#erase(documentId);
        return;
      }
      monitor.erasures.holdPlaced(documentId);
      clock.after(this.#minutesOrHours(), () => this.#release(documentId));
    });
  }

  #release(documentId: string): void {
    const { monitor } = this.#context;
    const { archiver } = this.#options;
    const order = { reason: 'Case 1 closed', by: 'operator' };
    monitor.erasures.releaseBegins(documentId);
    const work = (dependencies: ErasureDependencies) => archiver.releaseHold(documentId, order, dependencies);
    this.#run('release', documentId, work, () => {
      this.#held.delete(documentId);
      this.#erase(documentId);
    });
  }

  /** Runs a command until it succeeds. */
  #run<Result>(
    name: string,
    documentId: string,
    work: (dependencies: ErasureDependencies, pause: (ms: number) => Promise<void>) => Promise<Result>,
    onEnd: (result: Result) => void,
  ): void {
    const { clock, eventLog, monitor } = this.#context;
    const { archiver, bucket, catalogue, random } = this.#options;
    this.#commands += 1;
    const container = new Container(`${name}-${this.#commands}`, this.#context, kills);
    const { time } = container;
    const runAgain = () =>
      clock.after(this.#minutesOrHours(), () => this.#run(name, documentId, work, onEnd));
    container.onDeath = runAgain;
    eventLog.add(documentId, `${container.id} starts`);
    const buckets = [bucket, ...(catalogue ? [catalogue] : [])] as const;
    const s3 = archiver.ownedBy(bucket.owner, createS3OfAll(container, buckets, this.#context, 'eraser'));
    const options = { s3, name: bucket.name, time };
    const dependencies: ErasureDependencies = {
      bucket: archiver.createBucket(options),
      catalogue: catalogue && archiver.createCatalogueBucket({ s3, name: catalogue.name, time }),
      versions: archiver.createVersions(options),
      retry: archiver.createStorageRetry({ time, random: random.next, signal: new AbortController().signal }),
      now: time.now,
      archiver: 'simulated',
    };
    /** A process that has ended cannot be killed, although a request of it may still be in transit. */
    const exit = () => {
      container.onDeath = () => undefined;
    };
    const pause = (ms: number) => new Promise<void>((resolve) => time.after(ms, resolve));
    work(dependencies, pause).then(
      (result) => {
        exit();
        eventLog.add(documentId, `${container.id} ends: ${result}`);
        onEnd(result);
      },
      (error: unknown) => {
        exit();
        if (!(error instanceof archiver.ArchiverError)) {
          monitor.report('erasure-is-finished', documentId, `${container.id} throws ${String(error)}`);
          return;
        }
        eventLog.add(documentId, `${container.id} fails: ${error.code}`);
        runAgain();
      },
    );
  }

  #minutesOrHours(): number {
    const { random } = this.#options;
    return random.chance(0.5) ? random.between(1, 30) * minute : random.between(1, 6) * 60 * minute;
  }
}
