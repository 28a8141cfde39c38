import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { CreateQueueCommand, QueueDoesNotExist } from '@aws-sdk/client-sqs';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { defaultStageName, deployedArchiver, operatorOf } from '../../../cli/target/deployed-archiver.ts';
import { queuesOf } from '../../../cli/target/target.ts';
import { type LaneName, laneNames } from '../../../functions/queue/lanes.ts';
import { systemTime as time } from '../../../functions/time.ts';
import { readStage } from '../../../infra/stage.ts';
import { startQueues } from '../../../local/queues.ts';

interface ReceivedRequest {
  service: string;
  body: string;
}

/** CloudFormation (AWS query protocol) and CloudWatch (AWS JSON 1.0) with the operations that the commands use. */
async function startAws(responses: {
  bucketName?: string;
  catalogueName?: string;
  runbookUrl?: string;
  metrics?: object[];
  alarms?: object[];
}) {
  const requests: ReceivedRequest[] = [];
  const metrics = [...(responses.metrics ?? [])];
  const alarms = [...(responses.alarms ?? [])];
  const server = createServer(async (request, response) => {
    const body = await text(request);
    const target = request.headers['x-amz-target'];
    requests.push({ service: String(target ?? 'CloudFormation'), body });
    if (target === undefined) {
      response.setHeader('content-type', 'text/xml');
      const { bucketName, catalogueName, runbookUrl } = responses;
      const output = Object.entries({
        ArchiveBucketName: bucketName,
        CatalogueBucketName: catalogueName,
        RunbookUrl: runbookUrl,
      })
        .filter(([, value]) => value !== undefined)
        .map(
          ([name, value]) =>
            `<member><OutputKey>${name}</OutputKey><OutputValue>${value}</OutputValue></member>`,
        )
        .join('');
      response.end(
        `<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult><Stacks><member><StackName>${new URLSearchParams(body).get('StackName')}</StackName><Outputs>${output}</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>`,
      );
      return;
    }
    response.setHeader('content-type', 'application/x-amz-json-1.0');
    response.end(
      JSON.stringify(String(target).endsWith('DescribeAlarms') ? alarms.shift() : metrics.shift()),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  vi.stubEnv('AWS_ENDPOINT_URL_CLOUDFORMATION', url);
  vi.stubEnv('AWS_ENDPOINT_URL_CLOUDWATCH', url);
  return { requests };
}

function openStack() {
  const stack = deployedArchiver({ stageName: 'stage', environment: process.env, time });
  onTestFinished(() => stack.close());
  return stack;
}

beforeEach(() => {
  vi.stubEnv('AWS_REGION', 'eu-central-1');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDEXAMPLE');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'a-secret-of-the-test');
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
});

describe('deployedArchiver', () => {
  it('uses the default name of a stage as its default', () => {
    const stage = readStage({
      telnyxPublicKeys: ['Sd6rn30xTEpMOmSkVqAZVXHDdGSHIAAzP5vlAbnlJPQ='],
      retentionDays: 'none',
    });

    expect(stage.name).toBe(defaultStageName);
  });

  it('reads the bucket name from the outputs of the storage stack with one request', async () => {
    const { requests } = await startAws({ bucketName: 'stage-archive' });
    const stack = openStack();

    const bucket = await stack.bucket();
    await stack.bucket();

    expect(bucket.name).toBe('stage-archive');
    expect(requests).toHaveLength(1);
    expect(requests[0]?.body).toContain('StackName=stage-storage');
  });

  it('finds the bucket of the catalogue, unless an older version deployed the archiver', async () => {
    await startAws({ bucketName: 'stage-archive', catalogueName: 'stage-catalogue' });
    const found = await openStack().catalogue();
    await startAws({ bucketName: 'stage-archive' });
    const none = await openStack().catalogue();

    expect(found).toBeDefined();
    expect(none).toBeUndefined();
  });

  it('reads where the runbook is from the outputs of the pipeline stack', async () => {
    const { requests } = await startAws({ runbookUrl: 'https://example.com/runbook.md' });

    expect(await openStack().runbookUrl?.()).toBe('https://example.com/runbook.md');
    expect(requests[0]?.body).toContain('StackName=stage-pipeline');
  });

  it('throws when the stack has no output ArchiveBucketName', async () => {
    await startAws({});

    await expect(openStack().bucket()).rejects.toThrow(
      'The stack stage-storage has no output ArchiveBucketName. Deploy again.',
    );
  });

  /** Queues of these lanes of the archiver `stage`. */
  async function startLanes(names: readonly LaneName[]) {
    const queues = await startQueues();
    const client = queues.createClient();
    onTestFinished(async () => {
      client.destroy();
      await queues.close();
    });
    for (const lane of names) {
      await client.send(new CreateQueueCommand({ QueueName: `stage-${lane}` }));
      await client.send(new CreateQueueCommand({ QueueName: `stage-${lane}-dead-letters` }));
    }
    vi.stubEnv('AWS_ENDPOINT_URL_SQS', queues.endpoint);
    vi.stubEnv('AWS_ACCESS_KEY_ID', queues.credentials.accessKeyId);
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', queues.credentials.secretAccessKey);
    vi.stubEnv('AWS_REGION', 'us-east-1');
  }

  it('finds the queues of all lanes by name', async () => {
    await startLanes(laneNames);

    const { lanes } = await openStack().queues();

    expect(Object.keys(lanes)).toEqual(laneNames);
    for (const name of laneNames) {
      expect(lanes[name]).toEqual({
        name,
        queueUrl: expect.stringMatching(`/stage-${name}$`),
        deadLetterQueueUrl: expect.stringMatching(`/stage-${name}-dead-letters$`),
      });
    }
  });

  it('has no lane audit if an older version is deployed, and all others', async () => {
    await startLanes(laneNames.filter((name) => name !== 'audit'));

    const queues = await openStack().queues();

    expect(queues.lanes.audit).toBeUndefined();
    expect(queues.lanes.spans.queueUrl).toMatch(/stage-spans$/);
    expect(() => queuesOf(queues, 'audit')).toThrow('an older version deployed it');
  });

  it('throws when no archiver has this name', async () => {
    await startLanes([]);

    await expect(openStack().queues()).rejects.toThrow(QueueDoesNotExist);
  });

  it('sums metrics over all pages of the response', async () => {
    const minute = 1_763_985_600;
    const { requests } = await startAws({
      metrics: [
        { MetricDataResults: [{ Id: 'm0', Timestamps: [minute], Values: [3] }], NextToken: 'more' },
        {
          MetricDataResults: [
            { Id: 'm0', Timestamps: [minute + 60], Values: [4] },
            { Id: 'm1', Timestamps: [], Values: [] },
          ],
        },
      ],
    });

    const sums = await (await openStack().metrics())?.sums(
      ['DocumentsArchived', 'DocumentsFound'],
      time.now(),
    );

    expect(sums).toEqual({ DocumentsArchived: 7, DocumentsFound: 0 });
    expect(JSON.parse(requests[0]?.body ?? '')).toMatchObject({
      MetricDataQueries: [
        {
          MetricStat: {
            Metric: { Namespace: 'TelnyxArchiver/stage', MetricName: 'DocumentsArchived' },
            Period: 60,
          },
        },
        { MetricStat: { Metric: { MetricName: 'DocumentsFound' } } },
      ],
    });
    expect(requests[1]?.body).toContain('more');
  });

  it('sums whole hours when there are many, and the minutes before the first one', async () => {
    const hour = 3_600_000;
    const nextHour = Math.ceil(Date.now() / hour) * hour - 5 * hour;
    const { requests } = await startAws({
      metrics: [
        { MetricDataResults: [{ Id: 'm0', Timestamps: [nextHour / 1_000 - 60], Values: [3] }] },
        { MetricDataResults: [{ Id: 'm0', Timestamps: [nextHour / 1_000], Values: [4] }] },
      ],
    });

    const sums = await (await openStack().metrics())?.sums(['DocumentsArchived'], nextHour - 60_000);

    expect(sums).toEqual({ DocumentsArchived: 7 });
    expect(requests.map(({ body }) => JSON.parse(body))).toMatchObject([
      {
        StartTime: (nextHour - 60_000) / 1_000,
        EndTime: nextHour / 1_000,
        MetricDataQueries: [{ MetricStat: { Period: 60 } }],
      },
      { StartTime: nextHour / 1_000, MetricDataQueries: [{ MetricStat: { Period: 3_600 } }] },
    ]);
  });

  it('returns the minute of the last value above 0, or undefined when there is none', async () => {
    const minute = 1_763_985_600;
    await startAws({
      metrics: [
        { MetricDataResults: [{ Id: 'm0', Timestamps: [minute, minute + 60], Values: [1, 0] }] },
        { MetricDataResults: [{ Id: 'm0' }] },
      ],
    });
    const metrics = await openStack().metrics();

    expect(await metrics?.latest('SweepsCompleted', 0)).toBe(1_000 * minute);
    expect(await metrics?.latest('SweepsCompleted', 0)).toBeUndefined();
  });

  it('returns the maximum of all minutes, or undefined when there is no value', async () => {
    const minute = 1_763_985_600;
    const { requests } = await startAws({
      metrics: [
        { MetricDataResults: [{ Id: 'm0', Timestamps: [minute, minute + 60], Values: [9_000, 4_000] }] },
        { MetricDataResults: [{ Id: 'm0' }] },
      ],
    });
    const metrics = await openStack().metrics();

    expect(await metrics?.maximum('OldestUnarchived', 0)).toBe(9_000);
    expect(await metrics?.maximum('OldestUnarchived', 0)).toBeUndefined();
    expect(JSON.parse(requests[0]?.body ?? '')).toMatchObject({
      MetricDataQueries: [
        {
          MetricStat: {
            Metric: { Namespace: 'TelnyxArchiver/stage', MetricName: 'OldestUnarchived' },
            Period: 60,
            Stat: 'Maximum',
          },
        },
      ],
    });
  });

  it('reads the age of the oldest message of a lane from the metrics of SQS', async () => {
    const { requests } = await startAws({
      metrics: [{ MetricDataResults: [{ Id: 'age', Values: [42, 60] }] }],
    });

    expect(await openStack().oldestAge('documents')).toBe(42_000);
    expect(requests[0]?.body).toContain('stage-documents');
  });

  it('returns the alarms with its prefix from all pages', async () => {
    await startAws({
      alarms: [
        {
          MetricAlarms: [
            { AlarmName: 'stage-SweepMissing', StateValue: 'ALARM', AlarmDescription: 'No sweep.' },
          ],
          NextToken: 'more',
        },
        { MetricAlarms: [{ AlarmName: 'stage-ArchiveErrors', StateValue: 'OK' }] },
      ],
    });

    expect(await openStack().alarms()).toEqual([
      { name: 'SweepMissing', state: 'ALARM', description: 'No sweep.' },
      { name: 'ArchiveErrors', state: 'OK', description: '' },
    ]);
  });

  it('throws when TELNYX_API_KEY is not set', async () => {
    vi.stubEnv('TELNYX_API_KEY', '');

    await expect(openStack().telnyx()).rejects.toThrow(/TELNYX_API_KEY is not set/);
  });
});

describe('operatorOf', () => {
  it.each([
    [
      'arn:aws:sts::123456789012:assumed-role/BreakGlass/jo@example.org',
      { role: 'arn:aws:sts::123456789012:assumed-role/BreakGlass', session: 'jo@example.org' },
    ],
    [
      'arn:aws-cn:sts::123456789012:assumed-role/BreakGlass/a/b',
      { role: 'arn:aws-cn:sts::123456789012:assumed-role/BreakGlass', session: 'a/b' },
    ],
    ['arn:aws:iam::123456789012:user/jo', { role: 'arn:aws:iam::123456789012:user/jo' }],
    ['arn:aws:iam::123456789012:root', { role: 'arn:aws:iam::123456789012:root' }],
  ])('tells the role of %s from its session', (arn, operator) => {
    expect(operatorOf(arn)).toEqual(operator);
  });
});
