import { describe, expect, test } from 'vitest';
import { settings, settingsNames, synthesize } from './deployments.ts';
import released from './released-0.1.0.json' with { type: 'json' };
import { specificationProblems, type Templates } from './specification.ts';
import { lossesBetween } from './upgrade.ts';
import { at, type Json, object } from './view.ts';

/** Resources with data, and exports, of version 0.1.0 (commit 8d060c1) with the minimal settings. */
const release = released as Templates;

const bucket = 'storage/Resources/ArchiveBucket49F1AC64';
const secret = 'storage/Resources/ApiKeySecret51CD6EF2';
const key = 'storage/Resources/Key961B73FD';
const keyExport = 'storage/Outputs/ExportsOutputFnGetAttKey961B73FDArn5A860C43';
const queue = 'pipeline/Resources/QueuesDocumentsQueueB9DF1CFF';
const queuePolicy = 'pipeline/Resources/QueuesDocumentsQueuePolicy82D33436';
const webhook = 'pipeline/Resources/FunctionsWebhookFunction7FB754E3';
const webhookRole = 'pipeline/Resources/FunctionsWebhookRole322B3FB5';
const webhookLog = 'pipeline/Resources/FunctionsWebhookLog34FFBD80';
const mapping = 'pipeline/Resources/FunctionsArchiveDocuments063911E0';
const integration = 'pipeline/Resources/WebhookApiPOSTwebhookWebhookB10DB3E7';
const schedule = 'pipeline/Resources/SweepScheduleE6028B01';
const rule = 'pipeline/Resources/AlarmsDeletionRuleB60428C8';

/** A copy of the templates with one value set, or removed if it is undefined. */
function changed(path: string, value: Json | undefined): Templates {
  const templates = structuredClone(synthesize(settings.locked).templates);
  const steps = path.split('/');
  const name = steps.pop() ?? '';
  const parent = object(at(templates, ...steps));
  if (value === undefined) delete parent[name];
  else parent[name] = value;
  return templates;
}

describe("The check against CloudFormation's specification", () => {
  test.each(settingsNames)('finds no problem in the templates with %s settings', (name) => {
    expect(specificationProblems(synthesize(settings[name]).templates)).toEqual([]);
  });

  test.each<[string, string, Json | undefined, string[]]>([
    [
      'a misspelt property',
      `${bucket}/Properties/BucketEncription`,
      {},
      ['ArchiveBucket49F1AC64.BucketEncription: unknown property'],
    ],
    [
      'a misspelt property inside another',
      `${bucket}/Properties/BucketEncryption/ServerSideEncryptionConfiguration/0/BucketKey`,
      true,
      [
        'ArchiveBucket49F1AC64.BucketEncryption.ServerSideEncryptionConfiguration[0].BucketKey: unknown property',
      ],
    ],
    [
      'a missing property',
      `${queuePolicy}/Properties/PolicyDocument`,
      undefined,
      ['QueuesDocumentsQueuePolicy82D33436.PolicyDocument: missing'],
    ],
    [
      'a missing property inside another',
      `${bucket}/Properties/VersioningConfiguration/Status`,
      undefined,
      ['ArchiveBucket49F1AC64.VersioningConfiguration.Status: missing'],
    ],
    [
      'a tag without a value',
      `${secret}/Properties/Tags`,
      [{ Key: 'application' }],
      ['ApiKeySecret51CD6EF2.Tags[0].Value: missing'],
    ],
    [
      'text for a whole number',
      `${webhook}/Properties/Timeout`,
      '3',
      ['FunctionsWebhookFunction7FB754E3.Timeout: not of type integer: "3"'],
    ],
    [
      'a fraction for a whole number',
      `${webhook}/Properties/Timeout`,
      3.5,
      ['FunctionsWebhookFunction7FB754E3.Timeout: not of type integer: 3.5'],
    ],
    [
      'text for a boolean',
      `${bucket}/Properties/ObjectLockEnabled`,
      'yes',
      ['ArchiveBucket49F1AC64.ObjectLockEnabled: not of type boolean: "yes"'],
    ],
    [
      'a number for an environment variable',
      `${webhook}/Properties/Environment/Variables/ARCHIVER_NAME`,
      7,
      ['FunctionsWebhookFunction7FB754E3.Environment.Variables.ARCHIVER_NAME: not of type string: 7'],
    ],
    [
      'text for a list',
      `${webhook}/Properties/Architectures`,
      'arm64',
      ['FunctionsWebhookFunction7FB754E3.Architectures: not of type array: "arm64"'],
    ],
    [
      'a list for an object',
      `${webhook}/Properties/Code`,
      [],
      ['FunctionsWebhookFunction7FB754E3.Code: not of type object: []'],
    ],
    [
      'a number for a policy',
      `${key}/Properties/KeyPolicy`,
      1,
      ['Key961B73FD.KeyPolicy: not of type json or string: 1'],
    ],
    [
      'a function that gives text for a list',
      `${webhook}/Properties/Architectures`,
      { 'Fn::Join': ['', ['arm64']] },
      ['FunctionsWebhookFunction7FB754E3.Architectures: not of type array: Fn::Join gives string'],
    ],
    [
      'a function that gives text for an object',
      `${webhook}/Properties/Environment`,
      { Ref: 'AWS::Region' },
      ['FunctionsWebhookFunction7FB754E3.Environment: not of type object: Ref gives string'],
    ],
    [
      'a value outside of an enum',
      `${bucket}/Properties/VersioningConfiguration/Status`,
      'On',
      ['ArchiveBucket49F1AC64.VersioningConfiguration.Status: not an allowed value: On'],
    ],
    [
      'an unknown resource type',
      `${rule}/Type`,
      'AWS::Events::Rules',
      ['AlarmsDeletionRuleB60428C8: unknown type AWS::Events::Rules'],
    ],
    [
      'a misspelt field of a resource',
      `${bucket}/DeletePolicy`,
      'Retain',
      ['ArchiveBucket49F1AC64: unknown field DeletePolicy'],
    ],
    ['a misspelt section', 'storage/Output', {}, ['Output: unknown section']],
    [
      'an unknown deletion policy',
      `${bucket}/DeletionPolicy`,
      'Keep',
      ['ArchiveBucket49F1AC64: DeletionPolicy Keep'],
    ],
    [
      'a policy for replacements that only deletions can have',
      `${bucket}/UpdateReplacePolicy`,
      'RetainExceptOnCreate',
      ['ArchiveBucket49F1AC64: UpdateReplacePolicy RetainExceptOnCreate'],
    ],
    [
      'a dependency on nothing',
      `${webhook}/DependsOn`,
      ['Role'],
      ['FunctionsWebhookFunction7FB754E3: depends on unknown Role'],
    ],
    [
      'an attribute that the type does not have',
      `${mapping}/Properties/EventSourceArn`,
      { 'Fn::GetAtt': ['QueuesDocumentsQueueB9DF1CFF', 'ARN'] },
      [
        'FunctionsArchiveDocuments063911E0.EventSourceArn: refers to ARN of AWS::SQS::Queue',
        'no attribute QueuesDocumentsQueueB9DF1CFF.ARN',
      ],
    ],
    [
      'an attribute in text that the type does not have',
      `${rule}/Properties/Description`,
      { 'Fn::Sub': `Of \${QueuesDocumentsQueueB9DF1CFF.Length}` },
      ['no attribute QueuesDocumentsQueueB9DF1CFF.Length'],
    ],
    [
      'a reference to nothing',
      `${rule}/Properties/Description`,
      { Ref: 'Archive' },
      ['no resource or parameter Archive'],
    ],
    [
      'a reference to nothing in text',
      `${rule}/Properties/Description`,
      { 'Fn::Sub': [`\${!Literal} \${Given} \${AWS::Regio}`, { Given: 'x' }] },
      ['no resource or parameter AWS::Regio'],
    ],
    [
      'the name of a queue in place of its ARN',
      `${mapping}/Properties/EventSourceArn`,
      { Ref: 'QueuesDocumentsQueueB9DF1CFF' },
      ['FunctionsArchiveDocuments063911E0.EventSourceArn: refers to QueueUrl of AWS::SQS::Queue'],
    ],
    [
      'the ARN of a queue in place of a key',
      `${webhookLog}/Properties/KmsKeyId`,
      { 'Fn::GetAtt': ['QueuesDocumentsQueueB9DF1CFF', 'Arn'] },
      ['FunctionsWebhookLog34FFBD80.KmsKeyId: refers to Arn of AWS::SQS::Queue'],
    ],
    [
      'the ARN of a queue in a list of policies',
      `${webhookRole}/Properties/ManagedPolicyArns`,
      [{ 'Fn::GetAtt': ['QueuesDocumentsQueueB9DF1CFF', 'Arn'] }],
      ['FunctionsWebhookRole322B3FB5.ManagedPolicyArns[0]: refers to Arn of AWS::SQS::Queue'],
    ],
    [
      'an unknown function',
      `${rule}/Properties/Description`,
      { 'Fn::Joint': ['', []] },
      ['unknown function Fn::Joint'],
    ],
    [
      'a mapping that is not there',
      `${rule}/Properties/Description`,
      { 'Fn::FindInMap': ['Consoles', 'aws', 'host'] },
      ['no host in mapping Consoles'],
    ],
    [
      'a key that the mapping does not have',
      `${rule}/Properties/Description`,
      { 'Fn::FindInMap': ['Console', 'aws', 'port'] },
      ['no port in mapping Console'],
    ],
    [
      'a resource that needs itself',
      `${schedule}/Properties/Description`,
      { Ref: 'SweepScheduleE6028B01' },
      ['SweepScheduleE6028B01: circular dependency'],
    ],
    [
      'two resources that need each other',
      `${integration}/DependsOn`,
      'WebhookApiPOSTwebhookB9030966',
      [
        'WebhookApiPOSTwebhookWebhookB10DB3E7: circular dependency',
        'WebhookApiPOSTwebhookB9030966: circular dependency',
      ],
    ],
    [
      'an import of nothing',
      `${rule}/Properties/Description`,
      { 'Fn::ImportValue': 'archive' },
      ['archive: not exported'],
    ],
    [
      'an export whose name is taken',
      'pipeline/Outputs/Again',
      {
        Value: 'x',
        Export: { Name: 'telnyx-archiver-storage:ExportsOutputRefApiKeySecret51CD6EF28CF4EB2C' },
      },
      [
        'telnyx-archiver-storage:ExportsOutputRefApiKeySecret51CD6EF28CF4EB2C: exported twice',
        'pipeline: circular imports',
      ],
    ],
    [
      'an import from the own stack',
      'storage/Outputs/Own',
      {
        Value: { 'Fn::ImportValue': 'telnyx-archiver-storage:ExportsOutputRefApiKeySecret51CD6EF28CF4EB2C' },
      },
      ['storage: circular imports', 'pipeline: circular imports'],
    ],
  ])('finds %s', (_, path, value, problems) => {
    expect(specificationProblems(changed(path, value))).toEqual(problems);
  });

  test('finds stacks that import from each other', () => {
    const templates = changed('pipeline/Outputs/Webhook', { Value: 'x', Export: { Name: 'webhook' } });
    object(templates.storage.Outputs).Webhook = { Value: { 'Fn::ImportValue': 'webhook' } };

    expect(specificationProblems(templates)).toEqual([
      'storage: circular imports',
      'pipeline: circular imports',
    ]);
  });
});

describe('An upgrade keeps every resource that holds data', () => {
  test('when other settings change', () => {
    const before = synthesize(settings.minimal).templates;
    const after = synthesize(settings.locked).templates;

    expect(lossesBetween(before, after)).toEqual([]);
  });

  test('when it starts from the released version 0.1.0', () => {
    const after = synthesize(settings.minimal).templates;

    expect(lossesBetween(release, after)).toEqual([]);
  });

  test('and may delete a resource without data', () => {
    const before = synthesize(settings.locked).templates;

    expect(lossesBetween(before, changed(rule, undefined))).toEqual([]);
  });

  test.each<[string, string, Json | undefined, string]>([
    [
      'a bucket with another logical ID',
      bucket,
      undefined,
      'ArchiveBucket49F1AC64 (AWS::S3::Bucket) is deleted',
    ],
    [
      'a secret with another logical ID',
      secret,
      undefined,
      'ApiKeySecret51CD6EF2 (AWS::SecretsManager::Secret) is deleted',
    ],
    [
      'a key of another type',
      `${key}/Type`,
      'AWS::KMS::ReplicaKey',
      'Key961B73FD (AWS::KMS::Key) is deleted',
    ],
    [
      'a bucket with a name',
      `${bucket}/Properties/BucketName`,
      'archive',
      'ArchiveBucket49F1AC64 (AWS::S3::Bucket) is replaced: .BucketName changes',
    ],
    [
      'a bucket without Object Lock',
      `${bucket}/Properties/ObjectLockEnabled`,
      undefined,
      'ArchiveBucket49F1AC64 (AWS::S3::Bucket) is replaced: .ObjectLockEnabled changes',
    ],
    [
      'a secret with a name',
      `${secret}/Properties/Name`,
      'api-key',
      'ApiKeySecret51CD6EF2 (AWS::SecretsManager::Secret) is replaced: .Name changes',
    ],
    [
      'a queue with another name',
      `${queue}/Properties/QueueName`,
      'other',
      'QueuesDocumentsQueueB9DF1CFF (AWS::SQS::Queue) is replaced: .QueueName changes',
    ],
    [
      'a log group with a name',
      `${webhookLog}/Properties/LogGroupName`,
      'log',
      'FunctionsWebhookLog34FFBD80 (AWS::Logs::LogGroup) is replaced: .LogGroupName changes',
    ],
    [
      'a key that is deleted with its stack',
      `${key}/DeletionPolicy`,
      'Delete',
      'Key961B73FD (AWS::KMS::Key) is no longer retained: DeletionPolicy',
    ],
    [
      'a bucket that is deleted when it is replaced',
      `${bucket}/UpdateReplacePolicy`,
      undefined,
      'ArchiveBucket49F1AC64 (AWS::S3::Bucket) is no longer retained: UpdateReplacePolicy',
    ],
    [
      'a missing export that the pipeline stack still imports',
      keyExport,
      undefined,
      'export telnyx-archiver-storage:ExportsOutputFnGetAttKey961B73FDArn5A860C43 is removed or changed',
    ],
    [
      'another value of an export that the pipeline stack still imports',
      `${keyExport}/Value`,
      'other',
      'export telnyx-archiver-storage:ExportsOutputFnGetAttKey961B73FDArn5A860C43 is removed or changed',
    ],
  ])('and the test fails for %s', (_, path, value, loss) => {
    expect(lossesBetween(release, changed(path, value))).toEqual([loss]);
  });
});
