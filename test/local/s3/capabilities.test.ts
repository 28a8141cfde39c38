import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { buildApp } from 'fauxqs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createS3Client } from '../../../functions/bucket/s3-client.ts';
import { shortcomingsOf } from '../../../local/s3/capabilities.ts';
import { startWorld } from '../../archive/world.ts';

describe('the probe of an S3 implementation', () => {
  it('finds no shortcoming in the local S3', async () => {
    const world = await startWorld();

    expect(await shortcomingsOf(world.client, 'archive')).toEqual([]);
  });

  it('names the missing safeguards of an S3 that ignores checksums and overwrites', async () => {
    const other = buildApp({ logger: false });
    const config = {
      endpoint: await other.listen({ port: 0, host: '127.0.0.1' }),
      region: 'us-east-1',
      credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
      forcePathStyle: true,
    };
    const client = createS3Client(config);
    onTestFinished(async () => {
      client.destroy();
      await other.close();
    });
    await new S3Client(config).send(new CreateBucketCommand({ Bucket: 'archive' }));

    const lacking = await shortcomingsOf(client, 'archive');

    expect(lacking.map(({ lacks }) => lacks)).toEqual(
      expect.arrayContaining(['conditional writes', 'checksum verification']),
    );
  });
});
