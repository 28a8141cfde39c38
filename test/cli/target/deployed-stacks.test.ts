import { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import { describe, expect, it, onTestFinished } from 'vitest';
import { deployedArchiver } from '../../../cli/target/deployed-archiver.ts';
import { deployedStacks } from '../../../cli/target/deployed-stacks.ts';
import { systemTime as time } from '../../../functions/time.ts';
import {
  type AwsResponders,
  type AwsResponse,
  exportsXml,
  noSuchStack,
  queryError,
  stackXml,
  startAwsServices,
} from './aws.ts';

const appStackId = 'arn:aws:cloudformation:eu-central-1:123456789012:stack/Compliance/1a2b';

/** CloudFormation with these stacks by name or ID; the archiver's name is `stage`. */
async function startCloudFormation(stacks: Record<string, AwsResponse>, others: AwsResponders = {}) {
  const { requests } = await startAwsServices(() => ({
    'cloudformation DescribeStacks': ({ body }) =>
      stacks[new URLSearchParams(body).get('StackName') ?? ''] ?? noSuchStack,
    'cloudformation ListExports': () => exportsXml('', []),
    ...others,
  }));
  const client = new CloudFormationClient();
  const target = deployedArchiver({ stageName: 'stage', environment: process.env, time });
  onTestFinished(async () => {
    client.destroy();
    await target.close();
  });
  return {
    stacks: deployedStacks(client, 'stage'),
    target,
    actions: () => requests.map((one) => one.action),
  };
}

/** Two pages of exports; those of the archiver are on the second one. */
const secondPage: AwsResponders = {
  'cloudformation ListExports': ({ body }) =>
    new URLSearchParams(body).get('NextToken') === 'more'
      ? exportsXml(appStackId, ['stage:ArchiveBucketName', 'stage:WebhookUrl'])
      : exportsXml('another', ['stage-2:ArchiveBucketName', 'my-stage:ArchiveBucketName'], 'more'),
};

describe('an archiver in a stack of another CDK app', () => {
  const outputs = { ArchiveBucketName: 'the-archive', RunbookUrl: 'https://example.com/runbook.md' };
  const appStack = stackXml('CREATE_COMPLETE', outputs, { name: 'Compliance', exportsOf: 'stage' });

  it('is found by its exports, on any page of them', async () => {
    const { target, actions } = await startCloudFormation({ [appStackId]: appStack }, secondPage);

    const { name } = await target.bucket();
    await target.bucket();

    expect(name).toBe('the-archive');
    expect(actions()).toEqual(['DescribeStacks', 'ListExports', 'ListExports', 'DescribeStacks']);
    expect(await target.runbookUrl?.()).toBe('https://example.com/runbook.md');
  });

  it('has the outputs that it exports, not others of the same key', async () => {
    const own = stackXml(
      'CREATE_COMPLETE',
      { RunbookUrl: 'https://example.com/other' },
      { name: 'Compliance' },
    );
    const { stacks } = await startCloudFormation({ [appStackId]: own }, secondPage);

    expect(await stacks.find('pipeline')).toMatchObject({ StackName: 'Compliance' });
    expect(await stacks.output('RunbookUrl')).toBeUndefined();
  });
});

describe('an archiver in two stacks of its own', () => {
  it('is found by their names, without a look at exports', async () => {
    const { target, actions } = await startCloudFormation({
      'stage-storage': stackXml(
        'CREATE_COMPLETE',
        { ArchiveBucketName: 'the-archive' },
        { name: 'stage-storage' },
      ),
      'stage-pipeline': stackXml('CREATE_COMPLETE', {}, { name: 'stage-pipeline' }),
    });

    expect((await target.bucket()).name).toBe('the-archive');
    expect(await target.runbookUrl?.()).toBeUndefined();
    expect(actions()).toEqual(['DescribeStacks', 'DescribeStacks']);
  });
});

describe('an archiver that is not there', () => {
  it('is one error that says where it was looked for and what to check', async () => {
    const { target } = await startCloudFormation({});

    await expect(target.bucket()).rejects.toThrow(
      'There is no stack stage-storage, and no stack exports stage:ArchiveBucketName. Check that --stack is the `name` that was deployed, and that AWS_REGION is its Region.',
    );
    expect(await target.runbookUrl?.()).toBeUndefined();
  });

  it('is not what another error of CloudFormation means', async () => {
    const { target, actions } = await startCloudFormation(
      {},
      {
        'cloudformation DescribeStacks': () =>
          queryError('ValidationError', '1 validation error detected: stackName is too long'),
      },
    );

    await expect(target.bucket()).rejects.toThrow('stackName is too long');
    expect(actions()).not.toContain('ListExports');
  });
});
