import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { settings, synthesize } from '../infra/deployments.ts';
import { ofType } from '../infra/view.ts';

test('docs/architecture.md states the number of deployed alarms and of the metrics that AWS charges for', () => {
  const alarms = ofType(synthesize(settings.minimal).view, 'AWS::CloudWatch::Alarm');
  const metrics = alarms.reduce((sum, { properties }) => {
    // AWS charges each metric of an alarm on an expression, and one for any other alarm.
    const queries = Array.isArray(properties.Metrics) ? properties.Metrics : [{ MetricStat: true }];
    return sum + queries.filter((query) => JSON.stringify(query).includes('"MetricStat"')).length;
  }, 0);
  const page = readFileSync('docs/architecture.md', 'utf8');

  const counted = /(\d+) alarms on (\d+) metrics, at 0\.10 per metric \| ([\d.]+) \|/.exec(page);
  expect(counted?.slice(1).map(Number)).toEqual([alarms.length, metrics, metrics / 10]);
});

test.each([
  [/KMS \| (\d+) keys at 1\.00/, 'AWS::KMS::Key'],
  [/Secrets Manager \| (\d+) secret/, 'AWS::SecretsManager::Secret'],
  [/CloudWatch dashboard \| (\d+) per archiver/, 'AWS::CloudWatch::Dashboard'],
  [/SQS \| (\d+) queues, each polled by Lambda/, 'AWS::Lambda::EventSourceMapping'],
])('docs/architecture.md states the deployed number of what costs extra: %s', (stated, type) => {
  const page = readFileSync('docs/architecture.md', 'utf8');

  expect(Number(stated.exec(page)?.[1])).toBe(ofType(synthesize(settings.minimal).view, type).length);
});
