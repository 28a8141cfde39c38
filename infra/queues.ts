import { ArnFormat, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { type IQueue, Queue, QueueEncryption, type QueueProps } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { mostReceives, queues, timeouts, visibilityPerTimeout } from '../functions/limits.ts';

export interface LaneProps {
  /** Queue's name; the dead-letter queue's is the same with `-dead-letters`. */
  queueName: string;
  /** Time limit of the function that reads the queue, in milliseconds. */
  consumerTimeoutMs: number;
  /** Laid over the defaults of both queues. @default none */
  queueProps?: QueueProps;
}

/** A queue and its dead letters. */
export class QueuePair extends Construct {
  readonly queue: IQueue;
  readonly deadLetters: IQueue;

  constructor(scope: Construct, id: string, { queueName, consumerTimeoutMs, queueProps }: LaneProps) {
    super(scope, id);
    const both = {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      removalPolicy: RemovalPolicy.DESTROY,
    };
    const source = Stack.of(this).formatArn({
      service: 'sqs',
      resource: queueName,
      arnFormat: ArnFormat.NO_RESOURCE_NAME,
    });
    this.deadLetters = new Queue(this, 'DeadLetters', {
      ...both,
      queueName: `${queueName}-dead-letters`,
      // A dead letter keeps its first enqueue time, so it must be kept for longer than a message.
      retentionPeriod: Duration.millis(queues.deadLetterRetentionMs),
      // By name: the queue below refers to this one already.
      redriveAllowPolicy: { sourceQueues: [Queue.fromQueueArn(this, 'Source', source)] },
      ...queueProps,
    });
    this.queue = new Queue(this, 'Queue', {
      ...both,
      queueName,
      retentionPeriod: Duration.millis(queues.retentionMs),
      visibilityTimeout: Duration.millis(visibilityPerTimeout * consumerTimeoutMs),
      // The functions send their own dead letters, with a reason; this stands behind them for crashes.
      deadLetterQueue: { queue: this.deadLetters, maxReceiveCount: mostReceives(consumerTimeoutMs) },
      ...queueProps,
    });
  }
}

/**
 * Two live lanes: `documents` for what is new, and `discovery` for what has yet to be looked up at Telnyx. Two low
 * lanes beside them, so that a million old documents never delay a new one: `backfill` and `spans`. All of it can be
 * found again by a backfill, so none of the queues outlives its stack.
 */
export class Queues extends Construct {
  readonly documents: QueuePair;
  readonly backfill: QueuePair;
  readonly discovery: QueuePair;
  readonly spans: QueuePair;

  /** @param prefix begins the queues' names */
  constructor(scope: Construct, id: string, prefix: string) {
    super(scope, id);
    const lane = (laneId: string, name: string, consumerTimeoutMs: number) =>
      new QueuePair(this, laneId, { queueName: `${prefix}-${name}`, consumerTimeoutMs });
    this.documents = lane('Documents', 'documents', timeouts.archiveMs);
    this.backfill = lane('Backfill', 'backfill', timeouts.archiveMs);
    this.discovery = lane('Discovery', 'discovery', timeouts.discoverMs);
    this.spans = lane('Spans', 'spans', timeouts.discoverMs);
  }
}
