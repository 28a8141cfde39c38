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
import { Construct } from 'constructs';
import type { ErrorCode } from '../functions/errors.ts';
import { sweep, timeouts } from '../functions/limits.ts';
import { type AlarmTopic, ArchiverAlarm, EventAlarm } from './alarm.ts';
import type { ArchiverFunction } from './archiver-function.ts';
import type { Functions } from './functions.ts';
import { counted, failedWith } from './metrics.ts';
import type { Lane, Queues } from './queues.ts';
import type { WebhookApi } from './webhook-api.ts';

export interface AlarmsProps {
  /** Begins the alarms' names. */
  prefix: string;
  topic: AlarmTopic;
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
  /** How many periods in a row. @default 1 */
  periods?: number;
  /** What it means that nothing was counted. @default false: all is well */
  silenceIsBad?: boolean;
  impact: string;
}

export class Alarms extends Construct {
  /** All metric alarms, for the dashboard. */
  readonly alarms: ArchiverAlarm[] = [];
  private readonly props: AlarmsProps;

  constructor(scope: Construct, id: string, props: AlarmsProps) {
    super(scope, id);
    this.props = props;
    this.documents();
    this.waiting();
    this.webhook();
    this.discovery();
    for (const name of ['webhook', 'discover', 'archive'] as const) this.lambda(name);
    this.keyDeletion();
  }

  private documents(): void {
    const { queues } = this.props;
    const deadLetters = (lane: Lane) =>
      lane.deadLetters.metricApproximateNumberOfMessagesVisible({
        period: Duration.minutes(1),
        statistic: Stats.MAXIMUM,
      });
    this.add('DocumentsDeadLetters', {
      metric: deadLetters(queues.documents),
      threshold: 1,
      impact:
        'A live document was given up and is not archived; Telnyx may delete it 30 minutes after its upload.',
    });
    this.add('BackfillDeadLetters', {
      metric: deadLetters(queues.backfill),
      threshold: 1,
      impact: 'A document of a backfill was given up and is not archived.',
    });
    this.add('DiscoveryDeadLetters', {
      metric: deadLetters(queues.discovery),
      threshold: 1,
      impact: 'A look-up at Telnyx was given up: the documents of an order or a time span may not be found.',
    });
    this.add('DocumentsTooOld', {
      metric: queues.documents.queue.metricApproximateAgeOfOldestMessage({
        period: Duration.minutes(1),
        statistic: Stats.MAXIMUM,
      }),
      threshold: 301,
      impact: 'Live documents wait for more than 5 of the 30 minutes after which Telnyx may delete them.',
    });
    this.add('ChecksumMismatches', {
      metric: failedWith('ChecksumMismatch'),
      threshold: 1,
      impact: 'Bytes arrived that are not the ones Telnyx states. None were kept as a document.',
    });
  }

  /** The codes of fate `wait`: nothing is lost yet, and nothing moves until a person has put it right. */
  private waiting(): void {
    const waitingFor = (...codes: ErrorCode[]) =>
      codes.length === 1 && codes[0] !== undefined
        ? failedWith(codes[0])
        : new MathExpression({
            // A code that did not occur has no data, and adding to no data gives none.
            expression: codes.map((_, position) => `FILL(m${position}, 0)`).join(' + '),
            usingMetrics: Object.fromEntries(
              codes.map((code, position) => [`m${position}`, failedWith(code)]),
            ),
            period: Duration.minutes(5),
            label: codes.join(', '),
          });
    this.add('ApiKeyUnusable', {
      metric: waitingFor('ApiKeyRejected', 'ApiKeyForbidden', 'ApiKeyUnavailable'),
      threshold: 1,
      impact: 'Telnyx does not take the API key: nothing is archived until a valid key is stored.',
    });
    this.add('BucketUnusable', {
      metric: waitingFor('BucketMisconfigured', 'EncryptionKeyUnavailable'),
      threshold: 1,
      impact: 'The bucket or its key refuses the archiver: nothing is archived until that is put right.',
    });
    this.add('DownloadHostRefused', {
      metric: waitingFor('LinkNotAllowed'),
      threshold: 1,
      impact: 'Telnyx sends download links to a host that this stage does not allow; they are not followed.',
    });
    this.add('TelnyxRateLimited', {
      metric: waitingFor('RateLimited'),
      threshold: 1,
      periods: 3,
      impact: 'Telnyx has limited the rate of requests for 15 minutes; documents are archived late.',
    });
  }

  private webhook(): void {
    this.add('WebhookServerErrors', {
      metric: this.props.webhookApi.api.metricServerError({ period: Duration.minutes(1) }),
      threshold: 1,
      impact: 'Telnyx could not deliver an event and will try again; should that fail, the sweep finds it.',
    });
    this.add('WebhooksRefused', {
      metric: counted('WebhooksRefused', { period: Duration.minutes(15) }),
      threshold: 3,
      impact:
        "Requests without a valid signature: a wrong public key or clock refuses Telnyx's events, or it is not Telnyx.",
    });
  }

  private discovery(): void {
    this.add('SweepMissing', {
      metric: counted('SweepsCompleted', { period: Duration.minutes(sweep.intervalMinutes) }),
      threshold: 1,
      below: true,
      periods: 2,
      silenceIsBad: true,
      impact: 'No sweep was completed: documents that no event names are not found within their 30 minutes.',
    });
    this.add('DocumentsMissed', {
      metric: counted('DocumentsMissed'),
      threshold: 1,
      periods: 2,
      impact: 'Documents at Telnyx have no receipt although a sweep should have had them archived.',
    });
  }

  private lambda(name: 'webhook' | 'discover' | 'archive'): void {
    const { function: lambda }: ArchiverFunction = this.props.functions[name];
    const title = `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
    this.add(`${title}Errors`, {
      metric: lambda.metricErrors(),
      threshold: 1,
      impact: `The ${name} function crashed or ran out of time; its messages come back, and may end as dead letters.`,
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

  private add(id: string, { metric, threshold, below, periods, silenceIsBad, impact }: Condition): void {
    const alarm = new ArchiverAlarm(this, id, {
      alarmName: `${this.props.prefix}-${id}`,
      topic: this.props.topic,
      metric,
      threshold,
      evaluationPeriods: periods ?? 1,
      comparisonOperator: below
        ? ComparisonOperator.LESS_THAN_THRESHOLD
        : ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: silenceIsBad ? TreatMissingData.BREACHING : TreatMissingData.NOT_BREACHING,
      impact,
      runbook: `#${id.toLowerCase()}`,
    });
    this.alarms.push(alarm);
  }
}
