/** Batches within the limits of SQS: messages and attributes of a batch have at most 1 MiB (Amazon SQS message quotas). */
import { queues } from '../../functions/limits.ts';

/**
 * Splits items, in their order, into batches that SQS accepts: at most 10 entries and 1 MiB. An item that is larger
 * by itself gets a batch of its own.
 *
 * @param bytesOf size of an item's message in bytes: UTF-8 body and attributes. @default 0, for requests without messages
 */
export function* batchesOf<Item>(
  items: Iterable<Item>,
  // Stryker disable next-line ArrowFunction: no sum with undefined is over the limit either.
  bytesOf: (item: Item) => number = () => 0,
): Generator<Item[]> {
  let batch: Item[] = [];
  let bytes = 0;
  for (const item of items) {
    const size = bytesOf(item);
    if (batch.length === queues.batchEntries || (batch.length > 0 && bytes + size > queues.messageBytes)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(item);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}
