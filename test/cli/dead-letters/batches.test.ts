import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { batchesOf } from '../../../cli/dead-letters/batches.ts';
import { queues } from '../../../functions/limits.ts';

const batchBytes = queues.messageBytes;
const third = Math.floor(batchBytes / 3);
const sum = (sizes: readonly number[]) => sizes.reduce((total, size) => total + size, 0);
/** Small, about a third of a batch, about a full batch, or more than SQS accepts. */
const size = fc.oneof(fc.nat(300), fc.integer({ min: third - 2, max: third + 2 }), fc.nat(2 * batchBytes));

describe('batchesOf', () => {
  it('keeps every item, in order, in batches of at most 10 entries and 1 MiB', () => {
    fc.assert(
      fc.property(fc.array(size, { maxLength: 60 }), (sizes) => {
        const batches = [...batchesOf(sizes, (bytes) => bytes)];

        expect(batches.flat()).toEqual(sizes);
        for (const batch of batches) {
          expect(batch.length).toBeGreaterThan(0);
          expect(batch.length).toBeLessThanOrEqual(queues.batchEntries);
          if (batch.length > 1) expect(sum(batch)).toBeLessThanOrEqual(batchBytes);
        }
      }),
    );
  });

  it('starts a new batch only when the next item does not fit', () => {
    fc.assert(
      fc.property(fc.array(size, { maxLength: 60 }), (sizes) => {
        const batches = [...batchesOf(sizes, (bytes) => bytes)];

        for (const [position, batch] of batches.slice(0, -1).entries()) {
          const isFull = batch.length === queues.batchEntries;
          const [next = 0] = batches[position + 1] ?? [];
          expect(isFull || sum(batch) + next > batchBytes).toBe(true);
        }
      }),
    );
  });

  it('limits only the number of entries for requests without messages', () => {
    expect([...batchesOf(Array(25).fill('x'))].map(({ length }) => length)).toEqual([10, 10, 5]);
  });
});
