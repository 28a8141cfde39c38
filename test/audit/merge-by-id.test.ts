import { describe, expect, it } from 'vitest';
import { align } from '../../functions/audit/align.ts';
import { collected } from '../collected.ts';

describe('streams read side by side', () => {
  it.each([
    ['not sorted', ['b', 'a']],
    ['repeating an id', ['a', 'a']],
  ])('are refused where one is %s, and all of them are closed', async (_what, ids) => {
    let closed = false;
    async function* sound() {
      try {
        for (const id of ['a', 'b', 'c']) yield { id };
      } finally {
        closed = true;
      }
    }

    const reading = collected(align({ sound: sound(), unsound: ids.map((id) => ({ id })) }));

    await expect(reading).rejects.toThrow('The stream unsound is not sorted by id.');
    expect(closed).toBe(true);
  });
});
