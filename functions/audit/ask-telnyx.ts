import { ArchiverError } from '../errors.ts';
import type { TelnyxClient } from '../telnyx/client.ts';
import type { AuditConditions, Evidence } from './evidence.ts';
import type { FindingCode } from './findings.ts';
import { type Inspection, inspectionOf } from './inspect.ts';
import { judge } from './judge.ts';
import { type ListedDocument, toListedDocument } from './telnyx-documents.ts';

/** Findings for which it matters whether Telnyx still has the document: only then can it be archived again. */
const asked: ReadonlySet<FindingCode> = new Set(['lost', 'no-object', 'no-receipt']);

export interface AskTelnyxContext {
  telnyx: Pick<TelnyxClient, 'document'>;
  conditions: AuditConditions;
  /** How many more documents Telnyx may be asked for. If a whole bucket is empty, a million questions would delay the alarm. */
  questions: { left: number };
  signal: AbortSignal;
}

/**
 * Asks Telnyx for a document of which something is missing, and judges it again with the answer.
 *
 * @returns the inspection unchanged if nothing is missing, or if Telnyx cannot be asked now: `atTelnyx` then stays undefined
 */
export async function askTelnyx(
  inspection: Inspection,
  { telnyx, conditions, questions, signal }: AskTelnyxContext,
): Promise<Inspection> {
  const { evidence, findings } = inspection;
  if (questions.left === 0 || !findings.some(({ code }) => asked.has(code))) return inspection;
  questions.left -= 1;
  try {
    const answered = await documentAtTelnyx(evidence.documentId, telnyx, signal);
    if (!answered) return inspectionOf(evidence, findings, { ...conditions, telnyxListed: true });
    const known: Evidence = { ...evidence, telnyx: answered };
    return inspectionOf(known, judge(known, conditions), conditions);
  } catch (thrown) {
    signal.throwIfAborted();
    if (thrown instanceof ArchiverError) return inspection;
    throw thrown;
  }
}

/** @returns undefined if Telnyx does not have the document. @throws ArchiverError those of `TelnyxClient.document` */
export async function documentAtTelnyx(
  id: string,
  telnyx: Pick<TelnyxClient, 'document'>,
  signal: AbortSignal,
): Promise<ListedDocument | undefined> {
  try {
    const { createdAt, ...stated } = await telnyx.document(id, signal);
    return toListedDocument(id, {
      createdAt: createdAt === undefined ? undefined : Date.parse(createdAt),
      stated,
    });
  } catch (thrown) {
    if (thrown instanceof ArchiverError && thrown.code === 'DocumentGone') return undefined;
    throw thrown;
  }
}
