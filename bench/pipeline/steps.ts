/** Process that archives documents sequentially and reports the average duration of each step. */
import { once } from 'node:events';
import type { ArchiveDependencies } from '../../functions/archive/archive-document.ts';
import { archiveDependencies, archiveWith, type Route } from '../copy/implementations.ts';
import type { BenchDocument } from '../wire/contents.ts';

/** Milliseconds per document, by step. */
export type Steps = Record<string, number>;

const spent = new Map<string, number>();

const [route] = (await once(process, 'message')) as [Route];
const archiveOne = archiveWith(timed(archiveDependencies(route)));
process.on('message', async (documents: readonly BenchDocument[]) => {
  spent.clear();
  const startedAt = performance.now();
  for (const document of documents) await archiveOne(document);
  spent.set('total', performance.now() - startedAt);
  process.send?.(Object.fromEntries([...spent].map(([step, ms]) => [step, ms / documents.length])));
});
process.on('disconnect', () => process.exit());

/** Wraps the dependencies of `archiveDocument` to measure each step. Both requests to Telnyx run concurrently. */
function timed(dependencies: ArchiveDependencies): ArchiveDependencies {
  const { telnyx, bucket, receipts, download } = dependencies;
  return {
    ...dependencies,
    receipts: {
      state: timing('receipt lookup', receipts.state),
      writeOnce: timing('receipt upload', receipts.writeOnce),
    },
    telnyx: {
      ...telnyx,
      document: timing('metadata from Telnyx', telnyx.document),
      downloadLink: timing('download link from Telnyx, concurrently', telnyx.downloadLink),
    },
    download: timing('download, until the response headers', download),
    bucket: { ...bucket, putOnce: timing('copy: download, digest and upload', bucket.putOnce) },
  };
}

function timing<Arguments extends unknown[], Result>(
  step: string,
  work: (...args: Arguments) => Promise<Result>,
): (...args: Arguments) => Promise<Result> {
  return async (...args) => {
    const startedAt = performance.now();
    try {
      return await work(...args);
    } finally {
      spent.set(step, (spent.get(step) ?? 0) + performance.now() - startedAt);
    }
  };
}
