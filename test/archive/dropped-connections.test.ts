/** The archive function after a freeze during which every service has dropped its idle connections. */
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { concurrency } from '../../functions/limits.ts';
import { systemTime as time } from '../../functions/time.ts';
import { startWarm } from './warm-archive.ts';
import { sha256, someBytes } from './world.ts';

const never = new AbortController().signal;
const anHour = 3_600_000;

describe('the archive function after all idle connections were dropped', () => {
  it('archives a document without a retry when a write to such a connection is reset', async () => {
    const { add, archive, receipts, drop, lines } = await startWarm();
    const id = await add();

    drop('reset');

    expect(await archive(id)).toEqual([]);
    expect(await receipts.state(id, never)).toBe('archived');
    expect(lines.join()).not.toContain('Trying again');
  });

  it('archives a document without using any of them when they never respond', async () => {
    const { add, archive, receipts, drop, pause, usedAfterDrop } = await startWarm();
    const id = await add();

    drop('silence');
    pause(anHour);
    const began = time.monotonic();

    expect(await archive(id)).toEqual([]);
    expect(time.monotonic() - began).toBeLessThan(3_000);
    expect(await receipts.state(id, never)).toBe('archived');
    expect(usedAfterDrop()).toEqual({ bucket: 0, storage: 0, telnyx: 0 });
  });

  it('archives a whole batch without a retry', async () => {
    const { add, archive, drop, lines } = await startWarm();
    const ids = await Promise.all(Array.from({ length: concurrency.batchSize }, () => add()));

    drop('reset');

    expect(await archive(...ids)).toEqual([]);
    expect(lines.join()).not.toContain('Trying again');
  });
});

describe('an upload on a dropped connection', () => {
  it('fails without a retry when its body is a stream, and the next upload uses a fresh connection', async () => {
    const { bucket, drop, proxies } = await startWarm();
    const bytes = someBytes(20_000);
    const put = (body: Readable | Buffer) =>
      bucket.putOnce(
        {
          key: 'documents/one',
          body,
          bytes: bytes.length,
          sha256: sha256(bytes),
          contentType: 'text/plain',
        },
        never,
      );

    drop('reset');
    const { connections } = proxies.bucket.seen;

    await expect(put(Readable.from([bytes]))).rejects.toHaveProperty('code', 'BucketUnavailable');
    expect(proxies.bucket.seen.connections).toBe(connections);
    expect(await put(Readable.from([bytes]))).toMatchObject({ bytes: bytes.length });
    expect(proxies.bucket.seen.usedAfterDrop).toBe(1);
  });

  it('is retried on a fresh connection when its body is a buffer', async () => {
    const { bucket, drop, proxies } = await startWarm();
    const bytes = someBytes(2_000);

    drop('reset');
    const stored = await bucket.putOnce(
      { key: 'documents/one', body: bytes, bytes: 2_000, sha256: sha256(bytes), contentType: 'text/plain' },
      never,
    );

    expect(stored).toMatchObject({ bytes: 2_000 });
    expect(proxies.bucket.seen.usedAfterDrop).toBe(1);
  });
});
