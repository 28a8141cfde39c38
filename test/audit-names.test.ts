import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type AuditPart,
  isPartStartName,
  isRunName,
  parsePartName,
  partName,
  partStartName,
  runName,
  runRequestedAt,
} from '../functions/audit-names.ts';
import { auditPlanKey } from '../functions/bucket/keys.ts';
import { propertyRuns } from './fuzz-runs.ts';

const bound = fc.oneof(fc.stringMatching(/^[0-9a-f]{1,8}$/), fc.uuid(), fc.constant(''));
const part: fc.Arbitrary<AuditPart> = fc.oneof(
  fc
    .tuple(bound, bound)
    .filter(([from, before]) => before === '' || from < before)
    .map(([from, before]) => ({ sort: 'ids' as const, from, before })),
  fc.nat(999_999_999).map((until) => ({ sort: 'telnyx' as const, until })),
  fc.constant({ sort: 'others' as const }),
  fc
    .tuple(fc.nat(4_000_000_000_000), fc.boolean())
    .map(([at, full]) => ({ sort: 'others' as const, from: runName(at, full) })),
);

describe('the name of a part', () => {
  it('is read back as the same part', () => {
    fc.assert(
      fc.property(part, (each) => {
        expect(parsePartName(partName(each))).toEqual(each);
        expect(isPartStartName(partStartName(each))).toBe(true);
        expect(partName(each).startsWith(partStartName(each))).toBe(true);
      }),
      { numRuns: propertyRuns(500) },
    );
  });

  it.each([
    'ids',
    'ids_',
    'ids_0_1_2',
    'ids_1_1',
    'ids_2_1',
    'ids_A_B',
    'ids_../x_',
    'ids_123456789_',
    'telnyx_',
    'telnyx_-1',
    'telnyx_1.5',
    'telnyx_1_',
    'telnyx_1_2',
    '1_1',
    '_1_2',
    'others_',
    'others_x',
    'others_20261126T021507Z_',
    ' others',
    'others\n',
  ])('cannot be %j', (name) => {
    expect(parsePartName(name)).toBeUndefined();
  });

  it.each(['', 'ids', 'ids_1_2', 'ids_x', 'telnyx_', 'plan'])('cannot begin as %j', (name) => {
    expect(isPartStartName(name)).toBe(false);
  });

  it('is never read from other text', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 90 }), (text) => {
        const read = parsePartName(text);
        if (read) expect(partName(read)).toBe(text);
      }),
      { numRuns: propertyRuns(500) },
    );
  });
});

describe('the name of a run', () => {
  it('is the second in which the run was requested', () => {
    const requestedAt = Date.parse('2026-11-26T02:15:07.999Z');

    expect(runName(requestedAt)).toBe('20261126T021507Z');
    expect(runRequestedAt('20261126T021507Z')).toBe(Date.parse('2026-11-26T02:15:07Z'));
    expect(isRunName('20261126T021507Z')).toBe(true);
  });

  it('says if the run was requested to read everything', () => {
    const requestedAt = Date.parse('2026-11-26T02:15:07.999Z');

    expect(runName(requestedAt, true)).toBe('20261126T021507Z_full');
    expect(runRequestedAt('20261126T021507Z_full')).toBe(Date.parse('2026-11-26T02:15:07Z'));
    expect(isRunName('20261126T021507Z_full')).toBe(true);
  });

  it('is in the same order as the keys of the run', () => {
    const second = Date.parse('2026-11-26T02:15:07Z');
    const names = [runName(second), runName(second, true), runName(second + 1_000)];

    expect(names.toSorted()).toEqual(names);
    expect(names.map(auditPlanKey).toSorted()).toEqual(names.map(auditPlanKey));
  });

  it.each([
    '',
    '20261126',
    '2026-11-26T02:15:07Z',
    '20261126T021507Z/',
    'x20261126T021507Z',
    '20261126T021507Z_',
    '20261126T021507Z_full_full',
  ])('cannot be %j', (name) => {
    expect(isRunName(name)).toBe(false);
  });
});
