/** Lambda's event source mapping: receives batches, invokes the function and deletes the messages that succeeded. */
import type { SQSEvent, SQSRecord } from 'aws-lambda';
import { failedIds } from '../../local/lambda/event-source-mapping.ts';
import type { SimulationContext } from './context.ts';
import type { LambdaFunction } from './lambda.ts';
import { fieldsOf, type Queue, type Received, spansMeet } from './queue.ts';

export interface EventSourceOptions {
  queue: Queue;
  target: LambdaFunction<SQSEvent>;
  maximumConcurrency: number;
  batchSize: number;
  /** Whether the function cannot read a message. */
  isUnreadable: (body: string) => boolean;
}

/** Polls as long as there are messages. */
export function connect(options: EventSourceOptions, context: SimulationContext): void {
  const { queue, target, maximumConcurrency, batchSize } = options;
  const { clock, random, injector, monitor, eventLog } = context;
  let running = 0;
  let polling = false;

  const poll = () => {
    if (polling || running >= maximumConcurrency || queue.visible === 0) return;
    polling = true;
    clock.after(random.between(1, 50), () => {
      polling = false;
      receive();
      poll();
    });
  };

  const receive = () => {
    const batch = queue.receive(random.integer(1, batchSize));
    if (batch.length === 0) return;
    // The messages become visible again after their visibility timeout, with one more receive.
    if (injector.shouldInject('lambda-throttled')) return;
    running += 1;
    const ids = batch.map(({ message }) => message.id);
    const event = { Records: batch.map((received) => recordOf(received, queue.arn)) };
    target.invoke(event, invocationStartOf(batch, options), (result, invocation) => {
      running -= 1;
      poll();
      if ('crashed' in result) return;
      const answer: unknown = result.answer === undefined ? null : JSON.parse(JSON.stringify(result.answer));
      monitor.answered(ids, answer, invocation);
      if (injector.shouldInject('lambda-response-lost')) return;
      const failed = failedIds(answer, ids);
      const done = batch.filter(({ message }) => !failed.has(message.id));
      for (const { message } of done) monitor.acknowledged(queue, message, invocation);
      if (done.length === 0 || injector.shouldInject('sqs-delete-request-lost')) return;
      eventLog.add(invocation.id, `deletes ${done.length} of ${ids.length} messages`);
      for (const { handle } of done) queue.delete(handle);
    });
  };

  queue.onVisible = poll;
}

/** The start of an invocation, with the facts that justify error codes or duplicate messages. */
function invocationStartOf(batch: readonly Received[], { queue, isUnreadable }: EventSourceOptions) {
  const causes: string[] = [];
  const bodies = batch.map(({ message }) => message.body);
  if (bodies.some(isUnreadable)) causes.push('unreadable message');
  if (bodies.some((body) => fieldsOf(body).kind === 'audit-part')) causes.push('part of the audit');
  if (new Set(bodies).size < bodies.length) causes.push('the same message twice');
  // Spans include both ends in whole seconds: a document from the second in which two spans meet is in both.
  const ends = new Set(bodies.map((body) => fieldsOf(body).createdBefore));
  for (const { createdAfter } of bodies.map(fieldsOf)) {
    if (createdAfter !== undefined && ends.has(createdAfter)) causes.push(spansMeet(String(createdAfter)));
  }
  const spans = bodies
    .map(fieldsOf)
    .map(({ createdAfter, createdBefore }) => [String(createdAfter), String(createdBefore)] as const)
    .filter(([from]) => from !== 'undefined')
    .sort();
  // ISO 8601 timestamps sort as text.
  if (spans.some(([from], position) => from < (spans[position - 1]?.[1] ?? ''))) causes.push('spans overlap');
  const lists = bodies.map((body) => {
    const { kind, orderId } = fieldsOf(body);
    return orderId ?? (kind === 'recent' || kind === 'span' ? 'documents' : body);
  });
  if (new Set(lists).size < lists.length) causes.push('list read concurrently');
  return { causes, lane: queue.name, hops: Math.max(...batch.map(({ message }) => message.hops)) };
}

function recordOf({ message, handle }: Received, eventSourceARN: string): SQSRecord {
  return {
    messageId: message.id,
    receiptHandle: handle,
    body: message.body,
    attributes: {
      ApproximateReceiveCount: String(message.receives),
      SentTimestamp: String(message.sentAt),
      SenderId: 'simulated',
      ApproximateFirstReceiveTimestamp: String(message.firstReceivedAt ?? message.sentAt),
    },
    messageAttributes: {},
    md5OfBody: '',
    eventSource: 'aws:sqs',
    eventSourceARN,
    awsRegion: 'eu-central-1',
  };
}
