/** Writes contexts: what orders and links state about whose documents they are. */
import {
  type ContextFact,
  factsOf,
  keyOfFact,
  listContextKeys,
  type StatedFact,
  writeContext,
} from '../bucket/contexts.ts';
import { contextTombstoneKey } from '../bucket/keys.ts';
import type { Bucket } from '../bucket/store.ts';
import type { Log } from '../log.ts';
import { mapConcurrently } from '../map-concurrently.ts';
import type { Time } from '../time.ts';

export interface ContextDependencies {
  bucket: Pick<Bucket, 'list' | 'putOnce'>;
  /** Version of the archiver, for contexts. */
  version: string;
  log: Log;
  time: Time;
}

/** PUT requests at the same time. */
const concurrency = 8;

/**
 * Writes each fact that has no context yet, except about erased documents: a listing shows their tombstones. Reads no
 * object.
 *
 * @throws ArchiverError those of `Bucket`, or the signal's reason
 */
export async function writeContexts(
  stated: readonly StatedFact[],
  signal: AbortSignal,
  { bucket, version, log, time }: ContextDependencies,
): Promise<void> {
  if (stated.length === 0) return;
  const documentIds = stated.map(({ documentId }) => documentId);
  const present = await listContextKeys(documentIds, bucket, signal);
  const missing = new Map<string, ContextFact>();
  for (const fact of stated.flatMap(factsOf)) {
    const key = keyOfFact(fact);
    if (!present.has(key) && !present.has(contextTombstoneKey(fact.documentId))) missing.set(key, fact);
  }
  const about = { learntAt: new Date(time.now()).toISOString(), archiver: version };
  let written = 0;
  try {
    await mapConcurrently([...missing.values()], concurrency, signal, async (fact, limited) => {
      if (await writeContext(fact, about, bucket, limited)) written += 1;
    });
  } finally {
    log.count('ContextsWritten', written);
  }
}
