/**
 * Functions send dead letters themselves, so that each has a code and a reason. SQS's redrive policy moves only the
 * messages that crash the function.
 */
import { SendMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { ArchiverError, nameOf } from '../errors.ts';
import { queues } from '../limits.ts';
import { redact } from '../redact.ts';

export interface DeadLetter {
  /** The body of the original message. */
  body: string;
  code: string;
  /** An `ArchiverError`'s message. */
  reason: string;
  /** SQS's receive count of the original message. */
  attempts: number;
  /** First receive of the original message, ISO 8601. */
  firstSeenAt: string;
}

/** Reserved for the attributes, which count towards the size limit of a message. */
const attributeBytes = 4 * 1024;

/**
 * Truncates a body that leaves no room for the attributes and sets the attribute `truncated`: SQS would refuse the
 * message again and again for days. Messages that the archiver sends are far shorter.
 *
 * @throws ArchiverError QueueUnavailable; the original message must then not be acknowledged
 */
export async function sendDeadLetter(
  sqs: Pick<SQSClient, 'send'>,
  queueUrl: string,
  letter: DeadLetter,
  signal: AbortSignal,
): Promise<void> {
  const body = truncateToBytes(letter.body, queues.messageBytes - attributeBytes);
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
      `Could not send the message to the dead-letter queue (${nameOf(error)}). The original stays in its queue.`,
      { cause: error },
    );
  });
}

/** Truncates a text to at most `maxBytes` bytes of UTF-8 without splitting a character. */
function truncateToBytes(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) return text;
  // Bytes of the form 10xxxxxx continue a character (RFC 3629).
  let end = maxBytes;
  while ((bytes.readUInt8(end) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}
