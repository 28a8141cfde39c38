import { describe, expect, it } from 'vitest';
import { violationCausedBy } from './detect-bug.ts';
import { seededBugs } from './seeded-bugs.ts';

describe('the simulation reports a violation for the bug', () => {
  it.each(seededBugs)(
    '"$name"',
    async (bug) => {
      expect(await violationCausedBy(bug)).toBeDefined();
    },
    120_000,
  );
});
