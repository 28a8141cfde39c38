import { expect, it } from 'vitest';
import { createRetryingBucket } from '../../functions/bucket/retrying-bucket.ts';
import { createStorageRetry } from '../../functions/bucket/storage-retry.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { virtualTime } from '../fakes/clock.ts';
import { noon } from '../fakes/documents.ts';
import { MemoryBucket, sha256 } from '../fakes/memory-bucket.ts';

const { signal } = new AbortController();

it('A bucket repeats each request after a temporary failure, and counts it each time', async () => {
  const time = virtualTime(noon);
  const memory = new MemoryBucket(time);
  const body = Buffer.from('x');
  memory.put('a', body, noon);
  const seen = new Set<string>();
  memory.refuse = (operation, key) => {
    const isFirst = !seen.has(`${operation} ${key}`);
    seen.add(`${operation} ${key}`);
    return isFirst ? { name: 'SlowDown', status: 503 } : undefined;
  };
  let requests = 0;
  const bucket = createRetryingBucket(
    createBucket({ s3: { send: memory.send } as never, name: 'archive', time }),
    createStorageRetry({ time, random: () => 0, signal }),
    () => {
      requests += 1;
    },
  );

  const digest = sha256(body);
  const answers = [
    await bucket.head('a', signal),
    await bucket.read('b', signal),
    await bucket.hash('a', signal),
    await bucket.list('', undefined, signal),
    await bucket.putOnce({ key: 'c', body, bytes: 1, sha256: digest, contentType: 'text/plain' }, signal),
  ];

  expect(answers).toMatchObject([{ bytes: 1 }, undefined, digest, ['a'], { sha256: digest }]);
  expect(requests).toBe(10);
  expect(memory.text('c')).toBe('x');
});
