import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SendMessageCommand } from '@aws-sdk/client-sqs';
import { App, Stack } from 'aws-cdk-lib';
import type { APIGatewayProxyStructuredResultV2, Context, SQSEvent } from 'aws-lambda';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { systemTime as time } from '../../functions/time.ts';
import { createStacks } from '../../infra/deployment.ts';
import { readStage } from '../../infra/stage.ts';
import { type EventSourceMapping, pollQueue } from '../../local/lambda/event-source-mapping.ts';
import { invoke } from '../../local/lambda/invoke.ts';
import { openWebhookPort, type WebhookPort } from '../../local/lambda/webhook-port.ts';
import { type LocalQueues, startQueues } from '../../local/queues.ts';
import { createCredentials, localBucket } from '../../local/s3/archive-bucket.ts';
import { type S3Server, startS3 } from '../../local/s3/server.ts';
import { createSigningKey, signedHeaders } from '../../local/telnyx/signing.ts';
import { type StandIn, startStandIn, storageBucket } from '../../local/telnyx/stand-in.ts';
import { featureFlags, settings } from './deployments.ts';
import { type RunningFunction, startFunction } from './lambda-runtime.ts';
import { at, atPath, ofType, type Template, text, type View, viewOf } from './view.ts';

const functionNames = ['Webhook', 'Discover', 'Archive', 'Audit'] as const;
type FunctionName = (typeof functionNames)[number];

const folder = mkdtempSync(join(tmpdir(), 'bundles-'));
const signingKey = createSigningKey();
let view: View;

beforeAll(() => {
  const app = new App({
    outdir: join(folder, 'cdk.out'),
    context: {
      ...featureFlags,
      'aws:cdk:enable-asset-metadata': true,
      'aws:cdk:enable-path-metadata': true,
      'aws:cdk:disable-stack-trace': true,
    },
  });
  const stage = readStage({ ...settings.minimal, telnyxPublicKeys: [signingKey.publicKey] });
  const { storage, pipeline } = createStacks(app, stage);
  const pipelineName = Stack.of(pipeline).stackName;
  const assembly = app.synth();
  const template = (name: string) => assembly.getStackByName(name).template as Template;
  view = viewOf(
    { storage: template(Stack.of(storage).stackName), pipeline: template(pipelineName) },
    { storage: true, pipeline: false },
  );
  for (const name of functionNames) {
    const asset = at(template(pipelineName), 'Resources', resourceOf(name).id, 'Metadata', 'aws:asset:path');
    assets[name] = join(folder, 'cdk.out', text(asset));
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Folders of the assets that would be uploaded. */
const assets = {} as Record<FunctionName, string>;

function resourceOf(name: FunctionName) {
  return atPath(view, `Functions/${name}/Function`);
}

/** @param values values for the references in the template, which CloudFormation would resolve */
function environmentOf(name: FunctionName, values: Record<string, string>): Record<string, string> {
  const variables = Object.entries(at(resourceOf(name).properties, 'Environment', 'Variables') ?? {});
  return Object.fromEntries(
    variables.map(([variable, value]) => [variable, values[text(value)] ?? text(value)]),
  );
}

function reference(path: string): string {
  return `\${${atPath(view, path).id}}`;
}

describe.each(functionNames)('The bundle of %s', (name) => {
  const example = 'https://sqs.us-east-1.amazonaws.com/111122223333/queue';

  /** Starts a Node process that imports the handler, as Lambda does. */
  function start(environment: Record<string, string>) {
    const [module = '', handler = ''] = text(resourceOf(name).properties.Handler).split('.');
    const script = `
      const { ${handler}: handler } = await import(${JSON.stringify(join(assets[name], `${module}.js`))});
      console.log(JSON.stringify({ type: typeof handler, parameters: handler?.length }));
      process.exit(0);`;
    return spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
      cwd: assets[name],
      encoding: 'utf8',
      env: { AWS_REGION: 'us-east-1', ...environment },
    });
  }

  test('starts in a new process with the environment and the handler of the template', () => {
    const queues = ofType(view, 'AWS::SQS::Queue').map(({ id }) => [`\${${id}}`, example]);

    const { stdout, stderr } = start(environmentOf(name, Object.fromEntries(queues)));

    expect(stderr).toBe('');
    const { type, parameters } = JSON.parse(stdout);
    expect(type).toBe('function');
    // Lambda treats a handler with three parameters as one with a callback, and rejects it.
    expect(parameters).toBeLessThanOrEqual(2);
  });

  test('does not start without the environment of the template', () => {
    const { stdout, stderr } = start({});

    expect(stdout).toBe('');
    expect(stderr).toContain(`${name === 'Audit' ? 'AUDIT' : 'DOCUMENTS'}_QUEUE_URL is not set.`);
  });

  test('is below its size limit', () => {
    const maxBytes = { Webhook: 340_000, Discover: 520_000, Archive: 520_000, Audit: 530_000 };

    expect(statSync(join(assets[name], 'index.js')).size).toBeLessThan(maxBytes[name]);
  });

  test('reads credentials only from its environment', () => {
    const code = readFileSync(join(assets[name], 'index.js'), 'utf8');

    const otherSources = [
      'AWS_WEB_IDENTITY_TOKEN_FILE',
      'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
      '/latest/meta-data/iam/security-credentials/',
      'credential_process',
    ];
    expect(code.includes('AWS_SESSION_TOKEN')).toBe(true);
    expect(otherSources.filter((source) => code.includes(source))).toEqual([]);
  });
});

describe('The bundles with local queues, a local bucket and a local Telnyx', () => {
  const archive = join(folder, 'archive');
  const apiKey = 'KEY-of-the-stand-in';
  const functions = {} as Record<FunctionName, RunningFunction>;
  const mappings: EventSourceMapping[] = [];
  const problems: unknown[] = [];
  const credentials = createCredentials();
  let queues: LocalQueues;
  let s3: S3Server;
  let standIn: StandIn;
  let secrets: Server;
  let webhook: WebhookPort;

  beforeAll(async () => {
    const storage = join(folder, 'telnyx');
    s3 = await startS3({
      buckets: { [localBucket]: archive, [storageBucket]: storage },
      credentials: [credentials],
      time,
    });
    standIn = await startStandIn({
      apiKey,
      storage,
      presign: s3.presignGet,
      time,
      random: Math.random,
      onSkipped: (path) => problems.push(path),
    });
    queues = await startQueues({ credentials });
    secrets = createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' });
      response.end(JSON.stringify({ Name: 'api-key', SecretString: apiKey }));
    }).listen(0, '127.0.0.1');
    await once(secrets, 'listening');

    const values: Record<string, string> = {
      [reference('Archive/Bucket')]: localBucket,
      [reference('ApiKey/Secret')]: 'arn:aws:secretsmanager:us-east-1:000000000000:secret:api-key',
      '${AWS::AccountId}': '000000000000',
    };
    const lanes = {
      Documents: 'documents',
      Backfill: 'backfill',
      Discovery: 'discovery',
      Spans: 'spans',
      Audit: 'audit',
    } as const;
    for (const [path, lane] of Object.entries(lanes)) {
      values[reference(`Queues/${path}/Queue`)] = queues.lanes[lane].queueUrl;
      values[reference(`Queues/${path}/DeadLetters`)] = queues.lanes[lane].deadLetterQueueUrl;
    }
    for (const name of functionNames) {
      functions[name] = await startFunction({
        folder: assets[name],
        handler: text(resourceOf(name).properties.Handler),
        environment: {
          ...environmentOf(name, values),
          AWS_REGION: 'us-east-1',
          AWS_ACCESS_KEY_ID: credentials.accessKeyId,
          AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
          AWS_ENDPOINT_URL_S3: s3.endpoint,
          AWS_ENDPOINT_URL_SQS: queues.endpoint,
          AWS_ENDPOINT_URL_SECRETS_MANAGER: `http://127.0.0.1:${(secrets.address() as AddressInfo).port}`,
          // The two settings that a deployment omits.
          TELNYX_API_URL: standIn.url,
          TRUSTED_DOWNLOAD_ORIGIN: s3.endpoint,
        },
      });
    }

    for (const { properties } of ofType(view, 'AWS::Lambda::EventSourceMapping')) {
      const path = Object.keys(lanes).find(
        (lane) => properties.EventSourceArn === `\${${atPath(view, `Queues/${lane}/Queue`).id}.Arn}`,
      ) as keyof typeof lanes;
      const name = functionNames.find(
        (one) => properties.FunctionName === `\${${resourceOf(one).id}}`,
      ) as FunctionName;
      mappings.push(
        pollQueue({
          sqs: queues.createClient(),
          queueUrl: queues.lanes[lanes[path]].queueUrl,
          queueArn: queues.lanes[lanes[path]].queueArn,
          handler: (event: SQSEvent, context: Context) => functions[name].invoke(event, context),
          functionName: name,
          timeoutMs: 1_000 * Number(resourceOf(name).properties.Timeout),
          batchSize: Number(properties.BatchSize),
          maximumConcurrency: 1,
          time,
          onError: (error) => problems.push(error),
        }),
      );
    }
    webhook = await openWebhookPort({
      handler: async (event) => {
        const options = { functionName: 'Webhook', timeoutMs: 10_000, time };
        const answer = await invoke((_, context) => functions.Webhook.invoke(event, context), event, options);
        return answer as APIGatewayProxyStructuredResultV2;
      },
      timeoutMs: 10_000,
      time,
    });
  });

  afterAll(async () => {
    await Promise.all(mappings.map((mapping) => mapping.stop()));
    await webhook?.close();
    await Promise.all(Object.values(functions).map((running) => running.close()));
    secrets?.close();
    await queues?.close();
    await standIn?.close();
    await s3?.close();
  });

  const receipts = () => {
    try {
      return readdirSync(join(archive, 'receipts'));
    } catch {
      // The folder does not exist before the first receipt.
      return [];
    }
  };

  async function send(lane: 'discovery' | 'spans' | 'audit', message: string): Promise<void> {
    const sqs = queues.createClient();
    const { queueUrl } = queues.lanes[lane];
    await sqs.send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: message }));
    sqs.destroy();
  }

  test('archive the document of a signed event', async () => {
    const document = standIn.documents.all()[0];
    const body = Buffer.from(
      JSON.stringify({
        data: {
          id: '0b3f7f0e-6f0e-4d0c-9a51-2f6f0c1f7a01',
          event_type: 'number_order.complete',
          occurred_at: new Date().toISOString(),
          payload: {
            phone_numbers: [
              { regulatory_requirements: [{ field_type: 'document', field_value: document?.id }] },
            ],
          },
        },
      }),
    );

    const answer = await fetch(webhook.url, {
      method: 'POST',
      body,
      headers: signedHeaders(body, Date.now() / 1_000, signingKey),
    });

    expect(answer.status).toBe(200);
    await vi.waitFor(() => expect(receipts()).toEqual([`${document?.id}.json`]), 30_000);
    const archived = readFileSync(join(archive, 'documents', document?.id ?? ''));
    expect(archived.equals(readFileSync(join(folder, 'telnyx', document?.id ?? '')))).toBe(true);
    const receipt = JSON.parse(readFileSync(join(archive, 'receipts', `${document?.id}.json`), 'utf8'));
    expect(receipt).toMatchObject({ request: { trigger: 'webhook' }, object: { sha256: document?.sha256 } });
  });

  test('reject an event with an invalid signature', async () => {
    const body = Buffer.from('{}');

    const answer = await fetch(webhook.url, {
      method: 'POST',
      body,
      headers: signedHeaders(body, Date.now() / 1_000, createSigningKey()),
    });

    expect(answer.status).toBe(401);
  });

  const scheduled = (path: string) =>
    text(at(atPath(view, path).properties, 'Target', 'Input')).replace(
      '<aws.scheduler.scheduled-time>',
      new Date().toISOString(),
    );

  test('archive an upload that the message of the schedule finds', async () => {
    const upload = await standIn.documents.add('Passport.txt', Buffer.from('passport'));

    await send('discovery', scheduled('Sweep/Schedule'));

    await vi.waitFor(() => expect(receipts()).toContain(`${upload.id}.json`), 30_000);
  });

  test('archive all other documents through a span and the backfill lane', async () => {
    const now = Date.now();
    const year = 365 * 24 * 3_600_000;

    await send(
      'spans',
      JSON.stringify({
        v: 1,
        kind: 'span',
        createdAfter: new Date(now - year).toISOString(),
        createdBefore: new Date(now).toISOString(),
        requestedAt: new Date(now).toISOString(),
      }),
    );

    const all = standIn.documents.all().map(({ id }) => `${id}.json`);
    await vi.waitFor(() => expect(receipts().sort()).toEqual(all.sort()), 30_000);
    expect(functions.Archive.log()).toContain('"lane":"backfill"');
    expect(problems).toEqual([]);
  });

  test('audit the archive when the message of the schedule arrives', async () => {
    await send('audit', scheduled('Audit/Schedule'));

    const audits = join(archive, 'audits');
    const summary = await vi.waitFor(() => {
      const [run = ''] = readdirSync(audits);
      return JSON.parse(readFileSync(join(audits, run, 'summary.json'), 'utf8'));
    }, 30_000);
    expect(summary).toMatchObject({ status: 'complete', tally: { documents: receipts().length } });
    expect(problems).toEqual([]);
  });

  test('log no secret', () => {
    const logs = functionNames.map((name) => functions[name].log()).join('\n');

    expect(logs).toContain('"DocumentsArchived":1');
    expect(logs).not.toContain(apiKey);
    expect(logs).not.toMatch(/X-Amz-Signature/i);
  });
});
