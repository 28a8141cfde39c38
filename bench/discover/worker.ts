/** Process that handles one span message in the discover function and reports duration and memory. */
import { createS3Client } from '../../functions/bucket/s3-client.ts';
import { createAgents } from '../../functions/connections.ts';
import { assembleDiscover } from '../../functions/discover/assemble.ts';
import type { DiscoveryResult } from '../../functions/discover/discover.ts';
import { discoverSettings } from '../../functions/discover/settings.ts';
import { createHttpGet } from '../../functions/http.ts';
import { timeouts } from '../../functions/limits.ts';
import { standardOutput } from '../../functions/log.ts';
import type { DiscoveryMessage } from '../../functions/queue/messages.ts';
import { serialiseMessage } from '../../functions/queue/serialise.ts';
import { createSqsClient } from '../../functions/queue/sqs-client.ts';
import { defaultsOf } from '../../functions/settings.ts';
import { systemTime as time } from '../../functions/time.ts';
import { invoke } from '../../local/lambda/invoke.ts';
import type { LocalQueues } from '../../local/queues.ts';
import { peakMb } from '../peak-memory.ts';
import { sqsEventOf } from '../sqs-event.ts';

export interface DiscoverJob {
  message: DiscoveryMessage;
  apiKey: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
  telnyxUrl: string;
  s3Endpoint: string;
  sqsEndpoint: string;
  lanes: LocalQueues['lanes'];
}

export interface DiscoverOutcome extends Pick<DiscoveryResult, 'found' | 'requests'> {
  ms: number;
  /** Peak resident set size. */
  peakMb: number;
}

process.once('message', async (job: DiscoverJob) => {
  const { credentials, lanes } = job;
  const region = 'us-east-1';
  let result: Pick<DiscoveryResult, 'found' | 'requests'> | undefined;
  const writeLog = (line: string) => {
    const fields = JSON.parse(line);
    if (fields.outcome === 'done') result = fields;
    else if (!('_aws' in fields)) standardOutput(line);
  };
  const started = time.monotonic();
  const handler = assembleDiscover(
    {
      ...defaultsOf(discoverSettings),
      archiverName: 'bench',
      version: 'bench',
      bucketName: 'archive',
      // The key is passed directly.
      apiKeySecretArn: '',
      telnyxUrl: new URL(job.telnyxUrl),
      documentsQueueUrl: lanes.documents.queueUrl,
      backfillQueueUrl: lanes.backfill.queueUrl,
      discoveryQueueUrl: lanes.discovery.queueUrl,
      discoveryDeadLetterQueueUrl: lanes.discovery.deadLetterQueueUrl,
      spansQueueUrl: lanes.spans.queueUrl,
      spansDeadLetterQueueUrl: lanes.spans.deadLetterQueueUrl,
    },
    {
      readSecret: async () => job.apiKey,
      telnyxGet: createHttpGet(createAgents(), 'bench'),
      s3: createS3Client({ endpoint: job.s3Endpoint, region, credentials }),
      sqs: createSqsClient({ endpoint: job.sqsEndpoint, region, credentials }),
      writeLog,
      time,
      random: Math.random,
    },
  );
  await invoke(handler, sqsEventOf(serialiseMessage(job.message), lanes.spans.queueArn, time.now()), {
    functionName: 'discover',
    timeoutMs: timeouts.discoverMs,
    time,
  });
  const ms = time.monotonic() - started;
  if (!result) throw new Error('The span message was not completed; see the log lines above.');
  const { found, requests } = result;
  process.send?.({ found, requests, ms, peakMb: peakMb() } satisfies DiscoverOutcome);
});
