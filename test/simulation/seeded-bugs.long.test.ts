import { describe, expect, it } from 'vitest';
import { breachBy } from './caught.ts';
import { seededBugs } from './seeded-bugs.ts';

describe('the simulation catches it when', () => {
  it.each(seededBugs)(
    '$name',
    async (bug) => {
      expect(await breachBy(bug)).toBeDefined();
    },
    120_000,
  );
});
