/** The objects of a bucket. What happens to them is written to the event log. */
import {
  type DeleteMarker,
  type PutOptions,
  type StoredVersion,
  VersionedObjects,
} from '../fakes/versioned-objects.ts';
import type { Invocation } from './container.ts';
import type { SimulationContext } from './context.ts';

export class ObjectStore extends VersionedObjects {
  readonly #context: SimulationContext;

  constructor(context: SimulationContext) {
    super(() => context.clock.now());
    this.#context = context;
  }

  /** @param writtenBy undefined if no function wrote it */
  override put(
    key: string,
    body: Buffer,
    options: PutOptions = {},
    writtenBy: Invocation | undefined = undefined,
  ): StoredVersion {
    const replaced = this.current(key);
    const version = super.put(key, body, options);
    const { eventLog, monitor } = this.#context;
    eventLog.add(key, `stored as ${version.versionId} by ${writtenBy?.id ?? 'another writer'}`);
    monitor.stored(version, replaced, writtenBy);
    return version;
  }

  override delete(
    key: string,
    versionId?: string,
    options?: { bypassGovernance?: boolean },
  ): StoredVersion | DeleteMarker | undefined {
    const deleted = super.delete(key, versionId, options);
    const what =
      versionId === undefined ? `${deleted?.versionId} is a delete marker` : `${versionId} is deleted`;
    const { eventLog, monitor } = this.#context;
    eventLog.add(key, what);
    if (deleted && versionId !== undefined) monitor.deleted(deleted);
    return deleted;
  }

  override setLegalHold(key: string, versionId: string | undefined, status: 'ON' | 'OFF'): void {
    super.setLegalHold(key, versionId, status);
    const { eventLog, monitor } = this.#context;
    eventLog.add(key, `legal hold of ${versionId ?? 'the current version'} is ${status}`);
    monitor.legalHoldChanged(key, status);
  }
}
