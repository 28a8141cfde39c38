/**
 * Peak memory of a fresh process that archives one document, by the document's size: `npm run bench:memory`.
 * Source and bucket are the local S3, in this process; each archiver is a process of its own.
 */
import { fork } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { systemTime } from '../functions/time.ts';
import { startS3 } from '../local/s3/server.ts';
import type { Job } from './archive-one.ts';

const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'a-secret-of-the-bench' };
const sizes = [1_000_000, 200_000_000, 1_000_000_000];
const rounds = 3;

const directory = await mkdtemp(join(tmpdir(), 'bench-memory-'));
const storage = join(directory, 'storage');
await mkdir(storage);
const s3 = await startS3({
  buckets: { archive: join(directory, 'archive'), storage },
  credentials: [credentials],
  time: systemTime,
});
try {
  const peaks = new Map<number, number[]>(sizes.map((size) => [size, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const bytes of sizes) peaks.get(bytes)?.push(await peakOf(bytes));
  }
  const smallest = median(peaks.get(sizes[0] ?? 0) ?? []);
  for (const [bytes, measured] of peaks) {
    const peak = median(measured);
    console.log(
      `${(bytes / 1e6).toFixed(0).padStart(5)} MB document: peak ${peak.toFixed(1)} MB (${measured.map((mb) => mb.toFixed(1)).join(', ')}), ${(peak - smallest).toFixed(1)} MB more than the smallest`,
    );
  }
} finally {
  await s3.close();
  await rm(directory, { recursive: true, force: true });
}

/** Peak resident set of a new process that archives a new document of that size, in MB. */
async function peakOf(bytes: number): Promise<number> {
  const documentId = randomUUID();
  const path = join(storage, documentId);
  await writeFile(path, '');
  await truncate(path, bytes);
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  const job: Job = {
    endpoint: s3.endpoint,
    credentials,
    documentId,
    bytes,
    sha256: hash.digest('hex'),
    link: s3.presignGet('storage', documentId, { expiresInSeconds: 600 }),
  };
  const child = fork(new URL('./archive-one.ts', import.meta.url));
  child.send(job);
  const [peak] = await new Promise<[number]>((resolve, reject) => {
    child.on('message', (message) => resolve([Number(message)]));
    child.on('exit', (code) => reject(new Error(`The archiving process ended with ${code}.`)));
  });
  child.disconnect();
  await rm(path);
  await rm(join(directory, 'archive', 'documents', documentId));
  return peak;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
