/** Calls a handler as Lambda does: with a context, a timeout, and a result that must be serialisable as JSON. */
import { randomUUID } from 'node:crypto';
import type { Context } from 'aws-lambda';
import type { Time } from '../../functions/time.ts';

export type LambdaHandler<Event> = (event: Event, context: Context) => Promise<unknown>;

export interface FunctionOptions {
  functionName: string;
  timeoutMs: number;
  time: Time;
}

/**
 * @returns the handler's result after JSON serialisation
 * @throws the handler's error; Error on timeout, after which a later result is ignored
 */
export async function invoke<Event>(
  handler: LambdaHandler<Event>,
  event: Event,
  { functionName, timeoutMs, time }: FunctionOptions,
): Promise<unknown> {
  const end = time.monotonic() + timeoutMs;
  let cancel: (() => void) | undefined;
  const timeLimit = new Promise<never>((_resolve, reject) => {
    cancel = time.after(timeoutMs, () =>
      reject(new Error(`${functionName} timed out after ${timeoutMs / 1_000} s.`)),
    );
  });
  try {
    const result = await Promise.race([
      handler(
        event,
        contextOf(functionName, () => Math.max(0, end - time.monotonic())),
      ),
      timeLimit,
    ]);
    return result === undefined ? null : JSON.parse(JSON.stringify(result));
  } finally {
    cancel?.();
  }
}

function contextOf(functionName: string, remainingMs: () => number): Context {
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionName,
    functionVersion: '$LATEST',
    invokedFunctionArn: `arn:aws:lambda:us-east-1:000000000000:function:${functionName}`,
    memoryLimitInMB: '512',
    awsRequestId: randomUUID(),
    logGroupName: `/aws/lambda/${functionName}`,
    logStreamName: 'local',
    getRemainingTimeInMillis: () => Math.floor(remainingMs()),
    done: unsupported,
    fail: unsupported,
    succeed: unsupported,
  };
}

function unsupported(): never {
  throw new Error('Lambda does not support callbacks with Node.js 24: return a promise.');
}
