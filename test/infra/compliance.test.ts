import type { IConstruct } from 'constructs';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Acknowledgement, acknowledgements } from '../../infra/acknowledgements.ts';
import { compliancePacks } from '../../infra/deployment.ts';
import { readStage } from '../../infra/stage.ts';
import { type SettingsName, settings, settingsNames, stacksWithoutAcknowledgements } from './deployments.ts';

interface Finding {
  rule: string;
  path: string;
}

/** cdk-nag findings of the stacks without acknowledgements, and the acknowledgements. */
const compliance = {} as Record<SettingsName, { findings: Finding[]; acknowledged: Acknowledgement[] }>;

beforeAll(() => {
  for (const name of settingsNames) {
    const { storage, pipeline } = stacksWithoutAcknowledgements(settings[name]);
    const acknowledged = acknowledgements(readStage(settings[name]), storage, pipeline);
    const findings = compliancePacks().flatMap((pack) =>
      pack
        .validateScope(storage.node.root)
        .violations.flatMap(({ ruleName, violatingResources }) =>
          violatingResources.map(({ constructPath }) => ({ rule: ruleName, path: constructPath ?? '' })),
        ),
    );
    compliance[name] = { findings, acknowledged };
  }
});

function covers(construct: IConstruct, path: string): boolean {
  return path === construct.node.path || path.startsWith(`${construct.node.path}/`);
}

describe.each(settingsNames)('With %s settings', (name) => {
  test('every finding of the five cdk-nag packs is acknowledged', () => {
    const { findings, acknowledged } = compliance[name];

    const unacknowledged = findings.filter(
      ({ rule, path }) =>
        !acknowledged.some(({ rules, on }) => rules.includes(rule) && on.some((one) => covers(one, path))),
    );

    expect(findings.length).toBeGreaterThan(20);
    expect(unacknowledged).toEqual([]);
  });

  test('every acknowledgement matches a finding at each of its constructs', () => {
    const { findings, acknowledged } = compliance[name];

    const stale = acknowledged.flatMap(({ rules, on }) =>
      rules.flatMap((rule) =>
        on
          .filter((one) => !findings.some((finding) => finding.rule === rule && covers(one, finding.path)))
          .map((one) => `${rule} at ${one.node.path}`),
      ),
    );

    expect(stale).toEqual([]);
  });
});

test('Every acknowledgement has its own reason of at least 20 characters', () => {
  const { acknowledged } = compliance.full;

  const reasons = acknowledged.map(({ reason }) => reason);

  expect(reasons.filter((reason) => reason.length < 20)).toEqual([]);
  expect(new Set(reasons).size).toBe(reasons.length);
});
