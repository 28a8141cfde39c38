import { describe, expect, it } from 'vitest';
import type { FindingCode } from '../../functions/audit/findings.ts';
import { createRunTally, type PartResult, type RecordedFinding } from '../../functions/audit/records.ts';
import { findingsOf, tallyOf } from '../../functions/audit/run-findings.ts';

const found = (code: FindingCode, changes: Partial<RecordedFinding> = {}): RecordedFinding => ({
  code,
  key: 'documents/x',
  documentId: 'x',
  detail: '',
  ...changes,
});

function resultOf(findings: RecordedFinding[], changes: Partial<PartResult> = {}): PartResult {
  const at = '2026-11-24T12:00:00.000Z';
  return {
    v: 1,
    run: '20261124T120000Z',
    part: 'others',
    startedAt: at,
    endedAt: at,
    tally: createRunTally(),
    findings,
    ...changes,
  };
}

describe('the findings of a run', () => {
  it('are those of its plan and of its parts, each once', () => {
    const chain = found('manifest-altered', { documentId: undefined, key: 'manifests/1' });
    const findings = [found('no-object'), found('lost')];

    expect(findingsOf({ findings: [chain] }, [{ findings: [chain, ...findings] }, { findings }])).toEqual([
      chain,
      ...findings,
    ]);
  });

  it('differ by code, document, key or detail', () => {
    const findings = [
      found('no-object'),
      found('no-receipt'),
      found('no-object', { documentId: 'y' }),
      found('no-object', { key: 'ab', detail: 'c' }),
      found('no-object', { key: 'a', detail: 'bc' }),
    ];

    expect(findingsOf({ findings: [] }, [{ findings }])).toEqual(findings);
  });

  it.each(['missing', 'telnyx-differs'] as const)(
    'do not include %s if the part of the document found something else',
    (code) => {
      const lost = found('lost');
      const other = found(code, { documentId: 'y' });

      expect(
        findingsOf({ findings: [] }, [{ findings: [found(code), other] }, { findings: [lost] }]),
      ).toEqual([other, lost]);
    },
  );

  it('include both findings of a comparison with Telnyx’s list', () => {
    const findings = [found('missing'), found('telnyx-differs')];

    expect(findingsOf({ findings: [] }, [{ findings }])).toEqual(findings);
  });
});

describe('the counts of a run', () => {
  it('are the problems that it found, each once, and what its parts counted otherwise', () => {
    const lost = found('lost');
    const results = [
      resultOf([lost], { tally: { ...createRunTally(), documents: 3, counts: { same: 2, lost: 1 } } }),
      resultOf([lost], {
        tally: { ...createRunTally(), documents: 4, counts: { same: 1, lost: 1, erased: 2 } },
      }),
    ];
    const chain = found('manifest-removed', { documentId: undefined });

    expect(tallyOf({ findings: [chain] }, results)).toEqual({
      ...createRunTally(),
      documents: 7,
      counts: { same: 3, erased: 2, lost: 1, 'manifest-removed': 1 },
    });
  });

  it('include the parts that could not be checked', () => {
    const unchecked = { code: 'BucketUnavailable', reason: 'S3 did not respond.' };
    const tally = { ...createRunTally(), counts: { unreadable: 1 } };
    const results = [
      resultOf([], { tally, unchecked }),
      resultOf([], { tally, unchecked }),
      resultOf([found('unreadable')], { tally }),
    ];

    expect(tallyOf({ findings: [] }, results).counts).toEqual({ unreadable: 3 });
  });
});
