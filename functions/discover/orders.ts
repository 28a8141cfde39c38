/** The documents of one order, wherever Telnyx keeps them. */
import { ArchiverError } from '../errors.ts';
import { createConfirmingReader } from '../telnyx/confirm.ts';
import {
  type Candidate,
  listAdditionalDocuments,
  listDocumentLinks,
  listPortingRequirements,
  portingOrderDocuments,
  portOutDocuments,
} from '../telnyx/lists.ts';
import { readPages } from '../telnyx/pages.ts';
import type { RetryingTelnyx } from '../telnyx/retrying-telnyx.ts';

type LookUp = () => AsyncIterable<Candidate[]>;

/**
 * Of a porting order: itself, its requirements, its additional documents, and whatever is linked to its id.
 *
 * @throws ArchiverError OrderGone where nothing of it is left, and those of the lists
 */
export function documentsOfPortingOrder(
  telnyx: RetryingTelnyx,
  orderId: string,
): AsyncGenerator<Candidate[]> {
  return fromAll([
    singlePage(() => portingOrderDocuments(telnyx, orderId)),
    () => readPages((page) => listPortingRequirements(telnyx, orderId, page), createConfirmingReader()),
    () => readPages((page) => listAdditionalDocuments(telnyx, orderId, page), createConfirmingReader()),
    () => readPages((page) => listDocumentLinks(telnyx, orderId, page), createConfirmingReader()),
  ]);
}

/**
 * Of a port-out: its supporting documents, and whatever is linked to its id.
 *
 * @throws ArchiverError OrderGone where nothing of it is left, and those of the lists
 */
export function documentsOfPortOut(telnyx: RetryingTelnyx, orderId: string): AsyncGenerator<Candidate[]> {
  return fromAll([
    singlePage(() => portOutDocuments(telnyx, orderId)),
    () => readPages((page) => listDocumentLinks(telnyx, orderId, page), createConfirmingReader()),
  ]);
}

/**
 * Asks every place, whatever the others answer: an order may be gone while services still link its documents, and
 * one place that fails must not keep back what the others name.
 *
 * @throws the first failure, once all places have been asked. OrderGone is one only if nothing was found and no place
 *   failed otherwise.
 */
async function* fromAll(lookUps: readonly LookUp[]): AsyncGenerator<Candidate[]> {
  let found = 0;
  const failures: unknown[] = [];
  for (const lookUp of lookUps) {
    try {
      for await (const candidates of lookUp()) {
        found += candidates.length;
        yield candidates;
      }
    } catch (error) {
      failures.push(error);
    }
  }
  const gone = failures.filter(isOrderGone);
  if (gone.length < failures.length) throw failures.find((failure) => !isOrderGone(failure));
  if (gone.length > 0 && found === 0) throw gone[0];
}

function isOrderGone(error: unknown): boolean {
  return error instanceof ArchiverError && error.code === 'OrderGone';
}

function singlePage(read: () => Promise<Candidate[]>): LookUp {
  return async function* () {
    yield await read();
  };
}
