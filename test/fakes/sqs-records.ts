/** SQS records as Lambda passes them to a function. */
import type { SQSEvent, SQSRecord } from 'aws-lambda';

export interface RecordFacts {
  body?: string;
  /** Value of `ApproximateReceiveCount`. @default 1 */
  receives?: number;
  /** Name of its queue. @default 'documents' */
  queue?: string;
  /** When it was sent and first received, milliseconds since the Unix epoch. @default 2026-11-24T00:00:00Z */
  sentAt?: number;
}

/** Message ID `message-<position>`, receipt handle `handle-<position>`; the default body is the position. */
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

/** The same records with the receive count `count`. */
export function receivedAgain({ Records }: SQSEvent, count: number): SQSEvent {
  return sqsEvent(
    ...Records.map((record) => ({
      ...record,
      attributes: { ...record.attributes, ApproximateReceiveCount: String(count) },
    })),
  );
}
