import type { SQSEvent } from 'aws-lambda';

/** A message as Lambda delivers it from a queue at its first receive. @param now milliseconds since the Unix epoch */
export function sqsEventOf(body: string, queueArn: string, now: number): SQSEvent {
  return {
    Records: [
      {
        messageId: 'message',
        receiptHandle: 'handle',
        body,
        attributes: {
          ApproximateReceiveCount: '1',
          SentTimestamp: String(now),
          SenderId: 'bench',
          ApproximateFirstReceiveTimestamp: String(now),
        },
        messageAttributes: {},
        md5OfBody: '',
        eventSource: 'aws:sqs',
        eventSourceARN: queueArn,
        awsRegion: 'us-east-1',
      },
    ],
  };
}
