import { describe, expect, it } from 'vitest';
import { mergeById } from '../../functions/audit/merge-by-id.ts';
import { collected } from '../collected.ts';

describe('mergeById', () => {
  it.each([
    ['is not sorted', ['b', 'a']],
    ['repeats an ID', ['a', 'a']],
  ])('throws RangeError if a stream %s, and closes all streams', async (_case, ids) => {
    let closed = false;
    async function* sorted() {
      try {
        for (const id of ['a', 'b', 'c']) yield { id };
      } finally {
        closed = true;
      }
    }

    const merged = collected(mergeById({ sorted: sorted(), unsorted: ids.map((id) => ({ id })) }));

    await expect(merged).rejects.toThrow('The stream unsorted is not sorted by id.');
    expect(closed).toBe(true);
  });
});
