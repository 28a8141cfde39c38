/** Checks the rows of the catalogue against the archive: those of erased documents at every step, all of them at the end of a night. */
import { gunzipSync } from 'node:zlib';
import type { CatalogueRow } from '../../functions/bucket/catalogue-rows.ts';
import {
  contextsOfPrefix,
  documentIdOfReceipt,
  holdsOfPrefix,
  receiptKey,
  receiptPrefix,
} from '../../functions/bucket/keys.ts';
import type { Receipt } from '../../functions/bucket/receipts.ts';
import type { StoredVersion } from '../fakes/versioned-objects.ts';
import type { InvariantMonitor, WorldState } from './invariant-monitor.ts';

type Stated = Partial<Omit<CatalogueRow, 'stamp'>>;

export class CatalogueMonitor {
  readonly #monitor: Pick<InvariantMonitor, 'report' | 'erasures'>;
  readonly #world: WorldState;

  constructor(monitor: Pick<InvariantMonitor, 'report' | 'erasures'>, world: WorldState) {
    this.#monitor = monitor;
    this.#world = world;
  }

  /** A shard has been written. */
  stored(shard: StoredVersion): void {
    for (const row of rowsIn(shard)) if (this.#monitor.erasures.erased.has(row.id)) this.#checkErased(row);
  }

  /** The command says that the document is erased. */
  erased(documentId: string): void {
    const row = this.#rows().get(documentId);
    if (row) this.#checkErased(row);
  }

  #checkErased({ stamp: _, ...stated }: CatalogueRow): void {
    const { id, held } = stated;
    if (canonical(stated) === canonical({ id, state: 'erased', held })) return;
    this.#monitor.report('erased-leaves-tombstones', id, 'the catalogue states more of it than its erasure');
  }

  /** Of each document whose records are older than the last run of the audit. @param runBegunAt milliseconds since the Unix epoch */
  checkRows(runBegunAt: number): void {
    const rows = this.#rows();
    const receipts = this.#objects(receiptPrefix);
    const ids = new Set([...rows.keys(), ...receipts.flatMap(({ key }) => documentIdOfReceipt(key) ?? [])]);
    for (const id of ids) {
      if (this.#recordsOf(id).some(({ modified }) => modified >= runBegunAt)) continue;
      const { stamp: _, ...found } = rows.get(id) ?? { stamp: '' };
      const [actual, expected] = [canonical(found), canonical(this.#expected(id))];
      if (actual === expected) continue;
      this.#monitor.report('catalogue-is-exact', id, `the row is ${actual} instead of ${expected}`);
    }
  }

  /** What receipt or tombstone, contexts and holds say. */
  #expected(id: string): Stated {
    const receipt = this.#world.store.current(receiptKey(id));
    if (!receipt) return {};
    const newestHold = this.#objects(holdsOfPrefix(id)).at(-1);
    const isHeld = newestHold !== undefined && JSON.parse(newestHold.body.toString()).action === 'hold';
    const held = isHeld ? true : undefined;
    if (receipt.metadata.state === 'erased') return { id, state: 'erased', held };
    const { object, archivedAt, request, telnyx }: Receipt = JSON.parse(receipt.body.toString());
    const contexts = this.#objects(contextsOfPrefix(id)).map(({ body }) => JSON.parse(body.toString()));
    const relations = contexts.map(({ v: _, documentId, learntAt, archiver, ...relation }) => relation);
    return {
      id,
      state: 'archived',
      name: asText(telnyx.filename),
      reference: asText(telnyx.customer_reference),
      type: asText(telnyx.content_type),
      bytes: object.bytes,
      sha256: object.sha256,
      created: asText(telnyx.created_at),
      archived: archivedAt,
      trigger: request.trigger,
      held,
      relations: relations.length > 0 ? relations : undefined,
    };
  }

  #recordsOf(id: string): StoredVersion[] {
    const receipt = this.#world.store.current(receiptKey(id));
    return [
      ...(receipt ? [receipt] : []),
      ...this.#objects(contextsOfPrefix(id)),
      ...this.#objects(holdsOfPrefix(id)),
    ];
  }

  #objects(prefix: string): StoredVersion[] {
    return this.#world.store.list(prefix, '', Number.POSITIVE_INFINITY).objects;
  }

  #rows(): Map<string, CatalogueRow> {
    const { objects } = this.#world.catalogue.list('', '', Number.POSITIVE_INFINITY);
    return new Map(objects.flatMap(rowsIn).map((row) => [row.id, row]));
  }
}

function rowsIn({ body }: StoredVersion): CatalogueRow[] {
  const lines = gunzipSync(body).toString('utf8').trimEnd().split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line));
}

/** Without members that are undefined, in a fixed order. */
function canonical({ relations, ...others }: Stated): string {
  const members = Object.entries({ ...others, relations: relations?.map(canonicalMembers).sort() });
  return canonicalMembers(Object.fromEntries(members));
}

function canonicalMembers(object: object): string {
  return JSON.stringify(
    Object.entries(object)
      .filter(([, value]) => value !== undefined)
      .sort(),
  );
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
