import { beforeAll, describe, expect, test } from 'vitest';
import * as keys from '../../functions/bucket/keys.ts';
import { flag, list, SettingsError, text, wholeNumber } from '../../functions/settings.ts';
import { archivePrefixes } from '../../infra/bucket.ts';
import { environmentFor } from '../../infra/environment.ts';
import { readStage } from '../../infra/stage.ts';
import { type SettingsName, type Synthesized, settings, settingsNames, synthesize } from './deployments.ts';
import { mutations } from './mutations.ts';
import released from './released-0.1.0.json' with { type: 'json' };
import { type CheckName, checks } from './template-checks.ts';
import { lossesBetween, type Stateful, statefulResources } from './upgrade.ts';
import type { Template } from './view.ts';

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

describe('The environment of a function', () => {
  const declared = {
    needed: { variable: 'NEEDED', read: wholeNumber(1, 9) },
    optional: { variable: 'OPTIONAL', read: text, fallback: 'x' },
  };
  const stage = readStage(settings.minimal);

  test('has the variables that the function declares, but for those that are left out by name.', () => {
    expect(environmentFor(declared, stage, { needed: '1' }, ['optional'])).toEqual({ NEEDED: '1' });
    expect(environmentFor(declared, stage, { needed: '1', optional: 'y' })).toEqual({
      NEEDED: '1',
      OPTIONAL: 'y',
    });
  });

  test('holds what the stage settings of the same name say.', () => {
    const named = {
      ...declared,
      archiveInfected: { variable: 'ARCHIVE_INFECTED', read: flag },
      maxDocumentBytes: { variable: 'MAX_DOCUMENT_BYTES', read: wholeNumber(1, 1_000) },
      downloadHosts: { variable: 'DOWNLOAD_HOSTS', read: list },
    };
    const changed = {
      ...stage,
      archiveInfected: true,
      maxDocumentBytes: 7,
      downloadHosts: ['a.com', 'b.com'],
    };

    expect(environmentFor(named, changed, { needed: '1' }, ['optional'])).toEqual({
      NEEDED: '1',
      ARCHIVE_INFECTED: 'true',
      MAX_DOCUMENT_BYTES: '7',
      DOWNLOAD_HOSTS: 'a.com,b.com',
    });
    expect(() =>
      environmentFor(named, { ...changed, maxDocumentBytes: 1_001 }, { needed: '1' }, ['optional']),
    ).toThrow(/MAX_DOCUMENT_BYTES must be a whole/);
  });

  test('does not compile with one missing or one too many.', () => {
    // @ts-expect-error: `optional` is neither given nor left out.
    environmentFor(declared, stage, { needed: '1' });
    // @ts-expect-error: `needed` is missing.
    environmentFor(declared, stage, { optional: 'y' });
    // @ts-expect-error: `other` is no setting.
    expect(() => environmentFor(declared, stage, { needed: '1', optional: 'y', other: 'z' })).toThrow(
      SettingsError,
    );
  });

  test('is refused at synth with a value that the function would refuse at start-up.', () => {
    expect(() => environmentFor(declared, stage, { needed: '10', optional: 'y' })).toThrow(
      /NEEDED must be a whole/,
    );
  });
});

test('Every prefix that the functions and the audit write under is guarded.', () => {
  const written = Object.entries(keys)
    .filter(([name]) => name.endsWith('Prefix'))
    .map(([, prefix]) => prefix);

  expect(written).toHaveLength(3);
  expect(Object.values(archivePrefixes).toSorted()).toEqual(written.toSorted());
});

describe('C36 an upgrade replaces nothing that holds data', () => {
  test('when settings change that have nothing to do with it.', () => {
    const before = statefulResources(synthesized.minimal.view);
    const after = statefulResources(synthesized.locked.view);

    expect(lossesBetween(before, after)).toEqual([]);
  });

  test('when this version follows the one that was released.', () => {
    const after = statefulResources(synthesized.minimal.view);

    expect(lossesBetween(released as Record<string, Stateful>, after)).toEqual([]);
  });

  test.each([
    [
      'renamed construct',
      ({ ArchiveBucket49F1AC64: bucket, ...others }: Record<string, Stateful>) => ({
        ...others,
        ...(bucket && { Renamed: bucket }),
      }),
      'ArchiveBucket49F1AC64 (AWS::S3::Bucket) is deleted',
    ],
    [
      'named queue',
      (all: Record<string, Stateful>) => ({
        ...all,
        QueuesDocumentsQueueB9DF1CFF: {
          type: 'AWS::SQS::Queue',
          stack: 'pipeline',
          properties: { QueueName: 'other' },
        },
      }),
      'QueuesDocumentsQueueB9DF1CFF (AWS::SQS::Queue) is replaced',
    ],
  ])('and a %s would be noticed.', (_, change, loss) => {
    const before = statefulResources(synthesized.minimal.view);

    expect(lossesBetween(before, change(before))).toEqual([loss]);
  });
});

describe('The templates are as they were', () => {
  test.each(['storage', 'pipeline'] as const)('%s.', (stack) => {
    const { templates } = synthesized.locked;

    expect(masked(templates[stack])).toMatchSnapshot();
  });
});

/** Without what depends on the checkout's path or on the release. */
function masked(template: Template): unknown {
  return JSON.parse(
    JSON.stringify(template)
      .replace(/[0-9a-f]{64}(?=\.zip|")/g, 'asset')
      .replace(/"aws:asset:path":"[^"]*"/g, '"aws:asset:path":"asset"')
      .replace(/"ARCHIVER_VERSION":"[^"]*"/g, '"ARCHIVER_VERSION":"version"'),
  );
}
