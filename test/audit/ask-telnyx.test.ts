import { describe, expect, it } from 'vitest';
import { askTelnyx, documentAtTelnyx } from '../../functions/audit/ask-telnyx.ts';
import type { FindingCode } from '../../functions/audit/findings.ts';
import type { Inspection } from '../../functions/audit/inspect.ts';
import { documentKey } from '../../functions/bucket/keys.ts';
import { ArchiverError } from '../../functions/errors.ts';
import type { TelnyxDocument } from '../../functions/telnyx/client.ts';
import { readFacts } from '../../functions/telnyx/record.ts';
import { day, documentOf, noon } from '../fakes/documents.ts';

const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const { record } = documentOf(id, Buffer.from('x'), { createdAt: noon - day });
const atTelnyx: TelnyxDocument = {
  ...readFacts({ ...record }).facts,
  id,
  record: '',
  cut: false,
  malformed: [],
};
const listed = {
  id,
  createdAt: noon - day,
  bytes: 1,
  sha256: record.sha256,
  infected: false,
  fileName: record.filename,
  customerReference: undefined,
};

/** A document of which something is missing, and Telnyx's answer. */
function startWorld({
  code = 'lost',
  left = 10,
  answer = async () => atTelnyx,
}: {
  code?: FindingCode;
  left?: number;
  answer?: () => Promise<TelnyxDocument>;
} = {}) {
  const asked: string[] = [];
  const controller = new AbortController();
  const telnyx = {
    document: (documentId: string) => {
      asked.push(documentId);
      return answer();
    },
  };
  const inspection: Inspection = {
    evidence: {
      documentId: id,
      claims: [{ manifest: 'm1', document: 'd', receipt: 'r' }],
    },
    findings: [
      { code: 'manifest-differs', key: 'm1', detail: '' },
      { code, key: documentKey(id), documentId: id, detail: '' },
    ],
  };
  const context = {
    telnyx,
    conditions: { startedAt: noon, telnyxListed: false, graceMs: 0 },
    questions: { left },
    signal: controller.signal,
  };
  return { asked, controller, inspection, context };
}

const rejection = (code: 'DocumentGone' | 'TelnyxUnavailable') => async () => {
  throw new ArchiverError(code, 'x');
};

describe('askTelnyx', () => {
  it.each(['lost', 'no-object', 'no-receipt'] as const)('asks for a document that is %s', async (code) => {
    const { asked, inspection, context } = startWorld({ code });

    await askTelnyx(inspection, context);

    expect(asked).toEqual([id]);
    expect(context.questions.left).toBe(9);
  });

  it('does not ask for a document of which nothing is missing', async () => {
    const { asked, inspection, context } = startWorld({ code: 'checksum-differs' });

    expect(await askTelnyx(inspection, context)).toBe(inspection);
    expect(asked).toEqual([]);
    expect(context.questions.left).toBe(10);
  });

  it('asks for no more documents than it is allowed to', async () => {
    const { asked, inspection, context } = startWorld({ left: 1 });

    await askTelnyx(inspection, context);
    expect(await askTelnyx(inspection, context)).toBe(inspection);

    expect(asked).toHaveLength(1);
    expect(context.questions.left).toBe(0);
  });

  it('judges the document again with what Telnyx has', async () => {
    const { inspection, context } = startWorld();

    const { evidence, findings } = await askTelnyx(inspection, context);

    expect(evidence).toEqual({ ...inspection.evidence, telnyx: listed });
    expect(findings).toMatchObject([
      { code: 'lost', detail: 'still at Telnyx', atTelnyx: true, fileName: record.filename },
    ]);
  });

  it('adds to the findings that Telnyx does not have the document', async () => {
    const { inspection, context } = startWorld({ answer: rejection('DocumentGone') });

    const { evidence, findings } = await askTelnyx(inspection, context);

    expect(evidence).toBe(inspection.evidence);
    expect(findings).toMatchObject([
      { code: 'manifest-differs', atTelnyx: false },
      { code: 'lost', atTelnyx: false },
    ]);
  });

  it('returns the inspection unchanged if Telnyx cannot be asked', async () => {
    const { inspection, context } = startWorld({ answer: rejection('TelnyxUnavailable') });

    expect(await askTelnyx(inspection, context)).toBe(inspection);
  });

  it('throws the signal’s reason instead', async () => {
    const { inspection, context, controller } = startWorld({ answer: rejection('TelnyxUnavailable') });
    controller.abort(new Error('over'));

    await expect(askTelnyx(inspection, context)).rejects.toThrow('over');
  });

  it('throws other errors', async () => {
    const { inspection, context } = startWorld({
      answer: async () => {
        throw new TypeError('a defect');
      },
    });

    await expect(askTelnyx(inspection, context)).rejects.toThrow('a defect');
  });
});

describe('documentAtTelnyx', () => {
  const { signal } = new AbortController();

  it('returns what Telnyx states, as its list does', async () => {
    expect(await documentAtTelnyx(id, { document: async () => atTelnyx }, signal)).toEqual(listed);
  });

  it('returns no time if Telnyx states none', async () => {
    const document = async () => ({ ...atTelnyx, createdAt: undefined });

    expect(await documentAtTelnyx(id, { document }, signal)).toEqual({ ...listed, createdAt: undefined });
  });

  it('returns undefined if Telnyx does not have the document, and throws other errors', async () => {
    const answer = (document: () => Promise<never>) => documentAtTelnyx(id, { document }, signal);

    expect(await answer(rejection('DocumentGone'))).toBeUndefined();
    await expect(answer(rejection('TelnyxUnavailable'))).rejects.toMatchObject({ code: 'TelnyxUnavailable' });
    const defect = Object.assign(new Error('not the archiver’s'), { code: 'DocumentGone' });
    await expect(answer(() => Promise.reject(defect))).rejects.toBe(defect);
  });
});
