/** Reads dead letters without consuming them: each is locked by its visibility timeout, then released or deleted. */
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

/** A dead letter that no other reader receives while it is locked. */
export interface LockedMessage {
  lane: LaneName;
  messageId: string;
  receiptHandle: string;
  body: string;
  /** Undefined if SQS moved the message itself, which states no code. */
  code: string | undefined;
  reason: string | undefined;
  attempts: number | undefined;
  /** When it became a dead letter, in milliseconds since the Unix epoch. */
  deadSince: number;
  /** Requested document; undefined for a discovery message or an unreadable body. */
  documentId: string | undefined;
}

/** Below the 120,000 in-flight messages per queue that SQS allows (Amazon SQS message quotas). */
const maxLocked = 100_000;
const requestsAtOnce = 4;
/** A long poll queries all SQS servers, a short poll only some: an empty response means an empty queue. */
const waitSeconds = 1;
/** Enough to read all letters of a lane. If this process is killed, they become visible again after it. */
const peekSeconds = 30;

export interface LockOptions {
  /** Visibility timeout: seconds after which SQS releases a letter. */
  forSeconds: number;
  signal: AbortSignal;
}

/** Dead letters of some lanes, locked until they are deleted or released. */
export interface DeadLetterLock {
  /**
   * Locks all visible letters. Requires sqs:ReceiveMessage.
   *
   * @returns the letters that this lock has not held before
   */
  acquire(): Promise<LockedMessage[]>;
  letters(): LockedMessage[];
  /**
   * Deletes letters. Call it only after their messages were sent again, archived or acknowledged. Requires
   * sqs:DeleteMessage.
   *
   * @returns how many SQS did not delete: DeleteMessageBatch returns 200 even if entries fail. They stay locked.
   */
  delete(letters: readonly LockedMessage[]): Promise<number>;
  /** Makes letters visible again. Requires sqs:ChangeMessageVisibility. If SQS fails, the lock expires instead. */
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
    acquire: async () => {
      const added: LockedMessage[] = [];
      const add = (letter: LockedMessage) => {
        // A letter whose lock has expired is received again with a new receipt handle.
        locked.set(letter.messageId, letter);
        if (known.has(letter.messageId)) return;
        known.add(letter.messageId);
        added.push(letter);
      };
      const receivers = lanes.flatMap((lane) => Array<LaneName>(requestsAtOnce).fill(lane));
      // Wait for all receivers before throwing, so that `release` covers everything they received.
      const ends = await Promise.allSettled(receivers.map((lane) => receiveAll(queues, lane, options, add)));
      const failed = ends.find((end) => end.status === 'rejected');
      if (failed) throw failed.reason;
      return added;
    },
    letters: () => [...locked.values()],
    delete: async (letters) => {
      const latest = letters.map((letter) => locked.get(letter.messageId) ?? letter);
      let notDeleted = latest.length;
      await inBatches(latest, queues, async (QueueUrl, entries, batch) => {
        const response = await queues.sqs.send(new DeleteMessageBatchCommand({ QueueUrl, Entries: entries }));
        for (const { Id } of response.Successful ?? []) {
          const letter = batch[Number(Id)];
          if (letter && locked.delete(letter.messageId)) notDeleted -= 1;
        }
      });
      return notDeleted;
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

/** Reads the dead letters of these lanes. Requires sqs:ReceiveMessage and sqs:ChangeMessageVisibility. */
export async function peekDeadLetters(
  queues: ArchiverQueues,
  signal: AbortSignal,
  lanes: readonly LaneName[] = laneNames,
): Promise<LockedMessage[]> {
  const lock = createDeadLetterLock(queues, lanes, { forSeconds: peekSeconds, signal });
  try {
    await lock.acquire();
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
  for (let received = 1; received > 0 && count < maxLocked / requestsAtOnce; count += received) {
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
  /** Position in the batch, as text. */
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
    // EventBridge Scheduler uses its own attributes for messages that it could not send.
    code: attribute('code') ?? attribute('ERROR_CODE'),
    reason: attribute('reason') ?? attribute('ERROR_MESSAGE'),
    attempts: attribute('attempts') === undefined ? undefined : Number(attribute('attempts')),
    deadSince: Number(Attributes?.SentTimestamp ?? 0),
    documentId: documentIdIn(Body),
  };
}

/** Accepts any version of a document message, so that a letter of a later version is still grouped by document. */
function documentIdIn(body: string): string | undefined {
  const bare = body.trim();
  if (uuidPattern.test(bare)) return bare;
  try {
    const { kind, documentId } = Object(JSON.parse(body));
    return kind === 'document' && typeof documentId === 'string' && uuidPattern.test(documentId)
      ? documentId
      : undefined;
    // Stryker disable next-line BlockStatement: an empty block returns undefined as well.
  } catch {
    // Not JSON: a message without a document.
    return undefined;
  }
}
