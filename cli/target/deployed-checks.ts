/** What `archiver doctor` checks of a deployed archiver, with the clients of the services that only it asks. */
import { type CloudFormationClient, GetTemplateCommand, type Stack } from '@aws-sdk/client-cloudformation';
import {
  type CloudWatchClient,
  DescribeAlarmHistoryCommand,
  DescribeAlarmsCommand,
  SetAlarmStateCommand,
} from '@aws-sdk/client-cloudwatch';
import { GetAccountSettingsCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { GetObjectLockConfigurationCommand } from '@aws-sdk/client-s3';
import { ListSchedulesCommand, SchedulerClient } from '@aws-sdk/client-scheduler';
import { paginateListSubscriptionsByTopic, SNSClient } from '@aws-sdk/client-sns';
import { GetQueueAttributesCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { ArchiverError } from '../../functions/errors.ts';
import { concurrency } from '../../functions/limits.ts';
import { createSecretsClient, readSecretOf } from '../../functions/telnyx/secret.ts';
import { sleep, type Time } from '../../functions/time.ts';
import { formatCount } from '../../terminal/counts.ts';
import { formatDuration } from '../../terminal/durations.ts';
import { checkClock, checkSweep, checkWebhook, notChecked, ok, problem, requestList } from './checks.ts';
import { type DeployedStacks, findStack, secretIdIn } from './deployed-stacks.ts';
import type { BucketAccess, Check, CheckOptions, CheckResult, LaneQueues, Metrics } from './target.ts';
import { telnyxAt, telnyxUrl } from './telnyx.ts';

export interface DeployedChecksOptions extends CheckOptions {
  stageName: string;
  environment: NodeJS.ProcessEnv;
  time: Time;
  cloudFormation: CloudFormationClient;
  cloudWatch: CloudWatchClient;
  sqs: SQSClient;
  /** Undefined for an archiver that an older version deployed. */
  auditLane: () => Promise<LaneQueues | undefined>;
  stacks: DeployedStacks;
  bucket: () => Promise<BucketAccess>;
  metrics: Metrics;
}

/** @param defer is called with what closes the clients */
export function deployedChecks(options: DeployedChecksOptions, defer: (close: () => void) => void): Check[] {
  const { stageName, environment, time, cloudFormation, cloudWatch, sqs, stacks, bucket, metrics, ring } =
    options;
  const [sts, lambda, secrets, scheduler, sns] = [
    new STSClient(),
    new LambdaClient(),
    createSecretsClient(),
    new SchedulerClient(),
    new SNSClient(),
  ] as const;
  defer(() => {
    for (const client of [sts, lambda, secrets, scheduler, sns]) client.destroy();
  });
  const names = { storage: `${stageName}-storage`, pipeline: `${stageName}-pipeline` };

  const account = async (): Promise<CheckResult> => {
    const { Account, Arn } = await sts.send(new GetCallerIdentityCommand());
    return ok(`${Account} in ${await cloudFormation.config.region()}, as ${Arn}`);
  };

  const deployed = async (): Promise<CheckResult> => {
    const found = [await stacks.find('storage'), await stacks.find('pipeline')] as const;
    if (found.every((stack) => stack === undefined)) {
      const isBootstrapped = (await findStack(cloudFormation, 'CDKToolkit')) !== undefined;
      return problem(
        `${names.storage} and ${names.pipeline} do not exist, and no other stack exports ${stageName}:ArchiveBucketName`,
        isBootstrapped
          ? 'Run npm run deploy (with the construct: deploy your app), or pass --stack and set AWS_REGION as deployed.'
          : 'Run npx cdk bootstrap, then npm run deploy (with the construct: deploy your app); or pass --stack and set AWS_REGION as deployed.',
      );
    }
    // One stack of another app may have both parts.
    const states = new Map(
      [names.storage, names.pipeline].map((name, position) => [
        found[position]?.StackName ?? name,
        found[position]?.StackStatus ?? 'missing',
      ]),
    );
    const bad = [...states].filter(([, status]) => !/^(CREATE|UPDATE|IMPORT)_COMPLETE$/.test(status));
    if (bad.length === 0)
      return ok(`${[...states.keys()].join(' and ')} ${states.size === 1 ? 'is' : 'are'} deployed`);
    return problem(
      bad.map(([name, status]) => `${name} is ${status}`).join(', '),
      bad.every(([, status]) => status.endsWith('_IN_PROGRESS'))
        ? 'Wait until the deployment has ended.'
        : 'Read the events of the stack in the CloudFormation console, resolve the cause, then deploy again.',
    );
  };

  const quota = async (signal: AbortSignal): Promise<CheckResult> => {
    const stack = await stacks.find('pipeline');
    const needed = stack ? neededConcurrency(await templateOf(cloudFormation, stack)) : neededByDefault;
    // The template of another app also has what its own functions need.
    const user = stack && stack.StackName !== names.pipeline ? `stack ${stack.StackName}` : 'archiver';
    const { AccountLimit } = await lambda.send(new GetAccountSettingsCommand(), { abortSignal: signal });
    const { ConcurrentExecutions: limit, UnreservedConcurrentExecutions: free = 0 } = AccountLimit ?? {};
    const detail = `Lambda runs ${limit} at once, ${free} of them unreserved; the ${user} uses up to ${needed}`;
    if (free >= needed) return ok(detail);
    return problem(
      detail,
      'Request more "Concurrent executions" of Lambda in Service Quotas, or lower documentsConcurrency and backfillConcurrency in stage.json.',
    );
  };

  const apiKey = async (signal: AbortSignal): Promise<CheckResult> => {
    const storeApiKey = await stacks.requireOutput('StoreApiKey');
    const telnyx = telnyxAt(telnyxUrl(environment), readSecretOf(secrets, secretIdIn(storeApiKey)), time);
    try {
      await requestList(telnyx, signal);
    } catch (error) {
      const isAboutKey = error instanceof ArchiverError && error.code.startsWith('ApiKey');
      if (!isAboutKey) throw error;
      const { cause } = error;
      // No permission to read the secret says nothing about the key.
      if (cause instanceof Error && cause.name !== 'ResourceNotFoundException') throw cause;
      return problem(cause ? 'no API key is stored' : error.message, `Store a valid key: ${storeApiKey}`);
    }
    return ok('stored, and accepted by Telnyx');
  };

  const schedule = async (signal: AbortSignal): Promise<CheckResult> => {
    const scheduled = (await options.auditLane()) ? ['sweep', 'audit'] : ['sweep'];
    for (const name of scheduled) {
      const { Schedules = [] } = await scheduler.send(
        new ListSchedulesCommand({ GroupName: `${names.pipeline}-${name}` }),
        { abortSignal: signal },
      );
      if (Schedules.length > 0 && Schedules.every(({ State }) => State === 'ENABLED')) continue;
      return problem(
        `the schedule of the ${name}s is ${Schedules.length === 0 ? 'missing' : 'disabled'}`,
        'Put back what the template says: npm run deploy -- --revert-drift',
      );
    }
    return ok(
      `requests a sweep every minute${scheduled.includes('audit') ? ', and an audit every night' : ''}`,
    );
  };

  const audit = async (signal: AbortSignal): Promise<CheckResult> => {
    const lane = await options.auditLane();
    if (lane === undefined)
      return problem('an older version, without an audit, is deployed', 'Deploy again.');
    const now = time.now();
    const latest = await metrics.latest('AuditCompleted', now - auditSearchMs);
    if (latest !== undefined && now - latest <= auditOverdueMs) {
      return ok(`the last complete run ended ${formatDuration(Math.max(0, now - latest) / 1_000)} ago`);
    }
    const { Attributes } = await sqs.send(
      new GetQueueAttributesCommand({ QueueUrl: lane.queueUrl, AttributeNames: ['CreatedTimestamp'] }),
      { abortSignal: signal },
    );
    if (now - 1_000 * Number(Attributes?.CreatedTimestamp) <= auditOverdueMs) {
      return ok('runs every night; no run is complete yet');
    }
    return problem(
      latest === undefined
        ? 'no run was complete within the last 3 days'
        : `the last complete run ended ${formatDuration((now - latest) / 1_000)} ago`,
      'Run `archiver audit --latest`, and see docs/runbook.md#auditmissing.',
    );
  };

  const subscription = async (signal: AbortSignal): Promise<CheckResult> => {
    const topic = await stacks.requireOutput('AlarmTopicArn');
    const counts = { confirmed: 0, pending: 0 };
    for await (const { Subscriptions = [] } of paginateListSubscriptionsByTopic(
      { client: sns },
      { TopicArn: topic },
      { abortSignal: signal },
    )) {
      for (const { SubscriptionArn } of Subscriptions) {
        counts[SubscriptionArn?.startsWith('arn:') ? 'confirmed' : 'pending'] += 1;
      }
    }
    const pending = `${formatCount(counts.pending, 'subscription')} not confirmed`;
    if (counts.pending > 0) {
      return problem(
        counts.confirmed === 0 ? `${pending}: alarms notify no one` : pending,
        'Confirm it with the link in the email. If the email is gone, subscribe the address to the topic again in the SNS console.',
      );
    }
    if (counts.confirmed > 0) return ok(`${formatCount(counts.confirmed, 'confirmed subscription')}`);
    return problem(
      'no subscription: alarms notify no one',
      `Set alarmEmail in stage.json and deploy again, or subscribe to ${topic}.`,
    );
  };

  const retention = async (signal: AbortSignal): Promise<CheckResult> => {
    const { s3, name } = await bucket();
    const { ObjectLockConfiguration: lock } = await s3.send(
      new GetObjectLockConfigurationCommand({ Bucket: name }),
      { abortSignal: signal },
    );
    const { Mode, Days, Years } = lock?.Rule?.DefaultRetention ?? {};
    if (Mode === undefined) return ok('none: no lock keeps documents from being deleted');
    return ok(`${Mode}, ${Days === undefined ? formatCount(Years ?? 0, 'year') : formatCount(Days, 'day')}`);
  };

  const webhook = async (signal: AbortSignal) =>
    checkWebhook(await stacks.requireOutput('WebhookUrl'), time, signal);

  const afterDeployment = ['account', 'stacks'] as const;
  return [
    { name: 'account', needs: [], run: account },
    { name: 'stacks', needs: ['account'], run: deployed },
    { name: 'quota', needs: ['account'], run: quota },
    { name: 'retention', needs: afterDeployment, run: retention },
    { name: 'api-key', needs: afterDeployment, run: apiKey },
    { name: 'webhook', needs: afterDeployment, run: webhook },
    { name: 'schedule', needs: afterDeployment, run: schedule },
    { name: 'sweep', needs: afterDeployment, run: () => checkSweep(metrics, time) },
    { name: 'audit', needs: afterDeployment, run: audit },
    { name: 'alarm-subscription', needs: afterDeployment, run: subscription },
    ...(ring
      ? [
          {
            name: 'test-alarm',
            needs: afterDeployment,
            run: (signal) => ringAlarm(cloudWatch, `${stageName}-WebhookSlow`, time, signal),
          } satisfies Check,
        ]
      : []),
    { name: 'clock', needs: [], run: (signal) => checkClock(telnyxUrl(environment), time, signal) },
  ];
}

interface Template {
  Resources?: Record<
    string,
    {
      Type?: string;
      Properties?: { ScalingConfig?: { MaximumConcurrency?: number }; ReservedConcurrentExecutions?: number };
    }
  >;
}

async function templateOf(cloudFormation: CloudFormationClient, { StackName }: Stack): Promise<Template> {
  const { TemplateBody } = await cloudFormation.send(new GetTemplateCommand({ StackName }));
  // JSON, as CDK deploys it.
  return JSON.parse(TemplateBody ?? '{}') as Template;
}

/** Invocations left for the webhook where none is reserved (`documentsConcurrency` in `infra/stage.ts`). */
const webhookInvocations = 2;
const neededByDefault =
  concurrency.documents +
  concurrency.backfill +
  concurrency.discovery +
  concurrency.spans +
  concurrency.audit +
  webhookInvocations;

/** Unreserved concurrent invocations of Lambda that the archiver uses at most. */
function neededConcurrency({ Resources = {} }: Template): number {
  const properties = Object.values(Resources).map(({ Properties }) => Properties);
  const isReserved = properties.some((one) => one?.ReservedConcurrentExecutions !== undefined);
  return properties.reduce(
    (sum, one) => sum + (one?.ScalingConfig?.MaximumConcurrency ?? 0),
    isReserved ? 0 : webhookInvocations,
  );
}

const dayMs = 24 * 3_600_000;
/** As the alarm `AuditMissing`: two nights. */
const auditOverdueMs = 2 * dayMs;
const auditSearchMs = 3 * dayMs;

/** CloudWatch runs the actions of an alarm within seconds. */
const ringMs = 30_000;

/**
 * Sets an alarm to ALARM and waits until CloudWatch has notified the topic. An alarm, unlike a message to the topic,
 * takes the whole way: the policies of topic and key. The next evaluation, within five minutes, sets it back to OK.
 */
async function ringAlarm(
  cloudWatch: CloudWatchClient,
  alarm: string,
  time: Time,
  signal: AbortSignal,
): Promise<CheckResult> {
  const options = { abortSignal: signal };
  const { MetricAlarms } = await cloudWatch.send(new DescribeAlarmsCommand({ AlarmNames: [alarm] }), options);
  const state = MetricAlarms?.[0]?.StateValue;
  if (state === undefined) return problem(`the alarm ${alarm} does not exist`, 'Deploy again.');
  // An alarm notifies on a change of state only.
  if (state === 'ALARM') return notChecked(`${alarm} is in alarm already`, 'Run this again when it is OK.');
  const newestAction = async () => {
    const { AlarmHistoryItems } = await cloudWatch.send(
      new DescribeAlarmHistoryCommand({ AlarmName: alarm, HistoryItemType: 'Action', MaxRecords: 1 }),
      options,
    );
    return AlarmHistoryItems?.[0];
  };
  const before = (await newestAction())?.Timestamp?.getTime() ?? 0;
  await cloudWatch.send(
    new SetAlarmStateCommand({
      AlarmName: alarm,
      StateValue: 'ALARM',
      StateReason: 'Test by archiver doctor --ring. Nothing needs to be done.',
    }),
    options,
  );
  const deadline = time.monotonic() + ringMs;
  while (time.monotonic() < deadline) {
    const action = await newestAction();
    if (action?.Timestamp && action.Timestamp.getTime() > before) {
      const summary = action.HistorySummary ?? '';
      if (/^Successfully /.test(summary))
        return ok(`${alarm} notified the topic: check that its message arrives`);
      return problem(
        summary,
        'Alarms notify no one: compare the policies of the topic and its key with the template (npm run drift).',
      );
    }
    await sleep(time, 1_000, signal);
  }
  return problem(
    `CloudWatch did not notify anyone within ${ringMs / 1_000} s of ${alarm}`,
    'Check in the CloudWatch console that actions of the alarm are enabled.',
  );
}
