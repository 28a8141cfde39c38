/** A standard SQS queue: at least once, in no order, with visibility, receive counts and a redrive policy. */
import { queues } from '../../functions/limits.ts';
import type { Invocation } from './container.ts';
import type { Surroundings } from './surroundings.ts';

export interface QueuedMessage {
  id: string;
  body: string;
  /** The document's or order's id, or what else it is about. */
  subject: string;
  attributes: Readonly<Record<string, string>>;
  /** Milliseconds since the Unix epoch. */
  sentAt: number;
  firstReceivedAt: number | undefined;
  receives: number;
  hops: number;
  /** The invocation that sent it, if one did. */
  by: Invocation | undefined;
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
  /** All that have come in, gone by deletion, and gone to the dead letters by the redrive policy. */
  readonly tally = { came: 0, deleted: 0, redriven: 0 };
  /** Told whenever there is something to receive. */
  onVisible: () => void = () => undefined;
  readonly #options: QueueOptions;
  readonly #surroundings: Surroundings;
  readonly #messages = new Map<string, QueuedMessage>();
  readonly #visible: QueuedMessage[] = [];
  /** When a message that is out becomes visible again. */
  readonly #returns = new Map<string, () => void>();
  #ids = 0;

  constructor(options: QueueOptions, surroundings: Surroundings) {
    this.name = options.name;
    this.url = `https://sqs.eu-central-1.amazonaws.com/123456789012/${options.name}`;
    this.arn = `arn:aws:sqs:eu-central-1:123456789012:${options.name}`;
    this.#options = options;
    this.#surroundings = surroundings;
  }

  /** Those in the queue, visible or not. */
  get depth(): number {
    return this.#messages.size;
  }

  messages(): QueuedMessage[] {
    return [...this.#messages.values()];
  }

  accept(
    body: string,
    {
      attributes = {},
      hops = 0,
      receives = 0,
      ageMs = 0,
      by,
    }: {
      attributes?: Record<string, string>;
      hops?: number;
      receives?: number;
      /** How long ago it was sent, and first received. */
      ageMs?: number;
      by?: Invocation | undefined;
    } = {},
  ): void {
    const { clock, random, weather, watch, journal } = this.#surroundings;
    this.#ids += 1;
    this.tally.came += 1;
    const message: QueuedMessage = {
      id: `${this.name}-${this.#ids}`,
      body,
      subject: subjectOf(body),
      attributes,
      sentAt: clock.now() - ageMs,
      firstReceivedAt: ageMs > 0 ? clock.now() - ageMs : undefined,
      receives,
      hops,
      by,
    };
    this.#messages.set(message.id, message);
    journal.note(message.subject, `${message.id} enters ${this.name} ${Object.values(attributes).join(' ')}`);
    watch.queueTook(this, message);
    const late = weather.strikes('sqs-delivers-late') ? random.between(10_000, 240_000) : 0;
    // SQS deletes a message at the end of its retention without a word; dead letters are kept for longer than a world lasts.
    const keptMs = message.sentAt + queues.retentionMs - clock.now();
    if (this.#options.redrive) clock.after(keptMs, () => this.#expire(message));
    this.#appear(message, late + random.between(1, 30));
  }

  receive(most: number): Received[] {
    const { clock, random, weather, journal } = this.#surroundings;
    const received: Received[] = [];
    while (received.length < most && this.#visible.length > 0) {
      const at = random.integer(0, this.#visible.length - 1);
      const [message] = this.#visible.splice(at, 1);
      if (message === undefined || !this.#messages.has(message.id)) continue;
      const { redrive, visibilityMs } = this.#options;
      if (redrive && message.receives >= redrive.maxReceiveCount) {
        this.#messages.delete(message.id);
        this.tally.redriven += 1;
        journal.note(message.subject, `${message.id} goes from ${this.name} to the dead letters by itself`);
        redrive.to.accept(message.body);
        continue;
      }
      message.receives += 1;
      message.firstReceivedAt ??= clock.now();
      journal.note(message.subject, `${message.id} received, ${message.receives}`);
      received.push({ message, handle: `${message.id}/${message.receives}` });
      const again = weather.strikes('sqs-delivers-twice') ? random.between(1, 2_000) : visibilityMs;
      this.#appear(message, again);
    }
    return received;
  }

  delete(handle: string): void {
    const { random, weather, journal } = this.#surroundings;
    const message = this.#messages.get(idOf(handle));
    if (!message) return;
    if (weather.strikes('sqs-forgets-delete')) {
      this.#appear(message, random.between(100, 60_000));
      return;
    }
    this.#messages.delete(message.id);
    this.#returns.get(message.id)?.();
    this.#returns.delete(message.id);
    this.tally.deleted += 1;
    journal.note(message.subject, `${message.id} deleted`);
  }

  /** @returns whether the message is still there */
  changeVisibility(handle: string, ms: number): boolean {
    const message = this.#messages.get(idOf(handle));
    if (!message) return false;
    this.#appear(message, ms);
    return true;
  }

  /** Takes out all that is visible, for a redrive by hand. */
  drain(): QueuedMessage[] {
    const taken = this.#visible.splice(0).filter(({ id }) => this.#messages.has(id));
    for (const { id } of taken) this.#messages.delete(id);
    this.tally.deleted += taken.length;
    return taken;
  }

  #expire(message: QueuedMessage): void {
    if (!this.#messages.has(message.id)) return;
    this.#surroundings.watch.broken(
      'ends-in-one-state',
      message.subject,
      `${message.id} has expired in ${this.name}`,
    );
  }

  #appear(message: QueuedMessage, ms: number): void {
    this.#returns.get(message.id)?.();
    this.#returns.set(
      message.id,
      this.#surroundings.clock.after(ms, () => {
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

/** What a message is about, by a parser of the simulation's own. */
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

/** What excuses a document of that second to be queued twice. @param moment ISO 8601, or milliseconds since the Unix epoch */
export function spansTouch(moment: string | number): string {
  return `spans that touch in second ${Math.floor(new Date(moment).getTime() / 1_000)}`;
}
