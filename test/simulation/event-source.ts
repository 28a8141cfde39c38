/** Lambda's event source mapping: receives batches, invokes the function, deletes what has not failed. */
import type { SQSEvent, SQSRecord } from 'aws-lambda';
import { failedIds } from '../../local/lambda/event-source-mapping.ts';
import type { LambdaFunction } from './lambda.ts';
import { fieldsOf, type Queue, type Received, spansTouch } from './queue.ts';
import type { Surroundings } from './surroundings.ts';

export interface EventSourceOptions {
  queue: Queue;
  target: LambdaFunction<SQSEvent>;
  maximumConcurrency: number;
  batchSize: number;
  /** Whether a message is one that the function cannot read. */
  isUnreadable: (body: string) => boolean;
}

/** Goes on for as long as there are messages. */
export function connect(options: EventSourceOptions, surroundings: Surroundings): void {
  const { queue, target, maximumConcurrency, batchSize } = options;
  const { clock, random, weather, watch, journal } = surroundings;
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
    // The messages come back when their visibility timeout is over, one receive older.
    if (weather.strikes('lambda-throttled')) return;
    running += 1;
    const ids = batch.map(({ message }) => message.id);
    const event = { Records: batch.map((received) => recordOf(received, queue.arn)) };
    target.invoke(event, startingFrom(batch, options), (ending, invocation) => {
      running -= 1;
      poll();
      if ('crashed' in ending) return;
      const answer: unknown = ending.answer === undefined ? null : JSON.parse(JSON.stringify(ending.answer));
      watch.answered(ids, answer, invocation);
      if (weather.strikes('lambda-answer-lost')) return;
      const failed = failedIds(answer, ids);
      const done = batch.filter(({ message }) => !failed.has(message.id));
      for (const { message } of done) watch.acknowledged(queue, message, invocation);
      if (done.length === 0 || weather.strikes('sqs-delete-lost')) return;
      journal.note(invocation.id, `has ${done.length} of ${ids.length} messages deleted`);
      for (const { handle } of done) queue.delete(handle);
    });
  };

  queue.onVisible = poll;
}

/** What the invocation knows, and what may excuse it. */
function startingFrom(batch: readonly Received[], { queue, isUnreadable }: EventSourceOptions) {
  const suffered: string[] = [];
  const bodies = batch.map(({ message }) => message.body);
  if (bodies.some(isUnreadable)) suffered.push('unreadable message');
  if (new Set(bodies).size < bodies.length) suffered.push('the same message twice');
  // Spans are read by whole seconds, both ends included: a document of the second in which two touch is in both.
  const ends = new Set(bodies.map((body) => fieldsOf(body).createdBefore));
  for (const { createdAfter } of bodies.map(fieldsOf)) {
    if (createdAfter !== undefined && ends.has(createdAfter)) suffered.push(spansTouch(String(createdAfter)));
  }
  const spans = bodies
    .map(fieldsOf)
    .map(({ createdAfter, createdBefore }) => [String(createdAfter), String(createdBefore)] as const)
    .filter(([from]) => from !== 'undefined')
    .sort();
  // Instants of one form are in the order of their text.
  if (spans.some(([from], position) => from < (spans[position - 1]?.[1] ?? '')))
    suffered.push('spans overlap');
  const lists = bodies.map((body) => {
    const { kind, orderId } = fieldsOf(body);
    return orderId ?? (kind === 'recent' || kind === 'span' ? 'documents' : body);
  });
  if (new Set(lists).size < lists.length) suffered.push('lists side by side');
  return { suffered, lane: queue.name, hops: Math.max(...batch.map(({ message }) => message.hops)) };
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
