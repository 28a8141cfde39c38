import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { eraseCommand } from '../../cli/commands/erase.ts';
import { holdCommand } from '../../cli/commands/hold.ts';
import * as keys from '../../functions/bucket/keys.ts';
import { flag, list, SettingsError, text, wholeNumber } from '../../functions/settings.ts';
import { archivePrefixes } from '../../infra/bucket.ts';
import { environmentFor } from '../../infra/environment.ts';
import { readStage } from '../../infra/stage.ts';
import { type SettingsName, type Synthesized, settings, settingsNames, synthesize } from './deployments.ts';
import { mutations } from './mutations.ts';
import { denies, statementsOf } from './policies.ts';
import { type CheckName, checks } from './template-checks.ts';
import { atPath, type Template } from './view.ts';

const synthesized = {} as Record<SettingsName, Synthesized>;

beforeAll(() => {
  for (const name of settingsNames) synthesized[name] = synthesize(settings[name]);
});

const checkNames = Object.keys(checks) as CheckName[];

describe.each(settingsNames)('With %s settings', (name) => {
  test.each(checkNames)('%s', (check) => {
    const { view, stage } = synthesized[name];

    const problems = checks[check](view, stage);

    expect(problems).toEqual([]);
  });
});

describe('A change that removes a protection', () => {
  test.each(mutations)('fails a check: $change ($detectedBy)', ({ mutate, detectedBy }) => {
    const { view, stage } = synthesized.locked;
    const mutated = structuredClone(view);
    mutate(mutated);

    const problems = checks[detectedBy](mutated, stage);

    expect(mutated).not.toEqual(view);
    expect(problems).not.toEqual([]);
  });

  test('is tried for every check', () => {
    const tried = new Set(mutations.map(({ detectedBy }) => detectedBy));

    expect(checkNames.filter((check) => !tried.has(check))).toEqual([]);
  });
});

test.each(settingsNames)(
  'CloudFormation refuses another key with %s settings, because the pipeline stack imports its ARN',
  (name) => {
    const { templates, view, stage } = synthesized[name];
    const pipeline = JSON.stringify(templates.pipeline);
    const key = stage.existingKeyArn ?? `\${${atPath(view, 'Key').id}.Arn}`;
    const [exportName] = Object.entries(view.exports).find(([, value]) => value === key) ?? [];

    const imports = pipeline.split(JSON.stringify({ 'Fn::ImportValue': exportName })).length - 1;

    expect(imports).toBeGreaterThan(3);
    expect(stage.existingKeyArn === undefined || !pipeline.includes(stage.existingKeyArn)).toBe(true);
  },
);

describe('environmentFor', () => {
  const declared = {
    needed: { variable: 'NEEDED', read: wholeNumber(1, 9) },
    optional: { variable: 'OPTIONAL', read: text, fallback: 'x' },
  };
  const stage = readStage(settings.minimal);

  test('sets the variables that the function declares, except the omitted ones', () => {
    expect(environmentFor(declared, stage, { needed: '1' }, ['optional'])).toEqual({ NEEDED: '1' });
    expect(environmentFor(declared, stage, { needed: '1', optional: 'y' })).toEqual({
      NEEDED: '1',
      OPTIONAL: 'y',
    });
  });

  test('uses the stage settings with the same names', () => {
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

  test('does not compile if a setting is missing or unknown', () => {
    // @ts-expect-error: `optional` is neither passed nor omitted.
    environmentFor(declared, stage, { needed: '1' });
    // @ts-expect-error: `needed` is missing.
    environmentFor(declared, stage, { optional: 'y' });
    // @ts-expect-error: `other` is not a setting.
    expect(() => environmentFor(declared, stage, { needed: '1', optional: 'y', other: 'z' })).toThrow(
      SettingsError,
    );
  });

  test('throws for a value that the function would reject at start-up', () => {
    expect(() => environmentFor(declared, stage, { needed: '10', optional: 'y' })).toThrow(
      /NEEDED must be a whole/,
    );
  });
});

test('archivePrefixes lists every key prefix in functions/bucket/keys.ts', () => {
  const prefixes = Object.entries(keys)
    .filter(([name, value]) => name.endsWith('Prefix') && typeof value === 'string')
    .map(([, prefix]) => prefix);

  expect(prefixes).toHaveLength(6);
  expect(Object.values(archivePrefixes).toSorted()).toEqual(prefixes.toSorted());
});

describe('The policy for erasures and holds in docs/architecture.md', () => {
  const page = readFileSync('docs/architecture.md', 'utf8');
  const [, policy = ''] = /### Permissions for erasures and holds\n.*?```json\n(.*?)```/s.exec(page) ?? [];

  test('allows only what the bucket policy does not deny to a break-glass role', () => {
    const { view, stage } = synthesized.locked;
    const { id } = atPath(view, 'Archive/Bucket');
    const denials = statementsOf(atPath(view, 'Archive/Bucket/Policy').properties.PolicyDocument);
    const requests = statementsOf(JSON.parse(policy.replaceAll('arn:aws:s3:::<bucket>', `\${${id}.Arn}`)))
      .flatMap(({ actions, resources }) =>
        actions.flatMap((action) => resources.map((resource) => ({ action, resource }))),
      )
      .filter(({ action }) => action.startsWith('s3:'));
    const deniedTo = (principal: string) =>
      requests
        .filter(({ action, resource }) =>
          denies(denials, {
            action,
            resource,
            context: {
              'aws:PrincipalArn': principal,
              'aws:SecureTransport': 'true',
              's3:TlsVersion': '1.3',
              's3:ObjectCreationOperation': 'true',
              [resource.endsWith('holds/*') ? 's3:if-none-match' : 's3:if-match']: '*',
            },
          }),
        )
        .map(({ action }) => action);

    expect(requests).toHaveLength(31);
    expect(stage.breakGlassArns.flatMap(deniedTo)).toEqual([]);
    expect([...new Set(deniedTo('arn:aws:iam::1:role/admin'))].sort()).toEqual([
      's3:BypassGovernanceRetention',
      's3:DeleteObjectVersion',
      's3:PutObject',
      's3:PutObjectLegalHold',
    ]);
  });

  test('allows what the help of the commands names', () => {
    const actions = statementsOf(JSON.parse(policy)).flatMap((statement) => statement.actions);
    const named = [eraseCommand, holdCommand].flatMap(
      ({ help }) => help.permissions.match(/\b(?:s3|kms|cloudformation):\w+/g) ?? [],
    );

    expect([...new Set(named)].sort()).toEqual([...new Set(actions)].sort());
  });
});

describe('The templates match their snapshots', () => {
  test.each(['storage', 'pipeline'] as const)('%s stack', (stack) => {
    const { templates } = synthesized.locked;

    expect(masked(templates[stack])).toMatchSnapshot();
  });
});

/** Replaces what depends on the checkout path or the release. */
function masked(template: Template): unknown {
  return JSON.parse(
    JSON.stringify(template)
      .replace(/[0-9a-f]{64}(?=\.zip|")/g, 'asset')
      .replace(/"aws:asset:path":"[^"]*"/g, '"aws:asset:path":"asset"')
      .replace(/"ARCHIVER_VERSION":"[^"]*"/g, '"ARCHIVER_VERSION":"version"'),
  );
}
