/** Checks what erasures and holds guarantee, at every change of the bucket. */
import { parseHoldRecord } from '../../functions/bucket/holds.ts';
import {
  contextsOfPrefix,
  contextTombstoneKey,
  documentKey,
  receiptKey,
} from '../../functions/bucket/keys.ts';
import type { Receipt } from '../../functions/bucket/receipts.ts';
import { parseTombstone } from '../../functions/bucket/tombstones.ts';
import { type ErrorCode, retryPolicies } from '../../functions/errors.ts';
import { sha256 } from '../fakes/memory-bucket.ts';
import type { DeleteMarker, StoredVersion } from '../fakes/versioned-objects.ts';
import type { Invocation } from './container.ts';
import type { InvariantMonitor, WorldState } from './invariant-monitor.ts';

/** Shorter documents may occur in other texts by chance. */
const minRecognizableBytes = 16;

export class ErasureMonitor {
  readonly #monitor: Pick<InvariantMonitor, 'report' | 'moment' | 'catalogue'>;
  readonly #world: WorldState;
  /** Value of `InvariantMonitor.moment` when the receipt's key got its tombstone, by document ID. */
  readonly #begunAt = new Map<string, number>();
  /** The same for the key of its contexts' tombstone. */
  readonly #contextsErasedAt = new Map<string, number>();
  /** Keys of contexts of which the writing began before that tombstone existed and ended after it. */
  readonly #lateContexts = new Set<string>();
  /** Documents whose erasure is complete. */
  readonly #erased = new Set<string>();
  /** Documents whose hold is placed, until its release begins. */
  readonly #held = new Set<string>();
  /** Versions deleted since the newest record said that the document is held, by document ID. */
  readonly #deletedSinceRecord = new Map<string, number>();

  constructor(monitor: Pick<InvariantMonitor, 'report' | 'moment' | 'catalogue'>, world: WorldState) {
    this.#monitor = monitor;
    this.#world = world;
  }

  /** Documents whose erasure is complete. */
  get erased(): ReadonlySet<string> {
    return this.#erased;
  }

  holdPlaced(documentId: string): void {
    this.#held.add(documentId);
  }

  releaseBegins(documentId: string): void {
    this.#held.delete(documentId);
  }

  /** The command says that the document is erased. */
  completed(documentId: string): void {
    this.#erased.add(documentId);
    this.checkErased(documentId);
    this.#monitor.catalogue.erased(documentId);
  }

  /** @param replaced the object that was current before */
  stored(
    version: StoredVersion,
    replaced: StoredVersion | undefined,
    writtenBy: Invocation | undefined,
  ): void {
    const [folder, documentId] = placeOf(version.key);
    if (folder === 'holds') {
      this.#recordStored(documentId, version);
      return;
    }
    if (folder === 'contexts') {
      this.#contextStored(documentId, version, writtenBy);
      return;
    }
    const isByFunction = writtenBy !== undefined;
    if (
      this.#erased.has(documentId) ||
      (folder === 'receipts' && isByFunction && this.#begunAt.has(documentId))
    ) {
      this.#monitor.report('erased-stays-erased', documentId, `${version.key} is stored again`);
    }
    if (folder !== 'receipts' || isByFunction) return;
    if (!this.#begunAt.has(documentId)) this.#begunAt.set(documentId, this.#monitor.moment);
    if (replaced && !isTombstone(replaced)) this.#checkDigests(documentId, version, replaced);
  }

  /** A context, or the tombstone of contexts, which the command writes. */
  #contextStored(documentId: string, { key }: StoredVersion, writtenBy: Invocation | undefined): void {
    const erasedAt = this.#contextsErasedAt.get(documentId);
    if (!writtenBy) this.#contextsErasedAt.set(documentId, erasedAt ?? this.#monitor.moment);
    else if (erasedAt !== undefined && erasedAt < writtenBy.since) {
      this.#monitor.report('erased-has-no-context', documentId, `${writtenBy.id} writes ${key}`);
    } else if (erasedAt !== undefined) this.#lateContexts.add(key);
  }

  /** Keys of the contexts that a finished erasure has left, because they were being written during it. */
  contextsLeft(documentId: string): string[] {
    const { objects } = this.#world.store.list(contextsOfPrefix(documentId), '', Number.POSITIVE_INFINITY);
    return objects.map(({ key }) => key);
  }

  #checkDigests(documentId: string, { body }: StoredVersion, receipt: StoredVersion): void {
    const tombstone = parseTombstone(documentId, body);
    const { object } = JSON.parse(receipt.body.toString('utf8')) as Receipt;
    const isTrue =
      typeof tombstone === 'object' &&
      tombstone.erased.receipt?.sha256 === sha256(receipt.body) &&
      tombstone.erased.document?.sha256 === object.sha256;
    if (!isTrue) {
      const what = 'the tombstone does not state the digests of the receipt that it replaces';
      this.#monitor.report('tombstone-names-the-erased', documentId, what);
    }
  }

  #recordStored(documentId: string, { key, body }: StoredVersion): void {
    if (parseHoldRecord(key, body).action === 'hold') {
      this.#deletedSinceRecord.set(documentId, 0);
      return;
    }
    this.#deletedSinceRecord.delete(documentId);
    if (this.#versionsOf(documentId).some((version) => version.body && version.legalHold === 'ON')) {
      this.#monitor.report(
        'hold-has-record',
        documentId,
        'the release is recorded before the legal holds end',
      );
    }
  }

  legalHoldPlaced(key: string): void {
    const [, documentId] = placeOf(key);
    if (this.#deletedSinceRecord.has(documentId)) return;
    this.#monitor.report('hold-has-record', documentId, `${key} is on legal hold, but no record says why`);
  }

  /** Called after the deletion. */
  deleted({ key, versionId }: StoredVersion | DeleteMarker): void {
    const [folder, documentId] = placeOf(key);
    const tombstone = folder === 'contexts' ? contextTombstoneKey(documentId) : key;
    const current = this.#world.store.current(tombstone);
    if (!current || !isTombstone(current)) {
      this.#monitor.report(
        'erased-stays-erased',
        documentId,
        `${versionId} of ${key} is deleted, which has no tombstone`,
      );
    }
    const sinceRecord = this.#deletedSinceRecord.get(documentId);
    if (sinceRecord === undefined) return;
    this.#deletedSinceRecord.set(documentId, sinceRecord + 1);
    // The eraser may have sent the deletion of one version when the record was stored.
    if (this.#held.has(documentId) || sinceRecord > 0) {
      this.#monitor.report('held-is-kept', documentId, `${versionId} of ${key} is deleted`);
    }
  }

  /** A message about the document is acknowledged, and did not become a dead letter. */
  acknowledged(documentId: string, { id, since, metrics }: Invocation): void {
    if (!this.#hasBegunBefore(documentId, since) || (metrics.get('DocumentsErased') ?? 0) > 0) return;
    this.#monitor.report('erased-is-acknowledged', documentId, `${id} does not count it as erased`);
  }

  /** A function has made a dead letter. */
  deadLetter(documentId: string, code: string | undefined, sentBy: Invocation | undefined): void {
    if (!sentBy || !this.#hasBegunBefore(documentId, sentBy.since)) return;
    // While S3 fails, nothing can tell that the document is erased.
    if (retryPolicies[code as ErrorCode] === 'wait') return;
    this.#monitor.report(
      'erased-is-acknowledged',
      documentId,
      `a dead letter with code ${code} by ${sentBy.id}`,
    );
  }

  /** Nothing but the tombstones is left of an erased document. */
  checkErased(documentId: string): void {
    const { store, account } = this.#world;
    const [atObject, atReceipt] = [documentKey(documentId), receiptKey(documentId)].map((key) =>
      store.versions(key),
    );
    const [object, receipt] = [atObject?.[0]?.body, atReceipt?.[0]?.body];
    const hasTombstones =
      atObject?.length === 1 &&
      atReceipt?.length === 1 &&
      object !== undefined &&
      typeof parseTombstone(documentId, object) === 'object' &&
      receipt?.equals(object);
    if (!hasTombstones) {
      const what = `${atObject?.length} versions of the object, ${atReceipt?.length} of the receipt`;
      this.#monitor.report('erased-leaves-tombstones', documentId, what);
    }
    for (const key of this.contextsLeft(documentId)) {
      if (this.#lateContexts.has(key)) continue;
      this.#monitor.report('erased-has-no-context', documentId, `${key} is left`);
    }
    const { bytes, record } = account.documents.get(documentId) ?? {};
    for (const { version } of store.listVersions('', { key: '' }, Number.POSITIVE_INFINITY).entries) {
      const { body } = version;
      const hasBytes = bytes && bytes.length >= minRecognizableBytes && body?.includes(bytes);
      if (hasBytes || (record && body?.includes(record))) {
        this.#monitor.report(
          'erased-leaves-tombstones',
          documentId,
          `its bytes or its record are in ${version.key}`,
        );
      }
    }
  }

  #hasBegunBefore(documentId: string, moment: number): boolean {
    return (this.#begunAt.get(documentId) ?? Number.POSITIVE_INFINITY) < moment;
  }

  #versionsOf(documentId: string) {
    const { store } = this.#world;
    return [documentKey(documentId), receiptKey(documentId)].flatMap((key) => store.versions(key));
  }
}

function isTombstone({ metadata }: StoredVersion): boolean {
  return metadata.state === 'erased';
}

/** Folder and document ID of a key. */
function placeOf(key: string): [folder: string, documentId: string] {
  const [folder = '', name = ''] = key.split('/');
  return [folder, name.replace(/\.json$/, '')];
}
