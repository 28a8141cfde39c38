import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { doctor } from '../../../cli/commands/doctor.ts';
import { deployedArchiver } from '../../../cli/target/deployed-archiver.ts';
import type { Check } from '../../../cli/target/target.ts';
import { systemTime, type Time } from '../../../functions/time.ts';
import {
  type AwsResponders,
  apiKey,
  exportsXml,
  healthy,
  jsonError,
  noSuchStack,
  pipeline,
  queryError,
  queryResult,
  stackXml,
  startAwsServices,
  storage,
  storeCommand,
} from '../target/aws.ts';
import { type CommandResult, newFolder, recordingTerminal, runOn, startArchive } from '../world.ts';

/** @param time whose waits are short */
async function runDoctor(options: { ring?: boolean }, time: Time): Promise<CommandResult> {
  const { terminal, result } = recordingTerminal();
  const target = deployedArchiver({ stageName: 'stage', environment: process.env, time });
  onTestFinished(() => target.close());
  const { signal } = new AbortController();
  result.exitCode = await doctor(options, { target, terminal, time, random: Math.random, signal });
  return result;
}

/** Runs the command on a deployed archiver with some other responses. */
async function examine(
  changes: (url: string) => AwsResponders = () => ({}),
  options: { ring?: boolean } = {},
  time: Time = systemTime,
) {
  const aws = await startAwsServices((url) => ({ ...healthy(url), ...changes(url) }));
  const result = await runDoctor(options, time);
  const check = (name: string) => result.records.find((record) => record.name === name);
  const unhealthy = result.records.filter(({ state }) => state !== undefined && state !== 'ok');
  return { ...aws, ...result, check, unhealthy };
}

describe('archiver doctor on a deployed archiver', () => {
  it('exits with 0 and prints one line per check when there is no problem', async () => {
    const { exitCode, unhealthy, printed, records } = await examine();

    expect(unhealthy).toEqual([]);
    expect(exitCode).toBe(0);
    expect(printed).toContain('account             123456789012 in eu-central-1, as arn:of-a-role\n');
    expect(printed).toContain('retention           GOVERNANCE, 3,650 days\n');
    expect(printed.trimEnd().split('\n').at(-1)).toBe('0 problems in 11 checks');
    expect(records.at(-1)).toEqual({ type: 'end', ok: 11, problems: 0, notChecked: 0 });
  });

  it('checks nothing else in the account when the credentials are not valid', async () => {
    const { exitCode, requests, check } = await examine(() => ({
      sts: () => queryError('InvalidClientTokenId', 'The security token included in the request is invalid.'),
    }));

    expect(exitCode).toBe(1);
    expect(check('account')).toMatchObject({
      state: 'problem',
      detail: expect.stringMatching(/InvalidClientTokenId/),
    });
    expect(check('webhook')).toMatchObject({ state: 'not-checked', detail: 'needs account' });
    expect(requests.map(({ service }) => service)).toEqual(['sts', 'telnyx']);
  });

  it.each([
    ['npx cdk bootstrap', noSuchStack],
    ['npm run deploy', stackXml('CREATE_COMPLETE')],
  ])('advises %s when neither stack exists', async (advice, toolkit) => {
    const { exitCode, check } = await examine(() => ({
      'cloudformation DescribeStacks': ({ body }) => (body.includes('CDKToolkit') ? toolkit : noSuchStack),
    }));

    expect(exitCode).toBe(1);
    expect(check('stacks')).toMatchObject({
      state: 'problem',
      detail:
        'stage-storage and stage-pipeline do not exist, and no other stack exports stage:ArchiveBucketName',
      advice: expect.stringMatching(`^Run ${advice}`),
    });
    expect(check('sweep')).toMatchObject({ state: 'not-checked', detail: 'needs stacks' });
  });

  it('checks an archiver in a stack of another CDK app, which it finds by its exports', async () => {
    const id = 'arn:aws:cloudformation:eu-central-1:123456789012:stack/Compliance/1';
    const { exitCode, unhealthy, printed, requests } = await examine((url) => {
      const outputs = {
        ArchiveBucketName: 'archive',
        StoreApiKey: storeCommand,
        WebhookUrl: `${url}/webhook`,
        AlarmTopicArn: 'arn:of-the-topic',
      };
      const names = Object.keys(outputs).map((name) => `stage:${name}`);
      return {
        'cloudformation DescribeStacks': ({ body }) =>
          new URLSearchParams(body).get('StackName') === id
            ? stackXml('UPDATE_COMPLETE', outputs, { name: 'Compliance', exportsOf: 'stage' })
            : noSuchStack,
        'cloudformation ListExports': () => exportsXml(id, names),
      };
    });

    expect(unhealthy).toEqual([]);
    expect(exitCode).toBe(0);
    expect(printed).toContain('stacks              Compliance is deployed\n');
    expect(printed).toContain('; the stack Compliance uses up to 10\n');
    expect(requests.find(({ action }) => action === 'GetTemplate')?.body).toContain('StackName=Compliance');
    expect(requests.find(({ action }) => action === 'GetSecretValue')?.body).toContain('"the-secret"');
  });

  it('shows that the stack of another CDK app is being updated', async () => {
    const { check } = await examine(() => ({
      'cloudformation DescribeStacks': ({ body }) =>
        body.includes('of-the-app')
          ? stackXml('UPDATE_IN_PROGRESS', {}, { name: 'Compliance', exportsOf: 'stage' })
          : noSuchStack,
      'cloudformation ListExports': () =>
        exportsXml('of-the-app', ['stage:ArchiveBucketName', 'stage:WebhookUrl']),
    }));

    expect(check('stacks')).toMatchObject({
      state: 'problem',
      detail: 'Compliance is UPDATE_IN_PROGRESS',
      advice: 'Wait until the deployment has ended.',
    });
  });

  it('does not take the storage stack for a missing pipeline stack, although it exports outputs', async () => {
    const { check } = await examine(() => ({
      'cloudformation DescribeStacks': ({ body }) =>
        body.includes('stage-storage') ? stackXml('CREATE_COMPLETE', {}, storage) : noSuchStack,
      'cloudformation ListExports': () => exportsXml('stage-storage', ['stage:ArchiveBucketName']),
    }));

    expect(check('stacks')).toMatchObject({ state: 'problem', detail: 'stage-pipeline is missing' });
  });

  it('compares the quota with the default settings before a deployment', async () => {
    const { check } = await examine(() => ({ 'cloudformation DescribeStacks': () => noSuchStack }));

    expect(check('quota')).toMatchObject({
      state: 'problem',
      detail: expect.stringMatching(/the archiver uses up to 50$/),
    });
  });

  it('shows the state of a stack whose deployment failed', async () => {
    const { check } = await examine(() => ({
      'cloudformation DescribeStacks': ({ body }) =>
        stackXml('ROLLBACK_COMPLETE', {}, body.includes('stage-storage') ? storage : pipeline),
    }));

    expect(check('stacks')).toMatchObject({
      state: 'problem',
      detail: 'stage-storage is ROLLBACK_COMPLETE, stage-pipeline is ROLLBACK_COMPLETE',
    });
  });

  it('finds a concurrency quota below what the deployed settings need', async () => {
    const { exitCode, check } = await examine(() => ({
      lambda: () => ({
        body: { AccountLimit: { ConcurrentExecutions: 10, UnreservedConcurrentExecutions: 9 } },
      }),
    }));

    expect(exitCode).toBe(1);
    expect(check('quota')).toMatchObject({
      state: 'problem',
      detail: 'Lambda runs 10 at once, 9 of them unreserved; the archiver uses up to 10',
    });
  });

  it('says how to store the API key when the secret is empty', async () => {
    const { check } = await examine(() => ({
      secrets_manager: () => jsonError('ResourceNotFoundException', 'Secrets Manager can’t find the value.'),
    }));

    expect(check('api-key')).toMatchObject({
      state: 'problem',
      detail: 'no API key is stored',
      advice: `Store a valid key: ${storeCommand}`,
    });
  });

  it('sends the stored key to Telnyx, and shows that Telnyx rejects it but never the key', async () => {
    const { check, requests, printed, records } = await examine(() => ({
      telnyx: ({ authorization }) =>
        authorization === undefined
          ? { status: 401 }
          : { status: 401, body: { errors: [{ code: '10009', title: 'Authentication failed' }] } },
    }));

    expect(check('api-key')).toMatchObject({
      state: 'problem',
      advice: `Store a valid key: ${storeCommand}`,
    });
    expect(requests.filter(({ service }) => service === 'telnyx').at(0)).toMatchObject({
      authorization: `Bearer ${apiKey}`,
      path: '/documents?page%5Bsize%5D=1',
    });
    expect(printed + JSON.stringify(records)).not.toContain(apiKey);
  });

  it('does not blame the key when Telnyx is not available', async () => {
    const { exitCode, check } = await examine(() => ({ telnyx: () => ({ status: 502 }) }));

    expect(exitCode).toBe(1);
    expect(check('api-key')).toMatchObject({
      state: 'problem',
      detail: expect.stringMatching(/^TelnyxUnavailable: /),
      advice: 'Runbook: docs/runbook.md#telnyxunavailable',
    });
  });

  it('exits with 3 when the secret may not be read, which is not a problem of the key', async () => {
    const { exitCode, unhealthy } = await examine(() => ({
      secrets_manager: () => jsonError('AccessDeniedException', 'User x is not authorized'),
    }));

    expect(exitCode).toBe(3);
    expect(unhealthy).toEqual([
      {
        type: 'check',
        name: 'api-key',
        state: 'not-checked',
        detail: 'AccessDeniedException: User x is not authorized',
      },
    ]);
  });

  it.each([
    [200, 'returned 200 for a wrong signature', /Do not use this URL/],
    [503, 'it has no public key', /telnyxPublicKeys/],
    [301, 'returned 301 for a wrong signature, not 401', /Check what responds/],
  ])('reports a webhook that returns %i for a wrong signature', async (status, detail, advice) => {
    const { check, requests } = await examine((url) => ({
      webhook: () => ({ status, headers: { location: `${url}/elsewhere` } }),
    }));

    expect(check('webhook')).toMatchObject({ state: 'problem' });
    expect(check('webhook')?.detail).toContain(detail);
    expect(check('webhook')?.advice).toMatch(advice);
    expect(requests.some(({ service }) => service === 'elsewhere')).toBe(false);
  });

  it('reports a webhook that cannot be reached', async () => {
    const { check } = await examine(() => ({
      'cloudformation DescribeStacks': () =>
        stackXml('CREATE_COMPLETE', { WebhookUrl: 'http://127.0.0.1:1/webhook' }, pipeline),
    }));

    expect(check('webhook')).toMatchObject({
      state: 'problem',
      detail: expect.stringMatching(/^no response from http/),
    });
  });

  it.each(
    ['sweep', 'audit'].flatMap((name) => [
      [name, 'disabled', [{ State: 'ENABLED' }, { State: 'DISABLED' }]] as const,
      [name, 'missing', []] as const,
    ]),
  )('reports a schedule of the %ss that is %s', async (name, what, found) => {
    const { check } = await examine(() => ({
      scheduler: ({ path }) => ({
        body: { Schedules: path.includes(`stage-pipeline-${name}`) ? found : [{ State: 'ENABLED' }] },
      }),
    }));

    expect(check('schedule')).toMatchObject({
      state: 'problem',
      detail: `the schedule of the ${name}s is ${what}`,
    });
  });

  it.each([
    ['the last one completed 20 min ago', [1_200]],
    ['none completed within the last 3 hours', []],
  ])('reports sweeps of which %s', async (detail, ages) => {
    const { check } = await examine(() => ({
      'cloudwatch GetMetricData': () => {
        const Timestamps = ages.map((age) => Math.floor(Date.now() / 1_000) - age);
        return { body: { MetricDataResults: [{ Id: 'm0', Timestamps, Values: ages.map(() => 1) }] } };
      },
    }));

    expect(check('sweep')).toMatchObject({ state: 'problem', detail });
  });

  it('reports an archiver of an older version, which has no audit', async () => {
    const { exitCode, check } = await examine(() => ({
      'sqs GetQueueUrl': () =>
        jsonError('com.amazonaws.sqs#QueueDoesNotExist', 'The specified queue does not exist.'),
    }));

    expect(exitCode).toBe(1);
    expect(check('audit')).toMatchObject({
      state: 'problem',
      detail: 'an older version, without an audit, is deployed',
      advice: 'Deploy again.',
    });
    expect(check('schedule')).toMatchObject({ state: 'ok', detail: 'requests a sweep every minute' });
  });

  const hour = 3_600;
  it.each<[string, 'ok' | 'problem', string, { ages: number[]; queueAge: number }]>([
    ['a complete run', 'ok', 'the last complete run ended 47.0 h ago', { ages: [47 * hour], queueAge: 1e6 }],
    ['no night yet', 'ok', 'runs every night; no run is complete yet', { ages: [], queueAge: 47 * hour }],
    [
      'no run for too long',
      'problem',
      'the last complete run ended 49.0 h ago',
      { ages: [49 * hour], queueAge: 1e6 },
    ],
    ['no run', 'problem', 'no run was complete within the last 3 days', { ages: [], queueAge: 49 * hour }],
  ])('judges an audit with %s as %s', async (_which, state, detail, { ages, queueAge }) => {
    const now = Math.floor(Date.now() / 1_000);
    const { check, requests } = await examine(() => ({
      'cloudwatch GetMetricData': ({ body }) => {
        const isAudit = body.includes('AuditCompleted');
        const Timestamps = (isAudit ? ages : [60]).map((age) => now - age);
        return { body: { MetricDataResults: [{ Id: 'm0', Timestamps, Values: Timestamps.map(() => 1) }] } };
      },
      'sqs GetQueueAttributes': () => ({
        body: { Attributes: { CreatedTimestamp: String(now - queueAge) } },
      }),
    }));

    expect(check('audit')).toMatchObject({ state, detail });
    expect(check('sweep')).toMatchObject({ state: 'ok' });
    const asked = requests.find(({ body }) => body.includes('AuditCompleted'));
    expect(JSON.parse(asked?.body ?? '').StartTime).toBeCloseTo(now - 72 * hour, -3);
  });

  it.each([
    ['1 subscription not confirmed: alarms notify no one', ['PendingConfirmation']],
    ['1 subscription not confirmed', ['arn:aws:sns:x', 'PendingConfirmation']],
    ['no subscription: alarms notify no one', []],
  ])('reports "%s"', async (detail, subscriptions) => {
    const members = subscriptions.map((arn) => `<member><SubscriptionArn>${arn}</SubscriptionArn></member>`);
    const { check } = await examine(() => ({
      sns: () =>
        queryResult('ListSubscriptionsByTopic', `<Subscriptions>${members.join('')}</Subscriptions>`),
    }));

    expect(check('alarm-subscription')).toMatchObject({ state: 'problem', detail });
  });

  it('shows that no retention is set, which is allowed', async () => {
    const { exitCode, check } = await examine(() => ({
      s3: () => ({
        body: '<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>',
      }),
    }));

    expect(exitCode).toBe(0);
    expect(check('retention')).toMatchObject({ state: 'ok', detail: expect.stringMatching(/^none/) });
  });

  it.each([
    ['slow', -90_000],
    ['fast', 90_000],
  ])('reports a clock that is 90 seconds %s', async (_what, ms) => {
    const time = { ...systemTime, now: () => Date.now() + ms };
    const { check } = await examine(() => ({}), {}, time);

    expect(check('clock')).toMatchObject({
      state: 'problem',
      detail: expect.stringMatching(/^differs by (89|9\d) s/),
    });
  });
});

describe('archiver doctor --ring', () => {
  /** An alarm whose history has an old action, and the given one from the second look after the ring. */
  const alarm = (summary: string | undefined, state = 'OK') => {
    let looks = 0;
    let rung = false;
    const old = { Timestamp: 1_000, HistorySummary: 'Successfully executed action arn:old' };
    return (): AwsResponders => ({
      'cloudwatch DescribeAlarms': () => ({
        body: { MetricAlarms: [{ AlarmName: 'stage-WebhookSlow', StateValue: state }] },
      }),
      'cloudwatch SetAlarmState': () => {
        rung = true;
        return { body: {} };
      },
      'cloudwatch DescribeAlarmHistory': () => {
        if (rung) looks += 1;
        const isThere = looks > 1 && summary !== undefined;
        const item = isThere ? { Timestamp: 2_000, HistorySummary: summary } : old;
        return { body: { AlarmHistoryItems: [item] } };
      },
    });
  };
  /** A second lasts a few milliseconds. */
  const fast: Time = {
    now: systemTime.now,
    monotonic: () => 100 * systemTime.monotonic(),
    after: (ms, callback) => systemTime.after(ms / 100, callback),
  };

  it('sets the alarm WebhookSlow to ALARM and waits until CloudWatch has notified the topic', async () => {
    const { exitCode, check, requests } = await examine(
      alarm('Successfully executed action arn:new'),
      { ring: true },
      fast,
    );

    expect(exitCode).toBe(0);
    expect(check('test-alarm')).toMatchObject({
      state: 'ok',
      detail: expect.stringMatching(/check that its message arrives/),
    });
    const set = requests.filter(({ action }) => action === 'SetAlarmState');
    expect(set.map(({ body }) => JSON.parse(body))).toMatchObject([
      {
        AlarmName: 'stage-WebhookSlow',
        StateValue: 'ALARM',
        StateReason: expect.stringMatching(/^Test by archiver doctor/),
      },
    ]);
  });

  it('shows why CloudWatch could not notify the topic', async () => {
    const failure = 'Failed to execute action arn:new. Received error: not authorized';
    const { exitCode, check } = await examine(alarm(failure), { ring: true }, fast);

    expect(exitCode).toBe(1);
    expect(check('test-alarm')).toMatchObject({ state: 'problem', detail: failure });
  });

  it('reports that CloudWatch notified no one within 30 seconds', async () => {
    const { check } = await examine(alarm(undefined), { ring: true }, fast);

    expect(check('test-alarm')).toMatchObject({
      state: 'problem',
      detail: expect.stringMatching(/within 30 s/),
    });
  });

  it('does not ring an alarm that is in alarm already', async () => {
    const { exitCode, check, requests } = await examine(alarm(undefined, 'ALARM'), { ring: true }, fast);

    expect(exitCode).toBe(3);
    expect(check('test-alarm')).toMatchObject({ state: 'not-checked' });
    expect(requests.some(({ action }) => action === 'SetAlarmState')).toBe(false);
  });

  it('rings no alarm without the option', async () => {
    const { requests } = await examine(alarm('Successfully executed action arn:new'));

    expect(requests.some(({ action }) => action === 'SetAlarmState')).toBe(false);
  });

  it('is refused for a local archive', async () => {
    await expect(runOn(await newFolder(), (context) => doctor({ ring: true }, context))).rejects.toThrow(
      '--ring requires a deployed archiver',
    );
  });
});

describe('archiver doctor on a local archive', () => {
  it('finds no problem in a running stack with a completed sweep', async () => {
    const { run, stack } = await startArchive({});
    await stack.sweep();
    await vi.waitFor(async () => expect(await stack.messageCount()).toBe(0), { timeout: 30_000 });

    const { exitCode, records } = await run((context) => doctor({}, context));

    expect(records.filter(({ state }) => state !== undefined && state !== 'ok')).toEqual([]);
    expect(records.map(({ name }) => name)).toEqual([
      'local-stack',
      'bucket',
      'disk-space',
      'api-key',
      'webhook',
      'sweep',
      'clock',
      undefined,
    ]);
    expect(exitCode).toBe(0);
  });

  it('reports that the S3 of the running stack does not respond', async () => {
    const { run, stack } = await startArchive({});
    await stack.s3.close();

    const { records } = await run((context) => doctor({}, context));

    expect(records.find(({ name }) => name === 'bucket')).toMatchObject({ state: 'problem' });
  });

  it('says how to start a stack, and does not check what needs one', async () => {
    const { run, archiveAll, stop } = await startArchive({ 'a.txt': 'a' });
    await archiveAll();
    await stop();

    const { exitCode, records } = await run((context) => doctor({}, context), {
      environment: { TELNYX_API_URL: 'http://127.0.0.1:1/v2' },
    });

    const states = Object.fromEntries(records.map(({ name, state }) => [name, state]));
    expect(exitCode).toBe(1);
    expect(states).toMatchObject({
      'local-stack': 'problem',
      bucket: 'ok',
      'disk-space': 'ok',
      'api-key': 'not-checked',
      webhook: 'not-checked',
      sweep: 'not-checked',
      clock: 'problem',
    });
    expect(records[0]?.advice).toContain('npm start -- --archive');
  });
});

describe('archiver doctor on any archiver', () => {
  const examineChecks = async (checks: Check[], signal = new AbortController().signal) => {
    const folder = await newFolder();
    return await runOn(folder, (context) =>
      doctor({}, { ...context, signal, target: { ...context.target, checks: async () => checks } }),
    );
  };

  it('escapes what others wrote', async () => {
    const { printed } = await examineChecks([
      { name: 'bucket', needs: [], run: async () => ({ state: 'ok', detail: 'a\u001b[2Jb' }) },
    ]);

    expect(printed).toContain('a\\u{1b}[2Jb');
  });

  it('ends at Ctrl-C instead of reporting it as a problem', async () => {
    const interrupt = new AbortController();
    const waiting: Check = {
      name: 'bucket',
      needs: [],
      run: (signal) => {
        interrupt.abort(new Error('Interrupted.'));
        return Promise.reject(signal.reason);
      },
    };

    await expect(examineChecks([waiting], interrupt.signal)).rejects.toThrow('Interrupted.');
  });
});
