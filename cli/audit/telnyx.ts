import { readTelnyxDocuments } from '../../functions/audit/telnyx-documents.ts';
import { ArchiverError } from '../../functions/errors.ts';
import type { TelnyxClient } from '../../functions/telnyx/client.ts';
import { formatCount } from '../../terminal/counts.ts';
import { retryingTelnyx } from '../retrying-telnyx.ts';
import type { AuditRun } from './run.ts';

/**
 * Reads Telnyx's list into `run.documents`. A failure is the finding `unreadable`; the audit goes on without the list.
 *
 * @param startedAt milliseconds since the Unix epoch
 * @returns whether the list is complete, so that a document absent from it is not at Telnyx
 */
export async function readTelnyxList(
  telnyx: TelnyxClient,
  startedAt: number,
  { documents, context, reportOther }: AuditRun,
): Promise<boolean> {
  const { signal } = context;
  const problem = await readTelnyxDocuments(retryingTelnyx(telnyx, context), startedAt, documents).then(
    (invalidRows) => (invalidRows > 0 ? `${formatCount(invalidRows, 'row')} without a valid ID.` : undefined),
    (error: unknown) => {
      signal.throwIfAborted();
      if (error instanceof ArchiverError) return `${error.code}: ${error.message}`;
      throw error;
    },
  );
  if (problem === undefined) return true;
  reportOther({ code: 'unreadable', key: 'telnyx', detail: problem });
  return false;
}
