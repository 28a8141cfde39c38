/** Reads dead letters without consuming them: each is locked by its visibility timeout, then released or deleted. */
import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  type Message,
  ReceiveMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import pLimit from 'p-limit';
import { queues as sqsLimits } from '../../functions/limits.ts';
import type { LaneName } from '../../functions/queue/lanes.ts';
import { uuidPattern } from '../../functions/uuid.ts';
import { formatCount } from '../../terminal/counts.ts';
import { formatDuration } from '../../terminal/durations.ts';
import { type ArchiverQueues, existingLanes, queuesOf } from '../target/target.ts';
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
/**
 * For a receive, in milliseconds. The functions' timeout is for responses within half a second: a long poll to a distant
 * region would end without its response, and SQS would keep the letters of that response locked.
 */
const receiveTimeoutMs = 10_000;

/**
 * Seconds for which a command locks a letter that it only reads, or redrives. If the process is killed, SQS releases the
 * letters after this time.
 */
export const lockSeconds = { read: 30, redrive: 10 * 60 } as const;

export interface LockOptions {
  /** @default all lanes */
  lanes?: readonly LaneName[] | undefined;
  /** Visibility timeout: seconds after which SQS releases a letter. @default `lockSeconds.read` */
  forSeconds?: number | undefined;
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
   * Number of letters that another reader has locked, so that `acquire` does not receive them. Approximate, and up to one
   * minute late (Amazon SQS API reference, GetQueueAttributes). Requires sqs:GetQueueAttributes.
   */
  countLockedElsewhere(): Promise<number>;
  /**
   * Deletes letters. Call it only after their messages were sent again, archived or acknowledged. Requires
   * sqs:DeleteMessage.
   *
   * @returns how many SQS did not delete: DeleteMessageBatch returns 200 even if entries fail. They stay locked.
   */
  delete(letters: readonly LockedMessage[]): Promise<number>;
}

/** A lock that its owner must release. */
export interface OwnedDeadLetterLock extends DeadLetterLock {
  forSeconds: number;
  /**
   * Makes all letters visible again. Requires sqs:ChangeMessageVisibility.
   *
   * @returns how many SQS did not release
   */
  release(): Promise<number>;
}

/**
 * Runs `work` with a lock, and releases the letters that it has not deleted however it ends. A letter that SQS does not
 * release is visible again after `forSeconds`.
 */
export async function withDeadLetterLock<Result>(
  queues: ArchiverQueues,
  options: LockOptions,
  work: (lock: DeadLetterLock) => Promise<Result>,
): Promise<Result> {
  const lock = createDeadLetterLock(queues, options);
  const [outcome] = await Promise.allSettled([work(lock)]);
  const notReleased = await lock.release();
  if (outcome.status === 'rejected') throw outcome.reason;
  if (notReleased === 0) return outcome.value;
  throw new Error(
    `SQS did not release ${formatCount(notReleased, 'dead letter')}: visible again in ${formatDuration(lock.forSeconds)}.`,
  );
}

/** The dead letters of some lanes, and how many more another reader has locked. */
export interface ReadDeadLetters {
  letters: LockedMessage[];
  /** See `DeadLetterLock.countLockedElsewhere`. */
  lockedElsewhere: number;
}

/** Locks the dead letters of these lanes, reads them and releases them. Requires the permissions of `DeadLetterLock`. */
export async function readDeadLetters(
  queues: ArchiverQueues,
  options: LockOptions,
): Promise<ReadDeadLetters> {
  return await withDeadLetterLock(queues, options, async (lock) => {
    await lock.acquire();
    return { letters: lock.letters(), lockedElsewhere: await lock.countLockedElsewhere() };
  });
}

/** As `readDeadLetters`. Requires sqs:ReceiveMessage and sqs:ChangeMessageVisibility only. */
export async function peekDeadLetters(
  queues: ArchiverQueues,
  signal: AbortSignal,
  lanes?: readonly LaneName[],
): Promise<LockedMessage[]> {
  return await withDeadLetterLock(queues, { lanes, signal }, async (lock) => {
    await lock.acquire();
    return lock.letters();
  });
}

/** Prefer `withDeadLetterLock`, which releases the letters. */
export function createDeadLetterLock(
  queues: ArchiverQueues,
  { lanes = existingLanes(queues), forSeconds = lockSeconds.read, signal }: LockOptions,
): OwnedDeadLetterLock {
  const locked = new Map<string, LockedMessage>();
  const known = new Set<string>();
  return {
    forSeconds,
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
      const ends = await Promise.allSettled(
        receivers.map((lane) => receiveAll(queues, lane, forSeconds, signal, add)),
      );
      const failed = ends.find((end) => end.status === 'rejected');
      if (failed) throw failed.reason;
      return added;
    },
    letters: () => [...locked.values()],
    countLockedElsewhere: async () => {
      const counts = await Promise.all(
        lanes.map(async (lane) => {
          const inFlight = await countInFlight(queues.sqs, queuesOf(queues, lane).deadLetterQueueUrl);
          const own = [...locked.values()].filter((letter) => letter.lane === lane).length;
          return Math.max(0, inFlight - own);
        }),
      );
      return counts.reduce((sum, count) => sum + count, 0);
    },
    delete: async (letters) => {
      const latest = letters.map((letter) => locked.get(letter.messageId) ?? letter);
      let notDeleted = latest.length;
      await inBatches(latest, queues, async (QueueUrl, entries, batch) => {
        const response = await queues.sqs.send(new DeleteMessageBatchCommand({ QueueUrl, Entries: entries }));
        // Stryker disable next-line ArrayDeclaration: an entry without an ID stands for no letter.
        for (const { Id } of response.Successful ?? []) {
          const letter = batch[Number(Id)];
          if (letter && locked.delete(letter.messageId)) notDeleted -= 1;
        }
      });
      return notDeleted;
    },
    release: async () => {
      let notReleased = locked.size;
      // One batch that fails must not end the others.
      const release = async (QueueUrl: string, entries: Entry[]) => {
        const response = await queues.sqs.send(
          new ChangeMessageVisibilityBatchCommand({
            QueueUrl,
            Entries: entries.map((entry) => ({ ...entry, VisibilityTimeout: 0 })),
          }),
        );
        // SQS refuses an entry of which the lock has expired: the letter is visible already, or belongs to another reader.
        const expired = response.Failed?.filter(({ SenderFault }) => SenderFault) ?? [];
        notReleased -= (response.Successful?.length ?? 0) + expired.length;
      };
      await inBatches([...locked.values()], queues, (QueueUrl, entries) =>
        release(QueueUrl, entries).catch(() => undefined),
      );
      locked.clear();
      return notReleased;
    },
  };
}

async function receiveAll(
  queues: ArchiverQueues,
  lane: LaneName,
  forSeconds: number,
  signal: AbortSignal,
  add: (letter: LockedMessage) => void,
): Promise<void> {
  let count = 0;
  for (let received = 1; received > 0 && count < maxLocked / requestsAtOnce; count += received) {
    signal.throwIfAborted();
    const { Messages = [] } = await queues.sqs.send(
      new ReceiveMessageCommand({
        QueueUrl: queuesOf(queues, lane).deadLetterQueueUrl,
        MaxNumberOfMessages: sqsLimits.batchEntries,
        VisibilityTimeout: forSeconds,
        WaitTimeSeconds: waitSeconds,
        MessageAttributeNames: ['All'],
        MessageSystemAttributeNames: ['SentTimestamp'],
      }),
      // Not the signal: SQS would keep the letters of an aborted receive locked.
      { requestTimeout: receiveTimeoutMs },
    );
    received = Messages.length;
    for (const message of Messages) add(read(message, lane));
  }
}

async function countInFlight(sqs: SQSClient, queueUrl: string): Promise<number> {
  const { Attributes } = await sqs.send(
    new GetQueueAttributesCommand({
      QueueUrl: queueUrl,
      AttributeNames: ['ApproximateNumberOfMessagesNotVisible'],
    }),
  );
  return Number(Attributes?.ApproximateNumberOfMessagesNotVisible ?? 0);
}

interface Entry {
  /** Position in the batch, as text. */
  Id: string;
  ReceiptHandle: string;
}

async function inBatches(
  letters: readonly LockedMessage[],
  queues: ArchiverQueues,
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
    return request(queuesOf(queues, lane).deadLetterQueueUrl, entries, batch);
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
  let message: unknown;
  try {
    message = JSON.parse(body);
  } catch {
    // Not JSON: a message without a document.
  }
  const { kind, documentId } = Object(message);
  return kind === 'document' && typeof documentId === 'string' && uuidPattern.test(documentId)
    ? documentId
    : undefined;
}
