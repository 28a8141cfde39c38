import { mapConcurrently } from '../map-concurrently.ts';
import { documentIdOfReceipt, receiptKey, receiptPrefix } from './keys.ts';
import type { Bucket } from './store.ts';

/** The sorted IDs are split into this many chunks; each chunk is looked up in a key range of its own. */
const concurrency = 16;
/** A page of 1,000 keys (300 kB, about 10 ms to parse) is worth reading if it answers for at least this many IDs. */
const minIdsPerPage = 8;

/**
 * Returns the IDs that have no receipt, with few requests.
 *
 * It uses listings only: permission to list does not include permission to read a receipt, whereas HEAD needs
 * s3:GetObject and, for the checksum, kms:Decrypt. A listing costs as much as 12.5 HEAD requests ($0.005 and $0.0004
 * per 1,000, S3 Standard in us-east-1), but answers for up to 1,000 IDs: 25,000 IDs among 100,000 receipts take about
 * 110 listings instead of 25,000 HEAD requests, which would take a function of this size half a minute of CPU time.
 *
 * Document IDs are random, so the IDs of a time span are scattered over all receipts. The sorted IDs are compared with
 * the listing page by page. Each page starts just before the next ID (`startAfter`), which skips receipts that are not
 * asked for, so there are never more requests than IDs. If there are so many receipts that a page answers for only a
 * few IDs, each remaining ID is looked up by its full key: as many requests, but with tiny responses.
 *
 * @throws ArchiverError the errors of `Bucket`, or the signal's reason
 */
export async function withoutReceipt(
  ids: readonly string[],
  bucket: Pick<Bucket, 'list'>,
  signal: AbortSignal,
): Promise<string[]> {
  const sorted = [...ids].sort();
  const chunkSize = Math.max(minIdsPerPage, Math.ceil(sorted.length / concurrency));
  const chunks: string[][] = [];
  // Stryker disable next-line EqualityOperator: an empty chunk causes no request.
  for (let start = 0; start < sorted.length; start += chunkSize) {
    chunks.push(sorted.slice(start, start + chunkSize));
  }

  const compared = await mapConcurrently(chunks, concurrency, signal, (chunk, limited) =>
    compareWithListing(chunk, bucket, limited),
  );
  const lookedUp = await mapConcurrently(
    compared.flatMap(({ remaining }) => remaining),
    concurrency,
    signal,
    async (id, limited) => {
      const key = receiptKey(id);
      return (await bucket.list(key, undefined, limited)).includes(key) ? [] : [id];
    },
  );
  return [...compared.flatMap(({ missing }) => missing), ...lookedUp.flat()];
}

async function compareWithListing(
  chunk: readonly string[],
  bucket: Pick<Bucket, 'list'>,
  signal: AbortSignal,
): Promise<{ missing: string[]; remaining: readonly string[] }> {
  const missing: string[] = [];
  let next = 0;
  while (chunk.length - next >= minIdsPerPage) {
    const [first] = chunk.slice(next, next + 1).map(receiptKey);
    // Stryker disable next-line OptionalChaining: `first` is always defined; required by the type.
    const keys = await bucket.list(receiptPrefix, first?.slice(0, -1), signal);
    const receipts = new Set(keys.map(documentIdOfReceipt));
    const last = keys.at(-1);
    // Stryker disable next-line ConditionalExpression,EqualityOperator,LogicalOperator: ids before `next` are not beyond `last`, and none is beyond undefined.
    const beyond = chunk.findIndex((id, at) => at >= next && last !== undefined && receiptKey(id) > last);
    const answered = chunk.slice(next, beyond === -1 ? chunk.length : beyond);
    missing.push(...answered.filter((id) => !receipts.has(id)));
    next += answered.length;
    if (answered.length < minIdsPerPage) break;
  }
  return { missing, remaining: chunk.slice(next) };
}
