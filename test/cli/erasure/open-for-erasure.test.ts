import { createServer } from 'node:http';
import { expect, it, onTestFinished } from 'vitest';
import type { CommandContext } from '../../../cli/command.ts';
import { openForErasure } from '../../../cli/erasure/open-for-erasure.ts';
import { createS3Client } from '../../../functions/bucket/s3-client.ts';
import { createBucket } from '../../../functions/bucket/store.ts';
import { systemTime } from '../../../functions/time.ts';

const day = 86_400_000;

it.each([
  ['behind', day],
  ['ahead of', -day],
])('dates an erasure by S3’s clock if this machine’s is %s it', async (_where, offsetMs) => {
  const server = createServer((_request, response) => {
    response.setHeader('date', new Date(Date.now() + offsetMs).toUTCString());
    response.writeHead(404).end();
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  const s3 = createS3Client({
    endpoint: `http://127.0.0.1:${port}`,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: 'x', secretAccessKey: 'x' },
  });
  onTestFinished(() => s3.destroy());
  const { signal } = new AbortController();
  const target = {
    bucket: async () => ({
      s3,
      name: 'archive',
      bucket: createBucket({ s3, name: 'archive', time: systemTime }),
    }),
    catalogue: async () => undefined,
    operator: async () => ({ role: 'local' }),
  };
  const context = { target, time: systemTime, random: Math.random, signal } as unknown as CommandContext;

  const { dependencies } = await openForErasure(context, 'write');
  await dependencies.bucket.head('documents/x', signal);

  expect(Math.abs(dependencies.now() - (Date.now() + offsetMs))).toBeLessThan(5_000);
});
