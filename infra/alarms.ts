/** When a person is called, and what for. `docs/runbook.md` has an article for each. */
import { Duration } from 'aws-cdk-lib';
import {
  ComparisonOperator,
  type IMetric,
  MathExpression,
  Metric,
  Stats,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { type ErrorCode, errorCodes, retryPolicies } from '../functions/errors.ts';
import { queues as queueLimits, retryTimings, timeouts, visibilityPerTimeout } from '../functions/limits.ts';
import { type AlarmTopic, ArchiverAlarm, EventAlarm } from './alarm.ts';
import type { ArchiverFunction } from './archiver-function.ts';
import type { Functions } from './functions.ts';
import type { ArchiverMetrics, SplitBy } from './metrics.ts';
import type { Queues } from './queues.ts';
import type { WebhookApi } from './webhook-api.ts';

export interface AlarmsProps {
  /** Begins the alarms' names. */
  prefix: string;
  topic: AlarmTopic;
  metrics: ArchiverMetrics;
  queues: Queues;
  functions: Functions;
  webhookApi: WebhookApi;
  /** Encrypts documents and API key. */
  dataKey: IKey;
}

interface Condition {
  metric: IMetric;
  /** In alarm from this value on; with `below`, under it. */
  threshold: number;
  below?: boolean;
  /** How many of the latest periods must be beyond the threshold. @default 1 of 1 */
  datapoints?: { toAlarm: number; outOf: number };
  /** What it means that nothing was counted. @default false: all is well */
  silenceIsBad?: boolean;
  /** See `ArchiverAlarmProps`. @default false */
  notifiesOk?: boolean;
  impact: string;
  /** Heading of the article. @default the alarm's id */
  article?: string;
}

/** What becomes of what a function was working on. */
const afterCrash = {
  webhook: 'Telnyx sends the event again.',
  discover: `its messages come back after ${minutesHidden(timeouts.discoverMs)} minutes.`,
  archive: `its documents come back after ${minutesHidden(timeouts.archiveMs)} minutes.`,
} as const;

/** Codes of policy `wait` that no passing trouble explains: a person is called at once. */
const needPersonAtOnce = {
  ApiKeyUnusable: {
    codes: ['ApiKeyRejected', 'ApiKeyForbidden', 'ApiKeyUnavailable'],
    impact: 'Telnyx does not accept the API key: nothing is archived until a valid key is stored.',
  },
  BucketUnusable: {
    codes: ['BucketMisconfigured', 'EncryptionKeyUnavailable'],
    impact: 'The bucket or its key refuses the archiver: nothing is archived until that is fixed.',
  },
  DownloadHostRefused: {
    codes: ['LinkNotAllowed'],
    impact: 'Telnyx sends download links to a host that this stage does not allow; they are not followed.',
  },
} as const satisfies Record<string, { codes: readonly ErrorCode[]; impact: string }>;

const sumMs = 5 * 60_000;

/**
 * An alarm on messages that wait holds for longer than the longest wait and a receive take, 40 minutes in all: so it
 * calls once per cause, and goes back only when nothing waits any more.
 */
const whileWaiting = {
  toAlarm: 1,
  outOf: 1 + Math.ceil((retryTimings.longestWaitMs + timeouts.discoverMs) / sumMs),
};

/**
 * SQS publishes the metrics of a queue that was inactive up to 15 minutes late (Amazon SQS developer guide, "Available
 * CloudWatch metrics"). Minutes in which growth is still noticed.
 */
const whileQueueMetricsAreLate = { toAlarm: 1, outOf: 20 };

/** Two days before SQS deletes a message without a word: time to see to it that a backlog is sent again. */
const tooOldMs = queueLimits.retentionMs - 2 * 24 * 60 * 60_000;

/** An hour: while a backlog drains, the age of its oldest message goes up and down. */
const whileBacklogDrains = { toAlarm: 1, outOf: 12 };

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
    for (const name of ['webhook', 'discover', 'archive'] as const) this.lambda(name);
    this.keyDeletion();
  }

  /**
   * The functions count the letters that they send: each rings, whatever rests in the queue. Letters that no function
   * sent (SQS's own redrive after crashes, the scheduler's) show only in the queue's depth. It cannot be told from
   * there who sent a letter, so those of the functions ring a second time, later: better twice than never.
   */
  private deadLetters(): void {
    const { metrics, queues } = this.props;
    const lanes = {
      documents:
        'A live document was given up and is not archived; Telnyx may delete it 30 minutes after its upload.',
      backfill: 'A document of a backfill was given up and is not archived.',
      discovery: 'A look-up at Telnyx was given up: documents of an order or a sweep may not be found.',
      spans: 'A time span of a backfill was given up: its documents are not found.',
    };
    for (const [lane, impact] of Object.entries(lanes) as [keyof typeof lanes, string][]) {
      this.add(`${capitalized(lane)}DeadLetters`, {
        metric: metrics.counted('DeadLetters', {
          dimensionsMap: { Lane: lane },
          period: Duration.minutes(1),
        }),
        threshold: 1,
        impact,
      });
      this.add(`DeadLetterGrowth${capitalized(lane)}`, {
        metric: growthOf(queues[lane].deadLetters),
        threshold: 1,
        datapoints: whileQueueMetricsAreLate,
        impact: `There are more dead letters of the lane ${lane}, perhaps of a function that crashed, and without a reason.`,
        article: 'DeadLetterGrowth',
      });
    }
  }

  /**
   * Messages that nobody has received yet. One that fails is not among them, as SQS leaves out of this metric what was
   * received three times or more (Amazon SQS developer guide, "Available CloudWatch metrics"): it becomes a dead letter
   * in time. In the live lanes a backlog rings far earlier, as `DocumentsOverdue` or `SweepMissing`.
   */
  private backlogs(): void {
    const { queues } = this.props;
    const lanes = { backfill: 'documents', spans: 'time spans' } as const;
    for (const [lane, what] of Object.entries(lanes) as [keyof typeof lanes, string][]) {
      this.add(`${capitalized(lane)}TooOld`, {
        metric: queues[lane].queue.metricApproximateAgeOfOldestMessage({ statistic: Stats.MAXIMUM }),
        threshold: tooOldMs / 1_000,
        datapoints: whileBacklogDrains,
        impact: `A backfill's ${what} have waited for 8 of the 10 days after which SQS deletes them without a dead letter.`,
      });
    }
  }

  private documents(): void {
    const { metrics } = this.props;
    this.add('DocumentsOverdue', {
      // Held for a second period: a sweep that is late, or its metric, must not end the alarm and make it ring again.
      metric: metrics.counted('DocumentsOverdue'),
      threshold: 1,
      datapoints: { toAlarm: 1, outOf: 2 },
      impact: 'Documents are not archived 10 minutes after their upload; Telnyx may delete them after 30.',
    });
    this.add('ChecksumMismatches', {
      metric: metrics.countedByCode('ReceivesFailed', 'ChecksumMismatch'),
      threshold: 1,
      impact: 'Bytes arrived that are not the ones Telnyx states. None were kept as a document.',
    });
  }

  /** The codes of policy `wait`: nothing is lost yet, and a person must know before Telnyx deletes what waits. */
  private waiting(): void {
    const { metrics } = this.props;
    const waitsFor = (metric: SplitBy<'Code'>, codes: readonly ErrorCode[]) => ({
      metric: filledSum(codes.map((code) => metrics.countedByCode(metric, code))),
      threshold: 1,
      datapoints: whileWaiting,
      notifiesOk: true,
    });
    for (const [id, { codes, impact }] of Object.entries(needPersonAtOnce)) {
      this.add(id, { ...waitsFor('ReceivesFailed', codes), impact });
    }
    const atOnce: readonly ErrorCode[] = Object.values(needPersonAtOnce).flatMap(({ codes }) => codes);
    for (const code of errorCodes.filter((one) => retryPolicies[one] === 'wait' && !atOnce.includes(one))) {
      this.add(`Waiting${code}`, {
        ...waitsFor('MessagesWaiting', [code]),
        impact: `Messages have failed with ${code} for 10 minutes or more, and wait; live documents may come too late.`,
        article: 'Waiting',
      });
    }
  }

  private webhook(): void {
    this.add('WebhookServerErrors', {
      metric: this.props.webhookApi.api.metricServerError({ period: Duration.minutes(1) }),
      threshold: 1,
      impact:
        'Telnyx could not deliver an event and will try again; should that fail, a sweep finds its documents.',
    });
    this.add('WebhooksRefused', {
      metric: this.props.metrics.counted('WebhooksRefused', { period: Duration.minutes(15) }),
      threshold: 3,
      impact:
        "Requests without a valid signature: a wrong public key or clock refuses Telnyx's events, or it is not Telnyx.",
    });
  }

  private discovery(): void {
    this.add('SweepMissing', {
      metric: filledSum([this.props.metrics.counted('SweepsCompleted')]),
      threshold: 1,
      below: true,
      datapoints: { toAlarm: 2, outOf: 3 },
      silenceIsBad: true,
      notifiesOk: true,
      impact:
        'No sweep was completed for ten minutes: documents that no event names are not found within their 30 minutes.',
    });
  }

  private lambda(name: 'webhook' | 'discover' | 'archive'): void {
    const { function: lambda }: ArchiverFunction = this.props.functions[name];
    const title = capitalized(name);
    this.add(`${title}Errors`, {
      metric: lambda.metricErrors(),
      threshold: 1,
      impact: `The ${name} function crashed or ran out of time; ${afterCrash[name]}`,
    });
    this.add(`${title}Throttles`, {
      metric: lambda.metricThrottles(),
      threshold: 1,
      impact: `Lambda holds back the ${name} function: the account's or the function's concurrency is used up.`,
    });
    this.add(`${title}Slow`, {
      metric: lambda.metricDuration({ statistic: Stats.percentile(99) }),
      threshold: 0.8 * timeouts[`${name}Ms`],
      impact: `The ${name} function takes more than 80 % of its time limit; beyond it work is done twice.`,
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
      impact: `Lambda took the ${name} function's messages for an endless loop and dropped some to the dead letters.`,
    });
  }

  /** EventBridge sees this only where a trail of CloudTrail records management events; the runbook says how to check. */
  private keyDeletion(): void {
    const { topic, dataKey } = this.props;
    new EventAlarm(this, 'KeyDeletion', {
      topic,
      description:
        'Someone schedules the deletion of the key that all archived documents need, or disables it',
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
        'Without its key no archived document can be read again. Cancel the deletion unless it is meant.',
      runbook: '#keydeletion',
    });
  }

  private add(id: string, condition: Condition): void {
    const { metric, threshold, below, datapoints, silenceIsBad, notifiesOk, impact, article } = condition;
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
      treatMissingData: silenceIsBad ? TreatMissingData.BREACHING : TreatMissingData.NOT_BREACHING,
      impact,
      runbook: `#${(article ?? id).toLowerCase()}`,
    });
    this.alarms.push(alarm);
  }
}

/**
 * Sums whose periods without data count as 0. Without this the alarm would look for missing periods in the past, over
 * a range that AWS does not state, and adding to a metric without data would give none. The period must be longer than
 * the metrics' delay (CloudWatch user guide, "Using metric math", on FILL).
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
 * By how many messages a queue has grown from one minute to the next. Those in flight count, too, or a person who looks
 * at a message would make the queue shrink and grow again; they are reported only while there are any. An inactive
 * queue reports no depth, which counts as 0: so its first letter is growth, and so are letters that rest where SQS
 * has published nothing for a while.
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

/** How long SQS hides a message that nobody has put back, in minutes. */
function minutesHidden(consumerTimeoutMs: number): number {
  return (visibilityPerTimeout * consumerTimeoutMs) / 60_000;
}

function capitalized(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}
