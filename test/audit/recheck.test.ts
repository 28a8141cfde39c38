import { describe, expect, it } from 'vitest';
import { createRecheck } from '../../functions/audit/recheck.ts';
import { receiptKey } from '../../functions/bucket/keys.ts';
import type { Bucket } from '../../functions/bucket/store.ts';

const idOf = (number: number) => `${number.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`;
const signal = new AbortController().signal;

describe('createRecheck', () => {
  it('looks up 5,000 documents at a time and the rest at the end', async () => {
    const archivedSince = new Set([1, 4_999, 5_000].map(idOf));
    const bucket: Pick<Bucket, 'list'> = {
      list: async (prefix, startAfter) =>
        [...archivedSince]
          .map(receiptKey)
          .filter((key) => key.startsWith(prefix) && (startAfter === undefined || key > startAfter))
          .sort(),
    };
    const checked = new Map<string, boolean>();
    const recheck = createRecheck(
      bucket,
      (work) => work(signal),
      ({ evidence }, isMissing) => checked.set(evidence.documentId, isMissing),
    );

    for (let number = 0; number < 5_002; number += 1) {
      await recheck.add({ evidence: { documentId: idOf(number) }, findings: [] });
      if (number === 4_998) expect(checked.size).toBe(0);
      if (number === 4_999) expect(checked.size).toBe(5_000);
    }
    await recheck.end();

    expect(checked.size).toBe(5_002);
    expect(new Set([...checked].filter(([, isMissing]) => !isMissing).map(([id]) => id))).toEqual(
      archivedSince,
    );
  });
});
