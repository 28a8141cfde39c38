/** Telnyx as the sender of events: three attempts, then three more at the failover URL; and a forger beside it. */
import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import type { AccountDocument, Order } from './account.ts';
import { canary } from './canary.ts';
import type { FaultName } from './faults.ts';
import type { LambdaFunction } from './lambda.ts';
import { flipped } from './s3-client.ts';
import type { Signer } from './signer.ts';
import type { Surroundings } from './surroundings.ts';
import type { Expected } from './watch.ts';

const attemptsPerUrl = 3;
const urls = 2;
/** Telnyx gives an attempt two seconds. */
const patienceMs = 2_000;
const tooLarge = Buffer.alloc(1024 ** 2 + 1, 0x20);

interface WebhookEvent {
  id: string;
  body: Buffer;
  expected: Expected;
  /** Seconds by which its signature is off. */
  skewSeconds: number;
  forged: boolean;
}

export class Webhooks {
  readonly #target: LambdaFunction<APIGatewayProxyEventV2>;
  readonly #signer: Signer;
  readonly #surroundings: Surroundings;

  constructor(target: LambdaFunction<APIGatewayProxyEventV2>, signer: Signer, surroundings: Surroundings) {
    this.#target = target;
    this.#signer = signer;
    this.#surroundings = surroundings;
  }

  /** Announces documents in an event of their own. */
  announce(documents: readonly AccountDocument[]): void {
    const { random } = this.#surroundings;
    const ids = documents.map(({ id }) => id);
    const [only] = documents;
    if (only && documents.length === 1 && random.chance(0.3)) {
      this.#send('document.uploaded', JSON.parse(only.record), ids);
    } else if (random.chance(0.2)) {
      this.#send('documents.changed', { document_ids: ids }, ids);
    } else {
      this.#send('number_order.complete', numberOrder(ids), ids);
    }
  }

  /** Announces that something is new about orders. */
  announceOrders(orders: readonly Order[]): void {
    const [first, second] = orders;
    if (!first) return;
    const ids = orders.map(({ id }) => id);
    const comment = this.#surroundings.random.chance(0.5);
    if (second) {
      this.#send('porting_order.split', { from: { id: first.id }, to: { id: second.id } }, ids);
    } else if (first.kind === 'porting-order') {
      if (comment)
        this.#send('porting_order.new_comment', { porting_order_id: first.id, id: 'a comment' }, ids);
      else this.#send('porting_order.status_changed', { id: first.id }, ids);
    } else if (comment) this.#send('portout.new_comment', { portout_id: first.id, id: 'a comment' }, ids);
    else this.#send('portout.status_changed', { id: first.id }, ids);
  }

  /** What happens now and then beside the documents: forgeries, and events of no use. */
  makeNoise(): void {
    const { random, weather, watch } = this.#surroundings;
    if (weather.strikes('event-forged')) {
      const id = random.uuid();
      watch.forged.add(id);
      this.#send('number_order.complete', numberOrder([id]), [id], true);
    }
    if (weather.strikes('event-unknown')) {
      this.#send(random.pick(['call.initiated', 'porting_order.status_changed']), { id: canary }, []);
    }
    if (weather.strikes('event-unreadable')) {
      const body = random.pick([
        Buffer.from([0x7b, 0xff, 0x7d]),
        Buffer.from('\ufeff{}'),
        Buffer.from('{"data":'),
      ]);
      this.#deliver(this.#eventOf(body, [], false, false), 1);
    }
    if (weather.strikes('event-too-large')) this.#deliver(this.#eventOf(tooLarge, [], false, false), 1);
  }

  #send(type: string, payload: unknown, ids: readonly string[], forged = false): void {
    const { clock, random, weather, journal } = this.#surroundings;
    const id = random.uuid();
    const event = {
      record_type: 'event',
      event_type: type,
      id: weather.strikes('event-id-odd') ? `${id}\uffff` : id,
      occurred_at: new Date(clock.now()).toISOString(),
      payload,
    };
    const enveloped = weather.strikes('event-bare') ? event : { data: event, meta: { attempt: 1 } };
    const sent = this.#eventOf(Buffer.from(JSON.stringify(enveloped)), ids, forged, true);
    journal.note(id, `${type} about ${ids.join(' ')}`);
    if (!forged && weather.strikes('event-lost')) return;
    if (weather.strikes('event-stale')) {
      sent.skewSeconds = random.pick([-1, 1]) * random.integer(310, 900);
      sent.expected.stale = true;
    }
    const late = weather.strikes('event-late') ? random.between(1_000, 600_000) : 0;
    this.#later(late, sent);
    if (weather.strikes('event-sent-twice')) {
      this.#later(late + random.pick([0, 1, random.between(0, 240_000)]), sent);
      if (random.chance(0.5)) this.#later(late, sent);
    }
  }

  #eventOf(body: Buffer, ids: readonly string[], forged: boolean, readable: boolean): WebhookEvent {
    const id = this.#surroundings.random.uuid();
    const genuine = !forged && readable;
    return {
      id,
      body,
      expected: { eventId: id, ids, genuine, stale: false, keyDeployed: true },
      skewSeconds: 0,
      forged,
    };
  }

  #later(ms: number, event: WebhookEvent): void {
    this.#surroundings.clock.after(ms, () => this.#deliver(event, 1));
  }

  #deliver(event: WebhookEvent, attempt: number): void {
    const { clock, random, weather, watch, journal } = this.#surroundings;
    const again = () => {
      if (attempt >= attemptsPerUrl * urls || event.forged || event.body === tooLarge) return;
      const ladder = 2 ** ((attempt - 1) % attemptsPerUrl);
      clock.after(random.between(500, 1_500) * ladder, () => this.#deliver(event, attempt + 1));
    };
    const { request, corrupted } = this.#requestOf(event);
    const expected: Expected = {
      ...event.expected,
      genuine: event.expected.genuine && !corrupted,
      keyDeployed: !this.#signer.isAhead,
    };
    if (this.#signer.isAhead && !event.forged) weather.counted('signing-key-rotated');
    let settled = false;
    const settle = (status: number | undefined) => {
      if (settled) return;
      settled = true;
      journal.note(event.expected.eventId, `attempt ${attempt}: ${status ?? 'no answer'}`);
      if (status === undefined || status < 200 || status > 299) again();
    };
    clock.after(patienceMs, () => settle(undefined));
    const secret = request.headers['telnyx-signature-ed25519']?.slice(0, 40);
    this.#target.invoke(request, { secret: secret || undefined }, (ending, invocation) => {
      if ('crashed' in ending) return settle(502);
      const answer = ending.answer as { statusCode: number };
      watch.webhookAnswered(expected, answer, invocation);
      if (!weather.strikes('gateway-answer-lost')) clock.after(20, () => settle(answer.statusCode));
    });
  }

  #requestOf(event: WebhookEvent): { request: APIGatewayProxyEventV2; corrupted: boolean } {
    const { clock, random, weather } = this.#surroundings;
    const seconds = clock.now() / 1_000 + event.skewSeconds;
    const headers = event.forged
      ? this.#signer.forge(event.body, seconds)
      : this.#signer.sign(event.body, seconds);
    const fault = weather.oneOf(['event-altered', 'event-unsigned', 'event-timestamp-odd']);
    const body = fault === 'event-altered' ? flipped(event.body, random.integer(0, 7)) : event.body;
    const base64 = !isUtf8(body) || weather.strikes('event-in-base64');
    return {
      request: {
        headers: fault === undefined ? headers : spoilt(headers, fault, random.integer(0, 3)),
        requestContext: { http: { method: 'POST' } },
        body: body.toString(base64 ? 'base64' : 'utf8'),
        isBase64Encoded: base64,
      } as unknown as APIGatewayProxyEventV2,
      corrupted: fault !== undefined,
    };
  }
}

function isUtf8(body: Buffer): boolean {
  return Buffer.from(body.toString('utf8')).equals(body);
}

function spoilt(headers: Record<string, string>, fault: FaultName, way: number): Record<string, string> {
  const signature = headers['telnyx-signature-ed25519'] ?? '';
  const timestamp = headers['telnyx-timestamp'] ?? '';
  if (fault === 'event-unsigned') {
    const hex = Buffer.from(signature, 'base64').toString('hex');
    const spoiltSignature = ['', `${signature},${signature}`, signature.slice(0, 80), hex][way] ?? '';
    return { ...headers, 'telnyx-signature-ed25519': spoiltSignature };
  }
  if (fault === 'event-timestamp-odd') {
    const odd = [`${timestamp}000`, `-${timestamp}`, 'NaN', ''];
    return { ...headers, 'telnyx-timestamp': odd[way] ?? '' };
  }
  return headers;
}

function numberOrder(ids: readonly string[]): unknown {
  const requirement = (field_type: string, field_value: string) => ({
    requirement_id: 'r',
    field_type,
    field_value,
  });
  return {
    record_type: 'number_order',
    phone_numbers: ids.map((id, position) => ({
      regulatory_requirements: [
        requirement('document', id),
        requirement('address', '2791500000000000000'),
        requirement('textual', canary),
        // Numbers of one order often share a document.
        requirement('document', ids[position - 1] ?? id),
      ],
    })),
  };
}
