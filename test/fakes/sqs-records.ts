/** SQS records as Lambda hands them over, for every test that needs some. */
import type { SQSEvent, SQSRecord } from 'aws-lambda';

export interface RecordFacts {
  body?: string;
  /** How often SQS has delivered it. @default 1 */
  receives?: number;
  /** Name of the queue it comes from. @default 'documents' */
  queue?: string;
  /** Milliseconds since the Unix epoch at which SQS took it and first delivered it. @default 2026-11-24T00:00:00Z */
  sentAt?: number;
}

/** The message id is `message-<position>`, the receipt handle `handle-<position>`, the body the position unless given. */
export function sqsRecord(position: number, facts: RecordFacts = {}): SQSRecord {
  const { body = String(position), receives = 1, queue = 'documents' } = facts;
  const sentAt = String(facts.sentAt ?? Date.parse('2026-11-24T00:00:00Z'));
  return {
    messageId: `message-${position}`,
    receiptHandle: `handle-${position}`,
    body,
    attributes: {
      ApproximateReceiveCount: String(receives),
      SentTimestamp: sentAt,
      SenderId: 'AIDAEXAMPLE',
      ApproximateFirstReceiveTimestamp: sentAt,
    },
    messageAttributes: {},
    md5OfBody: '',
    eventSource: 'aws:sqs',
    eventSourceARN: `arn:aws:sqs:us-east-1:000000000000:${queue}`,
    awsRegion: 'us-east-1',
  };
}

export function sqsEvent(...records: SQSRecord[]): SQSEvent {
  return { Records: records };
}

/** The `count`th receive of the same records. */
export function receivedAgain({ Records }: SQSEvent, count: number): SQSEvent {
  return sqsEvent(
    ...Records.map((record) => ({
      ...record,
      attributes: { ...record.attributes, ApproximateReceiveCount: String(count) },
    })),
  );
}
