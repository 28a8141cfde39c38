/** A process that archives one document and tells its parent the peak of its resident set, in MB. */
import { archiveDocument } from '../functions/archive/archive-document.ts';
import { createDownload, createGuardedHttpGet } from '../functions/archive/download.ts';
import { keepYoungGenerationSmall } from '../functions/archive/young-generation.ts';
import { createReceipts } from '../functions/bucket/receipts.ts';
import { createS3Client } from '../functions/bucket/s3-client.ts';
import { createBucket } from '../functions/bucket/store.ts';
import { singlePutBytes } from '../functions/limits.ts';
import { createLog, standardOutput } from '../functions/log.ts';
import { systemTime as time } from '../functions/time.ts';

export interface Job {
  endpoint: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
  documentId: string;
  bytes: number;
  sha256: string;
  link: string;
}

keepYoungGenerationSmall();
process.once('message', async (job: Job) => {
  const policy = { hosts: [], trustedOrigin: job.endpoint };
  const s3 = createS3Client({ endpoint: job.endpoint, region: 'us-east-1', credentials: job.credentials });
  const bucket = createBucket({ s3, name: 'archive', time });
  await archiveDocument(
    {
      v: 1,
      kind: 'document',
      documentId: job.documentId,
      trigger: 'operator',
      requestedAt: new Date(time.now()).toISOString(),
    },
    { receives: 1, deadline: time.monotonic() + 600_000, signal: new AbortController().signal },
    {
      telnyx: {
        document: async () => ({
          id: job.documentId,
          fileName: 'bench.bin',
          contentType: undefined,
          createdAt: undefined,
          sha256: job.sha256,
          bytes: job.bytes,
          infected: false,
          record: { id: job.documentId },
        }),
        downloadLink: async () => job.link,
        get: () => Promise.reject(new Error('No lists here.')),
      },
      download: createDownload({ policy, httpGet: createGuardedHttpGet(policy), time }),
      bucket,
      receipts: createReceipts(bucket),
      log: createLog({ write: standardOutput, now: time.now }),
      time,
      random: Math.random,
      archiveInfected: false,
      maxDocumentBytes: singlePutBytes,
      version: 'bench',
    },
  );
  process.send?.(process.resourceUsage().maxRSS / 1_000);
});
