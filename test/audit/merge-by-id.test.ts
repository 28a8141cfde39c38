import { describe, expect, it } from 'vitest';
import { mergeById } from '../../functions/audit/merge-by-id.ts';
import { collected } from '../collected.ts';

describe('mergeById', () => {
  it('returns a row for each ID, sorted, with the entries of the streams that have it', async () => {
    const streams = {
      a: [{ id: '2' }, { id: '4' }],
      b: [{ id: '1' }, { id: '2' }, { id: '5' }],
      c: [{ id: '2' }, { id: '3' }, { id: '4' }],
    };

    expect(await collected(mergeById(streams))).toEqual([
      { id: '1', b: { id: '1' } },
      { id: '2', a: { id: '2' }, b: { id: '2' }, c: { id: '2' } },
      { id: '3', c: { id: '3' } },
      { id: '4', a: { id: '4' }, c: { id: '4' } },
      { id: '5', b: { id: '5' } },
    ]);
  });

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
