import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CreateQueueCommand } from '@aws-sdk/client-sqs';
import * as v from 'valibot';
import { describe, expect, it, onTestFinished } from 'vitest';
import { archiverLines } from '../../cli/json-lines.ts';
import { laneNames } from '../../functions/queue/lanes.ts';
import { startQueues } from '../../local/queues.ts';
import { startAwsServices } from './target/aws.ts';

const entry = fileURLToPath(new URL('../../cli/archiver.ts', import.meta.url));

function start(environment: NodeJS.ProcessEnv, ...args: string[]) {
  const env = { PATH: process.env.PATH, HOME: '/nowhere', AWS_EC2_METADATA_DISABLED: 'true', ...environment };
  const child = spawn(process.execPath, [entry, ...args], { env, stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = Promise.all([once(child, 'close'), text(child.stdout)]);
  return { child, ended: ended.then(([[exitCode], stdout]) => ({ exitCode, stdout })) };
}

const archiver = (environment: NodeJS.ProcessEnv, ...args: string[]) => start(environment, ...args).ended;

describe('npm run archiver with several --stack', () => {
  /** Queues of archivers, and the alarms of those named. */
  async function startArchivers({ names, inAlarm = [] }: { names: string[]; inAlarm?: string[] }) {
    let whenAsked = (): Promise<void> => Promise.resolve();
    await startAwsServices(() => ({
      'cloudwatch GetMetricData': () => ({ body: { MetricDataResults: [] } }),
      'cloudwatch DescribeAlarms': async ({ body }) => {
        await whenAsked();
        const name = inAlarm.find((one) => body.includes(`"${one}-"`));
        const alarm = { AlarmName: `${name}-Waiting`, StateValue: 'ALARM', AlarmDescription: 'Waits.' };
        return { body: { MetricAlarms: name === undefined ? [] : [alarm] } };
      },
    }));
    const queues = await startQueues();
    const client = queues.createClient();
    onTestFinished(async () => {
      client.destroy();
      await queues.close();
    });
    for (const lane of names.flatMap((name) => laneNames.map((one) => `${name}-${one}`))) {
      await client.send(new CreateQueueCommand({ QueueName: lane }));
      await client.send(new CreateQueueCommand({ QueueName: `${lane}-dead-letters` }));
    }
    const environment = {
      AWS_ENDPOINT_URL_CLOUDWATCH: process.env.AWS_ENDPOINT_URL_CLOUDWATCH,
      AWS_ENDPOINT_URL_SQS: queues.endpoint,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: queues.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: queues.credentials.secretAccessKey,
    };
    const onAlarms = (callback: () => Promise<void>) => {
      whenAsked = callback;
    };
    return { environment, onAlarms };
  }
  const status = ['status', '--no-count'];

  it('shows one after the other with a heading each and exits with the worst code', async () => {
    const { environment } = await startArchivers({ names: ['prod', 'dev'], inAlarm: ['prod'] });

    const [both, one] = await Promise.all([
      archiver(environment, ...status, '--stack', 'prod', '--stack', 'dev'),
      archiver(environment, ...status, '--stack', 'dev'),
    ]);

    expect(both.exitCode).toBe(1);
    expect(both.stdout.match(/^── .*$/gm)).toEqual(['── prod in us-east-1', '── dev in us-east-1']);
    expect(one).toMatchObject({ exitCode: 0 });
    expect(one.stdout).not.toMatch(/^── dev/m);
  });

  it('goes on after an archiver that cannot be read and exits with 2', async () => {
    const { environment } = await startArchivers({ names: ['dev'] });

    const { exitCode, stdout } = await archiver(
      environment,
      ...status,
      '--json',
      ...['--stack', 'missing', '--stack', 'dev'],
    );

    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => v.parse(archiverLines.status, JSON.parse(line)));
    expect(lines.map(({ type }) => type)).toEqual(['archiver', 'error', 'archiver', 'status']);
    expect(lines[2]).toEqual({ type: 'archiver', name: 'dev in us-east-1' });
    expect(exitCode).toBe(2);
  });

  it('does not start on the next archiver after Ctrl-C', async () => {
    const { environment, onAlarms } = await startArchivers({ names: ['prod', 'dev'] });
    const running = start(environment, ...status, '--stack', 'prod', '--stack', 'dev');
    onAlarms(async () => {
      running.child.kill('SIGINT');
      // Time for the signal to arrive before the response.
      await setTimeout(500);
    });

    const { exitCode, stdout } = await running.ended;

    expect(exitCode).toBe(130);
    expect(stdout).not.toContain('── dev');
  });
});
