/**
 * Discovery of one `span` message with 100,000 documents, 1 % of them without a receipt: messages, requests and memory, in
 * a separate process. Uses the local Telnyx, S3 and SQS over real sockets.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { receiptKey } from '../../functions/bucket/keys.ts';
import { telnyxPageSize } from '../../functions/limits.ts';
import type { DiscoveryMessage } from '../../functions/queue/messages.ts';
import { queueDepth } from '../../functions/queue/queue-depth.ts';
import { systemTime as time } from '../../functions/time.ts';
import { startQueues } from '../../local/queues.ts';
import { startS3 } from '../../local/s3/server.ts';
import { Documents } from '../../local/telnyx/documents.ts';
import { Faults } from '../../local/telnyx/faults.ts';
import { Orders } from '../../local/telnyx/orders.ts';
import { startTelnyx } from '../../local/telnyx/server.ts';
import { credentials } from '../copy/implementations.ts';
import { exact, type Row, type Section } from '../figures.ts';
import type { DiscoverJob, DiscoverOutcome } from './worker.ts';

const count = 100_000;
const unarchivedEach = 100;
const dayMs = 24 * 3_600_000;
const apiKey = 'KEY0123456789ABCDEF';

export const discoverSection: Section = {
  name: 'discover',
  title: `Discovery: ${count.toLocaleString('en')} documents in one span, 1 % of them unarchived`,
  short: false,
  run: async ({ report }) => {
    const rows: Row[] = [];
    for (const [name, spreadMs] of Object.entries({ 'one day': dayMs, 'one year': 365 * dayMs })) {
      report(`spread over ${name}`);
      rows.push({ name: `spread over ${name}`, values: await measure(spreadMs) });
    }
    return {
      figures: [],
      tables: [{ title: 'Documents', rows }],
      notes: [
        `Every document without a receipt was queued once. All documents fill ${count / telnyxPageSize} pages.`,
      ],
    };
  },
};

async function measure(spreadMs: number): Promise<Row['values']> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-discover-'));
  const receipts = join(directory, 'archive', 'receipts');
  await mkdir(receipts, { recursive: true });
  const documents = new Documents({ storage: join(directory, 'storage'), time, expire: false });
  const end = time.now();
  const unarchived = new Set<string>();
  for (let number = 0; number < count; number += 1) {
    const id = randomUUID();
    // Three quarters of the documents are in a third of the time, like working hours.
    const busy = number % 4 !== 0;
    const createdAt = end - Math.floor((busy ? 1 / 3 : 1) * Math.random() * spreadMs);
    documents.addRecord('letter.pdf', 20_000, createHash('sha256').update(id).digest('hex'), {
      id,
      createdAt,
    });
    if (number % unarchivedEach === 0) unarchived.add(id);
    else await writeFile(join(directory, 'archive', receiptKey(id)), '');
  }

  const s3Requests = new Map<string, number>();
  const s3 = await startS3({
    buckets: { archive: join(directory, 'archive') },
    credentials: [credentials],
    time,
    onResponse: ({ operation }) => s3Requests.set(operation, (s3Requests.get(operation) ?? 0) + 1),
  });
  const telnyx = await startTelnyx({
    apiKey,
    documents,
    orders: new Orders(documents, time),
    faults: new Faults([], Math.random),
    presign: () => '',
    time,
  });
  const queues = await startQueues({ credentials });
  const message: DiscoveryMessage = {
    v: 1,
    kind: 'span',
    createdAfter: new Date(end - spreadMs - 1_000).toISOString(),
    createdBefore: new Date(end + 1_000).toISOString(),
    requestedAt: new Date(end).toISOString(),
  };
  const job: DiscoverJob = {
    message,
    apiKey,
    credentials,
    telnyxUrl: telnyx.url,
    s3Endpoint: s3.endpoint,
    sqsEndpoint: queues.endpoint,
    lanes: queues.lanes,
  };

  const idle = await outcomeOf({
    ...job,
    message: { ...message, createdAfter: new Date(end + 500).toISOString() },
  });
  s3Requests.clear();
  const outcome = await outcomeOf(job);

  const sqs = queues.createClient();
  const queued = await queueDepth(sqs, queues.lanes.backfill.queueUrl);
  sqs.destroy();
  await Promise.all([s3.close(), telnyx.close(), queues.close()]);
  await rm(directory, { recursive: true, force: true });
  if (queued !== unarchived.size || outcome.found !== count) {
    throw new Error(
      `${outcome.found} documents were found and ${queued} queued, but ${unarchived.size} are not archived.`,
    );
  }
  return {
    seconds: exact(outcome.ms / 1_000),
    queued: exact(queued),
    'Telnyx requests': exact(outcome.requests),
    'S3 listings': exact(s3Requests.get('ListObjectsV2') ?? 0),
    'peak MB': exact(outcome.peakMb),
    'above an empty span, MB': exact(outcome.peakMb - idle.peakMb),
  };
}

/** Runs the job in a new process. */
async function outcomeOf(job: DiscoverJob): Promise<DiscoverOutcome> {
  const child: ChildProcess = fork(new URL('./worker.ts', import.meta.url));
  child.send(job);
  const outcome = await Promise.race([
    once(child, 'message').then(([message]) => message as DiscoverOutcome),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`Discovery exited with code ${code}.`))),
  ]);
  child.disconnect();
  return outcome;
}
