/**
 * Keeps the catalogue up to date while a part goes over its documents. The catalogue is a cache: that it cannot be read or
 * written is logged and counted, and never fails the part.
 */
import type { CatalogueStore } from '../bucket/catalogue.ts';
import { type CatalogueRow, type ListedRecords, shardOf, stampOf } from '../bucket/catalogue-rows.ts';
import { type ReadShard, readShard, replaceShard } from '../bucket/catalogue-shards.ts';
import { receiptKey } from '../bucket/keys.ts';
import { createRetryingBucket } from '../bucket/retrying-bucket.ts';
import type { Bucket } from '../bucket/store.ts';
import { asArchiverError, nameOf } from '../errors.ts';
import { nightlyAudit } from '../limits.ts';
import { mapConcurrently } from '../map-concurrently.ts';
import { type ReadRecord, readRow } from './catalogue-reading.ts';
import { isBefore, type Stretch } from './cells.ts';
import type { Inspection } from './inspect.ts';
import type { PartContext } from './part-context.ts';
import type { SourceRow } from './sources.ts';

/** After so many failures the rest is left to the next night, so that the audit does not wait for each. */
const maxFailures = 5;

interface Settled {
  id: string;
  listed: ListedRecords;
  /** Read after the shard was. */
  known: ReadRecord | undefined;
}

/** A shard, and the documents of it that the part goes over. */
interface OpenShard extends ReadShard {
  documents: Settled[];
}

export class PartCatalogue {
  readonly #context: PartContext;
  readonly #store: CatalogueStore;
  readonly #archive: Bucket;
  /** First ID or a prefix, inclusive. */
  readonly #from: string;
  /** Names of the shards that were opened. */
  readonly #seen = new Set<string>();
  /** In their order. Undefined: cannot be read. */
  readonly #open = new Map<string, OpenShard | undefined>();
  #failures = 0;

  /** @returns undefined if there is no catalogue */
  static of(context: PartContext, { from }: Stretch): PartCatalogue | undefined {
    return context.catalogue && new PartCatalogue(context, context.catalogue, from);
  }

  private constructor(context: PartContext, store: CatalogueStore, from: string) {
    const { bucket, retry, onRequest } = context;
    const request = <Result>(send: (signal: AbortSignal) => Promise<Result>) =>
      retry((signal) => {
        onRequest();
        return send(signal);
      });
    this.#context = context;
    this.#from = from;
    this.#archive = createRetryingBucket(bucket, retry, onRequest);
    this.#store = {
      list: () => request((signal) => store.list(signal)),
      read: (shard) => request((signal) => store.read(shard, signal)),
      write: (shard, body, etag) => request((signal) => store.write(shard, body, etag, signal)),
    };
  }

  /** Passes the documents on. Reads each shard before its first document is read: see `replaceShard`. */
  async *follow<Item extends { row: SourceRow }>(items: AsyncIterable<Item>): AsyncGenerator<Item> {
    for await (const item of items) {
      const shard = shardOf(item.row.id);
      if (!this.#seen.has(shard)) await this.#read(shard);
      yield item;
    }
  }

  /** Called for each document that `follow` has passed on, in their order. */
  async add(row: SourceRow, { evidence }: Inspection): Promise<void> {
    const { id, receipt, contexts, hold } = row;
    const shard = shardOf(id);
    for (const earlier of this.#open.keys()) {
      if (earlier === shard) break;
      await this.#write(earlier, { from: this.#from, before: '' });
    }
    if (!receipt?.current) return;
    this.#open.get(shard)?.documents.push({
      id,
      listed: { receipt, contexts: contexts?.records ?? [], holds: hold?.records ?? [] },
      known: evidence.receipt?.reading || evidence.receipt?.tombstone ? evidence.receipt : undefined,
    });
  }

  /**
   * @param covered what the part has gone over: other rows stay as they are
   * @returns whether the catalogue has all of its documents
   */
  async end(covered: Stretch): Promise<boolean> {
    for (const shard of this.#open.keys()) await this.#write(shard, covered);
    // Shards all of whose documents are gone.
    const stored = (await this.#attempt((signal) => this.#store.list(signal))) ?? [];
    for (const shard of stored) {
      if (this.#seen.has(shard) || shard < shardOf(covered.from) || !isBefore(shard, covered.before))
        continue;
      await this.#read(shard);
      await this.#write(shard, covered);
    }
    if (this.#failures > 0) this.#context.log.count('CatalogueFailures', this.#failures);
    return this.#failures === 0;
  }

  async #read(shard: string): Promise<void> {
    this.#seen.add(shard);
    const read = await this.#attempt((signal) => readShard(this.#store, shard, signal));
    this.#open.set(shard, read && { ...read, documents: [] });
  }

  async #write(shard: string, covered: Stretch): Promise<void> {
    const open = this.#open.get(shard);
    this.#open.delete(shard);
    if (!open) return;
    await this.#attempt(async (signal) =>
      replaceShard(this.#store, shard, open, await this.#rowsOf(open, covered, signal), signal),
    );
  }

  async #rowsOf({ rows, documents }: OpenShard, { from, before }: Stretch, signal: AbortSignal) {
    const stored = new Map(rows.map((row) => [row.id, row]));
    const own = new Set(documents.map(({ id }) => id));
    const { documentsAtOnce } = nightlyAudit;
    const read = await mapConcurrently(documents, documentsAtOnce, signal, (document, limited) =>
      this.#rowOf(document, stored.get(document.id), limited),
    );
    const others = rows.filter(({ id }) => !own.has(id));
    const left = await mapConcurrently(others, documentsAtOnce, signal, async (row, limited) => {
      const isCovered = row.id >= from && isBefore(row.id, before);
      // Another writer may have listed a document that came after this part's listing.
      return isCovered && !(await this.#archive.head(receiptKey(row.id), limited)) ? undefined : row;
    });
    return [...read, ...left].filter((row) => row !== undefined).sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** A document that cannot be read keeps the row that it had. */
  async #rowOf(
    { id, listed, known }: Settled,
    stored: CatalogueRow | undefined,
    signal: AbortSignal,
  ): Promise<CatalogueRow | undefined> {
    if (!this.#context.plan.full && stored?.stamp === stampOf(listed)) return stored;
    const read = async () => ({ row: await readRow(id, listed, this.#archive, signal, known) });
    const made = await this.#attempt(read);
    return made ? made.row : stored;
  }

  /** @returns undefined if it failed, or if so much has failed that it is not tried */
  async #attempt<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result | undefined> {
    const { signal, log, plan } = this.#context;
    if (this.#failures >= maxFailures) return undefined;
    try {
      return await work(signal);
    } catch (thrown) {
      signal.throwIfAborted();
      const { code, message, cause } = asArchiverError(thrown);
      this.#failures += 1;
      log.warn('Catalogue not updated: the next night tries again', {
        run: plan.run,
        code,
        reason: message,
        cause: nameOf(cause),
      });
      return undefined;
    }
  }
}
