import { describe, expect, it, onTestFinished } from 'vitest';
import { loadConnectedFunctions } from '../archive/warm-archive.ts';
import { applyBug } from '../simulation/apply-bug.ts';
import { type ScenarioName, scenarios, socketBugs } from './socket-guards.ts';

async function functionsWith(bug: Parameters<typeof applyBug>[0]) {
  const patched = await applyBug(bug);
  onTestFinished(patched.remove);
  return loadConnectedFunctions(patched.folder);
}

const names = Object.keys(scenarios) as ScenarioName[];

describe('the archiver', () => {
  it.each(names)('%s', async (name) => {
    expect(await scenarios[name](await functionsWith({ name: 'none', edits: [] }))).toEqual([]);
  });
});

describe('the scenarios detect the bug', () => {
  it.each(socketBugs)('"$name"', async (bug) => {
    expect(await scenarios[bug.detectedBy](await functionsWith(bug))).not.toEqual([]);
  });
});

describe('every scenario', () => {
  it('detects at least one bug', () => {
    expect(new Set(socketBugs.map(({ detectedBy }) => detectedBy))).toEqual(new Set(names));
  });
});
