/**
 * Updates the catalogue while a part goes through its documents. The catalogue is a cache: a failure to read or write it is
 * logged and counted, and never fails the part.
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

/** After this many failures, the part leaves the catalogue to the next night, so that it does not wait for each failure. */
const maxFailures = 5;

/** An archived or erased document. */
interface Settled {
  id: string;
  listed: ListedRecords;
  /** What the audit has read at the receipt's key, after the shard was read; undefined if it did not read the receipt. */
  known: ReadRecord | undefined;
}

/** A shard as it was read, and the documents in it that the part has inspected so far. */
interface OpenShard extends ReadShard {
  documents: Settled[];
}

export class PartCatalogue {
  readonly #context: PartContext;
  readonly #store: CatalogueStore;
  readonly #archive: Bucket;
  /** First ID or a prefix, inclusive. */
  readonly #from: string;
  /** Names of the shards that the part has read, or tried to read. */
  readonly #seen = new Set<string>();
  /** Shards that are not written yet, in their order. Undefined: the shard could not be read. */
  readonly #open = new Map<string, OpenShard | undefined>();
  #failures = 0;

  /** @returns undefined if the archiver keeps no catalogue */
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

  /** Passes the documents on. Reads each shard before the audit reads its first document: see `replaceShard`. */
  async *follow<Item extends { row: SourceRow }>(items: AsyncIterable<Item>): AsyncGenerator<Item> {
    for await (const item of items) {
      const shard = shardOf(item.row.id);
      if (!this.#seen.has(shard)) await this.#read(shard);
      yield item;
    }
  }

  /** Adds a document that `follow` has passed on. The calls must be in the order of the documents. */
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
   * Writes the remaining shards.
   *
   * @param covered the IDs that the part has gone through: rows of other documents stay as they are
   * @returns whether the catalogue is up to date for all of them
   */
  async end(covered: Stretch): Promise<boolean> {
    for (const shard of this.#open.keys()) await this.#write(shard, covered);
    // Shards of which no document exists any more.
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
      // Another writer may have added a document that was archived after this part's listing.
      return isCovered && !(await this.#archive.head(receiptKey(row.id), limited)) ? undefined : row;
    });
    // Stryker disable next-line EqualityOperator: no ID is there twice.
    return [...read, ...left].filter((row) => row !== undefined).sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** The row of a document. If its records cannot be read, the row that it had. */
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

  /** @returns undefined if `work` failed, or after too many failures, when it is not tried */
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
