import { describe, expect, it, onTestFinished } from 'vitest';
import { loadConnectedFunctions } from '../archive/warm-archive.ts';
import { plant } from '../simulation/plant.ts';
import { type ScenarioName, scenarios, socketBugs } from './socket-guards.ts';

async function functionsWith(bug: Parameters<typeof plant>[0]) {
  const planted = await plant(bug);
  onTestFinished(planted.remove);
  return loadConnectedFunctions(planted.folder);
}

describe('with every guard of the connections', () => {
  const names = Object.keys(scenarios) as ScenarioName[];

  it.each(names)('%s', async (name) => {
    expect(await scenarios[name](await functionsWith({ name: 'none', edits: [] }))).toEqual([]);
  });

  it('each of these has a bug that it notices', () => {
    expect(new Set(socketBugs.map(({ noticedBy }) => noticedBy))).toEqual(new Set(names));
  });
});

describe('it is noticed when', () => {
  it.each(socketBugs)('$name', async (bug) => {
    expect(await scenarios[bug.noticedBy](await functionsWith(bug))).not.toEqual([]);
  });
});
