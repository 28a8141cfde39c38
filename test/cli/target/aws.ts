/** The AWS services and the Telnyx API that the checks of a deployed archiver ask, on one port of this machine. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { onTestFinished, vi } from 'vitest';

interface AwsRequest {
  service: string;
  /** Action of the query protocols, the last part of `x-amz-target`, or the HTTP method. */
  action: string;
  path: string;
  body: string;
  authorization: string | undefined;
}

export interface AwsResponse {
  status?: number;
  /** An object is sent as JSON, a text as XML. */
  body?: object | string;
  headers?: Record<string, string>;
}

/** By service, or by service and action such as `sns ListSubscriptionsByTopic`. */
export type AwsResponders = Record<string, (request: AwsRequest) => AwsResponse | Promise<AwsResponse>>;

const services = [
  'sts',
  'cloudformation',
  'cloudwatch',
  'lambda',
  's3',
  'secrets_manager',
  'scheduler',
  'sns',
  'sqs',
] as const;

/** Result of the query protocol. */
export function queryResult(action: string, result: string): AwsResponse {
  return {
    body: `<${action}Response xmlns="http://example.com/"><${action}Result>${result}</${action}Result></${action}Response>`,
  };
}

/** Error of the query protocol. */
export function queryError(code: string, message: string, status = 400): AwsResponse {
  return {
    status,
    body: `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error></ErrorResponse>`,
  };
}

/** Error of the JSON protocols. */
export function jsonError(type: string, message: string, status = 400): AwsResponse {
  return { status, headers: { 'x-amzn-errortype': type }, body: { __type: type, message } };
}

/** A stack for DescribeStacks. */
export function stackXml(
  status: string,
  outputs: Record<string, string> = {},
  { name, exportsOf }: { name: string; exportsOf?: string } = { name: 'x' },
): AwsResponse {
  const members = Object.entries(outputs).map(([key, value]) => {
    // In a stack of another app, the key also has the path of the construct, and a hash.
    const own = exportsOf === undefined ? '' : `<ExportName>${exportsOf}:${key}</ExportName>`;
    const outputKey = exportsOf === undefined ? key : `Documents${key}1A2B3C4D`;
    return `<member><OutputKey>${outputKey}</OutputKey><OutputValue>${value}</OutputValue>${own}</member>`;
  });
  return queryResult(
    'DescribeStacks',
    `<Stacks><member><StackName>${name}</StackName><StackStatus>${status}</StackStatus><Outputs>${members.join('')}</Outputs></member></Stacks>`,
  );
}

/** DescribeStacks without such a stack. */
export const noSuchStack = queryError('ValidationError', 'Stack with id x does not exist');

/** Exports of one stack, for ListExports. */
export function exportsXml(stackId: string, names: readonly string[], nextToken = ''): AwsResponse {
  const members = names.map(
    (name) =>
      `<member><ExportingStackId>${stackId}</ExportingStackId><Name>${name}</Name><Value>v</Value></member>`,
  );
  const next = nextToken && `<NextToken>${nextToken}</NextToken>`;
  return queryResult('ListExports', `<Exports>${members.join('')}</Exports>${next}`);
}

export const apiKey = 'KEY0123456789ABCDEF';
export const storeCommand = 'aws secretsmanager put-secret-value --secret-id the-secret';

export const storage = { name: 'stage-storage' };
export const pipeline = { name: 'stage-pipeline' };

/** Responders of an archiver with the name `stage`, in two stacks, without a problem. */
export function healthy(url: string): Required<AwsResponders> {
  return {
    sts: () => queryResult('GetCallerIdentity', '<Account>123456789012</Account><Arn>arn:of-a-role</Arn>'),
    'cloudformation DescribeStacks': ({ body }) =>
      body.includes('stage-storage')
        ? stackXml('CREATE_COMPLETE', { ArchiveBucketName: 'archive', StoreApiKey: storeCommand }, storage)
        : stackXml(
            'UPDATE_COMPLETE',
            { WebhookUrl: `${url}/webhook`, AlarmTopicArn: 'arn:of-the-topic' },
            pipeline,
          ),
    'cloudformation ListExports': () => exportsXml('', []),
    'cloudformation GetTemplate': () =>
      queryResult(
        'GetTemplate',
        `<TemplateBody>${JSON.stringify({
          Resources: {
            A: { Properties: { ScalingConfig: { MaximumConcurrency: 6 } } },
            B: { Properties: { ScalingConfig: { MaximumConcurrency: 2 } } },
          },
        })}</TemplateBody>`,
      ),
    lambda: () => ({
      body: { AccountLimit: { ConcurrentExecutions: 1_000, UnreservedConcurrentExecutions: 10 } },
    }),
    s3: () => ({
      body: '<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>3650</Days></DefaultRetention></Rule></ObjectLockConfiguration>',
    }),
    secrets_manager: () => ({ body: { SecretString: apiKey } }),
    telnyx: () => ({ body: { data: [], meta: {} } }),
    webhook: () => ({ status: 401 }),
    scheduler: () => ({ body: { Schedules: [{ Name: 'sweep', State: 'ENABLED' }] } }),
    'cloudwatch GetMetricData': () => ({
      body: {
        MetricDataResults: [{ Id: 'm0', Timestamps: [Math.floor(Date.now() / 1_000) - 60], Values: [1] }],
      },
    }),
    'sqs GetQueueUrl': ({ body }) => ({
      body: { QueueUrl: `${url}/sqs/123456789012/${JSON.parse(body).QueueName}` },
    }),
    'sqs GetQueueAttributes': () => ({ body: { Attributes: { CreatedTimestamp: '1764000000' } } }),
    sns: () =>
      queryResult(
        'ListSubscriptionsByTopic',
        '<Subscriptions><member><SubscriptionArn>arn:aws:sns:x</SubscriptionArn></member></Subscriptions>',
      ),
  };
}

/** Starts the port and directs all clients to it, until the end of the test. */
export async function startAwsServices(responders: (url: string) => AwsResponders) {
  const requests: AwsRequest[] = [];
  const server = createServer(async (message, response) => {
    const body = await text(message);
    const [, service = '', ...rest] = (message.url ?? '').split('/');
    const target = message.headers['x-amz-target'];
    const action =
      typeof target === 'string'
        ? target.replace(/^.*\./, '')
        : (new URLSearchParams(body).get('Action') ?? message.method ?? '');
    const { authorization } = message.headers;
    const request = { service, action, path: `/${rest.join('/')}`, body, authorization };
    requests.push(request);
    const respond = answers[`${service} ${action}`] ?? answers[service];
    const { status = 200, headers = {}, body: content = '' } = (await respond?.(request)) ?? { status: 404 };
    const isJson = typeof content === 'object';
    response.writeHead(status, {
      'content-type': isJson ? 'application/json' : 'text/xml',
      ...headers,
    });
    response.end(isJson ? JSON.stringify(content) : content);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const answers = responders(url);
  for (const service of services)
    vi.stubEnv(`AWS_ENDPOINT_URL_${service.toUpperCase()}`, `${url}/${service}`);
  vi.stubEnv('AWS_REGION', 'eu-central-1');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDEXAMPLE');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'a-secret-of-the-test');
  vi.stubEnv('TELNYX_API_URL', `${url}/telnyx`);
  onTestFinished(() => {
    vi.unstubAllEnvs();
    server.closeAllConnections();
    server.close();
  });
  return { url, requests, answers };
}
