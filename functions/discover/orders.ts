/** The documents of one order, wherever Telnyx keeps them. */
import { ArchiverError } from '../errors.ts';
import {
  type Candidate,
  listAdditionalDocuments,
  listDocumentLinks,
  listPortingRequirements,
  portingOrderDocuments,
  portOutDocuments,
} from '../telnyx/lists.ts';
import type { PatientTelnyx } from '../telnyx/patience.ts';
import { createAsk } from './believe.ts';
import { readPages } from './pages.ts';

type LookUp = () => AsyncIterable<Candidate[]>;

/**
 * Of a porting order: itself, its requirements, its additional documents, and whatever is linked to its id.
 *
 * @throws ArchiverError OrderGone where nothing of it is left, and those of the lists
 */
export function documentsOfPortingOrder(telnyx: PatientTelnyx, orderId: string): AsyncGenerator<Candidate[]> {
  return fromAll([
    once(() => portingOrderDocuments(telnyx, orderId)),
    () => readPages((page) => listPortingRequirements(telnyx, orderId, page), createAsk()),
    () => readPages((page) => listAdditionalDocuments(telnyx, orderId, page), createAsk()),
    () => readPages((page) => listDocumentLinks(telnyx, orderId, page), createAsk()),
  ]);
}

/**
 * Of a port-out: its supporting documents, and whatever is linked to its id.
 *
 * @throws ArchiverError OrderGone where nothing of it is left, and those of the lists
 */
export function documentsOfPortOut(telnyx: PatientTelnyx, orderId: string): AsyncGenerator<Candidate[]> {
  return fromAll([
    once(() => portOutDocuments(telnyx, orderId)),
    () => readPages((page) => listDocumentLinks(telnyx, orderId, page), createAsk()),
  ]);
}

/** An order may be gone, its documents not: they stay as long as any service links them. So every place is asked. */
async function* fromAll(lookUps: readonly LookUp[]): AsyncGenerator<Candidate[]> {
  let found = 0;
  let gone: ArchiverError | undefined;
  for (const lookUp of lookUps) {
    try {
      for await (const candidates of lookUp()) {
        found += candidates.length;
        yield candidates;
      }
    } catch (error) {
      if (!(error instanceof ArchiverError) || error.code !== 'OrderGone') throw error;
      gone = error;
    }
  }
  if (gone && found === 0) throw gone;
}

function once(read: () => Promise<Candidate[]>): LookUp {
  return async function* () {
    yield await read();
  };
}
