/** Dead letters, read without being consumed: each is locked for a while, then released or deleted. */
import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  type Message,
  ReceiveMessageCommand,
} from '@aws-sdk/client-sqs';
import pLimit from 'p-limit';
import { queues as sqsLimits } from '../../functions/limits.ts';
import { type LaneName, laneNames } from '../../functions/queue/lanes.ts';
import { uuidPattern } from '../../functions/uuid.ts';
import type { ArchiverQueues } from '../target/target.ts';
import { batchesOf } from './batches.ts';

/** A dead letter that nobody else receives while it is locked. */
export interface LockedMessage {
  lane: LaneName;
  messageId: string;
  receiptHandle: string;
  body: string;
  /** Undefined where no function has said why: SQS or the scheduler has put it there. */
  code: string | undefined;
  reason: string | undefined;
  attempts: number | undefined;
  /** Milliseconds since the Unix epoch. */
  deadSince: number;
  /** The document that the message asks for; undefined for a discovery message and for a body that is not a message. */
  documentId: string | undefined;
}

/** SQS allows 120,000 messages of a queue in flight (Amazon SQS message quotas). */
const mostLocked = 100_000;
const requestsAtOnce = 4;
/** A long poll asks all of SQS's servers, a short one only some: an empty answer then means an empty queue. */
const waitSeconds = 1;
/** Time to read all letters of a lane. If this process is killed, others see them again after it. */
const peekSeconds = 30;

export interface LockOptions {
  /** Seconds after which SQS releases a letter by itself. */
  forSeconds: number;
  signal: AbortSignal;
}

/** The dead letters of some lanes, kept from others until they are deleted or released. */
export interface DeadLetterLock {
  /**
   * Locks what is visible; needs sqs:ReceiveMessage.
   *
   * @returns the letters that were never locked before
   */
  take(): Promise<LockedMessage[]>;
  letters(): LockedMessage[];
  /**
   * Deletes letters, whose messages must be in their lane again, settled or acknowledged by then; needs
   * sqs:DeleteMessage.
   *
   * @returns how many SQS did not delete: DeleteMessageBatch answers 200 even if entries fail. They stay locked.
   */
  delete(letters: readonly LockedMessage[]): Promise<number>;
  /** Makes letters visible again; needs sqs:ChangeMessageVisibility. One that SQS refuses appears by itself. */
  release(): Promise<void>;
}

export function createDeadLetterLock(
  queues: ArchiverQueues,
  lanes: readonly LaneName[],
  options: LockOptions,
): DeadLetterLock {
  const locked = new Map<string, LockedMessage>();
  const known = new Set<string>();
  return {
    take: async () => {
      const added: LockedMessage[] = [];
      const add = (letter: LockedMessage) => {
        // A letter whose lock has run out comes again with another receipt handle.
        locked.set(letter.messageId, letter);
        if (known.has(letter.messageId)) return;
        known.add(letter.messageId);
        added.push(letter);
      };
      const receivers = lanes.flatMap((lane) => Array<LaneName>(requestsAtOnce).fill(lane));
      // What the others receive is to be released, too: nothing is under way any more when this throws.
      const ends = await Promise.allSettled(receivers.map((lane) => receiveAll(queues, lane, options, add)));
      const failed = ends.find((end) => end.status === 'rejected');
      if (failed) throw failed.reason;
      return added;
    },
    letters: () => [...locked.values()],
    delete: async (letters) => {
      const latest = letters.map((letter) => locked.get(letter.messageId) ?? letter);
      let kept = latest.length;
      await inBatches(latest, queues, async (QueueUrl, entries, batch) => {
        const answer = await queues.sqs.send(new DeleteMessageBatchCommand({ QueueUrl, Entries: entries }));
        for (const { Id } of answer.Successful ?? []) {
          const letter = batch[Number(Id)];
          if (letter && locked.delete(letter.messageId)) kept -= 1;
        }
      });
      return kept;
    },
    release: async () => {
      const letters = [...locked.values()];
      locked.clear();
      await inBatches(letters, queues, (QueueUrl, entries) =>
        queues.sqs.send(
          new ChangeMessageVisibilityBatchCommand({
            QueueUrl,
            Entries: entries.map((entry) => ({ ...entry, VisibilityTimeout: 0 })),
          }),
        ),
      );
    },
  };
}

/** Reads the dead letters of these lanes; needs sqs:ReceiveMessage and sqs:ChangeMessageVisibility. */
export async function peekDeadLetters(
  queues: ArchiverQueues,
  signal: AbortSignal,
  lanes: readonly LaneName[] = laneNames,
): Promise<LockedMessage[]> {
  const lock = createDeadLetterLock(queues, lanes, { forSeconds: peekSeconds, signal });
  try {
    await lock.take();
    return lock.letters();
  } finally {
    await lock.release();
  }
}

async function receiveAll(
  { sqs, lanes }: ArchiverQueues,
  lane: LaneName,
  { forSeconds, signal }: LockOptions,
  add: (letter: LockedMessage) => void,
): Promise<void> {
  let count = 0;
  for (let received = 1; received > 0 && count < mostLocked / requestsAtOnce; count += received) {
    signal.throwIfAborted();
    const { Messages = [] } = await sqs.send(
      new ReceiveMessageCommand({
        QueueUrl: lanes[lane].deadLetterQueueUrl,
        MaxNumberOfMessages: sqsLimits.batchEntries,
        VisibilityTimeout: forSeconds,
        WaitTimeSeconds: waitSeconds,
        MessageAttributeNames: ['All'],
        MessageSystemAttributeNames: ['SentTimestamp'],
      }),
    );
    received = Messages.length;
    for (const message of Messages) add(read(message, lane));
  }
}

interface Entry {
  /** Position in the batch. */
  Id: string;
  ReceiptHandle: string;
}

async function inBatches(
  letters: readonly LockedMessage[],
  { lanes }: ArchiverQueues,
  request: (queueUrl: string, entries: Entry[], batch: readonly LockedMessage[]) => Promise<unknown>,
): Promise<void> {
  const batches = [...Map.groupBy(letters, ({ lane }) => lane)].flatMap(([lane, ofLane]) =>
    [...batchesOf(ofLane)].map((batch) => ({ lane, batch })),
  );
  await pLimit(requestsAtOnce).map(batches, ({ lane, batch }) => {
    const entries = batch.map(({ receiptHandle }, position) => ({
      Id: String(position),
      ReceiptHandle: receiptHandle,
    }));
    return request(lanes[lane].deadLetterQueueUrl, entries, batch);
  });
}

function read(message: Message, lane: LaneName): LockedMessage {
  const { MessageId = '', ReceiptHandle = '', Body = '', Attributes, MessageAttributes } = message;
  const attribute = (name: string) => MessageAttributes?.[name]?.StringValue;
  return {
    lane,
    messageId: MessageId,
    receiptHandle: ReceiptHandle,
    body: Body,
    // EventBridge Scheduler has attributes of its own for what it could not send.
    code: attribute('code') ?? attribute('ERROR_CODE'),
    reason: attribute('reason') ?? attribute('ERROR_MESSAGE'),
    attempts: attribute('attempts') === undefined ? undefined : Number(attribute('attempts')),
    deadSince: Number(Attributes?.SentTimestamp ?? 0),
    documentId: documentIdIn(Body),
  };
}

/** Of any version of a document message, so that a letter of a later version counts for its document, too. */
function documentIdIn(body: string): string | undefined {
  const bare = body.trim();
  if (uuidPattern.test(bare)) return bare;
  try {
    const { kind, documentId } = Object(JSON.parse(body));
    return kind === 'document' && typeof documentId === 'string' && uuidPattern.test(documentId)
      ? documentId
      : undefined;
  } catch {
    // Not JSON: a message without a document.
    return undefined;
  }
}
