import { eraseDocument } from '../../cli/erasure/erase-document.ts';
import { type ErasureDependencies, examine } from '../../cli/erasure/examine.ts';
import { placeHold, releaseHold } from '../../cli/erasure/hold-document.ts';
import type { CatalogueStore } from '../../functions/bucket/catalogue.ts';
import { writeContext } from '../../functions/bucket/contexts.ts';
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { createVersions } from '../../functions/bucket/versions.ts';
import { type AuditFunctionOptions, createAuditFunction } from '../fakes/audit-function.ts';
import { createCatalogue } from '../fakes/catalogue.ts';
import { virtualTime } from '../fakes/clock.ts';
import { day, documentOf, noon, receiptOf, written } from '../fakes/documents.ts';
import { MemoryBucket } from '../fakes/memory-bucket.ts';

const never = new AbortController().signal;
const order = { basis: 'DSR-1', erasedBy: 'local', bypassGovernance: false };
/** Two documents share each shard. */
export const idOf = (number: number) =>
  `${(number >> 1).toString(16).padStart(3, '0')}${number.toString(16).padStart(5, '0')}-0000-4000-8000-000000000001`;

interface WorldOptions extends Partial<AuditFunctionOptions> {
  wrap?: (store: CatalogueStore) => CatalogueStore;
}

export function createCatalogueWorld({ wrap = (store) => store, ...options }: WorldOptions = {}) {
  const time = virtualTime(noon);
  const bucket = new MemoryBucket(time);
  const catalogue = createCatalogue(time);
  const audit = createAuditFunction({ time, bucket, catalogue: wrap(catalogue.store), ...options });
  const access = { s3: bucket as never, name: 'archive', time };
  const dependencies: ErasureDependencies = {
    bucket: createBucket(access),
    catalogue: catalogue.store,
    versions: createVersions(access),
    retry: (work) => work(never),
    now: time.now,
    archiver: '0.2.0',
  };
  const hold = { reason: 'Case 12', by: 'local' };
  return {
    ...audit,
    time,
    bucket,
    catalogue,
    dependencies,
    archive: (number: number, body = `document ${number}`) => {
      const document = documentOf(idOf(number), Buffer.from(body));
      bucket.put(documentKey(idOf(number)), document.body, time.now());
      bucket.put(receiptKey(idOf(number)), written(receiptOf(document)), time.now());
    },
    erase: async (number: number) =>
      eraseDocument(await examine(idOf(number), dependencies), order, dependencies),
    /** Something is learnt about the document. */
    learn: (number: number) =>
      writeContext(
        {
          documentId: idOf(number),
          kind: 'porting-order',
          id: `order at ${time.now()}`,
          numbers: ['+493012345678'],
        },
        { learntAt: new Date(time.now()).toISOString(), archiver: '0.2.0' },
        dependencies.bucket,
        never,
      ),
    hold: (number: number) => placeHold(idOf(number), hold, dependencies),
    release: (number: number) => releaseHold(idOf(number), hold, dependencies),
    nextDay: () => time.set(time.now() + day),
    receiptsRead: () =>
      bucket.requests.splice(0).filter((request) => request.startsWith('get receipts/')).length,
    /** The rows that a catalogue has which is made at once. */
    fromScratch: async () => {
      const other = createCatalogue(time);
      // A run is named by its second.
      time.set(time.now() + day);
      await createAuditFunction({ time, bucket, catalogue: other.store }).night(true);
      return other.rows();
    },
  };
}
