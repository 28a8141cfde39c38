/** Checks what the discover function writes about whose documents they are, against what Telnyx states. */
import { type DocumentContext, parseContext } from '../../functions/bucket/contexts.ts';
import { contextsOfPrefix, contextTombstoneKey, documentIdOfContext } from '../../functions/bucket/keys.ts';
import { ArchiverError } from '../../functions/errors.ts';
import type { VirtualClock } from '../fakes/clock.ts';
import type { StoredVersion } from '../fakes/versioned-objects.ts';
import { type Order, orderNames } from './account.ts';
import type { Invocation } from './container.ts';
import type { InvariantMonitor, WorldState } from './invariant-monitor.ts';

type Fact = Omit<DocumentContext, 'v' | 'learntAt' | 'archiver'>;

const maxReferenceLength = 512;

export class ContextMonitor {
  readonly #monitor: Pick<InvariantMonitor, 'report'>;
  readonly #world: WorldState;
  readonly #clock: VirtualClock;

  constructor(monitor: Pick<InvariantMonitor, 'report'>, world: WorldState, clock: VirtualClock) {
    this.#monitor = monitor;
    this.#world = world;
    this.#clock = clock;
  }

  /** A function has written a context. */
  stored(version: StoredVersion, { functionName, id }: Invocation): void {
    if (functionName !== 'discover') {
      this.#monitor.report('no-forbidden-call', version.key, `a context is written by ${functionName}`);
    }
    const documentId = documentIdOfContext(version.key) ?? version.key;
    const untruth = this.#untruthOf(documentId, version);
    if (untruth !== undefined) this.#monitor.report('context-is-true', documentId, `${id}: ${untruth}`);
  }

  #untruthOf(documentId: string, version: StoredVersion): string | undefined {
    const text = textOf(version);
    if (text === undefined) return `${version.key} is not a context of this document`;
    const { account } = this.#world;
    const stated = [...account.orders.values()].flatMap((order) => [
      ...this.#statedBy(order, documentId),
      ...linkBy(order, documentId),
    ]);
    if (!stated.map(canonical).includes(text)) return `Telnyx does not state ${text}`;
    const copies = this.#contextsOf(documentId).filter((other) => textOf(other) === text);
    return copies.length > 1 ? `written ${copies.length} times: ${text}` : undefined;
  }

  /** A message about the order is acknowledged. @param documentIds its documents that Telnyx has listed with it */
  orderAcknowledged(order: Order, documentIds: readonly string[], { id }: Invocation): void {
    for (const documentId of documentIds) {
      this.#checkWritten(
        documentId,
        this.#statedBy(order, documentId),
        `${id} has read ${order.kind} ${order.id}`,
      );
    }
  }

  /** A sweep is acknowledged. */
  sweepAcknowledged({ id, linksRead, causes }: Invocation): void {
    // No document depends on it: a failure is logged, and a later sweep reads the links again.
    if (causes.has('contexts not written')) return;
    for (const { documentId, ...link } of linksRead) {
      this.#checkWritten(documentId, [{ documentId, kind: 'link', ...link }], `${id} has read the links`);
    }
  }

  /** @param facts one of them suffices */
  #checkWritten(documentId: string, facts: readonly Fact[], why: string): void {
    if (this.#world.store.current(contextTombstoneKey(documentId))) return;
    const written = new Set(this.#contextsOf(documentId).map(textOf));
    if (facts.map(canonical).some((text) => written.has(text))) return;
    this.#monitor.report(
      'learnt-is-written',
      documentId,
      `${why}, but no context states ${facts.map(canonical)}`,
    );
  }

  /** What the order says about a document. As soon as it is gone, that may be its ID alone. */
  #statedBy({ id, kind, reference, goneAt, documents }: Order, documentId: string): Fact[] {
    const entry = documents.find((document) => document.id === documentId);
    if (!entry) return [];
    const fact: Fact = { documentId, kind, id };
    const whole: Fact = {
      ...fact,
      // Supporting documents state no reference of their port-out.
      ...(reference !== undefined &&
        kind !== 'port-out' && { reference: reference.slice(0, maxReferenceLength) }),
      ...(entry.numbers && { numbers: [...new Set(entry.numbers)] }),
    };
    return this.#clock.now() >= goneAt ? [whole, fact] : [whole];
  }

  #contextsOf(documentId: string): StoredVersion[] {
    return this.#world.store.list(contextsOfPrefix(documentId), '', Number.POSITIVE_INFINITY).objects;
  }
}

function linkBy({ id, kind, documents }: Order, documentId: string): Fact[] {
  const isLinked = documents.some((document) => document.id === documentId && document.section === 'links');
  return isLinked ? [{ documentId, kind: 'link', id, type: orderNames[kind].linkedType }] : [];
}

/** The fact of a context; undefined if it is none, or not one of the document in its key. */
function textOf({ key, body }: StoredVersion): string | undefined {
  try {
    return canonical(parseContext(key, body));
  } catch (error) {
    if (error instanceof ArchiverError) return undefined;
    throw error;
  }
}

function canonical({ documentId, kind, id, type, reference, numbers }: Fact): string {
  return JSON.stringify([documentId, kind, id, type, reference, numbers?.toSorted()]);
}
