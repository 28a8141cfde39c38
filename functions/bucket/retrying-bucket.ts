import type { StorageRetry } from './storage-retry.ts';
import type { Bucket } from './store.ts';

/**
 * A bucket whose requests are repeated after a temporary failure. The signal of a method aborts a request; the signal of
 * `retry` aborts the wait between two attempts.
 *
 * @param onRequest called before each request
 */
export function createRetryingBucket(bucket: Bucket, retry: StorageRetry, onRequest: () => void): Bucket {
  const request = <Result>(send: () => Promise<Result>): Promise<Result> =>
    retry(() => {
      onRequest();
      return send();
    });
  return {
    head: (...parameters) => request(() => bucket.head(...parameters)),
    putOnce: (...parameters) => request(() => bucket.putOnce(...parameters)),
    read: (...parameters) => request(() => bucket.read(...parameters)),
    hash: (...parameters) => request(() => bucket.hash(...parameters)),
    list: (...parameters) => request(() => bucket.list(...parameters)),
  };
}
