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

describe('a message', () => {
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
    { v: 1, kind: 'recent', requestedAt: '2022-03-22T18:59:43Z' },
    { v: 1, kind: 'span', createdAfter: at, createdBefore: at, requestedAt: at },
  ])('of kind $kind is read as it was written', (message) => {
    const body = serialiseMessage(message);

    expect(
      message.kind === 'document' ? parseDocumentMessage(body, new Date(0)) : parseDiscoveryMessage(body),
    ).toEqual(message);
  });

  it('that is just an id is an operator’s request of the moment it was sent', () => {
    expect(parseDocumentMessage(` ${id}\n`, new Date(at))).toEqual({ ...document, trigger: 'operator' });
  });

  it.each<[string, unknown, string]>([
    ['a hostile id', { ...document, documentId: '../../etc/passwd' }, 'MalformedMessage'],
    ['an upper-case id', { ...document, documentId: id.toUpperCase() }, 'MalformedMessage'],
    ['an id in other letters', { ...document, documentId: id.replace('a', 'а') }, 'MalformedMessage'],
    ['an id with a line end', { ...document, documentId: `${id}\n` }, 'MalformedMessage'],
    ['a field too many', { ...document, extra: 1 }, 'MalformedMessage'],
    ['a field missing', { ...document, trigger: undefined }, 'MalformedMessage'],
    ['an unknown trigger', { ...document, trigger: 'magic' }, 'MalformedMessage'],
    ['no version', { kind: 'document' }, 'MalformedMessage'],
    ['a later version', { v: 2, kind: 'documents' }, 'UnknownMessageVersion'],
    ['another queue’s kind', { v: 1, kind: 'recent', requestedAt: at }, 'UnknownMessageKind'],
    ['an unknown kind', { v: 1, kind: 'constructor' }, 'UnknownMessageKind'],
    ['null', null, 'MalformedMessage'],
    ['a list', [document], 'MalformedMessage'],
  ])('with %s is refused with its code', (_what, message, code) => {
    expect(codeOf(() => parseDocumentMessage(JSON.stringify(message), new Date(0)))).toBe(code);
  });

  it.each<[string, string, string]>([
    ['is no JSON', 'what is this', 'it is neither JSON nor a lower-case UUID'],
    ['has no version', '{"kind":"document"}', 'it has no version `v` and `kind`'],
    [
      'has a wrong field',
      JSON.stringify({ ...document, trigger: 'magic' }),
      'trigger is missing, unknown or not',
    ],
    ['can be read in no way', '[]', 'Send {"v":1,"kind":…} as docs/architecture.md describes'],
    ['is of a later version', '{"v":2,"kind":"document"}', 'Deploy the release that sent it, then redrive.'],
    ['belongs elsewhere', '{"v":1,"kind":"recent"}', 'This queue carries messages of kind document.'],
  ])('that %s is refused with words that say so, and what to do', (_what, body, words) => {
    expect(() => parseDocumentMessage(body, new Date(0))).toThrow(words);
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
  ])('with a timestamp that cannot be read as the date it names is malformed: %j', (instant) => {
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

  it('is read only with timestamps that Date.parse reads, whatever they look like', () => {
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
    'holds no character that SQS refuses: %j',
    (character) => {
      const event = { id: `a${character}b`, type: 't', occurredAt: at };
      const body = serialiseMessage({ ...document, event } as QueueMessage);

      // Amazon SQS API reference, SendMessage: #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF.
      expect(body).toMatch(/^[\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]+$/u);
      expect(parseDocumentMessage(body, new Date(0))).toMatchObject({ event });
    },
  );

  it('of no kind that discovery knows is refused with the kinds that it knows', () => {
    expect(() => parseDiscoveryMessage('{"v":1,"kind":"document"}')).toThrow(
      'This queue carries messages of kind porting-order, port-out, recent, span. Send the message to the queue',
    );
  });

  it('is never taken from anything else, and nothing but an ArchiverError is thrown', () => {
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
});
