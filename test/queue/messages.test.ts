import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ArchiverError } from '../../functions/errors.ts';
import {
  parseDiscoveryMessage,
  parseDocumentMessage,
  type QueueMessage,
} from '../../functions/queue/messages.ts';
import { serialiseMessage } from '../../functions/queue/serialise.ts';
import { fuzzRuns } from '../fuzz-runs.ts';

const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const at = '2026-11-24T00:00:00.000Z';
const document = { v: 1, kind: 'document', documentId: id, trigger: 'webhook', requestedAt: at };

function codeOf(parse: () => unknown): string | undefined {
  try {
    parse();
    return undefined;
  } catch (error) {
    if (error instanceof ArchiverError) return error.code;
    throw error;
  }
}

describe('messages', () => {
  it.each<QueueMessage>([
    { v: 1, kind: 'document', documentId: id, trigger: 'sweep', requestedAt: at },
    {
      v: 1,
      kind: 'document',
      documentId: id,
      trigger: 'webhook',
      event: { id: 'e', type: 't', occurredAt: at },
      requestedAt: at,
    },
    { v: 1, kind: 'porting-order', orderId: id, requestedAt: at },
    { v: 1, kind: 'port-out', orderId: id, requestedAt: at },
    { v: 1, kind: 'number-order', orderId: id, requestedAt: at },
    { v: 1, kind: 'recent', requestedAt: '2022-03-22T18:59:43Z' },
    { v: 1, kind: 'span', createdAfter: at, createdBefore: at, requestedAt: at },
  ])('of kind $kind are parsed as they were serialised', (message) => {
    const body = serialiseMessage(message);

    expect(
      message.kind === 'document' ? parseDocumentMessage(body, new Date(0)) : parseDiscoveryMessage(body),
    ).toEqual(message);
  });

  it('that are only an id are parsed as an operator’s request with the time they were sent', () => {
    expect(parseDocumentMessage(` ${id}\n`, new Date(at))).toEqual({ ...document, trigger: 'operator' });
  });

  it.each<[string, unknown, string]>([
    ['a path as id', { ...document, documentId: '../../etc/passwd' }, 'MalformedMessage'],
    ['an upper-case id', { ...document, documentId: id.toUpperCase() }, 'MalformedMessage'],
    ['a Cyrillic letter in the id', { ...document, documentId: id.replace('a', 'а') }, 'MalformedMessage'],
    ['a line break after the id', { ...document, documentId: `${id}\n` }, 'MalformedMessage'],
    ['an extra field', { ...document, extra: 1 }, 'MalformedMessage'],
    ['a missing field', { ...document, trigger: undefined }, 'MalformedMessage'],
    ['an unknown trigger', { ...document, trigger: 'magic' }, 'MalformedMessage'],
    ['a missing version', { kind: 'document' }, 'MalformedMessage'],
    ['a later version', { v: 2, kind: 'documents' }, 'UnknownMessageVersion'],
    ['a kind of another queue', { v: 1, kind: 'recent', requestedAt: at }, 'UnknownMessageKind'],
    ['an unknown kind', { v: 1, kind: 'constructor' }, 'UnknownMessageKind'],
    ['null as JSON', null, 'MalformedMessage'],
    ['an array as JSON', [document], 'MalformedMessage'],
  ])('with %s are rejected', (_flaw, message, code) => {
    expect(codeOf(() => parseDocumentMessage(JSON.stringify(message), new Date(0)))).toBe(code);
  });

  it.each<[string, string, string]>([
    ['are not JSON', 'not JSON', 'Invalid message: the body is not valid JSON. Send JSON'],
    ['have no version', '{"kind":"document"}', '`v` (a number) and `kind` (a string) are required'],
    [
      'have an invalid field',
      JSON.stringify({ ...document, trigger: 'magic' }),
      'trigger is missing, unknown or invalid',
    ],
    ['are an array', '[]', 'Send JSON as described in docs/architecture.md'],
    ['are of a later version', '{"v":2,"kind":"document"}', 'Deploy the release that sent it, then redrive.'],
    ['belong to another queue', '{"v":1,"kind":"recent"}', 'This queue accepts messages of kind document.'],
  ])('that %s are rejected with a message that names the problem and the fix', (_flaw, body, text) => {
    expect(() => parseDocumentMessage(body, new Date(0))).toThrow(text);
  });

  it.each([
    '2026-11-24T00:00:00+01',
    '2026-02-30T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-11-24T25:00:00Z',
    '2026-11-24',
    '2026-11-24T00:00:00',
    '+002026-11-24T00:00:00Z',
    'yesterday',
    '',
  ])('with the invalid timestamp %j are rejected', (instant) => {
    const recent = JSON.stringify({ v: 1, kind: 'recent', requestedAt: instant });
    const span = JSON.stringify({
      v: 1,
      kind: 'span',
      createdAfter: at,
      createdBefore: instant,
      requestedAt: at,
    });

    expect(codeOf(() => parseDiscoveryMessage(recent))).toBe('MalformedMessage');
    expect(codeOf(() => parseDiscoveryMessage(span))).toBe('MalformedMessage');
  });

  it('are accepted only with timestamps that Date.parse understands', () => {
    const part = (digits: number) =>
      fc.integer({ min: 0, max: 10 ** digits - 1 }).map((n) => String(n).padStart(digits, '0'));
    const instants = fc
      .tuple(
        part(4),
        part(2),
        part(2),
        part(2),
        part(2),
        part(2),
        fc.constantFrom('Z', '', '+01', '+01:00', '-14:00', '+99:99', '.5Z'),
      )
      .map(([y, mo, d, h, mi, s, zone]) => `${y}-${mo}-${d}T${h}:${mi}:${s}${zone}`);
    fc.assert(
      fc.property(instants, (instant) => {
        const body = JSON.stringify({ v: 1, kind: 'recent', requestedAt: instant });
        if (codeOf(() => parseDiscoveryMessage(body)) === undefined) {
          expect(Number.isFinite(Date.parse(instant))).toBe(true);
        }
      }),
      { numRuns: fuzzRuns() },
    );
  });

  it.each(['\ufffe', '\uffff', '\ud800', '\u0000'])(
    'are serialised without characters that SQS refuses: %j',
    (character) => {
      const event = { id: `a${character}b`, type: 't', occurredAt: at };
      const body = serialiseMessage({ ...document, event } as QueueMessage);

      // Amazon SQS API reference, SendMessage: #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF.
      expect(body).toMatch(/^[\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]+$/u);
      expect(parseDocumentMessage(body, new Date(0))).toMatchObject({ event });
    },
  );

  it('of an unknown kind are rejected by discovery with the list of supported kinds', () => {
    expect(() => parseDiscoveryMessage('{"v":1,"kind":"document"}')).toThrow(
      'This queue accepts messages of kind porting-order, port-out, number-order, recent, span. Send the message to the queue',
    );
  });

  it('are never parsed from arbitrary text, which is rejected with an ArchiverError', () => {
    const bodies = fc.oneof(
      fc.string(),
      fc.json(),
      fc.uuid().map((uuid) => uuid.toUpperCase()),
    );
    fc.assert(
      fc.property(bodies, (body) => {
        for (const parse of [
          () => parseDocumentMessage(body, new Date(0)),
          () => parseDiscoveryMessage(body),
        ]) {
          const code = codeOf(parse);
          if (code === undefined) expect(/^\s*[0-9a-f-]{36}\s*$/.test(body)).toBe(true);
        }
      }),
      { numRuns: fuzzRuns() },
    );
  });

  it('of a later version fails for good at once: reading it again within the receive changes nothing', () => {
    expect(() => parseDocumentMessage('{"v":2,"kind":"document"}', new Date(0))).toThrow(
      expect.objectContaining({ code: 'UnknownMessageVersion', conclusive: true }),
    );
  });
});
