import { documentIdOfReceipt, receiptKey, receiptPrefix } from './keys.ts';
import { mapConcurrently } from './map-concurrently.ts';
import type { Bucket } from './store.ts';

/** Each run of ids has a stretch of the receipts to itself; this many stretches are listed at a time. */
const stretches = 16;
/** A page of 1,000 keys (300 kB, some 10 ms to parse) is worth reading while it settles at least this many ids. */
const worthAPage = 8;

/**
 * Those of the ids that have no receipt, asked for with few requests.
 *
 * Listings only, since the right to list shows which receipts there are and lets nobody read one: a HEAD needs
 * s3:GetObject and, for the checksum, kms:Decrypt. In money a listing costs as much as 12.5 HEADs ($0.005 against
 * $0.0004 per 1,000, S3 Standard in us-east-1), but it settles up to 1,000 ids: 25,000 ids among 100,000 receipts
 * take some 110 listings instead of 25,000 HEADs, which would take a function of this size half a minute of
 * computing alone.
 *
 * Document ids are random, so a window's ids lie scattered over all receipts. Sorted, they are walked through
 * along the listing, which leaps over receipts that nobody asked about (`startAfter` just before the next id), so
 * it never takes more requests than there are ids. Where receipts are so many that a page settles next to nothing,
 * each remaining id is looked up by its whole key: as many requests, but tiny ones.
 *
 * @throws ArchiverError those of `Bucket`, or the signal's reason
 */
export async function withoutReceipt(
  ids: readonly string[],
  bucket: Pick<Bucket, 'list'>,
  signal: AbortSignal,
): Promise<string[]> {
  const sorted = [...ids].sort();
  const perRun = Math.max(worthAPage, Math.ceil(sorted.length / stretches));
  const runs: string[][] = [];
  for (let start = 0; start < sorted.length; start += perRun) runs.push(sorted.slice(start, start + perRun));

  const walked = await mapConcurrently(runs, stretches, signal, (run, limited) =>
    walkAlongListing(run, bucket, limited),
  );
  const lookedUp = await mapConcurrently(
    walked.flatMap(({ unsettled }) => unsettled),
    stretches,
    signal,
    async (id, limited) => {
      const key = receiptKey(id);
      return (await bucket.list(key, undefined, limited)).includes(key) ? [] : [id];
    },
  );
  return [...walked.flatMap(({ missing }) => missing), ...lookedUp.flat()];
}

async function walkAlongListing(
  run: readonly string[],
  bucket: Pick<Bucket, 'list'>,
  signal: AbortSignal,
): Promise<{ missing: string[]; unsettled: readonly string[] }> {
  const missing: string[] = [];
  let next = 0;
  while (run.length - next >= worthAPage) {
    const [first] = run.slice(next, next + 1).map(receiptKey);
    const keys = await bucket.list(receiptPrefix, first?.slice(0, -1), signal);
    const receipts = new Set(keys.map(documentIdOfReceipt));
    const last = keys.at(-1);
    const beyond = run.findIndex((id, at) => at >= next && last !== undefined && receiptKey(id) > last);
    const settled = run.slice(next, beyond === -1 ? run.length : beyond);
    missing.push(...settled.filter((id) => !receipts.has(id)));
    next += settled.length;
    if (settled.length < worthAPage) break;
  }
  return { missing, unsettled: run.slice(next) };
}
