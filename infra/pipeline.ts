import { CfnMapping, CfnOutput, Stack } from 'aws-cdk-lib';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';
import { AlarmTopic } from './alarm.ts';
import { Alarms } from './alarms.ts';
import { ArchiverDashboard } from './dashboard.ts';
import { allowAlarms, allowLogs, EncryptionKey } from './encryption-key.ts';
import { Functions } from './functions.ts';
import { ArchiverMetrics } from './metrics.ts';
import { Queues } from './queues.ts';
import { auditSchedule, LaneSchedule, sweepSchedule } from './schedule.ts';
import type { Stage } from './stage.ts';
import type { ArchiveStorage } from './storage.ts';
import { WebhookApi } from './webhook-api.ts';

export interface ArchivePipelineProps {
  stage: Stage;
  storage: Pick<ArchiveStorage, 'archive' | 'catalogue' | 'apiKey'>;
  /** ARN of the key that encrypts documents and API key. */
  dataKeyArn: string;
}

/**
 * Everything that processes documents. Holds no document: it can be deleted and deployed again, which loses messages in
 * queues and changes the webhook's URL (docs/runbook.md, "Deploy the pipeline again").
 */
export class ArchivePipeline extends Construct {
  readonly queues: Queues;
  readonly functions: Functions;
  readonly webhookApi: WebhookApi;
  readonly alarmTopic: AlarmTopic;
  readonly alarms: Alarms;

  constructor(scope: Construct, id: string, { stage, storage, dataKeyArn }: ArchivePipelineProps) {
    super(scope, id);
    const { region } = Stack.of(this);
    const archiverName = stage.name;
    // A separate key, so that reading logs does not require access to the key of the documents.
    const operationsKey = new EncryptionKey(this, 'OperationsKey', {
      description: 'Telnyx document archiver: logs and alarms',
      breakGlassArns: stage.breakGlassArns,
      serviceStatements: [allowLogs(this), allowAlarms(this)],
    });
    const dataKey = Key.fromKeyArn(this, 'DataKey', dataKeyArn);
    this.queues = new Queues(this, 'Queues', stage.name);
    this.functions = new Functions(this, 'Functions', {
      stage,
      queues: this.queues,
      bucket: storage.archive.bucket,
      catalogue: storage.catalogue.bucket,
      dataKey,
      apiKeySecretArn: storage.apiKey.secretArn,
      logKey: operationsKey,
    });
    this.webhookApi = new WebhookApi(this, 'WebhookApi', {
      ...(stage.domain && { domain: stage.domain }),
      archiverName,
      handler: this.functions.webhook.function,
      logKey: operationsKey,
    });
    new LaneSchedule(this, 'Sweep', { ...sweepSchedule, archiverName, lane: this.queues.discovery });
    new LaneSchedule(this, 'Audit', { ...auditSchedule, archiverName, lane: this.queues.audit });
    this.alarmTopic = new AlarmTopic(this, 'AlarmTopic', {
      archiverName,
      email: stage.alarmEmail,
      key: operationsKey,
    });
    const metrics = new ArchiverMetrics(stage.name);
    this.alarms = new Alarms(this, 'Alarms', {
      prefix: stage.name,
      topic: this.alarmTopic,
      metrics,
      queues: this.queues,
      functions: this.functions,
      webhookApi: this.webhookApi,
      archive: storage.archive.bucket,
      dataKey,
      runbookUrl: stage.runbookUrl,
    });
    const { dashboard } = new ArchiverDashboard(this, 'Dashboard', {
      name: stage.name,
      alarms: this.alarms.alarms,
      metrics,
      queues: this.queues,
      functions: this.functions,
    });

    new CfnOutput(this, 'WebhookUrl', {
      description:
        'Next: set this as the webhook URL in the Telnyx portal, for every service that sends events.',
      value: this.webhookApi.url,
      exportName: `${stage.name}:WebhookUrl`,
    });
    if (this.webhookApi.domainTarget !== undefined) {
      new CfnOutput(this, 'WebhookDomainTarget', {
        description: `Next: create a CNAME record for ${stage.domain?.name} with this value.`,
        value: this.webhookApi.domainTarget,
      });
    }
    if (stage.runbookUrl !== undefined) {
      // The operator's commands link its articles.
      new CfnOutput(this, 'RunbookUrl', {
        description: 'What each alarm means',
        value: stage.runbookUrl,
        exportName: `${stage.name}:RunbookUrl`,
      });
    }
    new CfnOutput(this, 'DashboardUrl', {
      description: 'CloudWatch dashboard: is everything archived, how fast, what failed and why',
      value: `https://${region}.${consoleHost(this)}/cloudwatch/home?region=${region}#dashboards/dashboard/${dashboard.dashboardName}`,
    });
    new CfnOutput(this, 'AlarmTopicArn', {
      description:
        stage.alarmEmail === undefined
          ? 'Next: subscribe to this topic, or set alarmEmail. Until then, alarms notify no one.'
          : `Next: confirm the subscription in the email to ${stage.alarmEmail}. Until then, alarms notify no one.`,
      value: this.alarmTopic.topic.topicArn,
      exportName: `${stage.name}:AlarmTopicArn`,
    });
  }
}

/** Host of the AWS Management Console, which differs by partition. */
function consoleHost(scope: Construct): string {
  const hosts = new CfnMapping(scope, 'Console', {
    mapping: {
      aws: { host: 'console.aws.amazon.com' },
      'aws-cn': { host: 'console.amazonaws.cn' },
      'aws-us-gov': { host: 'console.amazonaws-us-gov.com' },
    },
  });
  return hosts.findInMap(Stack.of(scope).partition, 'host');
}
