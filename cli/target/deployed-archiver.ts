/** An archiver deployed to an AWS account, found by its stage name. */
import { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import { CloudWatchClient, DescribeAlarmsCommand, GetMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import { GetQueueUrlCommand, QueueDoesNotExist } from '@aws-sdk/client-sqs';
import { createCatalogueBucket } from '../../functions/bucket/catalogue.ts';
import { createS3Client } from '../../functions/bucket/s3-client.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { type MetricName, metricNamespacePrefix } from '../../functions/metrics.ts';
import { type LaneName, laneNames } from '../../functions/queue/lanes.ts';
import { createSqsClient } from '../../functions/queue/sqs-client.ts';
import type { Time } from '../../functions/time.ts';
import { lazy } from '../lazy.ts';
import { deployedStacks } from './deployed-stacks.ts';
import type { Alarm, ByLane, LaneQueues, Metrics, Operator, Target } from './target.ts';
import { telnyxFromEnvironment } from './telnyx.ts';

/** Default `name` in `infra/stage.ts`. */
export const defaultStageName = 'telnyx-archiver';

export interface DeployedArchiverOptions {
  stageName: string;
  environment: NodeJS.ProcessEnv;
  time: Time;
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

/** Uses the credentials and the region of the AWS CLI. */
export function deployedArchiver({ stageName, environment, time }: DeployedArchiverOptions): Target {
  const cloudFormation = new CloudFormationClient();
  const cloudWatch = new CloudWatchClient();
  const sqs = createSqsClient();
  const s3 = createS3Client();

  const stacks = deployedStacks(cloudFormation, stageName);
  const lane = async (name: LaneName): Promise<LaneQueues> => {
    const urlOf = async (queueName: string) => {
      const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: queueName }));
      if (QueueUrl) return QueueUrl;
      throw new Error(`SQS returned no URL for the queue ${queueName}.`);
    };
    const [queueUrl, deadLetterQueueUrl] = await Promise.all([
      urlOf(`${stageName}-${name}`),
      urlOf(`${stageName}-${name}-dead-letters`),
    ]);
    return { name, queueUrl, deadLetterQueueUrl };
  };
  /** Undefined for an archiver that an older version deployed. */
  const auditLane = () =>
    lane('audit').catch((error: unknown) => {
      if (error instanceof QueueDoesNotExist) return undefined;
      throw error;
    });
  const queues = lazy(async () => {
    const lanes = await Promise.all(
      laneNames.map(async (name) => [name, await (name === 'audit' ? auditLane() : lane(name))] as const),
    );
    return { sqs, lanes: Object.fromEntries(lanes) as ByLane<LaneQueues> };
  });
  const telnyx = lazy(async () => telnyxFromEnvironment(environment, time));
  const metrics = cloudWatchMetrics(cloudWatch, metricNamespacePrefix + stageName, time);

  const bucket = async () => {
    const name = await stacks.requireOutput('ArchiveBucketName');
    return { s3, name, bucket: createBucket({ s3, name, time }) };
  };
  /** Undefined for an archiver that an older version deployed. */
  const catalogue = lazy(async () => {
    const name = await stacks.output('CatalogueBucketName');
    return name === undefined ? undefined : createCatalogueBucket({ s3, name, time });
  });
  const closers = [cloudFormation, cloudWatch, sqs, s3].map((client) => () => client.destroy());

  return {
    name: `${stageName} in ${environment.AWS_REGION ?? 'the default region'}`,
    options: stageName === defaultStageName ? [] : ['--stack', stageName],
    bucket,
    catalogue,
    queues,
    telnyx,
    metrics: async () => metrics,
    oldestAge: (name) => oldestAge(cloudWatch, `${stageName}-${name}`, time),
    alarms: () => alarmsOf(cloudWatch, stageName),
    operator: async () => {
      const { GetCallerIdentityCommand, STSClient } = await import('@aws-sdk/client-sts');
      const sts = new STSClient();
      closers.push(() => sts.destroy());
      return operatorOf((await sts.send(new GetCallerIdentityCommand())).Arn ?? '');
    },
    checks: async (options) => {
      // Loaded only when needed: it includes the clients of five more services.
      const { deployedChecks } = await import('./deployed-checks.ts');
      return deployedChecks(
        {
          ...options,
          stageName,
          environment,
          time,
          cloudFormation,
          cloudWatch,
          sqs,
          auditLane,
          stacks,
          bucket,
          metrics,
        },
        (close) => closers.push(close),
      );
    },
    // SQS's counts are accurate one minute after the last change (Amazon SQS API reference, GetQueueAttributes).
    polling: { intervalMs: 5_000, countsLagMs: minuteMs },
    runbookUrl: () => stacks.output('RunbookUrl'),
    close: async () => {
      for (const close of closers) close();
    },
  };
}

/**
 * The role and the session in the ARN of a caller: `arn:aws:sts::<account>:assumed-role/<role>/<session>`, or an ARN of
 * IAM (AWS STS API reference, GetCallerIdentity).
 */
export function operatorOf(arn: string): Operator {
  const [, role, session] = /^(arn:[^:]+:sts::\d+:assumed-role\/[^/]+)\/(.+)$/.exec(arn) ?? [];
  return role === undefined ? { role: arn } : { role, session };
}

interface SeriesOptions {
  /** Milliseconds. @default one minute */
  period?: number;
  /** @default Sum */
  statistic?: 'Sum' | 'Maximum';
  /** Milliseconds since the Unix epoch, exclusive. @default now, with the current minute */
  until?: number;
}

function cloudWatchMetrics(cloudWatch: CloudWatchClient, namespace: string, time: Time): Metrics {
  const series = async (
    names: readonly MetricName[],
    since: number,
    { period = minuteMs, statistic = 'Sum', until = time.now() + minuteMs }: SeriesOptions = {},
  ) => {
    const values = new Map<string, { at: number; value: number }[]>();
    let next: string | undefined;
    do {
      const response = await cloudWatch.send(
        new GetMetricDataCommand({
          StartTime: new Date(Math.floor(since / period) * period),
          EndTime: new Date(until),
          ScanBy: 'TimestampAscending',
          MetricDataQueries: names.map((name, position) => ({
            Id: `m${position}`,
            MetricStat: {
              Metric: { Namespace: namespace, MetricName: name },
              Period: period / 1_000,
              Stat: statistic,
            },
          })),
          NextToken: next,
        }),
      );
      for (const { Id, Timestamps = [], Values = [] } of response.MetricDataResults ?? []) {
        const name = names[Number(Id?.slice(1))];
        if (name === undefined) continue;
        const points = Timestamps.map((timestamp, position) => ({
          at: timestamp.getTime(),
          value: Values[position] ?? 0,
        }));
        values.set(name, [...(values.get(name) ?? []), ...points]);
      }
      next = response.NextToken;
    } while (next !== undefined);
    return values;
  };
  return {
    sums: async (names, since) => {
      // Whole hours, if there are many: fewer points, and CloudWatch keeps minutes for only 15 days, hours for 15 months.
      const hour = Math.ceil(since / hourMs) * hourMs;
      const parts =
        time.now() - since > 3 * hourMs
          ? [
              ...(hour > since ? [await series(names, since, { until: hour })] : []),
              await series(names, hour, { period: hourMs }),
            ]
          : [await series(names, since)];
      const sum = (name: MetricName) =>
        parts.flatMap((values) => values.get(name) ?? []).reduce((total, { value }) => total + value, 0);
      return Object.fromEntries(names.map((name) => [name, sum(name)])) as Record<
        (typeof names)[number],
        number
      >;
    },
    latest: async (name, since) => {
      const points = (await series([name], since)).get(name) ?? [];
      return points.filter(({ value }) => value > 0).at(-1)?.at;
    },
    maximum: async (name, since) => {
      const points = (await series([name], since, { statistic: 'Maximum' })).get(name) ?? [];
      return points.length === 0 ? undefined : Math.max(...points.map(({ value }) => value));
    },
  };
}

/** SQS reports the age once a minute (Amazon SQS, "Available CloudWatch metrics"). An idle queue has no data points. */
async function oldestAge(
  cloudWatch: CloudWatchClient,
  queueName: string,
  time: Time,
): Promise<number | undefined> {
  const response = await cloudWatch.send(
    new GetMetricDataCommand({
      StartTime: new Date(time.now() - 10 * minuteMs),
      EndTime: new Date(time.now()),
      ScanBy: 'TimestampDescending',
      MetricDataQueries: [
        {
          Id: 'age',
          MetricStat: {
            Metric: {
              Namespace: 'AWS/SQS',
              MetricName: 'ApproximateAgeOfOldestMessage',
              Dimensions: [{ Name: 'QueueName', Value: queueName }],
            },
            Period: 60,
            Stat: 'Maximum',
          },
        },
      ],
    }),
  );
  const seconds = response.MetricDataResults?.[0]?.Values?.[0];
  return seconds === undefined ? undefined : seconds * 1_000;
}

async function alarmsOf(cloudWatch: CloudWatchClient, stageName: string): Promise<Alarm[]> {
  const alarms: Alarm[] = [];
  let next: string | undefined;
  do {
    const response = await cloudWatch.send(
      new DescribeAlarmsCommand({ AlarmNamePrefix: `${stageName}-`, NextToken: next }),
    );
    for (const {
      AlarmName = '',
      StateValue = 'INSUFFICIENT_DATA',
      AlarmDescription = '',
    } of response.MetricAlarms ?? []) {
      alarms.push({
        name: AlarmName.slice(stageName.length + 1),
        state: StateValue,
        description: AlarmDescription,
      });
    }
    next = response.NextToken;
  } while (next !== undefined);
  return alarms;
}
