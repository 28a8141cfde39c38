/** A process that archives documents one after the other, and tells how long each step of it took on average. */
import { once } from 'node:events';
import type { ArchiveDependencies } from '../../functions/archive/archive-document.ts';
import { archiveDependencies, archiveWith, type Route } from '../copy/ways.ts';
import type { BenchDocument } from '../wire/contents.ts';

/** Milliseconds per document, by step. */
export type Steps = Record<string, number>;

const spent = new Map<string, number>();

const [route] = (await once(process, 'message')) as [Route];
const archiveOne = archiveWith(timed(archiveDependencies(route)));
process.on('message', async (documents: readonly BenchDocument[]) => {
  spent.clear();
  const began = performance.now();
  for (const document of documents) await archiveOne(document);
  spent.set('all of it', performance.now() - began);
  process.send?.(Object.fromEntries([...spent].map(([step, ms]) => [step, ms / documents.length])));
});
process.on('disconnect', () => process.exit());

/** The steps as `archiveDocument` takes them; both questions to Telnyx are asked at once. */
function timed(dependencies: ArchiveDependencies): ArchiveDependencies {
  const { telnyx, bucket, receipts, download } = dependencies;
  return {
    ...dependencies,
    receipts: {
      exists: timing('is there a receipt?', receipts.exists),
      writeOnce: timing('the receipt', receipts.writeOnce),
    },
    telnyx: {
      ...telnyx,
      document: timing('metadata from Telnyx', telnyx.document),
      downloadLink: timing('download link from Telnyx, meanwhile', telnyx.downloadLink),
    },
    download: timing('the download, until its headers', download),
    bucket: { ...bucket, putOnce: timing('the copy: download, digest and upload at once', bucket.putOnce) },
  };
}

function timing<Arguments extends unknown[], Result>(
  step: string,
  work: (...args: Arguments) => Promise<Result>,
): (...args: Arguments) => Promise<Result> {
  return async (...args) => {
    const began = performance.now();
    try {
      return await work(...args);
    } finally {
      spent.set(step, (spent.get(step) ?? 0) + performance.now() - began);
    }
  };
}
