/** A process that works on one discovery message and tells its parent what it took. */
import { createS3Client } from '../../functions/bucket/s3-client.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { createAgents } from '../../functions/connections.ts';
import { type Discovered, discover } from '../../functions/discover/discover.ts';
import { createHttpGet } from '../../functions/http.ts';
import { retryTimings, singlePutBytes } from '../../functions/limits.ts';
import { createLog, standardOutput } from '../../functions/log.ts';
import type { DiscoveryMessage } from '../../functions/queue/messages.ts';
import { createSender } from '../../functions/queue/send.ts';
import { createSqsClient } from '../../functions/queue/sqs-client.ts';
import { createApiKey } from '../../functions/telnyx/api-key.ts';
import { createTelnyxClient } from '../../functions/telnyx/client.ts';
import { systemTime as time } from '../../functions/time.ts';
import { peakMb } from '../peak-memory.ts';

export interface Job {
  message: DiscoveryMessage;
  apiKey: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
  telnyxUrl: string;
  s3Endpoint: string;
  sqsEndpoint: string;
  queueUrl: string;
}

export interface Outcome extends Discovered {
  ms: number;
  /** Of the resident set. */
  peakMb: number;
}

process.once('message', async (job: Job) => {
  const { credentials } = job;
  const region = 'us-east-1';
  const s3 = createS3Client({ endpoint: job.s3Endpoint, region, credentials });
  const sqs = createSqsClient({ endpoint: job.sqsEndpoint, region, credentials });
  const lines = { write: (line: string) => (line.includes('_aws') ? undefined : standardOutput(line)) };
  const started = time.monotonic();
  const discovered = await discover(
    job.message,
    { receivedAt: time.now(), deadline: started + 297_000, signal: new AbortController().signal },
    {
      telnyx: createTelnyxClient({
        baseUrl: new URL(job.telnyxUrl),
        apiKey: createApiKey(async () => job.apiKey, time),
        httpGet: createHttpGet(createAgents(), 'bench'),
        time,
      }),
      bucket: createBucket({ s3, name: 'archive', time }),
      send: createSender(sqs),
      documentsQueueUrl: job.queueUrl,
      backfillQueueUrl: job.queueUrl,
      archiveInfected: false,
      maxDocumentBytes: singlePutBytes,
      timings: retryTimings,
      log: createLog({ name: 'bench', ...lines, now: time.now }),
      time,
      random: Math.random,
    },
  );
  const ms = time.monotonic() - started;
  process.send?.({ ...discovered, ms, peakMb: peakMb() } satisfies Outcome);
});
