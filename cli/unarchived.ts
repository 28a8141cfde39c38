import { createStorageRetry } from '../functions/bucket/storage-retry.ts';
import { withoutReceipt } from '../functions/bucket/unarchived.ts';
import type { CommandContext } from './command.ts';

/**
 * The documents that have no receipt, looked up with few list requests. Requires s3:ListBucket.
 *
 * @throws ArchiverError as `Bucket`
 */
export async function findUnarchived(
  ids: readonly string[],
  { target, time, random, signal }: CommandContext,
): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const { bucket } = await target.bucket();
  const retry = createStorageRetry({ time, random, signal });
  return new Set(await retry((limited) => withoutReceipt(ids, bucket, limited)));
}
