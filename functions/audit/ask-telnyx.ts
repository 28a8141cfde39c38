import { asArchiverError } from '../errors.ts';
import type { TelnyxClient } from '../telnyx/client.ts';
import type { AuditConditions, Evidence } from './evidence.ts';
import type { FindingCode } from './findings.ts';
import { type Inspection, inspectionOf } from './inspect.ts';
import { judge } from './judge.ts';

/** Whether Telnyx still has the bytes decides what can be done about these. */
const asked: ReadonlySet<FindingCode> = new Set(['lost', 'no-object', 'no-receipt']);

export interface AskTelnyxContext {
  telnyx: Pick<TelnyxClient, 'document'>;
  conditions: AuditConditions;
  signal: AbortSignal;
}

/**
 * Asks Telnyx for a document of which something is missing, and judges it again with the answer.
 *
 * @returns the inspection unchanged if nothing is missing, or if Telnyx cannot be asked now: then it stays unknown whether
 *   Telnyx has the document
 */
export async function askTelnyx(
  inspection: Inspection,
  { telnyx, conditions, signal }: AskTelnyxContext,
): Promise<Inspection> {
  const { evidence, findings } = inspection;
  if (!findings.some(({ code }) => asked.has(code))) return inspection;
  try {
    const { createdAt, bytes, sha256, infected, fileName, customerReference } = await telnyx.document(
      evidence.documentId,
      signal,
    );
    const answered: Evidence = {
      ...evidence,
      telnyx: {
        createdAt: createdAt === undefined ? undefined : Date.parse(createdAt),
        bytes,
        sha256,
        infected: infected === true,
        fileName,
        customerReference,
      },
    };
    return inspectionOf(answered, judge(answered, conditions), conditions);
  } catch (thrown) {
    signal.throwIfAborted();
    if (asArchiverError(thrown).code !== 'DocumentGone') return inspection;
    return inspectionOf(evidence, findings, { ...conditions, telnyxListed: true });
  }
}
