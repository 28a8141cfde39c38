import { Duration } from 'aws-cdk-lib';
import {
  AlarmStatusWidget,
  Dashboard,
  GraphWidget,
  type IAlarm,
  MathExpression,
  PeriodOverride,
  SingleValueWidget,
  Stats,
  TextWidget,
} from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import { type MetricName, metricNamespace, metrics } from '../functions/metrics.ts';
import type { Functions } from './functions.ts';
import { counted } from './metrics.ts';
import type { Queues } from './queues.ts';

export interface ArchiverDashboardProps {
  name: string;
  alarms: readonly IAlarm[];
  queues: Queues;
  functions: Functions;
}

const width = 24;

/** Three questions at a look: is everything archived, how fast, and what failed and why. */
export class ArchiverDashboard extends Construct {
  readonly dashboard: Dashboard;

  constructor(scope: Construct, id: string, { name, alarms, queues, functions }: ArchiverDashboardProps) {
    super(scope, id);
    const lanes = Object.entries({
      documents: queues.documents,
      backfill: queues.backfill,
      discovery: queues.discovery,
    });
    const lambdas = [functions.webhook, functions.discover, functions.archive].map((built) => built.function);
    this.dashboard = new Dashboard(this, 'Dashboard', {
      dashboardName: name,
      defaultInterval: Duration.days(1),
      periodOverride: PeriodOverride.AUTO,
      widgets: [
        [new AlarmStatusWidget({ title: 'Alarms', alarms: [...alarms], width, height: 4 })],

        [new TextWidget({ markdown: '## Is everything archived?', width, height: 1 })],
        [
          new SingleValueWidget({
            title: 'In the time shown',
            metrics: [
              counted('DocumentsFound', { label: 'seen at Telnyx' }),
              counted('DocumentsArchived', { label: 'archived' }),
              counted('DocumentsAlreadyArchived', { label: 'archived already' }),
              counted('DocumentsMissed', { label: 'missed' }),
              counted('SweepsCompleted', { label: 'sweeps' }),
            ],
            setPeriodToTimeRange: true,
            width: 12,
            height: 4,
          }),
          new SingleValueWidget({
            title: 'Now',
            metrics: lanes.flatMap(([lane, { queue, deadLetters }]) => [
              queue.metricApproximateNumberOfMessagesVisible({ label: `${lane}: waiting` }),
              deadLetters.metricApproximateNumberOfMessagesVisible({ label: `${lane}: dead letters` }),
            ]),
            width: 12,
            height: 4,
          }),
        ],

        [new TextWidget({ markdown: '## How fast?', width, height: 1 })],
        [
          new GraphWidget({
            title: 'From upload at Telnyx to receipt',
            left: ['p50', 'p99', Stats.MAXIMUM].map((statistic) =>
              counted('ArchiveLatency', { statistic, label: statistic }),
            ),
            leftAnnotations: [{ value: 30 * 60_000, label: 'Telnyx deletes an unlinked document' }],
            width: 8,
          }),
          new GraphWidget({
            title: 'Age of the oldest message, in seconds',
            left: lanes.map(([label, { queue }]) => queue.metricApproximateAgeOfOldestMessage({ label })),
            leftAnnotations: [{ value: 300, label: 'alarm for documents' }],
            width: 8,
          }),
          new GraphWidget({
            title: 'Documents and bytes archived',
            left: [counted('DocumentsArchived')],
            right: [counted('BytesArchived')],
            width: 8,
          }),
        ],

        [new TextWidget({ markdown: '## What failed, and why?', width, height: 1 })],
        [
          failures('Receives that failed, by code', 'ReceivesFailed'),
          failures('Documents given up, by code', 'DocumentsDeadLettered'),
          failures('Webhooks refused, by reason', 'WebhooksRefused'),
        ],
        [
          new GraphWidget({
            title: 'Webhooks',
            left: [
              counted('WebhooksAccepted'),
              counted('WebhooksRefused'),
              counted('WebhooksIgnored'),
              counted('WebhooksDeferred'),
            ],
            width: 8,
          }),
          new GraphWidget({
            title: 'Function errors and throttles',
            left: lambdas.flatMap((lambda) => [lambda.metricErrors(), lambda.metricThrottles()]),
            width: 8,
          }),
          new GraphWidget({
            title: 'Function duration, p99',
            left: lambdas.map((lambda) => lambda.metricDuration({ statistic: 'p99' })),
            width: 8,
          }),
        ],
      ],
    });
  }
}

/** One line for each value that the metric's dimension has taken. */
function failures(
  title: string,
  metric: Extract<MetricName, 'ReceivesFailed' | 'DocumentsDeadLettered' | 'WebhooksRefused'>,
): GraphWidget {
  const schema = `${metricNamespace},${metrics[metric].dimension}`;
  return new GraphWidget({
    title,
    left: [
      new MathExpression({
        expression: `SEARCH('{${schema}} MetricName="${metric}"', 'Sum', 300)`,
        usingMetrics: {},
        label: '',
        period: Duration.minutes(5),
      }),
    ],
    stacked: true,
    width: 8,
  });
}
