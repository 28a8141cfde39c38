/** Somebody, or a failing disk, who damages the archive in ways that no function and no command of the archiver does. */
import type { FindingCode } from '../../functions/audit/findings.ts';
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import type { SimulationContext } from './context.ts';
import type { WorldState } from './invariant-monitor.ts';
import { flipped } from './s3-client.ts';

type Damage = (documentId: string, store: WorldState['store']) => void;

/** Each damage, and the finding that must tell of it. */
const damages = {
  'object-deleted': {
    code: 'no-object',
    inflict: (id, store) => store.remove(documentKey(id)),
  },
  'object-decayed': {
    code: 'checksum-differs',
    inflict: (id, store) => {
      const object = store.current(documentKey(id));
      if (object) object.body = flipped(object.body, 0);
    },
  },
  'object-hidden': {
    code: 'hidden',
    inflict: (id, store) => store.delete(documentKey(id)),
  },
  'object-overwritten': {
    code: 'overwritten',
    inflict: (id, store) => store.put(documentKey(id), Buffer.from('other bytes')),
  },
  'receipt-deleted': {
    code: 'no-receipt',
    inflict: (id, store) => store.remove(receiptKey(id)),
  },
} as const satisfies Record<string, { code: FindingCode; inflict: Damage }>;

type DamageName = keyof typeof damages;

/**
 * Damages one document in each way.
 *
 * @param documentIds documents with object and receipt
 */
export function vandalise(
  documentIds: readonly string[],
  { store }: WorldState,
  { random, eventLog, monitor }: SimulationContext,
): void {
  // An empty object that decays would have another size.
  const intact = documentIds.filter((id) => store.current(documentKey(id))?.body.length);
  for (const name of Object.keys(damages) as DamageName[]) {
    const [id] = intact.splice(random.integer(0, intact.length - 1), 1);
    if (id === undefined) throw new Error('There are too few documents to damage.');
    damages[name].inflict(id, store);
    eventLog.add(id, name);
    monitor.audits.damaged(id, damages[name].code);
  }
}
