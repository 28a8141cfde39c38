/**
 * Divides the document IDs into stretches, which are ranges of IDs with about the same number of documents. Estimates the
 * numbers by a few listings of receipts.
 */
import { documentIdOfReceipt, receiptPrefix } from '../bucket/keys.ts';
import type { ListedKey } from '../bucket/listing.ts';
import { mapConcurrently } from '../map-concurrently.ts';
import type { Stretch } from './cells.ts';

/** Documents whose IDs begin with the same digit. */
interface Sample {
  digit: string;
  /** As estimated from one page of the listing. */
  documents: number;
}

const digits = '0123456789abcdef';
/** Digits of a bound: 4,096 different bounds. As many digits as a shard of the catalogue has, so that no two parts write the same shard. */
const boundDigits = 3;
const perDigit = 16 ** (boundDigits - 1);

/** One page of a listing. */
const sampleSize = 1_000;

/**
 * Estimates for each first digit of the ID how many documents have or had a receipt: all versions are listed, so that an
 * archive whose objects are hidden by delete markers is divided as before.
 *
 * @param list lists the versions with this prefix
 * @throws ArchiverError the errors of `list`
 */
export async function sampleReceipts(
  list: (prefix: string) => AsyncIterable<Pick<ListedKey, 'key'>>,
  signal: AbortSignal,
  size = sampleSize,
): Promise<Sample[]> {
  return mapConcurrently([...digits], digits.length, signal, async (digit) => {
    let documents = 0;
    // Stryker disable next-line StringLiteral: it is an ID before it is used; required by the type.
    let last = '';
    for await (const { key } of list(`${receiptPrefix}${digit}`)) {
      const id = documentIdOfReceipt(key);
      if (id === undefined) continue;
      if (documents === size) return { digit, documents: Math.ceil(size / shareBefore(last)) };
      documents += 1;
      last = id;
    }
    return { digit, documents };
  });
}

/** A sample counts as at least this share, because IDs may not be random: a thousand receipts stand for at most 65 million. */
const leastShare = 1 / 16 ** 4;

/** Which share of the IDs with the same first digit comes before an ID. */
function shareBefore(id: string): number {
  return Math.max(Number.parseInt(id.slice(1, 8), 16) / 16 ** 7, leastShare);
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
