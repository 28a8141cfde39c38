import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nestingOf } from '../../functions/json-text.ts';
import { boundRecord, isFields, readFacts, recordBounds } from '../../functions/telnyx/record.ts';
import { propertyRuns } from '../fuzz-runs.ts';

const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const record = {
  id,
  record_type: 'document',
  filename: 'Vollmacht.pdf',
  customer_reference: 'PO-17',
  content_type: 'application/pdf',
  created_at: '2026-11-24T00:00:00.123456Z',
  sha256: 'ab'.repeat(32),
  size: { unit: 'bytes', amount: 1_234 },
  av_scan_status: 'scanned',
};
const facts = {
  fileName: 'Vollmacht.pdf',
  customerReference: 'PO-17',
  contentType: 'application/pdf',
  createdAt: '2026-11-24T00:00:00.123456Z',
  sha256: 'ab'.repeat(32),
  bytes: 1_234,
  infected: false,
};
const unstated = {
  fileName: undefined,
  customerReference: undefined,
  contentType: undefined,
  createdAt: undefined,
  sha256: undefined,
  bytes: undefined,
  infected: false,
};

describe('readFacts', () => {
  it('returns the facts of a record that follows the specification', () => {
    expect(readFacts(record)).toEqual({ facts, malformed: [] });
  });

  it.each([
    {},
    { filename: null, content_type: null, created_at: null, sha256: null, size: null, av_scan_status: null },
    { filename: '', content_type: '', created_at: '', sha256: '', size: { unit: null, amount: null } },
  ])('returns no facts and nothing malformed for missing fields: %j', (fields) => {
    expect(readFacts({ id, ...fields })).toEqual({ facts: unstated, malformed: [] });
  });

  it.each<[field: string, value: unknown, keyof typeof facts]>([
    ['filename', 12_345, 'fileName'],
    ['filename', ['a.pdf'], 'fileName'],
    ['customer_reference', 17, 'customerReference'],
    ['content_type', {}, 'contentType'],
    ['created_at', 1_764_000_000, 'createdAt'],
    ['created_at', 'yesterday', 'createdAt'],
    ['created_at', '2026-11-24T00:00:00+01', 'createdAt'],
    ['created_at', ['2026-11-24T00:00:00Z'], 'createdAt'],
    ['created_at', `(${'x'.repeat(100)}) 2026-11-24`, 'createdAt'],
    ['sha256', 'not available', 'sha256'],
    ['sha256', 'a'.repeat(63), 'sha256'],
    ['sha256', 'a'.repeat(65), 'sha256'],
    ['sha256', ['a'.repeat(64)], 'sha256'],
    ['sha256', `${'a'.repeat(64)}\n`, 'sha256'],
    ['sha256', Buffer.alloc(32).toString('base64'), 'sha256'],
    ['sha256', 7, 'sha256'],
    ['size', 10, 'bytes'],
    ['size', [10], 'bytes'],
    ['size', { amount: '10' }, 'bytes'],
    ['size', { amount: -1 }, 'bytes'],
    ['size', { amount: 0.5 }, 'bytes'],
    ['size', { amount: 2 ** 53 }, 'bytes'],
    ['size', { unit: 'kilobytes', amount: 1 }, 'bytes'],
  ])('omits a malformed %s, such as %j, and names it', (field, value, fact) => {
    const { facts: read, malformed } = readFacts({ ...record, [field]: value });

    expect(malformed).toEqual([field]);
    expect(read).toEqual({ ...facts, [fact]: undefined });
  });

  it('reads the size of an empty document', () => {
    expect(readFacts({ ...record, size: { unit: 'bytes', amount: 0 } }).facts.bytes).toBe(0);
  });

  it('omits a malformed scan status and names it', () => {
    expect(readFacts({ ...record, av_scan_status: { is: 'infected' } })).toEqual({
      facts,
      malformed: ['av_scan_status'],
    });
  });

  it('converts a digest to lower case and reports malware', () => {
    const read = readFacts({ ...record, sha256: 'AB'.repeat(32), av_scan_status: 'infected' });

    expect(read).toEqual({ facts: { ...facts, infected: true }, malformed: [] });
  });
});

describe('isFields', () => {
  it.each([
    [{}, true],
    [null, false],
    [undefined, false],
    [[], false],
    ['a text', false],
  ])('returns for %j whether it is an object with fields: %s', (value, expected) => {
    expect(isFields(value)).toBe(expected);
  });
});

describe('boundRecord', () => {
  it('keeps a record of usual size verbatim', () => {
    const text = `{ "id" :"${id}",\n"id": "${id}", "n":2791500000000000123, "e":1e400, "z": ${'['.repeat(31)}${']'.repeat(31)}}`;

    expect(boundRecord(text)).toEqual({ text, cut: false });
  });

  it('keeps only the specified fields of a larger record', () => {
    const large = JSON.stringify({ ...record, junk: 'x'.repeat(recordBounds.characters) });

    const { text, cut } = boundRecord(large);

    expect(cut).toBe(true);
    expect(JSON.parse(text)).toEqual(record);
  });

  it('keeps only the specified fields of a more deeply nested record', () => {
    const deep = `{"id":"${id}","x":${'['.repeat(200_000)}${']'.repeat(200_000)},"status":"pending"}`;

    expect(boundRecord(deep)).toEqual({ text: `{"id":"${id}","status":"pending"}`, cut: true });
  });

  it('keeps the beginning of long fields, and unit and amount of a long size', () => {
    const large = JSON.stringify({
      id,
      customer_reference: '🦜'.repeat(600_000),
      filename: 'f'.repeat(1_025),
      size: { unit: 'bytes', amount: 7, junk: 'x'.repeat(2_000) },
      status: ['x'.repeat(2_000)],
    });

    expect(JSON.parse(boundRecord(large).text)).toEqual({
      id,
      filename: `${'f'.repeat(1_024)}…`,
      customer_reference: `${'🦜'.repeat(512)}…`,
      size: { unit: 'bytes', amount: 7 },
    });
  });

  it('keeps a field that is long only because its characters are escaped', () => {
    const large = JSON.stringify({
      id,
      filename: '\u0001'.repeat(1_024),
      junk: 'x'.repeat(recordBounds.characters),
    });

    expect(JSON.parse(boundRecord(large).text)).toEqual({ id, filename: '\u0001'.repeat(1_024) });
  });

  it('keeps only the amount of a long size without a unit', () => {
    const large = `{"id":"${id}","size":{"amount":7,"junk":"${'x'.repeat(recordBounds.characters)}"}}`;

    expect(boundRecord(large)).toEqual({ text: `{"id":"${id}","size":{"amount":7}}`, cut: true });
  });

  it('keeps a record of exactly the largest size verbatim', () => {
    const recordOf = (characters: number) => `{"x":"${'x'.repeat(characters - 8)}"}`;

    expect(boundRecord(recordOf(recordBounds.characters)).cut).toBe(false);
    expect(boundRecord(recordOf(recordBounds.characters + 1)).cut).toBe(true);
  });

  const long = `"${'x'.repeat(2_000)}"`;
  it.each([
    ['verbatim with 1,024 characters', `{"amount":7,"x":"${'x'.repeat(1_005)}"}`, undefined],
    ['in part with 1,025 characters', `{"amount":7,"x":"${'x'.repeat(1_006)}"}`, '{"amount":7}'],
    ['verbatim with four levels', '{"amount":7,"x":[[[]]]}', undefined],
    ['in part with five levels', '{"amount":7,"x":[[[[]]]]}', '{"amount":7}'],
    [
      'without a member that is an object too large to keep',
      `{"unit":{"x":${long}},"amount":7}`,
      '{"amount":7}',
    ],
  ])('keeps a size %s', (_how, size, kept = size) => {
    const large = `{"size":${size},"junk":"${'x'.repeat(recordBounds.characters)}"}`;

    expect(boundRecord(large)).toEqual({ text: `{"size":${kept}}`, cut: true });
  });

  it.each([
    ['array in place of a size', `"size":[${long}]`],
    ['object in place of a text', `"status":{"x":${long}}`],
  ])('omits a large %s', (_what, field) => {
    const large = `{"id":"${id}",${field},"junk":"${'x'.repeat(recordBounds.characters)}"}`;

    expect(boundRecord(large)).toEqual({ text: `{"id":"${id}"}`, cut: true });
  });

  it('limits the size of any record and keeps its digest, size and creation time', () => {
    const long = fc
      .constantFrom('x', '"', '\\', '\u0001', 'ü', '🦜', '\ud800')
      .map((unit) => unit.repeat(70_000));
    const deep = fc.integer({ min: 20, max: 2_000 }).map((levels) => {
      let value: unknown = 1;
      for (let level = 0; level < levels; level += 1) value = level % 2 ? [value] : { a: value };
      return value;
    });
    const anything = fc.oneof(long, deep, fc.jsonValue({ maxDepth: 3 }));
    const altered = fc.dictionary(
      fc.constantFrom('filename', 'customer_reference', 'sha256', 'size', 'created_at', 'status', 'junk'),
      anything,
    );
    fc.assert(
      fc.property(altered, (fields) => {
        const whole = { ...record, ...fields };

        const { text, cut } = boundRecord(JSON.stringify(whole));

        expect(Buffer.byteLength(text)).toBeLessThan(3 * recordBounds.characters);
        expect(nestingOf(text)).toBeLessThanOrEqual(recordBounds.levels);
        const parsed = JSON.parse(text);
        expect(parsed.id).toBe(id);
        const { sha256, bytes, createdAt } = readFacts(whole).facts;
        expect(readFacts(parsed).facts).toMatchObject({ sha256, bytes, createdAt });
        if (!cut) expect(text).toBe(JSON.stringify(whole));
      }),
      { numRuns: propertyRuns(300) },
    );
  });
});
