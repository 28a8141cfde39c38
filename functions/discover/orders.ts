/** Finds the documents of one order in all places where Telnyx lists them. */
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

type Source = () => AsyncIterable<Candidate[]>;

/**
 * Reads the documents of a porting order: from the order, its requirements, its additional documents, and the document
 * links to its id.
 *
 * @throws ArchiverError OrderGone if Telnyx no longer knows the order and no document was found; errors of the lists
 */
export function documentsOfPortingOrder(
  telnyx: RetryingTelnyx,
  orderId: string,
): AsyncGenerator<Candidate[]> {
  return readAll([
    singlePage(() => portingOrderDocuments(telnyx, orderId)),
    () => readPages((page) => listPortingRequirements(telnyx, orderId, page), createConfirmingReader()),
    () => readPages((page) => listAdditionalDocuments(telnyx, orderId, page), createConfirmingReader()),
    () => readPages((page) => listDocumentLinks(telnyx, orderId, page), createConfirmingReader()),
  ]);
}

/**
 * Reads the documents of a port-out: its supporting documents, and the document links to its id.
 *
 * @throws ArchiverError OrderGone if Telnyx no longer knows the port-out and no document was found; errors of the lists
 */
export function documentsOfPortOut(telnyx: RetryingTelnyx, orderId: string): AsyncGenerator<Candidate[]> {
  return readAll([
    singlePage(() => portOutDocuments(telnyx, orderId)),
    () => readPages((page) => listDocumentLinks(telnyx, orderId, page), createConfirmingReader()),
  ]);
}

/**
 * Reads every source, even if others fail: services may still link documents of an order that is gone, and one failing
 * source must not hide the documents of the others.
 *
 * @throws the first error other than OrderGone, after all sources were read. OrderGone is thrown only if no document
 *   was found and there was no other error.
 */
async function* readAll(sources: readonly Source[]): AsyncGenerator<Candidate[]> {
  let found = 0;
  const failures: unknown[] = [];
  for (const source of sources) {
    try {
      for await (const candidates of source()) {
        // Stryker disable next-line AssignmentOperator: only compared with 0.
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

function singlePage(read: () => Promise<Candidate[]>): Source {
  return async function* () {
    yield await read();
  };
}
