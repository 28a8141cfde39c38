import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createLog, type LogFields, standardOutput } from '../functions/log.ts';
import { fuzzRuns, propertyRuns } from './fuzz-runs.ts';

const canaries = [
  'https://s3.amazonaws.com/b/k?X-Amz-Signature=c0ffeec0ffee&X-Amz-Credential=AKIAEXAMPLE1234567',
  'Bearer c0ffeec0ffee',
  'bearer   c0ffeec0ffee',
  'KEY0123c0ffeec0ffee_abc',
  'AKIAC0FFEEC0FFEE1234',
  'X-Amz-Security-Token=c0ffeec0ffee',
];
const secret = /c0ffee/i;

function lineOf(fields: LogFields, message = 'm'): Record<string, unknown> {
  const lines: string[] = [];
  createLog({ name: 'test', write: (line) => lines.push(line), now: () => 0 }).warn(message, fields);
  expect(lines).toHaveLength(1);
  expect(lines[0]).not.toMatch(/[\n\r]/);
  expect(lines[0]?.length).toBeLessThan(8_192);
  return JSON.parse(lines[0] ?? '');
}

describe('a log line', () => {
  it('has a level, a time, a message and the allowed fields', () => {
    expect(lineOf({ documentId: 'd', bytes: 3, code: 'DocumentGone', lane: undefined })).toEqual({
      level: 'WARN',
      time: '1970-01-01T00:00:00.000Z',
      message: 'm',
      documentId: 'd',
      bytes: 3,
      code: 'DocumentGone',
    });
  });

  it.each(['info', 'warn', 'error'] as const)('of %s has its level, its message and its fields', (level) => {
    const lines: string[] = [];
    const log = createLog({ name: 'test', write: (line) => lines.push(line), now: () => 0 });

    log[level]('A message', { code: 'OrderGone' });

    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { level: level.toUpperCase(), message: 'A message', code: 'OrderGone' },
    ]);
  });

  it('is written to standard output directly, not through the console', () => {
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    onTestFinished(() => write.mockRestore());

    createLog({ name: 'test', write: standardOutput, now: () => 0 }).info('m');

    expect(write.mock.calls).toEqual([
      ['{"level":"INFO","time":"1970-01-01T00:00:00.000Z","message":"m"}\n'],
    ]);
  });

  it('omits fields that are not listed, and values that are neither a string nor a number', () => {
    const fields = {
      url: 'https://x',
      headers: {},
      documentId: { toString: () => 'x' },
    } as unknown as LogFields;

    expect(Object.keys(lineOf(fields))).toEqual(['level', 'time', 'message']);
  });

  it('shows no secret, whatever text surrounds it', () => {
    fc.assert(
      fc.property(fc.constantFrom(...canaries), fc.string(), fc.string(), (canary, before, after) => {
        expect(JSON.stringify(lineOf({ reason: `${before} ${canary} ${after}` }))).not.toMatch(secret);
      }),
      { numRuns: fuzzRuns() },
    );
  });

  it('is a single line of limited length, whatever its fields contain', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 5_000 }), (text) => {
        const { reason } = lineOf({ reason: text, cause: text, eventType: text });
        if (typeof reason === 'string') {
          expect([...reason].length).toBeLessThanOrEqual(201);
          expect(reason).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
        }
      }),
      { numRuns: propertyRuns(1_000) },
    );
  });

  it('is one line in the embedded metric format, in total and by each dimension', () => {
    const lines: string[] = [];
    const log = createLog({ name: 'test', write: (line) => lines.push(line), now: () => 5 });

    log.count('DeadLetters', 1, { Code: 'DocumentGone', Lane: 'documents' });
    log.count('BytesArchived', 7);

    expect(lines.map((line) => JSON.parse(line))).toEqual([
      {
        _aws: {
          Timestamp: 5,
          CloudWatchMetrics: [
            {
              Namespace: 'TelnyxArchiver/test',
              Dimensions: [[], ['Code'], ['Lane']],
              Metrics: [{ Name: 'DeadLetters', Unit: 'Count' }],
            },
          ],
        },
        DeadLetters: 1,
        Code: 'DocumentGone',
        Lane: 'documents',
      },
      {
        _aws: {
          Timestamp: 5,
          CloudWatchMetrics: [
            {
              Namespace: 'TelnyxArchiver/test',
              Dimensions: [[]],
              Metrics: [{ Name: 'BytesArchived', Unit: 'Bytes' }],
            },
          ],
        },
        BytesArchived: 7,
      },
    ]);
  });

  it('is split only by the dimensions that are given', () => {
    const lines: string[] = [];
    const log = createLog({ name: 'test', write: (line) => lines.push(line), now: () => 0 });

    log.count('DeadLetters', 2, { Code: 'DocumentGone' });

    expect(JSON.parse(lines[0] ?? '')).toEqual({
      _aws: {
        Timestamp: 0,
        CloudWatchMetrics: [
          {
            Namespace: 'TelnyxArchiver/test',
            Dimensions: [[], ['Code']],
            Metrics: [{ Name: 'DeadLetters', Unit: 'Count' }],
          },
        ],
      },
      DeadLetters: 2,
      Code: 'DocumentGone',
    });
  });
});
