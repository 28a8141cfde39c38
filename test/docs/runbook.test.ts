import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { errorCodes, type RetryPolicy, retryPolicies } from '../../functions/errors.ts';
import { settings, synthesize } from '../infra/deployments.ts';
import { ofType, text } from '../infra/view.ts';

interface Article {
  heading: string;
  section: string;
  text: string;
}

const runbook = readFileSync('docs/runbook.md', 'utf8');
const articles: Article[] = runbook.split(/^## /m).flatMap((section) =>
  section
    .split(/^### /m)
    .slice(1)
    .map((article) => ({
      section: section.split('\n', 1)[0] ?? '',
      heading: article.split('\n', 1)[0] ?? '',
      text: article,
    })),
);

/** The anchor that GitHub generates for a heading. */
function anchorOf(heading: string): string {
  return `#${heading
    .toLowerCase()
    .replace(/[^\w -]/g, '')
    .replaceAll(' ', '-')}`;
}

/** Anchors in the descriptions of alarms and event rules. */
let anchors: string[];
/** Alarms with their names, without the prefix of the stage. */
let named: { name: string; anchor: string }[];

const anchorIn = (properties: unknown) =>
  /docs\/runbook\.md(#[\w-]+)/.exec(JSON.stringify(properties))?.[1] ?? 'none';

beforeAll(() => {
  const { view, stage } = synthesize(settings.minimal);
  // A rule without targets only counts events, for an alarm.
  const rules = ofType(view, 'AWS::Events::Rule').filter(
    ({ properties }) => properties.Targets !== undefined,
  );
  const texts = [...ofType(view, 'AWS::CloudWatch::Alarm'), ...rules];
  anchors = texts.map(({ properties }) => anchorIn(properties));
  named = ofType(view, 'AWS::CloudWatch::Alarm').map(({ properties }) => ({
    name: text(properties.AlarmName).slice(stage.name.length + 1),
    anchor: anchorIn(properties),
  }));
});

describe('The runbook', () => {
  test('has an article for every alarm and no other articles about alarms', () => {
    const alarms = articles.filter(({ section }) => section === 'Alarms');

    expect(alarms.map(({ heading }) => anchorOf(heading)).sort()).toEqual([...new Set(anchors)].sort());
  });

  test('has headings with which the names of their alarms start', () => {
    const headings = articles.filter(({ section }) => section === 'Alarms').map(({ heading }) => heading);

    const misnamed = named.filter(({ name, anchor }) => {
      const heading = headings.find((one) => anchorOf(one) === anchor);
      return heading === undefined || !name.startsWith(heading);
    });

    expect(named.length).toBeGreaterThan(20);
    expect(misnamed).toEqual([]);
  });

  test('has an article for every error code, in the order of errors.ts', () => {
    const codes = articles.filter(({ section }) => section === 'Error codes');

    expect(codes.map(({ heading }) => heading)).toEqual(errorCodes);
  });

  test('states for every error code what its retry policy does with a message', () => {
    const outcomes: Record<RetryPolicy, string> = {
      'dead-letter': 'The message becomes a dead letter at once.',
      retry: 'then becomes a dead letter.',
      wait: 'The message is retried until it succeeds',
      yield: 'The message is delayed and retried',
      continue: 'The message returns to its queue at once',
      acknowledge: 'is acknowledged and never becomes a dead letter',
    };
    const stated = articles
      .filter(({ section }) => section === 'Error codes')
      .map(({ heading, text: article }) => [
        heading,
        Object.entries(outcomes).flatMap(([policy, words]) => (article.includes(words) ? [policy] : [])),
      ]);

    expect(stated).toEqual(errorCodes.map((code) => [code, [retryPolicies[code]]]));
  });

  test('has a description, an investigation and a resolution in every article', () => {
    const incomplete = articles.filter(
      ({ text }) => !/\*\*Description\.\*\* .+\*\*Investigation\.\*\* .+\*\*Resolution\.\*\* .+/s.test(text),
    );

    expect(incomplete.map(({ heading }) => heading)).toEqual([]);
  });

  test('names a redrive by its whole command in every resolution', () => {
    const resolutions = articles.map(({ text }) => text.split('**Resolution.**')[1] ?? '');

    expect(resolutions.filter((text) => /`redrive|\b(then|and|;) redrive\b/.test(text))).toEqual([]);
    expect(resolutions.join('').split('npm run archiver -- redrive').length).toBeGreaterThan(10);
  });

  test('has unique anchors, and no link to a missing one', () => {
    const headings = [...runbook.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchorOf(heading));
    const links = [...runbook.matchAll(/\]\((#[\w-]+)\)/g)].map(([, link = '']) => link);

    expect(new Set(headings).size).toBe(headings.length);
    expect(links.filter((link) => !headings.includes(link))).toEqual([]);
  });
});

test('The runbook names the logical IDs and identifiers of all resources with data, for their import into a new stack', () => {
  const identifiers: Record<string, string> = {
    'AWS::KMS::Key': 'KeyId',
    'AWS::S3::Bucket': 'BucketName',
    'AWS::SecretsManager::Secret': 'Id',
  };
  const { resources } = synthesize(settings.minimal).view;
  const retained = resources.filter(
    ({ stack, deletionPolicy }) => stack === 'storage' && deletionPolicy?.startsWith('Retain'),
  );

  const mapping = /<<'JSON'\n(.+?)\nJSON/s.exec(runbook)?.[1] ?? '{}';
  const imported = Object.entries<object>(JSON.parse(mapping)).map(([id, by]) => [id, Object.keys(by)]);

  expect(Object.fromEntries(imported)).toEqual(
    Object.fromEntries(retained.map(({ id, type }) => [id, [identifiers[type]]])),
  );
});
