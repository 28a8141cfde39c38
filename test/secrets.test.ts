import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { asArchiverError, nameOf } from '../functions/errors.ts';
import { createLog } from '../functions/log.ts';
import { sendDeadLetter } from '../functions/queue/dead-letter.ts';
import { createApiKey } from '../functions/telnyx/api-key.ts';
import { systemTime } from '../functions/time.ts';
import { propertyRuns } from './fuzz-runs.ts';

const key = 'KEY0123456789ABCDEF_aBcDeFgHiJkLmNoP';
/** An API key that matches no pattern of `redact`. */
const oddKey = 'v2.Zq9~odd/key+of=some%25kind';
const signature = 'c0ffeec0ffeec0ffee0123456789abcdef';
const query = `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261124&X-Amz-Signature=${signature}`;

const hexOf = (character: string) => character.charCodeAt(0).toString(16).padStart(2, '0');
const everyCharacter = (text: string, encode: (character: string) => string) =>
  [...text].map(encode).join('');

/** Usual encodings of a text. */
const encodings: Record<string, (text: string) => string> = {
  plain: (text) => text,
  'lower case': (text) => text.toLowerCase(),
  'next to letters': (text) => `x${text}y`,
  'next to digits and underscores': (text) => `0_${text}_0`,
  'percent-encoded': encodeURIComponent,
  'percent-encoded twice': (text) => encodeURIComponent(encodeURIComponent(text)),
  'percent-encoded, every character': (text) => everyCharacter(text, (character) => `%${hexOf(character)}`),
  'a form field': (text) => new URLSearchParams({ authorization: `Bearer ${text}` }).toString(),
  'behind %3A and %20': (text) => `authorization%3ABearer%20${text}%20`,
  JSON: (text) => JSON.stringify({ authorization: text }),
  'JSON in JSON': (text) => JSON.stringify(JSON.stringify({ authorization: text })),
  'JSON in JSON, percent-encoded': (text) => encodeURIComponent(JSON.stringify(JSON.stringify([text]))),
  'JSON escapes': (text) => everyCharacter(text, (character) => `\\u00${hexOf(character)}`),
  'JSON escapes in JSON': (text) =>
    JSON.stringify(everyCharacter(text, (character) => `\\u00${hexOf(character)}`)),
  'JavaScript escapes': (text) => everyCharacter(text, (character) => `\\x${hexOf(character)}`),
  'HTML entities': (text) => everyCharacter(text, (character) => `&#${character.charCodeAt(0)};`),
  'hexadecimal HTML entities': (text) => everyCharacter(text, (character) => `&#x${hexOf(character)};`),
  'zero-width spaces': (text) => [...text].join('\u200b'),
  'word joiners and soft hyphens': (text) => everyCharacter(text, (character) => `${character}\u2060\u00ad`),
  'percent-encoded zero-width spaces': (text) => [...text].join('%E2%80%8B'),
  'escaped zero-width spaces': (text) => [...text].join('\\u200b'),
  'bidirectional controls': (text) => [...text].join('\u202e'),
};
const ofKeyAlone: typeof encodings = {
  hex: (text) => Buffer.from(text).toString('hex'),
  ...Object.fromEntries(
    ['', 'x', 'xy', 'xyz', 'Bearer ', 'authorization: Bearer '].flatMap((before) =>
      (['base64', 'base64url'] as const).flatMap((form) =>
        ['', 'z', 'zz'].map((after) => [
          `${form} between “${before}” and “${after}”`,
          (text: string) => Buffer.from(before + text + after).toString(form),
        ]),
      ),
    ),
  ),
};
const signed: ((name: string) => string)[] = [
  (name) => `${name}=${signature}`,
  (name) => `&${name}=${signature}&x=1`,
  (name) => `${name.toLowerCase()}=${signature}`,
  (name) => `${name.toUpperCase()}=${signature}`,
  (name) => `${name}: ${signature}`,
  (name) => `${name} = ${signature}`,
  (name) => JSON.stringify({ [name]: signature }),
  (name) => JSON.stringify({ [name]: signature }, undefined, 2),
  (name) => JSON.stringify([name, signature]),
  (name) => JSON.stringify({ name, value: signature }),
  (name) => `<${name}>${signature}</${name}>`,
  (name) => `{'${name}': '${signature}'}`,
];

/** Secrets in the forms in which they may appear in text written by others. */
const canaries = [
  ...Object.values(encodings).flatMap((encode) => [encode(key), encode(oddKey), encode(`Bearer ${key}`)]),
  ...Object.values(ofKeyAlone).flatMap((encode) => [encode(key), encode(oddKey)]),
  // Without the encodings that change the case, and without escapes that would change the name.
  ...signed.flatMap((form) =>
    ['X-Amz-Signature', 'X-Amz-Security-Token', 'X-Amz-Credential'].flatMap((name) =>
      [
        'plain',
        'percent-encoded',
        'percent-encoded twice',
        'JSON in JSON',
        'JSON escapes',
        'HTML entities',
        'zero-width spaces',
      ].map((encoding) => encodings[encoding]?.(form(name)) ?? ''),
    ),
  ),
  `bearer ${key}`,
  `authorization: Bearer ${key}`,
  `Authorization:Bearer  ${key}`,
  JSON.stringify({ authorization: `Bearer ${key}` }),
  JSON.stringify(JSON.stringify({ apiKey: key })),
  `'${key}'`,
  `(${key})`,
  `/${key}/`,
  `key=${key};`,
  `https://s3.amazonaws.com/b/k?${query}`,
  `https://b.s3.eu-west-1.amazonaws.com/k?x=1&${query}`,
  `"https://s3.amazonaws.com/b/k?${query}"`,
  `<https://s3.amazonaws.com/b/k?${query}>`,
  encodeURIComponent(`https://s3.amazonaws.com/b/k?${query}`),
  `GET /b/k?${query} HTTP/1.1`,
  `?${query}`,
  `X-Amz-Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/s3/aws4_request`,
  `AKIAIOSFODNN7EXAMPLE`,
  `ASIAIOSFODNN7EXAMPLE`,
  `Basic dXNlcjpwYXNzd29yZA==`,
];

/** Parts of a secret, plain, in hex and in base64 at any offset, to search for in decoded text. */
const middleOf = (secret: string) => {
  const inBase64 = [0, 1, 2].map((before) =>
    Buffer.from('x'.repeat(before) + secret)
      .toString('base64')
      .slice(4, 20),
  );
  return [secret.slice(3, 15), Buffer.from(secret).toString('hex').slice(4, 20), ...inBase64];
};
const secretParts = [
  ...middleOf(key),
  ...middleOf(oddKey),
  signature.slice(0, 12),
  'IOSFODNN7EXAMPLE',
  'dXNlcjpwYXNzd29yZA',
].map((part) => part.toLowerCase());

/** The text after undoing each usual encoding. */
function decodedViews(text: string): string[] {
  const views = [text];
  for (let round = 0; round < 4; round += 1) {
    const before = views.at(-1) ?? '';
    views.push(
      before
        .replace(/[\p{Cf}\p{Mn}]/gu, '')
        .replace(/(?:%[0-9a-f]{2})+/gi, (bytes) => Buffer.from(bytes.replaceAll('%', ''), 'hex').toString())
        .replace(/\\+u([0-9a-f]{4})/gi, (_, unit) => String.fromCharCode(Number.parseInt(unit, 16)))
        .replace(/\\+x([0-9a-f]{2})/gi, (_, unit) => String.fromCharCode(Number.parseInt(unit, 16)))
        .replace(/&#x([0-9a-f]+);/gi, (_, unit) => String.fromCharCode(Number.parseInt(unit, 16)))
        .replace(/&#(\d+);/g, (_, unit) => String.fromCharCode(Number(unit)))
        .replaceAll('\\', ''),
    );
  }
  return views
    .map((view) => view.replace(/[-_]/g, (sign) => (sign === '-' ? '+' : '/')).toLowerCase())
    .concat(views.map((view) => view.toLowerCase()));
}

function expectNoSecret(text: string, of: string) {
  for (const view of decodedViews(text)) {
    const shown = secretParts.filter((part) => view.includes(part));
    expect(shown, `${text} of ${of}`).toEqual([]);
  }
}

/** Errors of other code that contain the canary. */
const errorsWith: ((canary: string) => unknown)[] = [
  (canary) => new Error(canary),
  (canary) => new Error('x', { cause: new Error('y', { cause: new Error(canary) }) }),
  (canary) => new AggregateError([new Error(canary)], canary),
  (canary) => Object.assign(new Error('x'), { url: canary, config: { headers: { authorization: canary } } }),
  (canary) => Object.assign(new Error('x'), { name: canary }),
  (canary) => Object.assign(new Error('x'), { code: canary }),
  (canary) => Object.assign(new Error('x'), { stack: canary }),
  (canary) => Object.assign(new Error('x'), { toString: () => canary, toJSON: () => canary }),
  (canary) => ({ [Symbol.toPrimitive]: () => canary }),
  (canary) => ({
    get message() {
      return canary;
    },
    get name() {
      throw new Error(canary);
    },
  }),
  (canary) => canary,
  (canary) => Object.defineProperty(new Error('x'), 'message', { get: () => canary }),
];

describe('a secret in text written by others', () => {
  beforeAll(async () => {
    // The functions register the key in the same way.
    for (const known of [key, oddKey]) await createApiKey(async () => known, systemTime).current();
  });

  it.each(canaries)('is not shown by a log line or a dead letter: %s', async (canary) => {
    const lines: string[] = [];
    const log = createLog({ name: 'test', write: (line) => lines.push(line), now: () => 0 });
    const sent: string[] = [];
    const sqs = { send: async (command: { input: unknown }) => sent.push(JSON.stringify(command.input)) };

    log.warn('A message', {
      reason: canary,
      cause: `a ${canary} b`,
      eventType: `${'a'.repeat(150)} ${canary}`,
    });
    log.count('WebhooksRefused', 1, { Reason: canary });
    await sendDeadLetter(
      sqs as never,
      'dead-letters',
      { body: '{}', code: 'Unexpected', reason: `${canary}, ${canary}`, attempts: 1, firstSeenAt: '' },
      new AbortController().signal,
    );

    expect(sent).toHaveLength(1);
    for (const text of [...lines, ...sent]) expectNoSecret(JSON.stringify(JSON.parse(text)), canary);
  });

  it('is found by this test if it is shown', () => {
    for (const canary of canaries) expect(() => expectNoSecret(canary, canary)).toThrow();
  });

  it('is not shown by the message, the name or a log line of an error that contains it', () => {
    const cases = fc.tuple(
      fc.constantFrom(...canaries),
      fc.constantFrom(...errorsWith),
      fc.string({ unit: fc.constantFrom(' ', '\n', '"', ',', '[', '{', '\u202e', 'é', 'x', '7', '%', '\\') }),
    );

    fc.assert(
      fc.property(cases, ([canary, errorWith, around]) => {
        const error = asArchiverError(errorWith(around + canary + around));
        const lines: string[] = [];
        const log = createLog({ name: 'test', write: (line) => lines.push(line), now: () => 0 });

        log.error(error.message, { reason: error.message, code: error.code, cause: nameOf(error.cause) });
        log.warn('A message', { reason: around + canary + around });

        expectNoSecret(error.message, canary);
        for (const line of lines) expectNoSecret(line, canary);
      }),
      { numRuns: propertyRuns(5_000) },
    );
  });
});
