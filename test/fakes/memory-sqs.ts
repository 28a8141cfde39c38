/** An SQS in memory, as far as dead letters need it, that takes, refuses or forgets entries of batches. */
import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import type { ArchiverQueues } from '../../cli/target/target.ts';
import { laneNames } from '../../functions/queue/lanes.ts';

/** When the first message is sent, a millisecond before the second; milliseconds since the Unix epoch. */
export const firstSentAt = Date.parse('2026-11-24T11:59:59Z') + 1;

interface Stored {
  id: string;
  body: string;
  sentAt: number;
  isVisible: boolean;
  /** Of its last receive: earlier ones do nothing. */
  receiptHandle: string;
  attributes: Record<string, string>;
}

/** What becomes of one entry of a batch: done and said so, done but not said, failed and said so, or neither. */
export type Verdict = 'done' | 'done in silence' | 'failed' | 'forgotten';

/**
 * @param verdict called once for each entry
 * @param breaks called once for each request but those to receive or count; true lets it throw
 */
export function memorySqs(verdict: () => Verdict = () => 'done', breaks: () => boolean = () => false) {
  const queues = new Map<string, Stored[]>();
  const at = (url: string | undefined) => {
    const queue = queues.get(url ?? '') ?? [];
    queues.set(url ?? '', queue);
    return queue;
  };
  const commands: unknown[] = [];
  let sent = 0;
  const put = (url: string, body: string, attributes: Record<string, string> = { code: 'DocumentGone' }) => {
    const sentAt = firstSentAt + sent;
    sent += 1;
    const message = { id: `m-${sent}`, body, sentAt, isVisible: true, receiptHandle: '', attributes };
    at(url).push(message);
    return message;
  };
  const batch = <Entry extends { Id?: string | undefined }>(
    entries: readonly Entry[] = [],
    act: (entry: Entry) => void,
  ) => {
    const verdicts = entries.map((entry) => [entry, verdict()] as const);
    for (const [entry, outcome] of verdicts) if (outcome.startsWith('done')) act(entry);
    const ofKind = (kind: Verdict) =>
      verdicts.filter(([, outcome]) => outcome === kind).map(([{ Id }]) => ({ Id }));
    const [done, failed] = [ofKind('done'), ofKind('failed')];
    // SQS leaves out a list that is empty.
    return { ...(done.length > 0 && { Successful: done }), ...(failed.length > 0 && { Failed: failed }) };
  };
  const send = async (command: unknown) => {
    commands.push(command);
    if (command instanceof ReceiveMessageCommand) {
      const { QueueUrl, MaxNumberOfMessages = 1 } = command.input;
      const received = at(QueueUrl)
        .filter(({ isVisible }) => isVisible)
        .slice(0, MaxNumberOfMessages);
      const Messages = received.map((message): Message => {
        message.isVisible = false;
        message.receiptHandle = `${message.id}-${commands.length}`;
        return {
          MessageId: message.id,
          ReceiptHandle: message.receiptHandle,
          Body: message.body,
          Attributes: { SentTimestamp: String(message.sentAt) },
          MessageAttributes: Object.fromEntries(
            Object.entries(message.attributes).map(([name, StringValue]) => [
              name,
              { DataType: 'String', StringValue },
            ]),
          ),
        };
      });
      return Messages.length === 0 ? {} : { Messages };
    }
    if (command instanceof GetQueueAttributesCommand) {
      const messages = at(command.input.QueueUrl);
      const visible = messages.filter(({ isVisible }) => isVisible).length;
      return {
        Attributes: {
          ApproximateNumberOfMessages: String(visible),
          ApproximateNumberOfMessagesNotVisible: String(messages.length - visible),
        },
      };
    }
    if (breaks()) throw new Error('SQS is away');
    if (command instanceof SendMessageBatchCommand) {
      const { QueueUrl = '', Entries } = command.input;
      return batch(Entries, ({ MessageBody = '' }) => put(QueueUrl, MessageBody));
    }
    if (command instanceof DeleteMessageBatchCommand) {
      const queue = at(command.input.QueueUrl);
      return batch(command.input.Entries, ({ ReceiptHandle }) => {
        const place = queue.findIndex(({ receiptHandle }) => receiptHandle === ReceiptHandle);
        if (place >= 0) queue.splice(place, 1);
      });
    }
    if (command instanceof ChangeMessageVisibilityBatchCommand) {
      const queue = at(command.input.QueueUrl);
      return batch(command.input.Entries, ({ ReceiptHandle }) => {
        const message = queue.find(({ receiptHandle }) => receiptHandle === ReceiptHandle);
        if (message) message.isVisible = true;
      });
    }
    throw new Error('No test needs this command.');
  };
  return {
    sqs: { send } as unknown as SQSClient,
    commands,
    put,
    bodies: (url: string) => at(url).map(({ body }) => body),
    /** Messages of a queue. */
    at,
  };
}

/** Each lane's queue has its name; its dead-letter queue, with `-dead` behind. */
export const memoryLanes = Object.fromEntries(
  laneNames.map((name) => [name, { name, queueUrl: name, deadLetterQueueUrl: `${name}-dead` }]),
) as unknown as ArchiverQueues['lanes'];
