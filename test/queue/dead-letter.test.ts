import { ReceiveMessageCommand, type SendMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type DeadLetter, sendDeadLetter } from '../../functions/queue/dead-letter.ts';
import { startQueues } from '../../local/queues.ts';
import { propertyRuns } from '../fuzz-runs.ts';

const never = new AbortController().signal;
const letter: DeadLetter = {
  body: '{"v":1,"kind":"document"}',
  code: 'MalformedMessage',
  reason: 'The message cannot be read: documentId is missing.',
  attempts: 7,
  firstSeenAt: '2026-11-24T00:00:00.250Z',
};

/** The dead-letter queue of a real SQS protocol, and what lies in it. */
async function startDeadLetterQueue() {
  const queues = await startQueues();
  const sqs = queues.createClient();
  onTestFinished(async () => {
    sqs.destroy();
    await queues.close();
  });
  const queueUrl = queues.lanes.documents.deadLetterQueueUrl;
  const received = async () => {
    const { Messages = [] } = await sqs.send(
      new ReceiveMessageCommand({ QueueUrl: queueUrl, MessageAttributeNames: ['All'] }),
    );
    return Messages.map(({ Body, MessageAttributes = {} }) => ({
      body: Body,
      ...Object.fromEntries(
        Object.entries(MessageAttributes).map(([name, { DataType, StringValue }]) => [
          name,
          `${DataType} ${StringValue}`,
        ]),
      ),
    }));
  };
  return { sqs, queueUrl, received };
}

/** The attributes with which a letter goes out. */
async function attributesOf(
  facts: Partial<DeadLetter>,
): Promise<[string, { DataType: string; StringValue: string }][]> {
  const sent: SendMessageCommand[] = [];
  const sqs = { send: async (command: SendMessageCommand) => sent.push(command) } as unknown as SQSClient;
  await sendDeadLetter(sqs, 'queue', { ...letter, ...facts }, never);
  return Object.entries(sent[0]?.input.MessageAttributes ?? {}).map(
    ([name, { DataType = '', StringValue = '' }]) => [name, { DataType, StringValue }],
  );
}

describe('a dead letter', () => {
  it.each([letter.body, 'not JSON, but\ta text\r\nof söme – kind', 'x'.repeat(1_000_000)])(
    'is the message as it came, with code, reason, attempts and the time of the first receive',
    async (body) => {
      const { sqs, queueUrl, received } = await startDeadLetterQueue();

      await sendDeadLetter(sqs, queueUrl, { ...letter, body }, never);

      expect(await received()).toEqual([
        {
          body,
          code: 'String MalformedMessage',
          reason: 'String The message cannot be read: documentId is missing.',
          attempts: 'Number 7',
          firstSeenAt: 'String 2026-11-24T00:00:00.250Z',
        },
      ]);
    },
  );

  it('has attributes that SQS takes, small beside the message, whatever the reason says', async () => {
    // Amazon SQS message quotas, "Message content".
    const allowed = /^[\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]+$/u;
    const anyText = fc.oneof(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 2_000 }),
      fc
        .array(fc.integer({ min: 0, max: 0xffff }), { minLength: 1 })
        .map((units) => String.fromCharCode(...units)),
      // Cut in the middle of a character.
      fc.nat({ max: 3 }).map((shift) => 'x'.repeat(198 + shift) + '📄'.repeat(400)),
    );
    await fc.assert(
      fc.asyncProperty(anyText, async (reason) => {
        const attributes = await attributesOf({ reason });

        let bytes = 0;
        for (const [name, { DataType, StringValue }] of attributes) {
          expect(StringValue).toMatch(allowed);
          bytes += Buffer.byteLength(name + DataType + StringValue);
        }
        expect(attributes.length).toBeLessThanOrEqual(10);
        expect(bytes).toBeLessThan(1_024);
      }),
      { numRuns: propertyRuns(1_000) },
    );
  });

  it('tells no secret that its reason quotes', async () => {
    const reason = 'S3 refused https://s3/x?X-Amz-Signature=f00d with Bearer KEY0123456789';

    const attributes = JSON.stringify(await attributesOf({ reason }));

    expect(attributes).not.toMatch(/f00d|KEY01/);
  });

  // Behind each number of bytes, so that the cut comes to every place within a character.
  it.each(['x', 'ä', 'xä', '漢', 'x漢', 'xx漢'])(
    'cuts a body of one mebibyte that is %s and more of its last character between characters, and says so',
    async (beginning) => {
      const { sqs, queueUrl, received } = await startDeadLetterQueue();
      const character = beginning.slice(-1);
      const left = 1_048_576 - Buffer.byteLength(beginning);
      const body = beginning + character.repeat(Math.floor(left / Buffer.byteLength(character)));

      await sendDeadLetter(sqs, queueUrl, { ...letter, body, reason: 'ä'.repeat(300) }, never);

      const [taken] = await received();
      expect(taken).toMatchObject({ code: 'String MalformedMessage', truncated: 'String true' });
      expect(body.startsWith(taken?.body ?? 'nothing')).toBe(true);
      expect(Buffer.byteLength(taken?.body ?? '')).toBeGreaterThan(1_040_000);
    },
  );

  it('is not taken while SQS refuses it, so that the original stays', async () => {
    const { sqs, received } = await startDeadLetterQueue();
    const elsewhere = 'http://127.0.0.1:1/000000000000/none';

    await expect(sendDeadLetter(sqs, elsewhere, letter, never)).rejects.toMatchObject({
      code: 'QueueUnavailable',
      retryPolicy: 'wait',
      message: expect.stringMatching(/could not be sent.* \([\w. ]+\)\. The original stays where it is\.$/),
    });

    expect(await received()).toEqual([]);
  });

  it('is given up when its time is', async () => {
    const { sqs, queueUrl } = await startDeadLetterQueue();

    await expect(sendDeadLetter(sqs, queueUrl, letter, AbortSignal.abort())).rejects.toMatchObject({
      code: 'QueueUnavailable',
      cause: { name: 'AbortError' },
    });
  });
});
