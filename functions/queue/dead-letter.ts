/**
 * Dead letters that the functions send themselves, so that none lacks a reason. SQS's own redrive policy stands
 * behind, for functions that crash.
 */
import { SendMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { ArchiverError, nameOf } from '../errors.ts';
import { queues } from '../limits.ts';
import { redact } from '../redact.ts';

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

/** Kept free for the attributes, which count towards a message's size as its body does. */
const attributeBytes = 4 * 1024;

/**
 * A body that leaves no room for the attributes is cut, and an attribute says so: what SQS refused would come back for
 * days, and no message of ours is anywhere near as long.
 *
 * @throws ArchiverError QueueUnavailable, in which case the original message must not be acknowledged
 */
export async function sendDeadLetter(
  sqs: Pick<SQSClient, 'send'>,
  queueUrl: string,
  letter: DeadLetter,
  signal: AbortSignal,
): Promise<void> {
  const body = cutToBytes(letter.body, queues.messageBytes - attributeBytes);
  const command = new SendMessageCommand({
    QueueUrl: queueUrl,
    MessageBody: body,
    MessageAttributes: {
      code: { DataType: 'String', StringValue: letter.code },
      reason: { DataType: 'String', StringValue: redact(letter.reason) },
      attempts: { DataType: 'Number', StringValue: String(letter.attempts) },
      firstSeenAt: { DataType: 'String', StringValue: letter.firstSeenAt },
      ...(body !== letter.body && { truncated: { DataType: 'String', StringValue: 'true' } }),
    },
  });
  await sqs.send(command, { abortSignal: signal }).catch((error: unknown) => {
    throw new ArchiverError(
      'QueueUnavailable',
      `The message could not be sent to the dead-letter queue (${nameOf(error)}). The original stays where it is.`,
      { cause: error },
    );
  });
}

/** The longest beginning of a text, of whole characters, that takes no more bytes of UTF-8. */
function cutToBytes(text: string, most: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= most) return text;
  // Bytes of the form 10xxxxxx go on with a character (RFC 3629).
  let end = most;
  while ((bytes.readUInt8(end) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}
