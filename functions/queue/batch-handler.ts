import middy from '@middy/core';
import type { Context, SQSEvent } from 'aws-lambda';
import { ArchiverError } from '../errors.ts';
import { timeouts } from '../limits.ts';
import { nextTurn, withDeadline } from '../time.ts';
import { type BatchDependencies, consumeBatch, type Job } from './batch.ts';

/**
 * A handler of SQS events that ends before its invocation does, and reports failed messages as `batchItemFailures`.
 *
 * @param createJob gets the time at which the work must have ended, in monotonic milliseconds
 * @param outOfTime the message of the error OutOfTime, which is the signal's reason then
 */
export function createBatchHandler<Message>(
  dependencies: BatchDependencies,
  createJob: (deadline: number) => Job<Message>,
  outOfTime: string,
) {
  const { time } = dependencies;
  const handle = async (event: SQSEvent, context: Context, { signal }: { signal: AbortSignal }) => {
    await nextTurn();
    const availableMs = context.getRemainingTimeInMillis() - timeouts.reserveMs;
    const deadline = time.monotonic() + availableMs;
    const onExpiry = () => new ArchiverError('OutOfTime', outOfTime);
    return withDeadline(time, availableMs, signal, onExpiry, (limited) =>
      consumeBatch(event, limited, createJob(deadline), dependencies),
    );
  };
  return middy(handle, { timeoutEarlyInMillis: timeouts.lastResortMs });
}
