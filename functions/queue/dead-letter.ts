/**
 * Dead letters that the functions send themselves, so that none lacks a reason. SQS's own redrive policy stands
 * behind, for functions that crash.
 */
import { SendMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { ArchiverError, nameOf } from '../errors.ts';
import { redact } from '../log.ts';

export interface DeadLetter {
  /** The message's body as it came. */
  body: string;
  code: string;
  /** An `ArchiverError`'s message. */
  reason: string;
  /** How often SQS had delivered the message. */
  attempts: number;
  /** When it was first received, ISO 8601. */
  firstSeenAt: string;
}

/** @throws ArchiverError QueueUnavailable, in which case the original message must not be acknowledged */
export async function sendDeadLetter(
  sqs: Pick<SQSClient, 'send'>,
  queueUrl: string,
  letter: DeadLetter,
  signal: AbortSignal,
): Promise<void> {
  const command = new SendMessageCommand({
    QueueUrl: queueUrl,
    MessageBody: letter.body,
    MessageAttributes: {
      code: { DataType: 'String', StringValue: letter.code },
      reason: { DataType: 'String', StringValue: redact(letter.reason) },
      attempts: { DataType: 'Number', StringValue: String(letter.attempts) },
      firstSeenAt: { DataType: 'String', StringValue: letter.firstSeenAt },
    },
  });
  await sqs.send(command, { abortSignal: signal }).catch((error: unknown) => {
    throw new ArchiverError(
      'QueueUnavailable',
      `The dead-letter queue took no message (${nameOf(error)}). The original stays where it is.`,
      { cause: error },
    );
  });
}
