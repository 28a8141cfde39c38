/** Divides the document IDs into stretches of about the same number of documents, by a few listings of receipts. */
import { documentIdOfReceipt, receiptPrefix } from '../bucket/keys.ts';
import type { Bucket } from '../bucket/store.ts';
import { mapConcurrently } from '../map-concurrently.ts';
import type { Stretch } from './cells.ts';

/** Documents whose IDs begin with the same digit. */
interface Sample {
  digit: string;
  /** As estimated from one page of the listing. */
  documents: number;
}

const digits = '0123456789abcdef';
/** Digits of a bound: 4,096 different ones. As many as of a shard of the catalogue, so that parts do not share one. */
const boundDigits = 3;
const perDigit = 16 ** (boundDigits - 1);

/**
 * Estimates how many receipts there are for each first digit of the ID.
 *
 * @throws ArchiverError the errors of `Bucket`
 */
export async function sampleReceipts(bucket: Pick<Bucket, 'list'>, signal: AbortSignal): Promise<Sample[]> {
  return mapConcurrently([...digits], digits.length, signal, async (digit, limited) => {
    const keys = await bucket.list(`${receiptPrefix}${digit}`, undefined, limited);
    const last = documentIdOfReceipt(keys.at(-1) ?? '');
    const beyond =
      last === undefined ? [] : await bucket.list(`${receiptPrefix}${digit}`, keys.at(-1), limited);
    if (last === undefined || beyond.length === 0) return { digit, documents: keys.length };
    // The page covers this much of the digit. IDs need not be random, so at most the finest division is assumed.
    const covered = Math.max(Number.parseInt(last.slice(1, 8), 16) / 16 ** 7, 1 / perDigit);
    return { digit, documents: Math.ceil(keys.length / covered) };
  });
}

/** @param perStretch documents. @returns stretches that cover all IDs, in their order */
export function divideIds(samples: readonly Sample[], perStretch: number): Stretch[] {
  const bounds: string[] = [];
  let documents = 0;
  for (const sample of samples) {
    const pieces = Math.min(perDigit, Math.max(1, Math.ceil(sample.documents / perStretch)));
    for (let piece = 0; piece < pieces; piece += 1) {
      if (documents > 0 && documents + sample.documents / pieces > perStretch) {
        const offset = Math.floor((piece * perDigit) / pieces);
        bounds.push(sample.digit + offset.toString(16).padStart(boundDigits - 1, '0'));
        documents = 0;
      }
      documents += sample.documents / pieces;
    }
  }
  const starts = ['', ...bounds];
  return starts.map((from, position) => ({ from, before: starts[position + 1] ?? '' }));
}
