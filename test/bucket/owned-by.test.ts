import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { expect, it } from 'vitest';
import { ownedBy } from '../../functions/bucket/owned-by.ts';

it.each([
  ['names the expected owner', '123456789012', { Bucket: 'a', ExpectedBucketOwner: '123456789012' }],
  ['stays as it is if no owner is set', undefined, { Bucket: 'a' }],
])('A request to S3 %s', async (_what, owner, input) => {
  const inputs: unknown[] = [];
  const s3 = { send: async (command: ListObjectsV2Command) => inputs.push(command.input) };

  await ownedBy(owner, s3 as never).send(new ListObjectsV2Command({ Bucket: 'a' }));

  expect(inputs).toStrictEqual([input]);
});
