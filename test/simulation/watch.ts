/** Looks on while the world runs, at every step, and remembers the first breach of an invariant. */
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import type { Receipt } from '../../functions/bucket/receipts.ts';
import { isSuperseded, planSweep } from '../../functions/discover/sweep.ts';
import { type ErrorCode, retryPolicies } from '../../functions/errors.ts';
import { attempts, retryTimings } from '../../functions/limits.ts';
import type { CloudWatch } from '../cloudwatch/cloudwatch.ts';
import type { VirtualClock } from '../fakes/clock.ts';
import { type Account, type AccountDocument, otherHosts, usualHost } from './account.ts';
import { createAlarms } from './alarms.ts';
import { holdsCanary } from './canary.ts';
import { causes } from './causes.ts';
import type { Container, Invocation } from './container.ts';
import type { Breach, InvariantName } from './invariants.ts';
import type { Journal } from './journal.ts';
import type { ObjectStore, ObjectVersion } from './object-store.ts';
import { fieldsOf, type Queue, type QueuedMessage, spansTouch } from './queue.ts';

/** What an event asks for, as its sender knows. */
export interface Expected {
  eventId: string;
  /** Ids that must be queued before the event is accepted. */
  ids: readonly string[];
  /** Whether Telnyx has signed it and it came unspoilt. */
  genuine: boolean;
  /** Whether it was signed too long ago, or ahead of time. */
  stale: boolean;
  /** Whether the key that signed it is deployed for certain. */
  keyDeployed: boolean;
}

/** Where the truth is. */
export interface Scene {
  account: Account;
  store: ObjectStore;
  queues: Record<LaneName, Queue>;
  deadLetters: Record<LaneName, Queue>;
}

export const laneNames = ['documents', 'backfill', 'discovery', 'spans'] as const;
type LaneName = (typeof laneNames)[number];

const longestLine = 8 * 1024;
const longestReceipt = 128 * 1024;
const webhookMs = 1_500;
const keptBackMs = 500;
const mostHops = 3;

export class Watch {
  /** Grows with all that enters a queue. */
  moment = 0;
  breach: Breach | undefined;
  /** Ids that only a forger has ever named. */
  readonly forged = new Set<string>();
  /** Documents that the archiver has answered for, by an event or a message. */
  readonly accepted = new Set<string>();
  /** Documents whose key somebody else has taken with other bytes. */
  readonly collided = new Set<string>();
  /** When each receipt came to stand, milliseconds since the Unix epoch. */
  readonly archivedAt = new Map<string, number>();
  readonly #clock: VirtualClock;
  readonly #journal: Journal;
  readonly #alarms: CloudWatch;
  #scene: Scene | undefined;
  /** Moment at which an id last entered a queue. */
  readonly #queuedAt = new Map<string, number>();
  /** Moment at which a body last became a dead letter with a code. */
  readonly #deadAt = new Map<string, number>();

  constructor(clock: VirtualClock, journal: Journal) {
    this.#clock = clock;
    this.#journal = journal;
    this.#alarms = createAlarms(clock.now());
  }

  /** Sixteen minutes after its creation. */
  settledOrRung({ id, createdAt, hopeless, deadly }: AccountDocument): void {
    const { store } = this.#looked();
    if (store.current(receiptKey(id)) || isListedAsHopeless(hopeless) || deadly) return;
    this.#alarms.advanceTo(this.#clock.now());
    if (this.#alarms.inAlarm().length > 0 || this.#alarms.notifications(createdAt).length > 0) return;
    this.broken('unsettled-rings', id, 'no alarm has rung 16 minutes after its upload');
  }

  lookAt(scene: Scene): void {
    this.#scene = scene;
  }

  broken(invariant: InvariantName, subject: string, what: string): void {
    this.#journal.note(subject, `BROKEN ${invariant}: ${what}`);
    this.breach ??= { invariant, subject, what };
  }

  queueTook(queue: Queue, message: QueuedMessage): void {
    const { queues, account } = this.#looked();
    this.moment += 1;
    const { subject, body, attributes, hops } = message;
    if (this.forged.has(subject)) this.broken('forged-is-refused', subject, `it is in ${queue.name}`);
    if (hops > mostHops) this.broken('no-loops', subject, `${hops} hops to ${queue.name}`);
    const told = Object.values(attributes).join(' ');
    if (holdsCanary(told) || holdsCanary(body)) {
      this.broken('no-secret-shown', subject, `in a message to ${queue.name}`);
    }
    const lane = Object.values(queues).includes(queue);
    if (!lane) {
      this.#becameDeadLetter(message);
      return;
    }
    this.#queuedAt.set(subject, this.moment);
    if (account.documents.has(subject)) this.accepted.add(subject);
    const { trigger } = fieldsOf(body);
    const misplaced =
      (trigger === 'backfill' && queue !== queues.backfill) ||
      ((trigger === 'webhook' || trigger === 'sweep') && queue !== queues.documents);
    if (misplaced && account.documents.has(subject))
      this.broken('lanes-are-kept', subject, `a document by ${trigger} is in ${queue.name}`);
  }

  /** A dead letter has a code and a reason, and nobody gave up before its time. */
  #becameDeadLetter({ subject, body, attributes, by }: QueuedMessage): void {
    const { code, reason, firstSeenAt = '' } = attributes;
    if (code === undefined && reason === undefined) return;
    if (!code || !reason) this.broken('ends-in-one-state', subject, 'a dead letter without code or reason');
    else this.#deadAt.set(beginningOf(body), this.moment);
    const policy = retryPolicies[code as ErrorCode];
    if (policy === 'dead-letter') return;
    const ageMs = this.#clock.now() - Date.parse(firstSeenAt);
    // A container whose clock is wrong cannot know how old a message is.
    const clockWrong = by?.suffered.has('lambda-clock-wrong') === true;
    const aboutToExpire = ageMs + retryTimings.maxWaitMs > retryTimings.deadLetterAfterMs;
    if (policy === 'acknowledge' || (policy === 'wait' && !aboutToExpire)) {
      this.broken('given-up-in-time', subject, `${code} after ${Math.round(ageMs / 1_000)} s`);
    }
    if (policy !== 'retry' || clockWrong) return;
    const asked = by?.asked.get(subject) ?? [];
    const spanMs = (asked.at(-1) ?? 0) - (asked[0] ?? 0);
    // Before it asks, an attempt may look for the receipt, and requests are under way for up to 40 ms each.
    const isConclusive = asked.length >= attempts.max && spanMs >= retryTimings.attemptsSpanMs - 500;
    const aboutDocument = this.#looked().account.documents.has(subject);
    if (ageMs < retryTimings.documentFaultAfterMs || (aboutDocument && !isConclusive && !aboutToExpire)) {
      const what = `${code} after ${Math.round(ageMs / 1_000)} s and ${asked.length} attempts over ${spanMs} ms`;
      this.broken('given-up-in-time', subject, what);
    }
  }

  /** The queue has taken the message and the function knows. */
  sendConfirmed(queue: Queue, body: string, invocation: Invocation): void {
    add(invocation.confirmed, 'sent');
    const { documentId, trigger, requestedAt, event } = fieldsOf(body);
    if (invocation.functionName !== 'discover') return;
    const { hopeless } = this.#looked().account.documents.get(String(documentId)) ?? {};
    if (trigger === 'sweep' && isListedAsHopeless(hopeless)) {
      this.broken(
        'lanes-are-kept',
        String(documentId),
        `a sweep queues it although the list says ${hopeless}`,
      );
    }
    const receiptSince = this.archivedAt.get(String(documentId)) ?? Number.POSITIVE_INFINITY;
    if (receiptSince < this.#startOf(invocation)) {
      this.broken('lanes-are-kept', String(documentId), `${invocation.id} queues it, which has a receipt`);
    }
    const key = `${documentId} ${trigger} ${requestedAt} ${JSON.stringify(event)} ${queue.name}`;
    add(invocation.confirmed, key);
    const createdAt = this.#looked().account.documents.get(String(documentId))?.createdAt ?? Number.NaN;
    const excuses = ['the same message twice', 'spans overlap', spansTouch(createdAt)];
    if (
      (invocation.confirmed.get(key) ?? 0) > 1 &&
      !excuses.some((excuse) => invocation.suffered.has(excuse))
    ) {
      this.broken('lanes-are-kept', String(documentId), `queued twice by ${invocation.id}`);
    }
  }

  deadLetterConfirmed(_queue: Queue, _body: string, invocation: Invocation): void {
    add(invocation.confirmed, 'dead letters');
  }

  webhookAnswered(
    expected: Expected,
    answer: { statusCode?: number; body?: string; headers?: object },
    invocation: Invocation,
  ): void {
    const { statusCode = 0 } = answer;
    const accepted = statusCode >= 200 && statusCode < 300;
    const took = this.#clock.monotonic() - invocation.startedAt;
    if (took > webhookMs) {
      this.broken('webhook-in-time', expected.eventId, `answered after ${Math.round(took)} ms`);
    }
    const text = JSON.stringify(answer);
    if (holdsCanary(text)) this.broken('no-secret-shown', expected.eventId, 'in the answer to a webhook');
    // A container whose clock is wrong cannot know what is stale.
    const stale = expected.stale && !invocation.suffered.has('lambda-clock-wrong');
    if (accepted && (stale || !expected.genuine)) {
      this.broken('forged-is-refused', expected.eventId, `it is answered ${statusCode}`);
    }
    this.#checkRefusal(expected, statusCode, invocation);
    if (!accepted || !expected.genuine) return;
    for (const id of expected.ids) {
      if ((this.#queuedAt.get(id) ?? -1) <= invocation.since) {
        this.broken('accepted-is-queued', id, `event ${expected.eventId} is accepted, it is in no queue`);
      }
    }
  }

  /** Nobody is turned away without need. */
  #checkRefusal(
    { eventId, genuine, stale, keyDeployed }: Expected,
    status: number,
    { suffered, id }: Invocation,
  ): void {
    const queueExcuses = causes.QueueUnavailable.some((cause) => suffered.has(cause));
    const clockExcuses = stale || suffered.has('lambda-clock-wrong');
    if (!genuine || !keyDeployed || status === 200) return;
    if (status === 503 ? queueExcuses : clockExcuses) return;
    this.broken('genuine-is-accepted', eventId, `${id} answers ${status}`);
  }

  stored(object: ObjectVersion): void {
    const { store, account } = this.#looked();
    const { key, by } = object;
    if (!by) return;
    if (store.versions(key).length > 1) {
      this.broken('one-version', key, `${store.versions(key).length} versions`);
    }
    const [folder, name = ''] = key.split('/');
    if (folder === 'documents') {
      const document = account.documents.get(name);
      if (document?.sha256 !== object.sha256) this.broken('right-bytes-only', name, 'other bytes are stored');
      return;
    }
    this.#checkReceipt(object, name.replace(/\.json$/, ''));
  }

  /** The object is stored and the function knows. */
  storeConfirmed(object: ObjectVersion, { confirmed }: Invocation): void {
    addReceipt(object, confirmed);
  }

  /** The object is stored, and the function has read it: whether as its own, only the function can tell. */
  storePerhapsConfirmed(object: ObjectVersion, { perhapsConfirmed }: Invocation): void {
    addReceipt(object, perhapsConfirmed);
  }

  #checkReceipt({ bytes }: ObjectVersion, id: string): void {
    const { store, account } = this.#looked();
    this.archivedAt.set(id, this.#clock.now());
    const receipt = receiptIn(bytes);
    const object = store.current(documentKey(id));
    const isTrue =
      object !== undefined &&
      receipt !== undefined &&
      receipt.documentId === id &&
      receipt.object.key === object.key &&
      receipt.object.sha256 === object.sha256 &&
      receipt.object.bytes === object.bytes.length &&
      receipt.object.versionId === object.versionId &&
      receipt.object.etag === object.etag &&
      object.sha256 === account.documents.get(id)?.sha256;
    if (!isTrue) this.broken('receipt-is-true', id, 'the receipt is not of the object that stands there');
    const { hopeless } = account.documents.get(id) ?? {};
    if (hopeless) this.broken('right-bytes-only', id, `it is archived in spite of ${hopeless}`);
    const document = account.documents.get(id);
    const text = bytes.toString('utf8');
    if (document && !document.monstrous && !text.includes(document.record)) {
      this.broken('receipt-is-true', id, "the receipt does not hold Telnyx's own text");
    }
    if (bytes.length > longestReceipt) this.broken('receipt-is-true', id, `it takes ${bytes.length} bytes`);
    if (holdsCanary(JSON.stringify({ ...receipt, telnyx: {} }))) {
      this.broken('no-secret-shown', id, 'in the receipt');
    }
  }

  /** Before a batch's messages are deleted from their queue. */
  acknowledged(queue: Queue, message: QueuedMessage, invocation: Invocation): void {
    const { store, queues } = this.#looked();
    const { subject, body } = message;
    if ((this.#deadAt.get(beginningOf(body)) ?? -1) > invocation.since) return;
    if (queue === queues.discovery || queue === queues.spans) {
      this.#checkDiscovered(message, invocation);
      return;
    }
    const receipt = /^[0-9a-f-]{36}$/.test(subject) ? store.current(receiptKey(subject)) : undefined;
    if (!receipt) {
      this.broken(
        'done-before-acknowledged',
        subject,
        `${message.id} is acknowledged by ${invocation.id} with neither receipt nor dead letter`,
      );
    }
  }

  /** All documents that the message leads to, that were there throughout, have a receipt or a message of their own. */
  #checkDiscovered({ body, subject, id: messageId }: QueuedMessage, invocation: Invocation): void {
    const { account, store } = this.#looked();
    const before = this.#startOf(invocation);
    const { kind, createdAfter, createdBefore, requestedAt, orderId } = fieldsOf(body);
    const ids: string[] = [];
    if (kind === 'recent' || kind === 'span') {
      const sweeping = kind === 'recent';
      const late = sweeping && isSuperseded(String(requestedAt), this.#clock.now());
      if (late || (sweeping && invocation.suffered.has('lambda-clock-wrong'))) return;
      const bands = sweeping ? planSweep(String(requestedAt)) : [];
      const [from, to] = [Date.parse(String(createdAfter)), Date.parse(String(createdBefore))];
      for (const { id, createdAt, hopeless } of account.listed(before, () => true)) {
        const asked = sweeping
          ? !isListedAsHopeless(hopeless) && bands.some(({ isQueued }) => isQueued(createdAt))
          : createdAt >= from && createdAt <= to;
        if (asked) ids.push(id);
      }
    } else {
      const order = account.orders.get(String(orderId));
      const gone = (order?.goneAt ?? 0) <= this.#clock.now();
      if (!order || order.createdAt > before) return;
      for (const { id, place } of order.documents) if (!gone || place === 'links') ids.push(id);
    }
    for (const id of ids) {
      const document = account.documents.get(id);
      const throughout =
        document && account.isThere(document, before) && account.isThere(document, this.#clock.now());
      if (!throughout || store.current(receiptKey(id))) continue;
      if ((this.#queuedAt.get(id) ?? -1) > invocation.since) continue;
      this.broken(
        'done-before-acknowledged',
        id,
        `${messageId} (${kind} ${subject}) is acknowledged by ${invocation.id}, which has not queued it`,
      );
    }
  }

  /** Milliseconds since the Unix epoch. */
  #startOf({ startedAt }: Invocation): number {
    return this.#clock.now() - (this.#clock.monotonic() - startedAt);
  }

  returned(
    invocation: Invocation,
    outcome: { answer: unknown } | { thrown: unknown },
    container: Container,
  ): void {
    const { id, functionName, startedAt, limitMs } = invocation;
    if ('thrown' in outcome) {
      const { thrown } = outcome;
      this.broken(
        'answers-in-form',
        id,
        `it throws ${thrown instanceof Error ? thrown.stack : String(thrown)}`,
      );
      return;
    }
    const left = limitMs - (this.#clock.monotonic() - startedAt);
    if (left < keptBackMs) this.broken('ends-in-time', id, `${Math.round(left)} ms before its limit`);
    const { openCalls, openTimers, openBodies } = container;
    if (openCalls + openTimers + openBodies > 0) {
      this.broken(
        'nothing-left-behind',
        id,
        `${openTimers} timers, ${openCalls} calls, ${openBodies} bodies are open`,
      );
    }
    if (functionName !== 'webhook') this.#checkMetrics(invocation);
  }

  #checkMetrics({ id, functionName, metrics, confirmed, perhapsConfirmed, suffered }: Invocation): void {
    const books: [metric: string, confirmed: string][] = [
      ['DeadLetters', 'dead letters'],
      ...(functionName === 'archive'
        ? ([
            ['DocumentsArchived', 'receipts'],
            ['BytesArchived', 'bytes'],
          ] as [string, string][])
        : []),
    ];
    for (const [metric, name] of books) {
      const counted = metrics.get(metric) ?? 0;
      const happened = confirmed.get(name) ?? 0;
      const more = counted - happened;
      if (more < 0 || more > (perhapsConfirmed.get(name) ?? 0)) {
        this.broken('books-balance', id, `${metric} is ${counted}, though there were ${happened}`);
      }
    }
    for (const metric of metrics.keys()) {
      const code = /^(?:ReceivesFailed|logged) (\w+)$/.exec(metric)?.[1];
      if (code !== undefined && !(causes[code as ErrorCode] ?? []).some((cause) => suffered.has(cause))) {
        this.broken('books-balance', id, `${metric} without any of its causes; ${[...suffered].join(', ')}`);
      }
    }
  }

  /** What the answer to a batch says must be of the batch. */
  answered(ids: readonly string[], answer: unknown, invocation: Invocation): void {
    const failures: unknown =
      typeof answer === 'object' && answer !== null ? Reflect.get(answer, 'batchItemFailures') : undefined;
    const inForm =
      Array.isArray(failures) &&
      Object.keys(answer ?? {}).length === 1 &&
      failures.every(({ itemIdentifier }) => ids.includes(itemIdentifier)) &&
      new Set(failures.map(({ itemIdentifier }) => itemIdentifier)).size === failures.length;
    if (!inForm) this.broken('answers-in-form', invocation.id, `it answers ${JSON.stringify(answer)}`);
    const failed = Array.isArray(failures) ? failures.length : 0;
    const counted =
      (invocation.metrics.get('ReceivesFailed') ?? 0) - (invocation.metrics.get('DeadLetters') ?? 0);
    if (inForm && counted !== failed) {
      this.broken('books-balance', invocation.id, `${failed} are reported as failed, ${counted} counted`);
    }
  }

  timedOut(invocation: Invocation): void {
    this.broken('ends-in-time', invocation.id, 'Lambda has to end it');
  }

  logged(line: string, invocation: Invocation | undefined): void {
    this.#alarms.ingest(line, this.#clock.now());
    const about = invocation?.id ?? 'a container';
    if (line.length > longestLine || line.includes('\n')) {
      this.broken('log-lines-are-json', about, line.slice(0, 200));
      return;
    }
    if (holdsCanary(line) || (invocation?.secret !== undefined && line.includes(invocation.secret))) {
      this.broken('no-secret-shown', about, `in the log: ${line}`);
    }
    let fields: unknown;
    try {
      fields = JSON.parse(line);
    } catch {
      this.broken('log-lines-are-json', about, line);
      return;
    }
    if (invocation && typeof fields === 'object' && fields !== null) tally(invocation.metrics, fields);
    if (invocation && typeof fields === 'object' && fields !== null && 'message' in fields) {
      const { message, documentId, code } = fields as Record<string, unknown>;
      if (typeof code === 'string') add(invocation.metrics, `logged ${code}`);
      this.#journal.note(
        String(documentId ?? invocation.id),
        `${invocation.id} logs ${message} ${code ?? ''}`,
      );
    }
  }

  requested(url: URL, headers: Record<string, string>, by: 'telnyx' | 'storage'): void {
    const hosts = by === 'telnyx' ? ['api.telnyx.com'] : [usualHost, ...otherHosts];
    if (
      url.protocol !== 'https:' ||
      !hosts.includes(url.host) ||
      url.username !== '' ||
      url.password !== ''
    ) {
      this.broken('only-allowed-hosts', by, `a request to ${url.origin}`);
    }
    if (by === 'storage' && 'authorization' in headers) {
      this.broken('only-allowed-hosts', by, 'the API key is sent to the storage');
    }
  }

  forbidden(what: string): void {
    this.broken('nothing-deleted', what, `${what} is called`);
  }

  #looked(): Scene {
    if (!this.#scene) throw new Error('There is nothing to look at yet.');
    return this.#scene;
  }
}

/** A dead letter's body may be cut. */
function beginningOf(body: string): string {
  return body.slice(0, 1_000);
}

/** Whether Telnyx's list itself shows that the document cannot be archived. */
function isListedAsHopeless(hopeless: string | undefined): boolean {
  return hopeless === 'DocumentInfected' || hopeless === 'DocumentTooLarge';
}

function add(sums: Map<string, number>, name: string, value = 1): void {
  sums.set(name, (sums.get(name) ?? 0) + value);
}

/** Undefined for bytes that were spoilt on their way. */
function receiptIn(bytes: Buffer): Receipt | undefined {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** Nothing where the object is no receipt. */
function addReceipt({ key, bytes }: ObjectVersion, sums: Map<string, number>): void {
  if (!key.startsWith('receipts/')) return;
  add(sums, 'receipts');
  add(sums, 'bytes', receiptIn(bytes)?.object.bytes);
}

/** Adds up a line in embedded metric format; others have none. */
function tally(sums: Map<string, number>, fields: object): void {
  if (!('_aws' in fields)) return;
  const values = Object.entries(fields);
  const splits = values.flatMap(([, value]) => (typeof value === 'string' ? value : []));
  for (const [name, value] of values) {
    if (typeof value !== 'number') continue;
    add(sums, name, value);
    for (const split of splits) add(sums, `${name} ${split}`, value);
  }
}
