/**
 * Lambda's side of the Runtime API (AWS Lambda developer guide, "Using the Lambda runtime API"), and a runtime as
 * small as can be that runs a bundle in a Node process of its own, with its environment and nothing else.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Context } from 'aws-lambda';

export interface RunningFunction {
  /** @throws Error for what the function throws, or once its process is gone */
  invoke(event: unknown, context: Context): Promise<unknown>;
  /** What the function has written to its log so far. */
  log(): string;
  close(): Promise<void>;
}

export interface FunctionBundle {
  /** Of the unpacked asset. */
  folder: string;
  /** As in `index.handler`. */
  handler: string;
  environment: Record<string, string>;
}

interface Invocation {
  event: unknown;
  context: Context;
  resolve: (answer: unknown) => void;
  reject: (error: Error) => void;
}

const version = '/2018-06-01/runtime';

/** Reads events and answers them, one after the other, as Lambda's own runtime for Node does. */
const runtime = `
  const api = 'http://' + process.env.AWS_LAMBDA_RUNTIME_API + '${version}';
  const post = (path, body) => fetch(api + path, { method: 'POST', body: JSON.stringify(body ?? null) });
  const [module, name] = process.env._HANDLER.split('.');
  const { [name]: handler } = await import(process.cwd() + '/' + module + '.js');
  for (;;) {
    const next = await fetch(api + '/invocation/next');
    const requestId = next.headers.get('lambda-runtime-aws-request-id');
    const deadline = Number(next.headers.get('lambda-runtime-deadline-ms'));
    const context = {
      awsRequestId: requestId,
      invokedFunctionArn: next.headers.get('lambda-runtime-invoked-function-arn'),
      getRemainingTimeInMillis: () => deadline - Date.now(),
    };
    try {
      await post('/invocation/' + requestId + '/response', await handler(await next.json(), context));
    } catch (error) {
      await post('/invocation/' + requestId + '/error', { errorMessage: String(error) });
    }
  }`;

export async function startFunction({
  folder,
  handler,
  environment,
}: FunctionBundle): Promise<RunningFunction> {
  const waiting: Invocation[] = [];
  const pollers: ServerResponse[] = [];
  const underWay = new Map<string, Invocation>();
  let log = '';

  const hand = () => {
    const poller = pollers[0];
    const invocation = waiting[0];
    if (poller === undefined || invocation === undefined) return;
    pollers.shift();
    waiting.shift();
    const { awsRequestId, invokedFunctionArn, getRemainingTimeInMillis } = invocation.context;
    underWay.set(awsRequestId, invocation);
    poller.writeHead(200, {
      'lambda-runtime-aws-request-id': awsRequestId,
      'lambda-runtime-deadline-ms': String(Date.now() + getRemainingTimeInMillis()),
      'lambda-runtime-invoked-function-arn': invokedFunctionArn,
    });
    poller.end(JSON.stringify(invocation.event));
  };

  const server = createServer(async (request, response) => {
    if (request.url === `${version}/invocation/next`) {
      pollers.push(response);
      hand();
      return;
    }
    const [, requestId = '', kind] = /\/invocation\/([^/]+)\/(response|error)$/.exec(request.url ?? '') ?? [];
    const body: unknown = JSON.parse(await textOf(request));
    const invocation = underWay.get(requestId);
    underWay.delete(requestId);
    if (kind === 'response') invocation?.resolve(body);
    else invocation?.reject(new Error(JSON.stringify(body)));
    response.writeHead(202).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  const child: ChildProcess = spawn(process.execPath, ['--input-type=module', '--eval', runtime], {
    // Away from the checkout: a bundle must not find the project's own packages.
    cwd: folder,
    env: { ...environment, _HANDLER: handler, AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${port}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      log += chunk;
    });
  }
  const gone = once(child, 'exit').then(() => {
    for (const { reject } of [...waiting.splice(0), ...underWay.values()]) {
      reject(new Error(`The function's process has ended.\n${log}`));
    }
  });

  return {
    invoke: (event, context) =>
      new Promise((resolve, reject) => {
        if (child.exitCode !== null) reject(new Error(`The function's process has ended.\n${log}`));
        waiting.push({ event, context, resolve, reject });
        hand();
      }),
    log: () => log,
    close: async () => {
      child.kill('SIGKILL');
      await gone;
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}
