/** Calls a handler as Lambda does: with a context, a time limit, and an answer that must be JSON. */
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
 * @returns what the handler's answer is once it has been JSON
 * @throws what the handler throws; Error when the time limit is over, in which case a later answer counts for nothing
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
      reject(new Error(`${functionName} did not end within ${timeoutMs / 1_000} s.`)),
    );
  });
  try {
    const answer = await Promise.race([
      handler(
        event,
        contextOf(functionName, () => Math.max(0, end - time.monotonic())),
      ),
      timeLimit,
    ]);
    return answer === undefined ? null : JSON.parse(JSON.stringify(answer));
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
  throw new Error('Node.js 24 on Lambda has no callbacks: return a promise.');
}
