import { beforeAll, describe, expect, test } from 'vitest';
import { type SettingsName, type Synthesized, settings, settingsNames, synthesize } from './deployments.ts';
import { mutations } from './mutations.ts';
import { type CheckName, checks } from './template-checks.ts';

const synthesized = {} as Record<SettingsName, Synthesized>;

beforeAll(() => {
  for (const name of settingsNames) synthesized[name] = synthesize(settings[name]);
});

const checkNames = Object.keys(checks) as CheckName[];

describe.each(settingsNames)('With %s settings', (name) => {
  test.each(checkNames)('%s.', (check) => {
    const { view, stage } = synthesized[name];

    const problems = checks[check](view, stage);

    expect(problems).toEqual([]);
  });
});

describe('A guard that is lost is noticed by name', () => {
  test.each(mutations)('$what: $noticedBy.', ({ mutate, noticedBy }) => {
    const { view, stage } = synthesized.locked;
    const mutated = structuredClone(view);
    mutate(mutated);

    const problems = checks[noticedBy](mutated, stage);

    expect(mutated).not.toEqual(view);
    expect(problems).not.toEqual([]);
  });

  test('There is a mutation for every check.', () => {
    const noticed = new Set(mutations.map(({ noticedBy }) => noticedBy));

    expect(checkNames.filter((check) => !noticed.has(check))).toEqual([]);
  });
});
