/** Stands in for the SDK's SQS client in one container: takes the real commands, answers as SQS does. */
import {
  ChangeMessageVisibilityCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { type Container, connectionReset, type Reply, timeoutError } from './container.ts';
import type { Queue } from './queue.ts';
import { serviceError } from './service-error.ts';
import type { Surroundings } from './surroundings.ts';

/** Amazon SQS API reference, SendMessage: what a body may hold. */
const unacceptable = /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/u;
/** Of a message with its attributes, and of a batch. */
const mostBytes = 1024 ** 2;

const sendFaults = ['sqs-refuses', 'sqs-stalls', 'sqs-answer-lost', 'sqs-retry-repeats'] as const;
/** The client's own time limit for a request, and how often the SDK asks in all. */
const timeUpMs = 3 * 1_400;

export function createSqs(
  container: Container,
  queues: readonly Queue[],
  { random, journal, watch }: Surroundings,
): Pick<SQSClient, 'send'> {
  const queueAt = (url: string | undefined): Queue => {
    const queue = queues.find((candidate) => candidate.url === url);
    if (!queue) throw new Error(`There is no queue ${url}.`);
    return queue;
  };
  const hops = () => (container.invocation?.hops ?? 0) + 1;

  const sendBatch = (command: SendMessageBatchCommand, reply: Reply<unknown>) => {
    const queue = queueAt(command.input.QueueUrl);
    const entries = command.input.Entries ?? [];
    if (entries.length === 0 || entries.length > 10) {
      reply.failing(serviceError('EmptyBatchRequest', 400));
      return;
    }
    const bytes = entries.reduce((sum, { MessageBody = '' }) => sum + Buffer.byteLength(MessageBody), 0);
    if (bytes > mostBytes) {
      reply.failing(serviceError('BatchRequestTooLong', 400));
      return;
    }
    const fault = container.oneOf(sendFaults);
    if (fault) journal.note(container.id, `${fault} at ${queue.name}`);
    if (fault === 'sqs-refuses') return reply.failing(serviceError('InternalError', 500));
    if (fault === 'sqs-stalls') return reply.failingAfter(timeUpMs, timeoutError);
    const failed = new Set(
      container.strikes('sqs-entries-failed')
        ? entries.filter(() => random.chance(0.5)).map(({ Id }) => Id)
        : [],
    );
    for (const { Id, MessageBody = '' } of entries) if (unacceptable.test(MessageBody)) failed.add(Id);
    const taken = entries.filter(({ Id }) => !failed.has(Id));
    const take = () => {
      for (const { MessageBody = '' } of taken)
        queue.accept(MessageBody, { hops: hops(), by: container.invocation });
    };
    take();
    if (fault === 'sqs-answer-lost') return reply.failing(connectionReset());
    if (fault === 'sqs-retry-repeats') take();
    reply.with(
      {
        Successful: taken.map(({ Id }) => ({ Id })),
        Failed: [...failed].map((Id) => ({ Id, SenderFault: false, Code: 'InternalError' })),
      },
      (invocation) => {
        for (const { MessageBody = '' } of taken) watch.sendConfirmed(queue, MessageBody, invocation);
      },
    );
  };

  const sendOne = (command: SendMessageCommand, reply: Reply<unknown>) => {
    const queue = queueAt(command.input.QueueUrl);
    if (container.strikes('dead-letter-refused')) {
      return random.chance(0.5)
        ? reply.failing(serviceError('ServiceUnavailable', 503))
        : reply.failingAfter(timeUpMs, timeoutError);
    }
    const { MessageBody = '', MessageAttributes = {} } = command.input;
    const attributes = Object.fromEntries(
      Object.entries(MessageAttributes).map(([name, { StringValue = '' }]) => [name, StringValue]),
    );
    const parts = Object.entries(attributes).map(([name, value]) => `${name}String${value}`);
    if (Buffer.byteLength(MessageBody + parts.join('')) > mostBytes) {
      return reply.failing(serviceError('InvalidParameterValue', 400));
    }
    queue.accept(MessageBody, { hops: hops(), attributes, by: container.invocation });
    if (container.strikes('dead-letter-answer-lost')) return reply.failing(connectionReset());
    reply.with({ MessageId: 'sent' }, (invocation) =>
      watch.deadLetterConfirmed(queue, MessageBody, invocation),
    );
  };

  const changeVisibility = (command: ChangeMessageVisibilityCommand, reply: Reply<unknown>) => {
    const { QueueUrl, ReceiptHandle = '', VisibilityTimeout = 0 } = command.input;
    if (!Number.isInteger(VisibilityTimeout) || VisibilityTimeout < 0 || VisibilityTimeout > 43_200) {
      watch.forbidden(`a VisibilityTimeout of ${VisibilityTimeout}`);
      return reply.failing(serviceError('InvalidParameterValue', 400));
    }
    if (container.strikes('sqs-visibility-refused')) {
      return random.chance(0.5)
        ? reply.failing(serviceError('InternalError', 500))
        : reply.failingAfter(timeUpMs, timeoutError);
    }
    const there = queueAt(QueueUrl).changeVisibility(ReceiptHandle, VisibilityTimeout * 1_000);
    if (there) reply.with({});
    else reply.failing(serviceError('ReceiptHandleIsInvalid', 400));
  };

  const send = (command: unknown, { abortSignal }: { abortSignal?: AbortSignal } = {}) => {
    const name = commandName(command);
    return container.call(name, abortSignal, (reply) => {
      if (command instanceof SendMessageBatchCommand) return sendBatch(command, reply);
      if (command instanceof SendMessageCommand) return sendOne(command, reply);
      if (command instanceof ChangeMessageVisibilityCommand) return changeVisibility(command, reply);
      watch.forbidden(name);
    });
  };
  return { send: send as unknown as SQSClient['send'] };
}

export function commandName(command: unknown): string {
  return typeof command === 'object' && command !== null ? command.constructor.name : typeof command;
}
