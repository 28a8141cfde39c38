/** Finds the documents of one order in all places where Telnyx lists them, and what the order states about them. */
import type { StatedFact } from '../bucket/contexts.ts';
import { ArchiverError } from '../errors.ts';
import { createConfirmingReader } from '../telnyx/confirm.ts';
import {
  type Candidate,
  listAdditionalDocuments,
  listDocumentLinks,
  listPortingRequirements,
  type OrderDocument,
  type OrderRecord,
  portOutDocuments,
  readNumberOrder,
  readPortingOrder,
} from '../telnyx/lists.ts';
import { readPages } from '../telnyx/pages.ts';
import type { RetryingTelnyx } from '../telnyx/retrying-telnyx.ts';

/** A document of an order. */
export interface FoundDocument extends Candidate {
  /** What the order states about it; undefined if that is unknown, or if it was returned before. */
  fact?: Omit<StatedFact, 'documentId'>;
}

type Source = () => AsyncIterable<readonly OrderDocument[]>;

/**
 * Reads the documents of a porting order: from the order, its requirements, its additional documents, and the document
 * links to its id.
 *
 * @throws ArchiverError OrderGone if Telnyx no longer knows the order and no document was found; errors of the lists
 */
export function documentsOfPortingOrder(
  telnyx: RetryingTelnyx,
  orderId: string,
): AsyncGenerator<FoundDocument[]> {
  return documentsOf('porting-order', orderId, () => readPortingOrder(telnyx, orderId), [
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
export function documentsOfPortOut(telnyx: RetryingTelnyx, orderId: string): AsyncGenerator<FoundDocument[]> {
  // Supporting documents state no customer reference.
  const read = async () => ({ reference: undefined, documents: await portOutDocuments(telnyx, orderId) });
  return documentsOf('port-out', orderId, read, [
    () => readPages((page) => listDocumentLinks(telnyx, orderId, page), createConfirmingReader()),
  ]);
}

/**
 * Reads the documents of a number order: those that meet the requirements of its phone numbers, and the document links to
 * its id.
 *
 * @throws ArchiverError OrderGone if Telnyx no longer knows the order and no document was found; errors of the lists
 */
export function documentsOfNumberOrder(
  telnyx: RetryingTelnyx,
  orderId: string,
): AsyncGenerator<FoundDocument[]> {
  return documentsOf('number-order', orderId, () => readNumberOrder(telnyx, orderId), [
    () => readPages((page) => listDocumentLinks(telnyx, orderId, page), createConfirmingReader()),
  ]);
}

/**
 * Adds to each document what the order states about it. If the order could not be read, that stays unknown until the next
 * attempt. Of an order that is gone, only the ID is known.
 */
async function* documentsOf(
  kind: StatedFact['kind'],
  orderId: string,
  readOrder: () => Promise<OrderRecord>,
  others: readonly Source[],
): AsyncGenerator<FoundDocument[]> {
  let stated: Pick<OrderRecord, 'reference'> | undefined;
  const order: Source = async function* () {
    try {
      const { reference, documents } = await readOrder();
      stated = { reference };
      yield documents;
    } catch (error) {
      // Stryker disable next-line ObjectLiteral: of an empty object the reference is undefined, too; required by the type.
      if (isOrderGone(error)) stated = { reference: undefined };
      throw error;
    }
  };
  const known = new Set<string>();
  for await (const documents of readAll([order, ...others])) {
    yield documents.map(({ numbers, ...candidate }): FoundDocument => {
      const { id } = candidate;
      if (!stated || id === undefined || known.has(id)) return candidate;
      known.add(id);
      return { ...candidate, fact: { kind, id: orderId, ...stated, numbers } };
    });
  }
}

/**
 * Reads every source, even if others fail: services may still link documents of an order that is gone, and one failing
 * source must not hide the documents of the others.
 *
 * @throws the first error other than OrderGone, after all sources were read. OrderGone is thrown only if no document
 *   was found and there was no other error.
 */
async function* readAll(sources: readonly Source[]): AsyncGenerator<readonly OrderDocument[]> {
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
