import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { buildApp } from 'fauxqs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createS3Client } from '../../../functions/bucket/s3-client.ts';
import { missingSafeguards } from '../../../local/s3/capabilities.ts';
import { startWorld } from '../../archive/world.ts';

describe('missingSafeguards', () => {
  it('returns nothing for the local S3', async () => {
    const world = await startWorld();

    expect(await missingSafeguards(world.client, 'archive')).toEqual([]);
  });

  it('returns the missing safeguards of an S3 that ignores checksums and overwrites objects', async () => {
    const weakS3 = buildApp({ logger: false });
    const config = {
      endpoint: await weakS3.listen({ port: 0, host: '127.0.0.1' }),
      region: 'us-east-1',
      credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
      forcePathStyle: true,
    };
    const client = createS3Client(config);
    onTestFinished(async () => {
      client.destroy();
      await weakS3.close();
    });
    await new S3Client(config).send(new CreateBucketCommand({ Bucket: 'archive' }));

    const missing = await missingSafeguards(client, 'archive');

    expect(missing.map(({ lacks }) => lacks)).toEqual(
      expect.arrayContaining(['conditional writes', 'checksum verification']),
    );
  });
});
