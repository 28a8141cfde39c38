/** A standard SQS queue: at-least-once delivery in any order, visibility timeouts, receive counts, redrive policy. */
import { queues } from '../../functions/limits.ts';
import type { Invocation } from './container.ts';
import type { SimulationContext } from './context.ts';

export interface QueuedMessage {
  id: string;
  body: string;
  /** ID of the document or order, else the kind of the message. */
  subject: string;
  attributes: Readonly<Record<string, string>>;
  /** Milliseconds since the Unix epoch. */
  sentAt: number;
  firstReceivedAt: number | undefined;
  receives: number;
  hops: number;
  /** The invocation that sent it; undefined if no invocation did. */
  sentBy: Invocation | undefined;
}

export interface Received {
  message: QueuedMessage;
  handle: string;
}

export interface QueueOptions {
  name: string;
  visibilityMs: number;
  redrive?: { to: Queue; maxReceiveCount: number } | undefined;
}

export class Queue {
  readonly name: string;
  readonly url: string;
  readonly arn: string;
  /** Numbers of messages sent, deleted, and moved to the dead-letter queue by the redrive policy. */
  readonly counts = { sent: 0, deleted: 0, deadLettered: 0 };
  /** Called when a message becomes visible. */
  onVisible: () => void = () => undefined;
  /** Called when a message is received. */
  onReceived: (message: QueuedMessage) => void = () => undefined;
  readonly #options: QueueOptions;
  readonly #context: SimulationContext;
  readonly #messages = new Map<string, QueuedMessage>();
  readonly #visible: QueuedMessage[] = [];
  /** Cancels the timer that makes a message visible again, by message ID. */
  readonly #visibilityTimers = new Map<string, () => void>();
  #ids = 0;

  constructor(options: QueueOptions, context: SimulationContext) {
    this.name = options.name;
    this.url = `https://sqs.eu-central-1.amazonaws.com/123456789012/${options.name}`;
    this.arn = `arn:aws:sqs:eu-central-1:123456789012:${options.name}`;
    this.#options = options;
    this.#context = context;
  }

  /** Number of messages, visible or not. */
  get depth(): number {
    return this.#messages.size;
  }

  messages(): QueuedMessage[] {
    return [...this.#messages.values()];
  }

  send(
    body: string,
    {
      attributes = {},
      hops = 0,
      receives = 0,
      ageMs = 0,
      sentBy,
    }: {
      attributes?: Record<string, string>;
      hops?: number;
      receives?: number;
      /** Milliseconds since it was sent and first received. */
      ageMs?: number;
      sentBy?: Invocation | undefined;
    } = {},
  ): void {
    const { clock, random, injector, monitor, eventLog } = this.#context;
    this.#ids += 1;
    this.counts.sent += 1;
    const message: QueuedMessage = {
      id: `${this.name}-${this.#ids}`,
      body,
      subject: subjectOf(body),
      attributes,
      sentAt: clock.now() - ageMs,
      firstReceivedAt: ageMs > 0 ? clock.now() - ageMs : undefined,
      receives,
      hops,
      sentBy,
    };
    this.#messages.set(message.id, message);
    eventLog.add(message.subject, `${message.id} enters ${this.name} ${Object.values(attributes).join(' ')}`);
    monitor.messageQueued(this, message);
    const late = injector.shouldInject('sqs-delivers-late') ? random.between(10_000, 240_000) : 0;
    // SQS deletes a message silently at the end of its retention. Dead letters are kept for longer than a simulation lasts.
    const keptMs = message.sentAt + queues.retentionMs - clock.now();
    if (this.#options.redrive) clock.after(keptMs, () => this.#expire(message));
    this.#makeVisibleAfter(message, late + random.between(1, 30));
  }

  receive(max: number): Received[] {
    const { clock, random, injector, eventLog } = this.#context;
    const received: Received[] = [];
    while (received.length < max && this.#visible.length > 0) {
      const at = random.integer(0, this.#visible.length - 1);
      const [message] = this.#visible.splice(at, 1);
      if (message === undefined || !this.#messages.has(message.id)) continue;
      const { redrive, visibilityMs } = this.#options;
      if (redrive && message.receives >= redrive.maxReceiveCount) {
        this.#messages.delete(message.id);
        this.counts.deadLettered += 1;
        eventLog.add(
          message.subject,
          `${message.id} moves from ${this.name} to its dead-letter queue by the redrive policy`,
        );
        redrive.to.send(message.body);
        continue;
      }
      message.receives += 1;
      message.firstReceivedAt ??= clock.now();
      eventLog.add(message.subject, `${message.id} received, ${message.receives}`);
      this.onReceived(message);
      received.push({ message, handle: `${message.id}/${message.receives}` });
      const again = injector.shouldInject('sqs-delivers-twice') ? random.between(1, 2_000) : visibilityMs;
      this.#makeVisibleAfter(message, again);
    }
    return received;
  }

  delete(handle: string): void {
    const { random, injector, eventLog } = this.#context;
    const message = this.#messages.get(idOf(handle));
    if (!message) return;
    if (injector.shouldInject('sqs-delivers-deleted-message')) {
      this.#makeVisibleAfter(message, random.between(100, 60_000));
      return;
    }
    this.#messages.delete(message.id);
    this.#visibilityTimers.get(message.id)?.();
    this.#visibilityTimers.delete(message.id);
    this.counts.deleted += 1;
    eventLog.add(message.subject, `${message.id} deleted`);
  }

  /** @returns false if the message no longer exists */
  changeVisibility(handle: string, ms: number): boolean {
    const message = this.#messages.get(idOf(handle));
    if (!message) return false;
    this.#makeVisibleAfter(message, ms);
    return true;
  }

  /** Removes and returns all visible messages, for a manual redrive. */
  takeVisible(): QueuedMessage[] {
    const taken = this.#visible.splice(0).filter(({ id }) => this.#messages.has(id));
    for (const { id } of taken) this.#messages.delete(id);
    this.counts.deleted += taken.length;
    return taken;
  }

  /** Deletes all messages. */
  purge(): void {
    this.counts.deleted += this.#messages.size;
    this.#messages.clear();
  }

  #expire(message: QueuedMessage): void {
    if (!this.#messages.has(message.id)) return;
    this.#context.monitor.report(
      'one-final-state',
      message.subject,
      `${message.id} has expired in ${this.name}`,
    );
  }

  #makeVisibleAfter(message: QueuedMessage, ms: number): void {
    this.#visibilityTimers.get(message.id)?.();
    this.#visibilityTimers.set(
      message.id,
      this.#context.clock.after(ms, () => {
        if (!this.#messages.has(message.id) || this.#visible.includes(message)) return;
        this.#visible.push(message);
        this.onVisible();
      }),
    );
  }

  get visible(): number {
    return this.#visible.length;
  }
}

function idOf(handle: string): string {
  return handle.split('/')[0] ?? '';
}

/** Parses independently of the functions' own parser. */
function subjectOf(body: string): string {
  const { documentId, orderId, kind } = fieldsOf(body);
  return String(documentId ?? orderId ?? kind ?? 'no message');
}

export function fieldsOf(body: string): Record<string, unknown> {
  if (/^\s*[0-9a-f-]{36}\s*$/.test(body)) {
    return { v: 1, kind: 'document', documentId: body.trim(), trigger: 'operator' };
  }
  try {
    const fields: unknown = JSON.parse(body);
    return typeof fields === 'object' && fields !== null ? (fields as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** The fact that allows documents of that second to be queued twice. @param moment ISO 8601, or milliseconds since the Unix epoch */
export function spansMeet(moment: string | number): string {
  return `spans meet in second ${Math.floor(new Date(moment).getTime() / 1_000)}`;
}
