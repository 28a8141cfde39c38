import { expect, it } from 'vitest';
import type { Finding } from '../../functions/audit/findings.ts';
import { foreignObject, limitForeign } from '../../functions/audit/foreign-objects.ts';
import { nightlyAudit } from '../../functions/limits.ts';

const current = { bytes: 12, modified: 0, versionId: 'v', etag: 'e' };
const foreign = (count: number): Finding[] =>
  Array.from({ length: count }, (_, n) => ({ code: 'foreign', key: `key ${n}`, detail: '' }));

it.each([
  ['its size', current, '12 bytes, other versions: 2'],
  ['the delete marker that hides it', undefined, 'hidden by a delete marker, other versions: 2'],
])(
  'The finding of a foreign object states %s, and how many other versions there are',
  (_what, head, detail) => {
    const row = { key: 'notes.txt', current: head, otherVersions: 2, deleteMarkers: 0 };

    expect(foreignObject(row)).toEqual({ code: 'foreign', key: 'notes.txt', detail });
  },
);

it('Up to a thousand foreign objects are kept as they are', () => {
  const findings = foreign(nightlyAudit.foreignObjects);

  expect(limitForeign(findings)).toEqual(findings);
});

it('Of more foreign objects, the first thousand are kept and the others counted; all other findings are kept', () => {
  const findings = foreign(nightlyAudit.foreignObjects);
  const lost: Finding = { code: 'lost', key: 'receipts/x.json', detail: '' };
  const record: Finding = { code: 'foreign', key: 'holds/x', documentId: 'x', detail: '' };
  const others = foreign(1_234);

  expect(limitForeign([...findings, ...others, lost, record])).toEqual([
    ...findings,
    lost,
    record,
    { code: 'foreign', key: 'bucket', detail: 'other objects: 1,234' },
  ]);
});
