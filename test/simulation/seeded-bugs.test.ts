/** Ten bugs, for the quick run; `seeded-bugs.long.test.ts` runs all of them. */
import { describe, expect, it } from 'vitest';
import { patchedFiles } from './apply-bug.ts';
import { violationCausedBy } from './detect-bug.ts';
import { erasureBugs, type SeededBug, seededBugs } from './seeded-bugs.ts';

const sample = [
  ...spaced(
    seededBugs.filter((bug) => !erasureBugs.includes(bug)),
    8,
  ),
  ...spaced(erasureBugs, 2),
];

/** Evenly spaced in the list, so that every group of bugs is represented. */
function spaced(bugs: readonly SeededBug[], count: number): SeededBug[] {
  return bugs.filter(
    (_, index) =>
      Math.floor((index * count) / bugs.length) !== Math.floor(((index - 1) * count) / bugs.length),
  );
}

describe('the simulation reports a violation for the bug', () => {
  it.each(sample)(
    '"$name"',
    async (bug) => {
      expect(await violationCausedBy(bug)).toBeDefined();
    },
    120_000,
  );
});

describe('the quick run', () => {
  it('has ten bugs of the list', () => {
    expect(sample).toHaveLength(10);
  });
});

describe('patchedFiles', () => {
  it('applies every seeded bug to the current source', async () => {
    for (const bug of seededBugs) expect((await patchedFiles(bug)).size).toBeGreaterThan(0);
  });

  it('throws when a fragment does not occur exactly once', async () => {
    const missing = {
      name: 'missing',
      edits: [{ file: 'log.ts', fragment: 'no such text', replacement: '' }],
    };
    const inCommand = {
      name: 'in a command',
      edits: [{ file: 'cli/erasure/examine.ts', fragment: 'no such text', replacement: '' }],
    };
    const repeated = { name: 'repeated', edits: [{ file: 'log.ts', fragment: 'value', replacement: '' }] };

    await expect(patchedFiles(missing)).rejects.toThrow('once in functions/log.ts, but occurs 0 times');
    await expect(patchedFiles(inCommand)).rejects.toThrow(
      'once in cli/erasure/examine.ts, but occurs 0 times',
    );
    await expect(patchedFiles(repeated)).rejects.toThrow(/but occurs \d+ times/);
  });
});
