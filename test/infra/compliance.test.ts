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

/** What cdk-nag finds where nothing is acknowledged, and what would be. */
const unacknowledged = {} as Record<SettingsName, { findings: Finding[]; acknowledged: Acknowledgement[] }>;

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
    unacknowledged[name] = { findings, acknowledged };
  }
});

function covers(construct: IConstruct, path: string): boolean {
  return path === construct.node.path || path.startsWith(`${construct.node.path}/`);
}

describe.each(settingsNames)('With %s settings', (name) => {
  test('C01 cdk-nag finds nothing in five packs that is not acknowledged.', () => {
    const { findings, acknowledged } = unacknowledged[name];

    const open = findings.filter(
      ({ rule, path }) =>
        !acknowledged.some(({ rules, on }) => rules.includes(rule) && on.some((one) => covers(one, path))),
    );

    expect(findings.length).toBeGreaterThan(20);
    expect(open).toEqual([]);
  });

  test('C02 every acknowledgement still has its finding, at each construct that it names.', () => {
    const { findings, acknowledged } = unacknowledged[name];

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

test('C02 every acknowledgement gives a reason that somebody can disagree with.', () => {
  const { acknowledged } = unacknowledged.full;

  const reasons = acknowledged.map(({ reason }) => reason);

  expect(reasons.filter((reason) => reason.length < 20)).toEqual([]);
  expect(new Set(reasons).size).toBe(reasons.length);
});
