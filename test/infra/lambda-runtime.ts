/**
 * A server for the Lambda runtime API (AWS Lambda developer guide, "Using the Lambda runtime API"), and a minimal
 * runtime that runs a bundle in a separate Node process with only its own environment.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Context } from 'aws-lambda';

export interface RunningFunction {
  /** @throws Error if the function throws or its process has exited */
  invoke(event: unknown, context: Context): Promise<unknown>;
  /** Log output so far. */
  log(): string;
  close(): Promise<void>;
}

export interface FunctionBundle {
  /** Folder of the unpacked asset. */
  folder: string;
  /** Such as `index.handler`. */
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

/** Processes one event after the other, as the Node runtime of Lambda does. */
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
  const inProgress = new Map<string, Invocation>();
  let log = '';

  const dispatch = () => {
    const poller = pollers[0];
    const invocation = waiting[0];
    if (poller === undefined || invocation === undefined) return;
    pollers.shift();
    waiting.shift();
    const { awsRequestId, invokedFunctionArn, getRemainingTimeInMillis } = invocation.context;
    inProgress.set(awsRequestId, invocation);
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
      dispatch();
      return;
    }
    const [, requestId = '', kind] = /\/invocation\/([^/]+)\/(response|error)$/.exec(request.url ?? '') ?? [];
    const body: unknown = JSON.parse(await textOf(request));
    const invocation = inProgress.get(requestId);
    inProgress.delete(requestId);
    if (kind === 'response') invocation?.resolve(body);
    else invocation?.reject(new Error(JSON.stringify(body)));
    response.writeHead(202).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  const child: ChildProcess = spawn(process.execPath, ['--input-type=module', '--eval', runtime], {
    // Outside of the checkout, so that a bundle cannot load the project's packages.
    cwd: folder,
    env: { ...environment, _HANDLER: handler, AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${port}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      log += chunk;
    });
  }
  const exited = once(child, 'exit').then(() => {
    for (const { reject } of [...waiting.splice(0), ...inProgress.values()]) {
      reject(new Error(`The process of the function has exited.\n${log}`));
    }
  });

  return {
    invoke: (event, context) =>
      new Promise((resolve, reject) => {
        if (child.exitCode !== null) reject(new Error(`The process of the function has exited.\n${log}`));
        waiting.push({ event, context, resolve, reject });
        dispatch();
      }),
    log: () => log,
    close: async () => {
      child.kill('SIGKILL');
      await exited;
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
