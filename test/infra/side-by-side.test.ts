import { expect, test } from 'vitest';
import { type SettingsName, settings, synthesize } from './deployments.ts';
import { at, type Json } from './view.ts';

/** Names of something inside a resource: of a metric in its namespace, of a stage of an API, of an event. */
const innerNames = new Set(['MetricName', 'StageName', 'eventName', 'name']);

/** Names in both templates that must be unique in an account and region, and namespaces of metrics. */
function namesOf(name: SettingsName): string[] {
  const { templates } = synthesize(settings[name]);
  return Object.values(templates).flatMap(({ Resources, Outputs = {} }) => [
    ...Object.values(Resources).flatMap(({ Type, Properties }) =>
      namesIn(Properties ?? null).map((value) => `${Type} ${value}`),
    ),
    ...Object.values(Outputs).flatMap((output) => {
      const exported = at(output, 'Export', 'Name');
      return exported === undefined ? [] : [`export ${exported}`];
    }),
  ]);
}

function namesIn(value: Json, key = ''): string[] {
  if (Array.isArray(value)) return key === 'Dimensions' ? [] : value.flatMap((entry) => namesIn(entry, key));
  if (value !== null && typeof value === 'object') {
    return Object.entries(value).flatMap(([inner, entry]) => namesIn(entry, inner));
  }
  const isName = /(name|namespace)$/i.test(key) && !innerNames.has(key);
  // AWS's own namespaces, such as AWS/SQS, have a dimension with the name of the queue.
  return isName && typeof value === 'string' && !value.startsWith('AWS/') ? [value] : [];
}

function sharedNames(one: SettingsName, other: SettingsName): string[] {
  const names = new Set(namesOf(one));
  return [...new Set(namesOf(other))].filter((name) => names.has(name));
}

test('Two archivers with different names share no name of a resource, an export, an alarm or a namespace', () => {
  expect(sharedNames('minimal', 'full')).toEqual([]);
});

test('Two archivers with the same name share all of them', () => {
  const shared = sharedNames('minimal', 'locked').map((name) => name.split(' ')[0]);

  expect(new Set(shared)).toEqual(
    new Set([
      'AWS::ApiGatewayV2::Api',
      'AWS::CloudWatch::Alarm',
      'AWS::CloudWatch::Dashboard',
      'AWS::Lambda::Function',
      'AWS::SNS::Topic',
      'AWS::SQS::Queue',
      'AWS::Scheduler::ScheduleGroup',
      'export',
    ]),
  );
});

test('The templates of one archiver name nothing of another, not even in the dashboard', () => {
  const templates = JSON.stringify(synthesize(settings.full).templates);

  expect(templates).toContain('TelnyxArchiver/letters');
  expect(templates).not.toContain('telnyx-archiver');
});

test('Two archivers of the same Telnyx account share the export that refuses the second one, unless it is accepted', () => {
  const claims = (name: SettingsName) =>
    namesOf(name).filter((one) => one.startsWith('export telnyx-archive-of:'));

  expect(claims('minimal')).toHaveLength(1);
  expect(claims('locked')).toEqual(claims('minimal'));
  expect(claims('full')).toEqual([]);
});
