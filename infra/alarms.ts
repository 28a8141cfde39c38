/** All alarms. `docs/runbook.md` has an article for each. */
import { Duration } from 'aws-cdk-lib';
import {
  ComparisonOperator,
  type IMetric,
  MathExpression,
  Metric,
  Stats,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { CfnRule } from 'aws-cdk-lib/aws-events';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { Bucket } from 'aws-cdk-lib/aws-s3';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { type ErrorCode, errorCodes, retryPolicies } from '../functions/errors.ts';
import {
  nightlyAudit,
  queues as queueLimits,
  retryTimings,
  timeouts,
  visibilityPerTimeout,
} from '../functions/limits.ts';
import { type AlarmTopic, ArchiverAlarm, EventAlarm } from './alarm.ts';
import type { ArchiverFunction } from './archiver-function.ts';
import { archivePrefixes } from './bucket.ts';
import type { Functions } from './functions.ts';
import type { ArchiverMetrics, MetricWith } from './metrics.ts';
import type { Queues } from './queues.ts';
import type { WebhookApi } from './webhook-api.ts';

export interface AlarmsProps {
  /** Prefix of the alarm names. */
  prefix: string;
  topic: AlarmTopic;
  metrics: ArchiverMetrics;
  queues: Queues;
  functions: Functions;
  webhookApi: WebhookApi;
  archive: Bucket;
  /** Encrypts the documents and the API key. */
  dataKey: IKey;
  /** Where the operators read `docs/runbook.md`. @default its path */
  runbookUrl?: string | undefined;
}

interface Condition {
  metric: IMetric;
  /** In alarm at this value or above; with `below`, under it. */
  threshold: number;
  below?: boolean;
  /** M out of N: datapoints that must breach the threshold. @default 1 of 1 */
  datapoints?: { toAlarm: number; outOf: number };
  /** Whether missing data counts as breaching. @default false */
  missingIsBreaching?: boolean;
  /** See `ArchiverAlarmProps`. @default false */
  notifiesOk?: boolean;
  impact: string;
  /** Heading of the runbook article. @default the alarm's ID */
  article?: string;
}

/** What happens to the work of a function that crashes. */
const afterCrash = {
  webhook: 'Telnyx sends the event again.',
  discover: `Its messages return to the queue after ${visibilityMinutes(timeouts.discoverMs)} minutes.`,
  archive: `Its messages return to the queue after ${visibilityMinutes(timeouts.archiveMs)} minutes.`,
  audit: `Its part of the audit returns to the queue after ${visibilityMinutes(timeouts.auditMs)} minutes.`,
} as const;

/** Codes of policy `wait` that do not resolve by themselves: the alarm rings at once. */
const needOperator = {
  ApiKeyUnusable: {
    codes: ['ApiKeyRejected', 'ApiKeyForbidden', 'ApiKeyUnavailable'],
    impact: 'Telnyx rejects the API key, or none is stored. Nothing is archived until a valid key is stored.',
  },
  BucketUnusable: {
    codes: ['BucketMisconfigured', 'EncryptionKeyUnavailable'],
    impact:
      'The bucket or its KMS key rejects requests of the archiver. Nothing is archived until that is fixed.',
  },
  DownloadHostRefused: {
    codes: ['LinkNotAllowed'],
    impact: 'Telnyx sends download links that the stage does not allow. Their documents are not archived.',
  },
} as const satisfies Record<string, { codes: readonly ErrorCode[]; impact: string }>;

const sumMs = 5 * 60_000;
const hourMs = 60 * 60_000;

/**
 * Stays in alarm for longer than the longest wait plus one receive, 40 minutes in all. So an alarm on waiting messages
 * rings once per cause, and returns to OK only when no message is waiting.
 */
const waitingDatapoints = {
  toAlarm: 1,
  outOf: 1 + Math.ceil((retryTimings.maxWaitMs + timeouts.discoverMs) / sumMs),
};

/**
 * In minutes. SQS publishes the metrics of a queue that was inactive up to 15 minutes late (Amazon SQS developer guide,
 * "Available CloudWatch metrics").
 */
const lateMetricsDatapoints = { toAlarm: 1, outOf: 20 };

/** Two days before SQS deletes a message without a dead letter, which leaves time to send the backlog again. */
const tooOldMs = queueLimits.retentionMs - 48 * hourMs;

/** One hour: the age of the oldest message rises and falls while a backlog drains. */
const backlogDatapoints = { toAlarm: 1, outOf: 12 };

/**
 * The alarm rings after this many hours in a row without a complete run: 48 until the second next run starts, the 6 hours
 * after which a part that still fails is recorded as unchecked, and one more in which that run ends. CloudWatch evaluates an alarm on more than a day once an hour, over whole hours, and looks back seven days at most
 * (CloudWatch user guide, "Alarm evaluation").
 */
const missingAuditHours = 48 + nightlyAudit.uncheckedAfterMs / hourMs + 1;

export class Alarms extends Construct {
  /** All metric alarms, for the dashboard. */
  readonly alarms: ArchiverAlarm[] = [];
  private readonly props: AlarmsProps;

  constructor(scope: Construct, id: string, props: AlarmsProps) {
    super(scope, id);
    this.props = props;
    this.deadLetters();
    this.backlogs();
    this.documents();
    this.waiting();
    this.webhook();
    this.discovery();
    this.audit();
    for (const name of ['webhook', 'discover', 'archive', 'audit'] as const) this.lambda(name);
    this.deletions();
    this.keyDeletion();
  }

  /**
   * The functions count the dead letters that they send, so each new one rings even if others are still in the queue.
   * Dead letters that SQS or EventBridge Scheduler moved show only in the depth of the queue. The depth does not tell
   * who sent a message, so those of the functions ring a second time, later.
   */
  private deadLetters(): void {
    const { metrics, queues } = this.props;
    const lanes = {
      documents:
        'A document was not archived and is now a dead letter. Telnyx may delete it 30 minutes after its upload.',
      backfill: 'A document of a backfill was not archived and is now a dead letter.',
      discovery:
        'A look-up at Telnyx failed and is now a dead letter. Documents of an order or a sweep may not be found.',
      spans: 'A time span of a backfill failed and is now a dead letter. Not all its documents were found.',
      audit: 'A message of the audit is now a dead letter. Its run of the audit may not start, or not end.',
    };
    for (const [lane, impact] of Object.entries(lanes) as [keyof typeof lanes, string][]) {
      this.add(`${capitalized(lane)}DeadLetters`, {
        metric: metrics.metric('DeadLetters', {
          dimensionsMap: { Lane: lane },
          period: Duration.minutes(1),
        }),
        threshold: 1,
        impact,
      });
      this.add(`DeadLetterGrowth${capitalized(lane)}`, {
        metric: growthOf(queues[lane].deadLetters),
        threshold: 1,
        datapoints: lateMetricsDatapoints,
        impact: `The ${lane} dead-letter queue has new messages. They have no error code if a function crashed.`,
        article: 'DeadLetterGrowth',
      });
    }
  }

  /**
   * Messages that have not been received yet. Failing messages do not count: SQS leaves out of this metric what was
   * received three times or more (Amazon SQS developer guide, "Available CloudWatch metrics"), and they become dead
   * letters in time. A backlog in the live lanes rings far earlier, as `DocumentsOverdue` or `SweepMissing`.
   */
  private backlogs(): void {
    const { queues } = this.props;
    const lanes = { backfill: 'Documents', spans: 'Time spans' } as const;
    for (const [lane, what] of Object.entries(lanes) as [keyof typeof lanes, string][]) {
      this.add(`${capitalized(lane)}TooOld`, {
        metric: queues[lane].queue.metricApproximateAgeOfOldestMessage({ statistic: Stats.MAXIMUM }),
        threshold: tooOldMs / 1_000,
        datapoints: backlogDatapoints,
        impact: `${what} of a backfill have been in the queue for 8 days. SQS deletes them after 10 days, without a dead letter.`,
      });
    }
  }

  private documents(): void {
    const { metrics } = this.props;
    this.add('DocumentsOverdue', {
      // The second period keeps a late sweep or metric from ending the alarm and making it ring again.
      metric: metrics.metric('DocumentsOverdue'),
      threshold: 1,
      datapoints: { toAlarm: 1, outOf: 2 },
      impact:
        'Documents are not archived 10 minutes after their upload. Telnyx may delete them after 30 minutes.',
    });
    this.add('ChecksumMismatches', {
      metric: metrics.metricForCode('ReceivesFailed', 'ChecksumMismatch'),
      threshold: 1,
      impact: 'The bytes of a document did not match their expected SHA-256. They were not archived.',
    });
  }

  /** Codes of policy `wait`: no message is lost, but Telnyx may delete a waiting document after 30 minutes. */
  private waiting(): void {
    const { metrics } = this.props;
    const waitsFor = (metric: MetricWith<'Code'>, codes: readonly ErrorCode[]) => ({
      metric: filledSum(codes.map((code) => metrics.metricForCode(metric, code))),
      threshold: 1,
      datapoints: waitingDatapoints,
      notifiesOk: true,
    });
    for (const [id, { codes, impact }] of Object.entries(needOperator)) {
      this.add(id, { ...waitsFor('ReceivesFailed', codes), impact });
    }
    const atOnce: readonly ErrorCode[] = Object.values(needOperator).flatMap(({ codes }) => codes);
    for (const code of errorCodes.filter((one) => retryPolicies[one] === 'wait' && !atOnce.includes(one))) {
      this.add(`Waiting${code}`, {
        ...waitsFor('MessagesWaiting', [code]),
        impact: `Messages have failed with ${code} for 10 minutes or more and will be retried. Telnyx may delete new documents meanwhile.`,
        article: 'Waiting',
      });
    }
  }

  private webhook(): void {
    this.add('WebhookServerErrors', {
      metric: this.props.webhookApi.api.metricServerError({ period: Duration.minutes(1) }),
      threshold: 1,
      impact:
        'Telnyx could not deliver an event and will retry. If the retries fail, a sweep finds new documents.',
    });
    this.add('WebhooksRefused', {
      metric: this.props.metrics.metric('WebhooksRefused', { period: Duration.minutes(15) }),
      threshold: 3,
      impact:
        "The webhook refused requests. A wrong public key or clock refuses Telnyx's events, or they are not from Telnyx.",
    });
  }

  private discovery(): void {
    this.add('SweepMissing', {
      metric: filledSum([this.props.metrics.metric('SweepsCompleted')]),
      threshold: 1,
      below: true,
      datapoints: { toAlarm: 2, outOf: 3 },
      missingIsBreaching: true,
      notifiesOk: true,
      impact:
        'No sweep has completed for ten minutes. Telnyx may delete new documents before a sweep finds them.',
    });
  }

  private audit(): void {
    const { metrics } = this.props;
    this.add('AuditFindings', {
      // A run publishes its findings once, at its end, so this rings for each run with findings.
      metric: metrics.metric('AuditFindings'),
      threshold: 1,
      impact: 'The audit found problems in the archive, or could not check all of it.',
    });
    const hourly = { period: Duration.millis(hourMs) };
    this.add('AuditMissing', {
      // Only hours with sweeps count: in a new deployment, the alarm waits for its first two nights. While there are no
      // sweeps, SweepMissing rings.
      metric: new MathExpression({
        expression: 'FILL(completed, 0) + 0 * sweeps',
        usingMetrics: {
          completed: metrics.metric('AuditCompleted', hourly),
          sweeps: metrics.metric('SweepsCompleted', hourly),
        },
        ...hourly,
        label: 'AuditCompleted',
      }),
      threshold: 1,
      below: true,
      datapoints: { toAlarm: missingAuditHours, outOf: missingAuditHours },
      notifiesOk: true,
      impact:
        'The nightly audit has not completed for two nights. What is missing or altered goes unnoticed.',
    });
  }

  private lambda(name: keyof typeof afterCrash): void {
    const { function: lambda }: ArchiverFunction = this.props.functions[name];
    const title = capitalized(name);
    this.add(`${title}Errors`, {
      metric: lambda.metricErrors(),
      threshold: 1,
      impact: `The ${name} function crashed or timed out. ${afterCrash[name]}`,
    });
    this.add(`${title}Throttles`, {
      metric: lambda.metricThrottles(),
      threshold: 1,
      impact: `Lambda throttles the ${name} function: the concurrency of the account or the function is used up.`,
    });
    this.add(`${title}Slow`, {
      metric: lambda.metricDuration({ statistic: Stats.percentile(99) }),
      threshold: 0.8 * timeouts[`${name}Ms`],
      impact: `The ${name} function uses more than 80 % of its timeout. Work that times out is repeated.`,
    });
    if (name === 'webhook') return;
    this.add(`${title}RecursionStopped`, {
      metric: new Metric({
        namespace: 'AWS/Lambda',
        metricName: 'RecursiveInvocationsDropped',
        dimensionsMap: { FunctionName: lambda.functionName },
        statistic: Stats.SUM,
      }),
      threshold: 1,
      impact: `Lambda detected a recursive loop in the ${name} function's messages and dropped some of them.`,
    });
  }

  /**
   * Rings for S3's own events, once a minute at most, however many objects are deleted. Only erasures
   * delete from an archive, so each deletion needs a look, also one by a break-glass role.
   */
  private deletions(): void {
    const rule = new CfnRule(this, 'DeletionRule', {
      description: 'Counts deletions of objects, versions and delete markers in the archive',
      eventPattern: {
        source: ['aws.s3'],
        'detail-type': ['Object Deleted'],
        detail: {
          bucket: { name: [this.props.archive.bucketName] },
          object: { key: Object.values(archivePrefixes).map((prefix) => ({ prefix })) },
        },
      },
      state: 'ENABLED',
    });
    this.add('ObjectsDeleted', {
      metric: new Metric({
        namespace: 'AWS/Events',
        metricName: 'TriggeredRules',
        dimensionsMap: { RuleName: rule.ref },
        statistic: Stats.SUM,
        period: Duration.minutes(1),
      }),
      threshold: 1,
      impact:
        'Objects or versions of the archive were deleted, or hidden by a delete marker. A planned erasure does this, too.',
    });
  }

  /** Requires a CloudTrail trail that records management events. The runbook describes how to check that. */
  private keyDeletion(): void {
    const { topic, dataKey } = this.props;
    new EventAlarm(this, 'KeyDeletion', {
      topic,
      description:
        'Notifies when the KMS key of the archived documents is scheduled for deletion or disabled',
      eventPattern: {
        source: ['aws.kms'],
        'detail-type': ['AWS API Call via CloudTrail'],
        detail: {
          eventSource: ['kms.amazonaws.com'],
          eventName: ['DisableKey', 'ScheduleKeyDeletion'],
          resources: { ARN: [dataKey.keyArn] },
        },
      },
      impact:
        'The KMS key of the archive is scheduled for deletion or disabled. Without it no document can be read.',
      runbook: this.articleOn('KeyDeletion'),
    });
  }

  private articleOn(heading: string): string {
    return `${this.props.runbookUrl ?? 'docs/runbook.md'}#${heading.toLowerCase()}`;
  }

  private add(id: string, condition: Condition): void {
    const { metric, threshold, below, datapoints, missingIsBreaching, notifiesOk, impact, article } =
      condition;
    const alarm = new ArchiverAlarm(this, id, {
      alarmName: `${this.props.prefix}-${id}`,
      topic: this.props.topic,
      notifiesOk: notifiesOk ?? false,
      metric,
      threshold,
      evaluationPeriods: datapoints?.outOf ?? 1,
      datapointsToAlarm: datapoints?.toAlarm ?? 1,
      comparisonOperator: below
        ? ComparisonOperator.LESS_THAN_THRESHOLD
        : ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: missingIsBreaching ? TreatMissingData.BREACHING : TreatMissingData.NOT_BREACHING,
      impact,
      runbook: this.articleOn(article ?? id),
    });
    this.alarms.push(alarm);
  }
}

/**
 * Sum of metrics, with 0 for periods without data. Otherwise the alarm would evaluate older periods, over a range that
 * AWS does not document, and the sum with a metric without data would be missing, too. The period must be longer than
 * the delay of the metrics (CloudWatch user guide, "Using metric math", on FILL).
 */
function filledSum(metrics: readonly Metric[]): MathExpression {
  return new MathExpression({
    expression: metrics.map((_, position) => `FILL(m${position}, 0)`).join(' + '),
    usingMetrics: Object.fromEntries(metrics.map((metric, position) => [`m${position}`, metric])),
    period: Duration.millis(sumMs),
    label: metrics.map(({ label, metricName }) => label ?? metricName).join(', '),
  });
}

/**
 * By how many messages a queue has grown from one minute to the next. Messages in flight are included: otherwise a
 * person who looks at a message would make the queue shrink and grow again. SQS reports them only while there are any.
 * An inactive queue reports no depth, which counts as 0. So the first message counts as growth, and so do messages
 * that were there before SQS stopped publishing metrics for a while.
 */
function growthOf(queue: IQueue): MathExpression {
  const options = { period: Duration.minutes(1), statistic: Stats.MAXIMUM };
  return new MathExpression({
    expression: 'DIFF(FILL(visible, 0) + FILL(inFlight, 0))',
    usingMetrics: {
      visible: queue.metricApproximateNumberOfMessagesVisible(options),
      inFlight: queue.metricApproximateNumberOfMessagesNotVisible(options),
    },
    period: options.period,
    label: 'Growth',
  });
}

/** Visibility timeout of the queue that the function reads, in minutes. */
function visibilityMinutes(consumerTimeoutMs: number): number {
  return (visibilityPerTimeout * consumerTimeoutMs) / 60_000;
}

function capitalized(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}
