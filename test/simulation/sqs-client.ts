/** A fake of the SDK's SQS client for one container: takes SDK commands and responds as SQS does. */
import {
  ChangeMessageVisibilityCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { serviceError } from '../fakes/service-error.ts';
import { type Container, connectionReset, type Reply, timeoutError } from './container.ts';
import type { SimulationContext } from './context.ts';
import type { Queue } from './queue.ts';

/** Characters that SQS rejects in a body (Amazon SQS API reference, SendMessage). */
const unacceptable = /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/u;
/** Maximum size of a message with its attributes, and of a batch. */
const maxBytes = 1024 ** 2;

const sendFaults = [
  'sqs-send-fails',
  'sqs-send-times-out',
  'sqs-send-response-lost',
  'sqs-send-repeated-by-sdk',
] as const;
/** Three attempts of the SDK, each with the client's request timeout. */
const timeoutMs = 3 * 1_400;

export function createSqs(
  container: Container,
  queues: readonly Queue[],
  { random, eventLog, monitor }: SimulationContext,
): Pick<SQSClient, 'send'> {
  const queueAt = (url: string | undefined): Queue => {
    const queue = queues.find((candidate) => candidate.url === url);
    if (!queue) throw new Error(`No queue has the URL ${url}.`);
    return queue;
  };
  const hops = () => (container.invocation?.hops ?? 0) + 1;

  const sendBatch = (command: SendMessageBatchCommand, reply: Reply<unknown>) => {
    const queue = queueAt(command.input.QueueUrl);
    const entries = command.input.Entries ?? [];
    if (entries.length === 0 || entries.length > 10) {
      reply.fail(serviceError('EmptyBatchRequest', 400));
      return;
    }
    const bytes = entries.reduce((sum, { MessageBody = '' }) => sum + Buffer.byteLength(MessageBody), 0);
    if (bytes > maxBytes) {
      reply.fail(serviceError('BatchRequestTooLong', 400));
      return;
    }
    const fault = container.firstToInject(sendFaults);
    if (fault) eventLog.add(container.id, `${fault} at ${queue.name}`);
    if (fault === 'sqs-send-fails') return reply.fail(serviceError('InternalError', 500));
    if (fault === 'sqs-send-times-out') return reply.failAfter(timeoutMs, timeoutError);
    const failed = new Set(
      container.shouldInject('sqs-batch-partly-fails')
        ? entries.filter(() => random.chance(0.5)).map(({ Id }) => Id)
        : [],
    );
    for (const { Id, MessageBody = '' } of entries) if (unacceptable.test(MessageBody)) failed.add(Id);
    const taken = entries.filter(({ Id }) => !failed.has(Id));
    const store = () => {
      for (const { MessageBody = '' } of taken)
        queue.send(MessageBody, { hops: hops(), sentBy: container.invocation });
    };
    store();
    if (fault === 'sqs-send-response-lost') return reply.fail(connectionReset());
    if (fault === 'sqs-send-repeated-by-sdk') store();
    reply.succeed(
      {
        Successful: taken.map(({ Id }) => ({ Id })),
        Failed: [...failed].map((Id) => ({ Id, SenderFault: false, Code: 'InternalError' })),
      },
      (invocation) => {
        for (const { MessageBody = '' } of taken) monitor.sendConfirmed(queue, MessageBody, invocation);
      },
    );
  };

  const sendOne = (command: SendMessageCommand, reply: Reply<unknown>) => {
    const queue = queueAt(command.input.QueueUrl);
    if (container.shouldInject('dead-letter-send-fails')) {
      return random.chance(0.5)
        ? reply.fail(serviceError('ServiceUnavailable', 503))
        : reply.failAfter(timeoutMs, timeoutError);
    }
    const { MessageBody = '', MessageAttributes = {} } = command.input;
    const attributes = Object.fromEntries(
      Object.entries(MessageAttributes).map(([name, { StringValue = '' }]) => [name, StringValue]),
    );
    const parts = Object.entries(attributes).map(([name, value]) => `${name}String${value}`);
    if (Buffer.byteLength(MessageBody + parts.join('')) > maxBytes) {
      return reply.fail(serviceError('InvalidParameterValue', 400));
    }
    queue.send(MessageBody, { hops: hops(), attributes, sentBy: container.invocation });
    if (container.shouldInject('dead-letter-send-response-lost')) return reply.fail(connectionReset());
    reply.succeed({ MessageId: 'sent' }, (invocation) =>
      monitor.deadLetterConfirmed(queue, MessageBody, invocation),
    );
  };

  const changeVisibility = (command: ChangeMessageVisibilityCommand, reply: Reply<unknown>) => {
    const { QueueUrl, ReceiptHandle = '', VisibilityTimeout = 0 } = command.input;
    if (!Number.isInteger(VisibilityTimeout) || VisibilityTimeout < 0 || VisibilityTimeout > 43_200) {
      monitor.forbidden(`a VisibilityTimeout of ${VisibilityTimeout}`);
      return reply.fail(serviceError('InvalidParameterValue', 400));
    }
    if (container.shouldInject('sqs-change-visibility-fails')) {
      return random.chance(0.5)
        ? reply.fail(serviceError('InternalError', 500))
        : reply.failAfter(timeoutMs, timeoutError);
    }
    const exists = queueAt(QueueUrl).changeVisibility(ReceiptHandle, VisibilityTimeout * 1_000);
    if (exists) reply.succeed({});
    else reply.fail(serviceError('ReceiptHandleIsInvalid', 400));
  };

  const send = (command: unknown, { abortSignal }: { abortSignal?: AbortSignal } = {}) => {
    const name = commandName(command);
    return container.call(name, abortSignal, (reply) => {
      if (command instanceof SendMessageBatchCommand) return sendBatch(command, reply);
      if (command instanceof SendMessageCommand) return sendOne(command, reply);
      if (command instanceof ChangeMessageVisibilityCommand) return changeVisibility(command, reply);
      monitor.forbidden(name);
    });
  };
  return { send: send as unknown as SQSClient['send'] };
}

export function commandName(command: unknown): string {
  return typeof command === 'object' && command !== null ? command.constructor.name : typeof command;
}
