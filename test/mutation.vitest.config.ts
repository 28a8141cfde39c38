/** The unit tests of the files that `npm run mutate` mutates: others take longer than they tell. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: [
      'test/webhook/{verify,events}.test.ts',
      'test/queue/{messages,backoff}.test.ts',
      'test/bucket/{keys,checksum,content-disposition}.test.ts',
      'test/archive/{verifying-body,download-hosts}.test.ts',
      'test/discover/sweep.test.ts',
      'test/telnyx/{pacing,record}.test.ts',
      'test/{errors,secrets,redact,json-text,retry}.test.ts',
    ],
    env: { FEW_FUZZ_RUNS: 'yes' },
    testTimeout: 60_000,
  },
});
