import { ArnFormat, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { type IQueue, Queue, QueueEncryption, type QueueProps } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { maxReceives, queues, timeouts, visibilityPerTimeout } from '../functions/limits.ts';

export interface QueuePairProps {
  /** Name of the queue. The dead-letter queue has the same name with the suffix `-dead-letters`. */
  queueName: string;
  /** Timeout of the function that reads the queue, in milliseconds. */
  consumerTimeoutMs: number;
  /** Overrides the defaults of both queues. @default none */
  queueProps?: QueueProps;
}

/** A queue and its dead-letter queue. */
export class QueuePair extends Construct {
  readonly queue: IQueue;
  readonly deadLetters: IQueue;

  constructor(scope: Construct, id: string, { queueName, consumerTimeoutMs, queueProps }: QueuePairProps) {
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
      // A dead letter keeps its original enqueue time, so it needs a longer retention than the source queue.
      retentionPeriod: Duration.millis(queues.deadLetterRetentionMs),
      // By name, to avoid a circular reference: the queue below refers to this one.
      redriveAllowPolicy: { sourceQueues: [Queue.fromQueueArn(this, 'Source', source)] },
      ...queueProps,
    });
    this.queue = new Queue(this, 'Queue', {
      ...both,
      queueName,
      retentionPeriod: Duration.millis(queues.retentionMs),
      visibilityTimeout: Duration.millis(visibilityPerTimeout * consumerTimeoutMs),
      // The functions send dead letters themselves, with an error code. This policy is for functions that crash.
      deadLetterQueue: { queue: this.deadLetters, maxReceiveCount: maxReceives(consumerTimeoutMs) },
      ...queueProps,
    });
  }
}

/**
 * A lane is a queue with its own dead-letter queue and event source mapping. There are two live lanes, `documents` for
 * new documents and `discovery` for look-ups at Telnyx, and three low lanes, `backfill`, `spans` and `audit`, so that a
 * million old documents never delay a new one. The queues are deleted with the stack: a backfill finds everything again,
 * and the next night starts a new run of the audit.
 */
export class Queues extends Construct {
  readonly documents: QueuePair;
  readonly backfill: QueuePair;
  readonly discovery: QueuePair;
  readonly spans: QueuePair;
  readonly audit: QueuePair;

  /** @param prefix prefix of the queue names */
  constructor(scope: Construct, id: string, prefix: string) {
    super(scope, id);
    const lane = (laneId: string, name: string, consumerTimeoutMs: number) =>
      new QueuePair(this, laneId, { queueName: `${prefix}-${name}`, consumerTimeoutMs });
    this.documents = lane('Documents', 'documents', timeouts.archiveMs);
    this.backfill = lane('Backfill', 'backfill', timeouts.archiveMs);
    this.discovery = lane('Discovery', 'discovery', timeouts.discoverMs);
    this.spans = lane('Spans', 'spans', timeouts.discoverMs);
    this.audit = lane('Audit', 'audit', timeouts.auditMs);
  }
}
