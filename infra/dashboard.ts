import { Duration } from 'aws-cdk-lib';
import {
  AlarmStatusWidget,
  Dashboard,
  GraphWidget,
  type IAlarm,
  LogQueryVisualizationType,
  LogQueryWidget,
  MathExpression,
  PeriodOverride,
  SingleValueWidget,
  Stats,
  TextWidget,
} from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import type { Dimension } from '../functions/metrics.ts';
import type { Functions } from './functions.ts';
import type { ArchiverMetrics, MetricWith } from './metrics.ts';
import type { Queues } from './queues.ts';

export interface ArchiverDashboardProps {
  name: string;
  alarms: readonly IAlarm[];
  metrics: ArchiverMetrics;
  queues: Queues;
  functions: Functions;
}

const width = 24;

/** An audit runs once a night: a day shows one point. */
const auditHistory = '-P30D';

/** Answers four questions: is everything archived, how fast, is it unchanged, and what failed and why. */
export class ArchiverDashboard extends Construct {
  readonly dashboard: Dashboard;

  constructor(scope: Construct, id: string, props: ArchiverDashboardProps) {
    super(scope, id);
    const { name, alarms, metrics, queues, functions } = props;
    const lanes = Object.entries({
      documents: queues.documents,
      backfill: queues.backfill,
      discovery: queues.discovery,
      spans: queues.spans,
      audit: queues.audit,
    });
    const lambdas = [functions.webhook, functions.discover, functions.archive, functions.audit].map(
      (built) => built.function,
    );
    this.dashboard = new Dashboard(this, 'Dashboard', {
      dashboardName: name,
      defaultInterval: Duration.days(1),
      periodOverride: PeriodOverride.AUTO,
      widgets: [
        [new AlarmStatusWidget({ title: 'Alarms', alarms: [...alarms], width, height: 6 })],

        [new TextWidget({ markdown: '## Is everything archived?', width, height: 1 })],
        [
          new SingleValueWidget({
            title: 'In the selected time range',
            metrics: [
              metrics.metric('DocumentsFound', { label: 'found at Telnyx' }),
              metrics.metric('DocumentsArchived', { label: 'archived' }),
              metrics.metric('DocumentsAlreadyArchived', { label: 'already archived' }),
              metrics.metric('DocumentsErased', { label: 'erased' }),
              metrics.metric('DocumentsOverdue', { label: 'overdue' }),
              metrics.metric('SweepsCompleted', { label: 'sweeps' }),
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
            title: 'Time from upload to receipt',
            left: ['p50', 'p99', Stats.MAXIMUM].map((statistic) =>
              metrics.metric('ArchiveLatency', { statistic, label: statistic }),
            ),
            leftAnnotations: [{ value: 30 * 60_000, label: 'Telnyx deletes unlinked documents' }],
            width: 8,
          }),
          new GraphWidget({
            title: 'Age of the oldest unarchived document',
            left: [metrics.metric('OldestUnarchived', { statistic: Stats.MAXIMUM })],
            leftAnnotations: [
              { value: 10 * 60_000, label: 'overdue' },
              { value: 30 * 60_000, label: 'Telnyx deletes unlinked documents' },
            ],
            width: 8,
          }),
          new GraphWidget({
            title: 'Documents and bytes archived',
            left: [metrics.metric('DocumentsArchived')],
            right: [metrics.metric('BytesArchived')],
            width: 8,
          }),
        ],

        [new TextWidget({ markdown: '## Is the archive unchanged?', width, height: 1 })],
        [
          new GraphWidget({
            title: 'Completed audits of the last 30 days, and documents compared',
            left: [metrics.metric('AuditCompleted', { label: 'completed', period: Duration.hours(1) })],
            right: [
              metrics.metric('AuditedDocuments', { label: 'documents', period: Duration.hours(1) }),
              metrics.metric('AuditRepairs', { label: 'queued for archiving', period: Duration.hours(1) }),
              metrics.metric('CatalogueFailures', {
                label: 'failures of the catalogue',
                period: Duration.hours(1),
              }),
            ],
            start: auditHistory,
            width: 8,
          }),
          graphBy(metrics, 'Findings of the audit', 'AuditFindings', 'Code', auditHistory),
          new LogQueryWidget({
            title: 'Completed audits of the selected time range',
            logGroupNames: [functions.audit.logGroup.logGroupName],
            queryLines: [
              'fields run, found as documents, bytes as bytesReadBack, problems',
              'filter message = "Audit completed"',
              'sort run desc',
            ],
            view: LogQueryVisualizationType.TABLE,
            width: 8,
            height: 6,
          }),
        ],

        [new TextWidget({ markdown: '## What failed, and why?', width, height: 1 })],
        [
          graphBy(metrics, 'Failed receives', 'ReceivesFailed', 'Code'),
          graphBy(metrics, 'Waiting messages', 'MessagesWaiting', 'Code'),
          graphBy(metrics, 'Refused webhooks', 'WebhooksRefused', 'Reason'),
        ],
        [
          graphBy(metrics, 'Dead letters', 'DeadLetters', 'Code'),
          graphBy(metrics, 'Dead letters', 'DeadLetters', 'Lane'),
          new GraphWidget({
            title: 'Malformed Telnyx records',
            left: [metrics.metric('FieldsMalformed'), metrics.metric('RecordsCut')],
            width: 8,
          }),
        ],
        [
          new GraphWidget({
            title: 'Webhooks',
            left: [
              metrics.metric('WebhooksAccepted'),
              metrics.metric('WebhooksRefused'),
              metrics.metric('WebhooksIgnored'),
              metrics.metric('WebhooksDeferred'),
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

/** One line for each value of the dimension. @param start such as `-P30D`. @default the selected time range */
function graphBy<Name extends Dimension>(
  { namespace }: ArchiverMetrics,
  title: string,
  metric: MetricWith<Name>,
  dimension: Name,
  start?: string,
): GraphWidget {
  return new GraphWidget({
    title: `${title}, by ${dimension.toLowerCase()}`,
    left: [
      new MathExpression({
        // In quotes: the namespace can contain a hyphen (CloudWatch user guide, "Metric search expression syntax").
        expression: `SEARCH('{"${namespace}",${dimension}} MetricName="${metric}"', 'Sum', 300)`,
        usingMetrics: {},
        label: '',
        period: Duration.minutes(5),
      }),
    ],
    stacked: true,
    width: 8,
    ...(start !== undefined && { start }),
  });
}
