/** Checks invariants at every step of a simulation and keeps the first violation. */
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import type { Receipt } from '../../functions/bucket/receipts.ts';
import { isSuperseded, planSweep } from '../../functions/discover/sweep.ts';
import { type ErrorCode, retryPolicies } from '../../functions/errors.ts';
import { attempts, retryTimings } from '../../functions/limits.ts';
import type { LaneName } from '../../functions/queue/lanes.ts';
import type { CloudWatch } from '../cloudwatch/cloudwatch.ts';
import type { VirtualClock } from '../fakes/clock.ts';
import { sha256 } from '../fakes/memory-bucket.ts';
import type { DeleteMarker, StoredVersion } from '../fakes/versioned-objects.ts';
import { type Account, type AccountDocument, otherHosts, usualHost } from './account.ts';
import { createAlarms } from './alarms.ts';
import { AuditMonitor } from './audit-monitor.ts';
import { holdsCanary } from './canary.ts';
import { CatalogueMonitor } from './catalogue-monitor.ts';
import type { Container, Invocation } from './container.ts';
import { ContextMonitor } from './context-monitor.ts';
import { ErasureMonitor } from './erasure-monitor.ts';
import type { EventLog } from './event-log.ts';
import type { InvariantName, Violation } from './invariants.ts';
import type { ObjectStore } from './object-store.ts';
import { possibleCauses } from './possible-causes.ts';
import { fieldsOf, type Queue, type QueuedMessage, spansMeet } from './queue.ts';

/** The expected handling of an event, as its sender knows it. */
export interface Expected {
  eventId: string;
  /** IDs that must be queued before the event is accepted. */
  ids: readonly string[];
  /** Whether Telnyx signed it and it arrived unchanged. */
  genuine: boolean;
  /** Whether the signed timestamp is too old or in the future. */
  stale: boolean;
  /** Whether the key that signed it is deployed. */
  keyDeployed: boolean;
}

/** The actual state of Telnyx, the bucket and the queues. */
export interface WorldState {
  account: Account;
  /** The bucket of the archive. */
  store: ObjectStore;
  /** The bucket of the catalogue. */
  catalogue: ObjectStore;
  queues: Record<LaneName, Queue>;
  deadLetters: Record<LaneName, Queue>;
}

const maxLineLength = 8 * 1024;
const maxReceiptBytes = 128 * 1024;
const maxWebhookMs = 1_500;
const reserveMs = 500;
const maxHops = 3;

export class InvariantMonitor {
  /** Number of messages that have entered a queue: orders events without a clock. */
  moment = 0;
  violation: Violation | undefined;
  /** IDs that occur only in forged events. */
  readonly forged = new Set<string>();
  /** Documents that have been queued. */
  readonly accepted = new Set<string>();
  /** Documents whose key already held other bytes. */
  readonly collided = new Set<string>();
  /** When each receipt was written, milliseconds since the Unix epoch. */
  readonly archivedAt = new Map<string, number>();
  readonly #clock: VirtualClock;
  readonly #eventLog: EventLog;
  readonly #alarms: CloudWatch;
  #world: WorldState | undefined;
  #erasures: ErasureMonitor | undefined;
  #audits: AuditMonitor | undefined;
  #contexts: ContextMonitor | undefined;
  #catalogue: CatalogueMonitor | undefined;
  /** `moment` at which an ID last entered a queue. */
  readonly #queuedAt = new Map<string, number>();
  /** `moment` at which a body last became a dead letter with a code. */
  readonly #deadAt = new Map<string, number>();

  constructor(clock: VirtualClock, eventLog: EventLog) {
    this.#clock = clock;
    this.#eventLog = eventLog;
    this.#alarms = createAlarms(clock.now());
  }

  /** Called 16 minutes after the creation of a document. */
  checkAlarm({ id, createdAt, expectedFailure, crashesFunction }: AccountDocument): void {
    const { store } = this.#requireWorld();
    if (store.current(receiptKey(id)) || isListedAsUnarchivable(expectedFailure) || crashesFunction) return;
    this.#alarms.advanceTo(this.#clock.now());
    if (this.#alarms.inAlarm().length > 0 || this.#alarms.notifications(createdAt).length > 0) return;
    this.report('unarchived-raises-alarm', id, 'no alarm was raised within 16 minutes after its upload');
  }

  attach(world: WorldState): void {
    this.#world = world;
    this.#erasures = new ErasureMonitor(this, world);
    this.#audits = new AuditMonitor(this, world, this.#clock);
    this.#contexts = new ContextMonitor(this, world, this.#clock);
    this.#catalogue = new CatalogueMonitor(this, world);
  }

  get erasures(): ErasureMonitor {
    if (!this.#erasures) throw new Error('The monitor is not attached to a world.');
    return this.#erasures;
  }

  get audits(): AuditMonitor {
    if (!this.#audits) throw new Error('The monitor is not attached to a world.');
    return this.#audits;
  }

  get catalogue(): CatalogueMonitor {
    if (!this.#catalogue) throw new Error('The monitor is not attached to a world.');
    return this.#catalogue;
  }

  report(invariant: InvariantName, subject: string, what: string): void {
    this.#eventLog.add(subject, `VIOLATED ${invariant}: ${what}`);
    this.violation ??= { invariant, subject, what };
  }

  messageQueued(queue: Queue, message: QueuedMessage): void {
    const { queues, account } = this.#requireWorld();
    this.moment += 1;
    const { subject, body, attributes, hops } = message;
    if (this.forged.has(subject)) this.report('forged-is-rejected', subject, `queued in ${queue.name}`);
    if (hops > maxHops) this.report('no-loops', subject, `${hops} hops to ${queue.name}`);
    const attributeText = Object.values(attributes).join(' ');
    if (holdsCanary(attributeText) || holdsCanary(body)) {
      this.report('no-secret-disclosed', subject, `in a message to ${queue.name}`);
    }
    const lane = Object.values(queues).includes(queue);
    if (!lane) {
      this.#checkDeadLetter(message);
      return;
    }
    this.#queuedAt.set(subject, this.moment);
    this.audits.messageQueued(message);
    if (account.documents.has(subject)) this.accepted.add(subject);
    const { trigger } = fieldsOf(body);
    const inWrongQueue =
      (trigger === 'backfill' && queue !== queues.backfill) ||
      ((trigger === 'webhook' || trigger === 'sweep') && queue !== queues.documents);
    if (inWrongQueue && account.documents.has(subject))
      this.report('correct-queue', subject, `a document with trigger ${trigger} is in ${queue.name}`);
  }

  /** Checks that a dead letter has a code and a reason and is not premature. */
  #checkDeadLetter({ subject, body, attributes, sentBy }: QueuedMessage): void {
    const { code, reason, firstSeenAt = '' } = attributes;
    if (code === undefined && reason === undefined) return;
    if (!code || !reason) this.report('one-final-state', subject, 'a dead letter without code or reason');
    else this.#deadAt.set(startOfBody(body), this.moment);
    this.erasures.deadLetter(subject, code, sentBy);
    const policy = retryPolicies[code as ErrorCode];
    if (policy === 'dead-letter') return;
    const ageMs = this.#clock.now() - Date.parse(firstSeenAt);
    // A container with a wrong clock cannot know the age of a message.
    const clockWrong = sentBy?.causes.has('lambda-clock-wrong') === true;
    const aboutToExpire = ageMs + retryTimings.maxWaitMs > retryTimings.deadLetterAfterMs;
    if (policy === 'acknowledge' || (policy === 'wait' && !aboutToExpire)) {
      this.report('retried-before-dead-letter', subject, `${code} after ${Math.round(ageMs / 1_000)} s`);
    }
    if (policy !== 'retry' || clockWrong) return;
    const requestTimes = sentBy?.recordRequests.get(subject) ?? [];
    const spanMs = (requestTimes.at(-1) ?? 0) - (requestTimes[0] ?? 0);
    // Before it requests the record, an attempt may check for the receipt, and requests take up to 40 ms each.
    const isConclusive = requestTimes.length >= attempts.max && spanMs >= retryTimings.attemptsSpanMs - 500;
    const aboutDocument = this.#requireWorld().account.documents.has(subject);
    if (ageMs < retryTimings.documentFaultAfterMs || (aboutDocument && !isConclusive && !aboutToExpire)) {
      const what = `${code} after ${Math.round(ageMs / 1_000)} s and ${requestTimes.length} attempts over ${spanMs} ms`;
      this.report('retried-before-dead-letter', subject, what);
    }
  }

  /** The function has the confirmation that the message is queued. */
  sendConfirmed(queue: Queue, body: string, invocation: Invocation): void {
    add(invocation.confirmed, 'sent');
    const { documentId, trigger, requestedAt, event } = fieldsOf(body);
    if (invocation.functionName !== 'discover') return;
    const { account, store } = this.#requireWorld();
    const document = account.documents.get(String(documentId));
    const { expectedFailure } = document ?? {};
    if (trigger === 'sweep' && isListedAsUnarchivable(expectedFailure)) {
      this.report(
        'correct-queue',
        String(documentId),
        `queued by a sweep although the list shows ${expectedFailure}`,
      );
    }
    // The receipt of a damaged archive may be gone.
    const receipt = document && store.current(receiptKey(document.id));
    if (receipt && receipt.modified < this.#startOf(invocation)) {
      this.report(
        'correct-queue',
        String(documentId),
        `queued by ${invocation.id} although it has a receipt`,
      );
    }
    const key = `${documentId} ${trigger} ${requestedAt} ${JSON.stringify(event)} ${queue.name}`;
    add(invocation.confirmed, key);
    const excuses = ['the same message twice', 'spans overlap', spansMeet(document?.createdAt ?? Number.NaN)];
    if (
      (invocation.confirmed.get(key) ?? 0) > 1 &&
      !excuses.some((excuse) => invocation.causes.has(excuse))
    ) {
      this.report('correct-queue', String(documentId), `queued twice by ${invocation.id}`);
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
    if (took > maxWebhookMs) {
      this.report('webhook-in-time', expected.eventId, `answered after ${Math.round(took)} ms`);
    }
    const text = JSON.stringify(answer);
    if (holdsCanary(text)) this.report('no-secret-disclosed', expected.eventId, 'in the answer to a webhook');
    // A container with a wrong clock cannot know whether a timestamp is stale.
    const stale = expected.stale && !invocation.causes.has('lambda-clock-wrong');
    if (accepted && (stale || !expected.genuine)) {
      this.report('forged-is-rejected', expected.eventId, `answered ${statusCode}`);
    }
    this.#checkRejection(expected, statusCode, invocation);
    if (!accepted || !expected.genuine) return;
    for (const id of expected.ids) {
      if ((this.#queuedAt.get(id) ?? -1) <= invocation.since) {
        this.report(
          'accepted-is-queued',
          id,
          `event ${expected.eventId} is accepted, but this ID is not queued`,
        );
      }
    }
  }

  /** Checks that a genuine event is not rejected without a reason. */
  #checkRejection(
    { eventId, genuine, stale, keyDeployed }: Expected,
    status: number,
    { causes, id }: Invocation,
  ): void {
    const queueFailed = possibleCauses.QueueUnavailable.some((cause) => causes.has(cause));
    const clockDiffers = stale || causes.has('lambda-clock-wrong');
    if (!genuine || !keyDeployed || status === 200) return;
    if (status === 503 ? queueFailed : clockDiffers) return;
    this.report('genuine-is-accepted', eventId, `${id} responds ${status}`);
  }

  /**
   * @param replaced the object that was current before
   * @param writtenBy undefined if no function wrote it
   */
  stored(
    object: StoredVersion,
    replaced: StoredVersion | undefined,
    writtenBy: Invocation | undefined,
  ): void {
    if (this.#requireWorld().catalogue.current(object.key) === object) {
      this.catalogue.stored(object);
      return;
    }
    this.erasures.stored(object, replaced, writtenBy);
    if (!writtenBy) {
      this.audits.changed(object.key);
      return;
    }
    const { store, account } = this.#requireWorld();
    const { key } = object;
    if (store.versions(key).length > 1) {
      this.report('one-version', key, `${store.versions(key).length} versions`);
    }
    if (writtenBy.functionName === 'audit') {
      this.audits.stored(object, writtenBy);
      return;
    }
    const [folder, name = ''] = key.split('/');
    if (folder === 'documents') {
      const document = account.documents.get(name);
      if (document?.sha256 !== sha256(object.body))
        this.report('correct-bytes-only', name, 'wrong bytes are stored');
      return;
    }
    if (folder === 'contexts') {
      this.#contexts?.stored(object, writtenBy);
      return;
    }
    this.#checkReceipt(object, name.replace(/\.json$/, ''));
  }

  /** A person has deleted a version of an object. */
  deleted(version: StoredVersion | DeleteMarker): void {
    this.erasures.deleted(version);
    this.audits.changed(version.key);
  }

  /** A person has placed the legal hold of an object, or released it. */
  legalHoldChanged(key: string, status: 'ON' | 'OFF'): void {
    if (status === 'ON') this.erasures.legalHoldPlaced(key);
    this.audits.changed(key);
  }

  /** The function has the confirmation that the object is stored. */
  storeConfirmed(object: StoredVersion, { confirmed }: Invocation): void {
    addReceipt(object, confirmed);
  }

  /** The function has read the object; only the function can tell whether it wrote it. */
  storePossiblyConfirmed(object: StoredVersion, { possiblyConfirmed }: Invocation): void {
    addReceipt(object, possiblyConfirmed);
  }

  #checkReceipt({ body }: StoredVersion, id: string): void {
    const { store, account } = this.#requireWorld();
    this.archivedAt.set(id, this.#clock.now());
    const receipt = receiptIn(body);
    const object = store.current(documentKey(id));
    const matches =
      object !== undefined &&
      receipt !== undefined &&
      receipt.documentId === id &&
      receipt.object.key === object.key &&
      receipt.object.sha256 === sha256(object.body) &&
      receipt.object.bytes === object.body.length &&
      receipt.object.versionId === object.versionId &&
      receipt.object.etag === object.etag &&
      receipt.object.sha256 === account.documents.get(id)?.sha256;
    if (!matches) this.report('receipt-matches-object', id, 'the receipt does not match the stored object');
    const { expectedFailure } = account.documents.get(id) ?? {};
    if (expectedFailure) this.report('correct-bytes-only', id, `archived despite ${expectedFailure}`);
    const document = account.documents.get(id);
    const text = body.toString('utf8');
    if (document && !document.hasOversizedRecord && !text.includes(document.record)) {
      this.report('receipt-matches-object', id, "the receipt does not contain the text of Telnyx's record");
    }
    if (body.length > maxReceiptBytes)
      this.report('receipt-matches-object', id, `the receipt has ${body.length} bytes`);
    if (holdsCanary(JSON.stringify({ ...receipt, telnyx: {} }))) {
      this.report('no-secret-disclosed', id, 'in the receipt');
    }
  }

  /** Called before the message is deleted from its queue. */
  acknowledged(queue: Queue, message: QueuedMessage, invocation: Invocation): void {
    const { store, queues } = this.#requireWorld();
    const { subject, body } = message;
    if ((this.#deadAt.get(startOfBody(body)) ?? -1) > invocation.since) return;
    if (queue === queues.audit) {
      this.audits.acknowledged(queue, message, invocation);
      return;
    }
    if (queue === queues.discovery || queue === queues.spans) {
      this.#checkDiscovered(message, invocation);
      return;
    }
    const receipt = /^[0-9a-f-]{36}$/.test(subject) ? store.current(receiptKey(subject)) : undefined;
    if (!receipt) {
      this.report(
        'done-before-acknowledged',
        subject,
        `${message.id} is acknowledged by ${invocation.id} without receipt or dead letter`,
      );
    }
    this.erasures.acknowledged(subject, invocation);
  }

  /** Every document that the message names, and that existed during the invocation, has a receipt or is queued. */
  #checkDiscovered({ body, subject, id: messageId }: QueuedMessage, invocation: Invocation): void {
    const { account, store } = this.#requireWorld();
    const before = this.#startOf(invocation);
    const { kind, createdAfter, createdBefore, requestedAt, orderId } = fieldsOf(body);
    const ids: string[] = [];
    const existsThroughout = (id: string) => {
      const document = account.documents.get(id);
      return document && account.exists(document, before) && account.exists(document, this.#clock.now());
    };
    if (kind === 'recent' || kind === 'span') {
      const sweeping = kind === 'recent';
      const late = sweeping && isSuperseded(String(requestedAt), this.#clock.now());
      if (late || (sweeping && invocation.causes.has('lambda-clock-wrong'))) return;
      const bands = sweeping ? planSweep(String(requestedAt)) : [];
      const [from, to] = [Date.parse(String(createdAfter)), Date.parse(String(createdBefore))];
      for (const { id, createdAt, expectedFailure } of account.listed(before, () => true)) {
        const isRequested = sweeping
          ? !isListedAsUnarchivable(expectedFailure) && bands.some(({ isQueued }) => isQueued(createdAt))
          : createdAt >= from && createdAt <= to;
        if (isRequested) ids.push(id);
      }
    } else {
      const order = account.orders.get(String(orderId));
      const gone = (order?.goneAt ?? 0) <= this.#clock.now();
      if (!order || order.createdAt > before) return;
      for (const { id, section } of order.documents) if (!gone || section === 'links') ids.push(id);
      this.#contexts?.orderAcknowledged(order, ids.filter(existsThroughout), invocation);
    }
    if (kind === 'recent') this.#contexts?.sweepAcknowledged(invocation);
    for (const id of ids) {
      if (!existsThroughout(id) || store.current(receiptKey(id))) continue;
      if ((this.#queuedAt.get(id) ?? -1) > invocation.since) continue;
      this.report(
        'done-before-acknowledged',
        id,
        `${messageId} (${kind} ${subject}) is acknowledged by ${invocation.id}, which did not queue it`,
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
      this.report(
        'response-is-valid',
        id,
        `throws ${thrown instanceof Error ? thrown.stack : String(thrown)}`,
      );
      return;
    }
    const left = limitMs - (this.#clock.monotonic() - startedAt);
    if (left < reserveMs) this.report('ends-before-timeout', id, `${Math.round(left)} ms before its timeout`);
    const { openCalls, openTimers, openBodies } = container;
    if (openCalls + openTimers + openBodies > 0) {
      this.report(
        'no-open-resources',
        id,
        `open: ${openTimers} timers, ${openCalls} calls, ${openBodies} bodies`,
      );
    }
    if (functionName !== 'webhook') this.#checkMetrics(invocation);
  }

  #checkMetrics({ id, functionName, metrics, confirmed, possiblyConfirmed, causes }: Invocation): void {
    const counters: [metric: string, confirmed: string][] = [
      ['DeadLetters', 'dead letters'],
      ...(functionName === 'archive'
        ? ([
            ['DocumentsArchived', 'receipts'],
            ['BytesArchived', 'bytes'],
          ] as [string, string][])
        : []),
    ];
    for (const [metric, name] of counters) {
      const counted = metrics.get(metric) ?? 0;
      const happened = confirmed.get(name) ?? 0;
      const more = counted - happened;
      if (more < 0 || more > (possiblyConfirmed.get(name) ?? 0)) {
        this.report('counts-match', id, `${metric} is ${counted}, but ${happened} happened`);
      }
    }
    for (const metric of metrics.keys()) {
      const code = /^(?:ReceivesFailed|logged) (\w+)$/.exec(metric)?.[1];
      if (
        code !== undefined &&
        !(possibleCauses[code as ErrorCode] ?? []).some((cause) => causes.has(cause))
      ) {
        this.report(
          'counts-match',
          id,
          `${metric} without any of its causes; met: ${[...causes].join(', ')}`,
        );
      }
    }
  }

  /** Checks the response to a batch. */
  answered(ids: readonly string[], answer: unknown, invocation: Invocation): void {
    const failures: unknown =
      typeof answer === 'object' && answer !== null ? Reflect.get(answer, 'batchItemFailures') : undefined;
    const isValid =
      Array.isArray(failures) &&
      Object.keys(answer ?? {}).length === 1 &&
      failures.every(({ itemIdentifier }) => ids.includes(itemIdentifier)) &&
      new Set(failures.map(({ itemIdentifier }) => itemIdentifier)).size === failures.length;
    if (!isValid) this.report('response-is-valid', invocation.id, `responds ${JSON.stringify(answer)}`);
    const failed = Array.isArray(failures) ? failures.length : 0;
    const countOf = (metric: string) => invocation.metrics.get(metric) ?? 0;
    const continued = countOf('logged PartUnfinished');
    const count = countOf('ReceivesFailed') - countOf('DeadLetters') + continued;
    if (isValid && count !== failed) {
      this.report('counts-match', invocation.id, `${failed} are reported as failed, ${count} counted`);
    }
  }

  timedOut(invocation: Invocation): void {
    this.report('ends-before-timeout', invocation.id, 'timed out');
  }

  logged(line: string, invocation: Invocation | undefined): void {
    this.#alarms.ingest(line, this.#clock.now());
    const about = invocation?.id ?? 'a container';
    if (line.length > maxLineLength || line.includes('\n')) {
      this.report('log-lines-are-json', about, line.slice(0, 200));
      return;
    }
    if (holdsCanary(line) || (invocation?.secret !== undefined && line.includes(invocation.secret))) {
      this.report('no-secret-disclosed', about, `in the log: ${line}`);
    }
    let fields: unknown;
    try {
      fields = JSON.parse(line);
    } catch {
      this.report('log-lines-are-json', about, line);
      return;
    }
    if (invocation && typeof fields === 'object' && fields !== null) addMetrics(invocation.metrics, fields);
    if (invocation && typeof fields === 'object' && fields !== null && 'message' in fields) {
      const { message, documentId, code } = fields as Record<string, unknown>;
      if (typeof code === 'string') add(invocation.metrics, `logged ${code}`);
      if (message === 'Contexts not written') invocation.causes.add('contexts not written');
      this.#eventLog.add(
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
      this.report('only-allowed-hosts', by, `a request to ${url.origin}`);
    }
    if (by === 'storage' && 'authorization' in headers) {
      this.report('only-allowed-hosts', by, 'the API key is sent to the storage');
    }
  }

  forbidden(what: string): void {
    this.report('no-forbidden-call', what, `${what} is called`);
  }

  #requireWorld(): WorldState {
    if (!this.#world) throw new Error('The monitor is not attached to a world.');
    return this.#world;
  }
}

/** The body of a dead letter may be truncated. */
function startOfBody(body: string): string {
  return body.slice(0, 1_000);
}

/** Whether Telnyx's list shows that the document cannot be archived. */
function isListedAsUnarchivable(expectedFailure: string | undefined): boolean {
  return expectedFailure === 'DocumentInfected' || expectedFailure === 'DocumentTooLarge';
}

function add(sums: Map<string, number>, name: string, value = 1): void {
  sums.set(name, (sums.get(name) ?? 0) + value);
}

/** Undefined if the bytes are not JSON. */
function receiptIn(bytes: Buffer): Receipt | undefined {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** Ignores objects other than receipts. */
function addReceipt({ key, body }: StoredVersion, sums: Map<string, number>): void {
  if (!key.startsWith('receipts/')) return;
  add(sums, 'receipts');
  add(sums, 'bytes', receiptIn(body)?.object.bytes);
}

/** Adds the metrics of a log line in embedded metric format. */
function addMetrics(sums: Map<string, number>, fields: object): void {
  if (!('_aws' in fields)) return;
  const values = Object.entries(fields);
  const dimensions = values.flatMap(([, value]) => (typeof value === 'string' ? value : []));
  for (const [name, value] of values) {
    if (typeof value !== 'number') continue;
    add(sums, name, value);
    for (const dimension of dimensions) add(sums, `${name} ${dimension}`, value);
  }
}
