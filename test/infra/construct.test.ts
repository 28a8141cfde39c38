import { App, Aspects, DefaultStackSynthesizer, type IStackSynthesizer, Stack } from 'aws-cdk-lib';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { expect, test } from 'vitest';
import { secretIdIn, stackOutputs } from '../../cli/target/deployed-stacks.ts';
import { TelnyxDocumentArchiver, type TelnyxDocumentArchiverProps } from '../../infra/construct.ts';
import { readStage, StageError } from '../../infra/stage.ts';
import { minimal, settings, synthesize } from './deployments.ts';
import { exportsOf } from './specification.ts';
import type { Template } from './view.ts';

/** An app without feature flags. Stack traces are not needed, and take most of the time. */
function newApp(): App {
  return new App({ context: { 'aws:cdk:disable-stack-trace': true }, analyticsReporting: false });
}

function templateOf(stack: Stack): Template {
  return App.of(stack)?.synth().getStackByName(stack.stackName).template;
}

/** Resources of each type, with their properties by name. */
function inventory(...templates: Template[]): string[] {
  return templates
    .flatMap(({ Resources }) => Object.values(Resources))
    .map(
      ({ Type, Properties }) => `${Type}: ${Object.keys(Properties ?? {}).filter((name) => name !== 'Tags')}`,
    )
    .toSorted();
}

test('The construct creates the same resources as both stacks, whatever the feature flags of the app', () => {
  const stack = new Stack(newApp(), 'Compliance');
  new TelnyxDocumentArchiver(stack, 'Documents', settings.locked);

  const template = templateOf(stack);

  const { storage, pipeline } = synthesize(settings.locked).templates;
  expect(inventory(template)).toEqual(inventory(storage, pipeline));
});

test('The construct leaves the rest of the app as it is, without tags or aspects', () => {
  const withOther = (archiver: boolean) => {
    const app = newApp();
    const stack = new Stack(app, 'Other');
    new Bucket(stack, 'Bucket');
    if (archiver) new TelnyxDocumentArchiver(new Stack(app, 'Compliance'), 'Documents', minimal);
    return { app, stack, template: templateOf(stack) };
  };

  const { app, template } = withOther(true);

  expect(template).toEqual(withOther(false).template);
  const own = templateOf(app.node.findChild('Compliance') as Stack);
  expect(
    Object.values(own.Resources).filter(({ Properties }) =>
      JSON.stringify(Properties ?? {}).includes('"Tags"'),
    ),
  ).toEqual([]);
  const withAspects = app.node.findAll().filter((one) => Aspects.of(one).all.length > 0);
  const paths = withAspects.map(({ node }) => node.path);
  // Within the construct, CDK's own roles have some.
  expect(paths.filter((path) => !path.startsWith('Compliance/Documents/'))).toEqual([]);
});

test('The parts of the construct can be reached', () => {
  const stack = new Stack(newApp(), 'Compliance');

  const archiver = new TelnyxDocumentArchiver(stack, 'Documents', settings.minimal);

  expect(stack.resolve(archiver.bucket.bucketName)).toEqual({
    Ref: expect.stringMatching(/^DocumentsStorageArchiveBucket/),
  });
  expect(Object.keys(archiver.queues)).toEqual(
    expect.arrayContaining(['documents', 'backfill', 'discovery', 'spans', 'audit']),
  );
  expect(stack.resolve(archiver.queues.documents.deadLetters.queueUrl)).toHaveProperty('Ref');
  expect(stack.resolve(archiver.alarmTopic.topicArn)).toHaveProperty('Ref');
  expect(JSON.stringify(stack.resolve(archiver.webhookUrl))).toContain('/webhook');
});

test('Both kinds of deployment export what the command line reads, under the name of the archiver', () => {
  const named = { ...minimal, name: 'letters', runbookUrl: 'https://example.com/runbook.md' };
  const stack = new Stack(newApp(), 'Compliance');
  new TelnyxDocumentArchiver(stack, 'Documents', named);
  const { templates } = synthesize(named);

  const namesIn = (...all: Template[]) =>
    all.flatMap((template) => exportsOf(template).map(([name]) => name));
  const expected = Object.keys(stackOutputs).map((name) => `letters:${name}`);

  expect(namesIn(templateOf(stack))).toEqual(expect.arrayContaining(expected));
  expect(namesIn(templates.storage, templates.pipeline)).toEqual(expect.arrayContaining(expected));
});

test('The outputs of this app keep their keys, which the command line reads in stacks of version 0.1.0', () => {
  const { templates, view } = synthesize({ ...minimal, runbookUrl: 'https://example.com/runbook.md' });

  for (const [key, part] of Object.entries(stackOutputs)) expect(templates[part].Outputs).toHaveProperty(key);
  const secret = view.resources.find(({ type }) => type === 'AWS::SecretsManager::Secret');
  expect(secretIdIn(String(view.outputs.StoreApiKey))).toBe(`\${${secret?.id}}`);
});

test('An archiver of the longest name, with hyphens, has valid names of exports', () => {
  const name = `a${'-1'.repeat(14)}--`;
  const stack = new Stack(newApp(), 'Compliance');
  new TelnyxDocumentArchiver(stack, 'Documents', {
    ...minimal,
    name,
    runbookUrl: 'https://example.com/runbook.md',
  });

  const names = exportsOf(templateOf(stack)).map(([exported]) => exported);

  expect(name).toHaveLength(31);
  expect(() => readStage({ ...minimal, name: `${name}a` })).toThrow('2 to 31');
  expect(names.filter((exported) => exported.startsWith(`${name}:`))).toHaveLength(
    Object.keys(stackOutputs).length,
  );
  // AWS CloudFormation user guide, "Outputs": letters, digits, colons and hyphens; CDK refuses more than 255.
  expect(names.filter((exported) => !/^[A-Za-z0-9:-]{1,255}$/.test(exported))).toEqual([]);
  expect(new Set(names).size).toBe(names.length);
});

test('Two archivers with different names fit into one stack', () => {
  const stack = new Stack(newApp(), 'Compliance');
  for (const name of ['dev', 'prod']) {
    new TelnyxDocumentArchiver(stack, name, { ...minimal, name, acceptSecondArchive: true });
  }

  const template = templateOf(stack);

  const names = Object.values(template.Resources).flatMap(({ Type, Properties }) =>
    Object.entries(Properties ?? {})
      .filter(
        ([key]) => key === 'QueueName' || key === 'AlarmName' || key === 'DashboardName' || key === 'Name',
      )
      .map(([, value]) => `${Type} ${value}`),
  );
  expect(names).toContain('AWS::Scheduler::ScheduleGroup prod-pipeline-sweep');
  expect(new Set(names).size).toBe(names.length);
});

test('The bucket policy exempts the CloudFormation role of the stack, also in an account with its own bootstrap', () => {
  const role = 'arn:aws:iam::111122223333:role/our-deployments';
  const stack = new Stack(newApp(), 'Compliance', {
    // The cast is for exactOptionalPropertyTypes.
    synthesizer: new DefaultStackSynthesizer({ cloudFormationExecutionRole: role }) as IStackSynthesizer,
    env: { account: '111122223333', region: 'eu-central-1' },
  });
  new TelnyxDocumentArchiver(stack, 'Documents', minimal);

  const template = JSON.stringify(templateOf(stack));

  expect(template).toContain(role);
  expect(template).not.toContain('hnb659fds-cfn-exec-role');
});

test.each<[string, Partial<Record<keyof TelnyxDocumentArchiverProps, unknown>>, RegExp]>([
  ['a value that is not valid', { retentionDays: 0 }, /construct Compliance\/Documents .*\n.*retentionDays/],
  [
    'a key in another account than the stack',
    { existingKeyArn: 'arn:aws:kms:eu-central-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab' },
    /existingKeyArn is in account 444455556666, but the stacks are in 111122223333/,
  ],
])('The construct throws for %s', (_, change, message) => {
  const stack = new Stack(newApp(), 'Compliance', {
    env: { account: '111122223333', region: 'eu-central-1' },
  });
  const props = { ...minimal, ...change } as TelnyxDocumentArchiverProps;

  let thrown: unknown;
  try {
    new TelnyxDocumentArchiver(stack, 'Documents', props);
  } catch (error) {
    thrown = error;
  }

  expect(thrown).toBeInstanceOf(StageError);
  expect(String(thrown)).toMatch(message);
});
