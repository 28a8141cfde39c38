/** Telnyx as the sender of webhook events (three attempts, then three at the failover URL), and forged events. */
import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import type { AccountDocument, Order } from './account.ts';
import { canary } from './canary.ts';
import type { SimulationContext } from './context.ts';
import type { FaultName } from './faults.ts';
import type { Expected } from './invariant-monitor.ts';
import type { LambdaFunction } from './lambda.ts';
import { numberOrderRecord } from './orders.ts';
import { flipped } from './s3-client.ts';
import type { Signer } from './signer.ts';

const attemptsPerUrl = 3;
const urls = 2;
/** Telnyx's timeout for an attempt. */
const attemptTimeoutMs = 2_000;
const tooLarge = Buffer.alloc(1024 ** 2 + 1, 0x20);

interface WebhookEvent {
  id: string;
  body: Buffer;
  expected: Expected;
  /** Error of the signed timestamp in seconds. */
  skewSeconds: number;
  forged: boolean;
}

export class Webhooks {
  readonly #target: LambdaFunction<APIGatewayProxyEventV2>;
  readonly #signer: Signer;
  readonly #context: SimulationContext;

  constructor(target: LambdaFunction<APIGatewayProxyEventV2>, signer: Signer, context: SimulationContext) {
    this.#target = target;
    this.#signer = signer;
    this.#context = context;
  }

  /** Sends an event that names documents. */
  announce(documents: readonly AccountDocument[]): void {
    const { random } = this.#context;
    const ids = documents.map(({ id }) => id);
    const [only] = documents;
    if (only && documents.length === 1 && random.chance(0.3)) {
      this.#send('document.uploaded', JSON.parse(only.record), ids);
    } else this.#send('documents.changed', { document_ids: ids }, ids);
  }

  /** Sends an event that names orders. */
  announceOrders(orders: readonly Order[]): void {
    const [first, second] = orders;
    if (!first) return;
    const ids = orders.map(({ id }) => id);
    const comment = this.#context.random.chance(0.5);
    if (first.kind === 'number-order') {
      const documentIds = first.documents.flatMap(({ id, numbers }) => (numbers ? id : []));
      this.#send('number_order.complete', numberOrderRecord(first), [first.id, ...documentIds]);
    } else if (second) {
      this.#send('porting_order.split', { from: { id: first.id }, to: { id: second.id } }, ids);
    } else if (first.kind === 'porting-order') {
      if (comment)
        this.#send('porting_order.new_comment', { porting_order_id: first.id, id: 'a comment' }, ids);
      else this.#send('porting_order.status_changed', { id: first.id }, ids);
    } else if (comment) this.#send('portout.new_comment', { portout_id: first.id, id: 'a comment' }, ids);
    else this.#send('portout.status_changed', { id: first.id }, ids);
  }

  /** Sometimes sends forged, malformed or irrelevant events. */
  sendUnrelatedEvents(): void {
    const { random, injector, monitor } = this.#context;
    if (injector.shouldInject('event-forged')) {
      const ids = [random.uuid(), random.uuid()];
      for (const id of ids) monitor.forged.add(id);
      const [id = '', documentId = ''] = ids;
      const documents = [{ id: documentId, section: 'numbers', numbers: ['+33100000000'] } as const];
      this.#send(
        'number_order.complete',
        numberOrderRecord({ id, reference: canary, documents: [...documents] }),
        ids,
        true,
      );
    }
    if (injector.shouldInject('event-of-unknown-type')) {
      this.#send(random.pick(['call.initiated', 'porting_order.status_changed']), { id: canary }, []);
    }
    if (injector.shouldInject('event-not-json')) {
      const body = random.pick([
        Buffer.from([0x7b, 0xff, 0x7d]),
        Buffer.from('\ufeff{}'),
        Buffer.from('{"data":'),
      ]);
      this.#deliver(this.#eventOf(body, [], false, false), 1);
    }
    if (injector.shouldInject('event-too-large')) this.#deliver(this.#eventOf(tooLarge, [], false, false), 1);
  }

  #send(type: string, payload: unknown, ids: readonly string[], forged = false): void {
    const { clock, random, injector, eventLog } = this.#context;
    const id = random.uuid();
    const event = {
      record_type: 'event',
      event_type: type,
      id: injector.shouldInject('event-id-with-noncharacter') ? `${id}\uffff` : id,
      occurred_at: new Date(clock.now()).toISOString(),
      payload,
    };
    const enveloped = injector.shouldInject('event-without-envelope')
      ? event
      : { data: event, meta: { attempt: 1 } };
    const sent = this.#eventOf(Buffer.from(JSON.stringify(enveloped)), ids, forged, true);
    eventLog.add(id, `${type} about ${ids.join(' ')}`);
    if (!forged && injector.shouldInject('event-lost')) return;
    if (injector.shouldInject('event-timestamp-outside-tolerance')) {
      sent.skewSeconds = random.pick([-1, 1]) * random.integer(310, 900);
      sent.expected.stale = true;
    }
    const late = injector.shouldInject('event-late') ? random.between(1_000, 600_000) : 0;
    this.#later(late, sent);
    if (injector.shouldInject('event-sent-twice')) {
      this.#later(late + random.pick([0, 1, random.between(0, 240_000)]), sent);
      if (random.chance(0.5)) this.#later(late, sent);
    }
  }

  #eventOf(body: Buffer, ids: readonly string[], forged: boolean, readable: boolean): WebhookEvent {
    const id = this.#context.random.uuid();
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
    this.#context.clock.after(ms, () => this.#deliver(event, 1));
  }

  #deliver(event: WebhookEvent, attempt: number): void {
    const { clock, random, injector, monitor, eventLog } = this.#context;
    const retry = () => {
      if (attempt >= attemptsPerUrl * urls || event.forged || event.body === tooLarge) return;
      const factor = 2 ** ((attempt - 1) % attemptsPerUrl);
      clock.after(random.between(500, 1_500) * factor, () => this.#deliver(event, attempt + 1));
    };
    const { request, corrupted } = this.#requestOf(event);
    const expected: Expected = {
      ...event.expected,
      genuine: event.expected.genuine && !corrupted,
      keyDeployed: !this.#signer.usesUndeployedKey,
    };
    if (this.#signer.usesUndeployedKey && !event.forged) injector.count('signing-key-rotated');
    let finished = false;
    const finish = (status: number | undefined) => {
      if (finished) return;
      finished = true;
      eventLog.add(event.expected.eventId, `attempt ${attempt}: ${status ?? 'no response'}`);
      if (status === undefined || status < 200 || status > 299) retry();
    };
    clock.after(attemptTimeoutMs, () => finish(undefined));
    const secret = request.headers['telnyx-signature-ed25519']?.slice(0, 40);
    this.#target.invoke(request, { secret: secret || undefined }, (result, invocation) => {
      if ('crashed' in result) return finish(502);
      const answer = result.answer as { statusCode: number };
      monitor.webhookAnswered(expected, answer, invocation);
      if (!injector.shouldInject('webhook-response-lost')) clock.after(20, () => finish(answer.statusCode));
    });
  }

  #requestOf(event: WebhookEvent): { request: APIGatewayProxyEventV2; corrupted: boolean } {
    const { clock, random, injector } = this.#context;
    const seconds = clock.now() / 1_000 + event.skewSeconds;
    const headers = event.forged
      ? this.#signer.forge(event.body, seconds)
      : this.#signer.sign(event.body, seconds);
    const fault = injector.firstToInject([
      'event-bit-flipped',
      'event-signature-malformed',
      'event-timestamp-malformed',
    ]);
    const body = fault === 'event-bit-flipped' ? flipped(event.body, random.integer(0, 7)) : event.body;
    const base64 = !isUtf8(body) || injector.shouldInject('event-in-base64');
    return {
      request: {
        headers: fault === undefined ? headers : malformedHeaders(headers, fault, random.integer(0, 3)),
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

function malformedHeaders(
  headers: Record<string, string>,
  fault: FaultName,
  variant: number,
): Record<string, string> {
  const signature = headers['telnyx-signature-ed25519'] ?? '';
  const timestamp = headers['telnyx-timestamp'] ?? '';
  if (fault === 'event-signature-malformed') {
    const hex = Buffer.from(signature, 'base64').toString('hex');
    const malformedSignature = ['', `${signature},${signature}`, signature.slice(0, 80), hex][variant] ?? '';
    return { ...headers, 'telnyx-signature-ed25519': malformedSignature };
  }
  if (fault === 'event-timestamp-malformed') {
    const odd = [`${timestamp}000`, `-${timestamp}`, 'NaN', ''];
    return { ...headers, 'telnyx-timestamp': odd[variant] ?? '' };
  }
  return headers;
}
