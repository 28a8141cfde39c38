/** Looks up the names of failed documents at Telnyx: a dead letter has only the document's ID. */
import * as v from 'valibot';
import { ArchiverError } from '../../functions/errors.ts';
import { mapConcurrently } from '../../functions/map-concurrently.ts';
import type { CommandContext } from '../command.ts';
import { type DocumentName, nameInRecord } from '../document-name.ts';
import { telnyxOfTarget } from '../retrying-telnyx.ts';
import type { Failure } from './failures.ts';

/** Names by document ID; without the documents that Telnyx does not have. */
export type DocumentNames = ReadonlyMap<string, DocumentName>;

const requestsAtOnce = 4;
const documentResponse = v.object({ data: v.looseObject({}) });

/** @throws SettingsError without an API key; ArchiverError as `RetryingTelnyx.get` */
export async function readNames(
  failures: readonly Failure[],
  context: CommandContext,
): Promise<DocumentNames> {
  const telnyx = await telnyxOfTarget(context);
  if (!telnyx) throw new Error('--names requires access to Telnyx: set TELNYX_API_KEY.');
  const ids = failures.filter(({ isDocument }) => isDocument).map(({ id }) => id);
  const names = await mapConcurrently(ids, requestsAtOnce, context.signal, async (id) => {
    try {
      const response = await telnyx.get(`documents/${id}`, new URLSearchParams(), 'DocumentGone');
      const { success, output } = v.safeParse(documentResponse, response);
      return success ? [[id, nameInRecord(output.data)] as const] : [];
    } catch (error) {
      if (error instanceof ArchiverError && error.code === 'DocumentGone') return [];
      throw error;
    }
  });
  return new Map(names.flat());
}
