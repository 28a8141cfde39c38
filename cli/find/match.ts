/**
 * What `find` looks for. A criterion also has a trace: a pattern that the stored line of every matching row contains. Lines
 * without the trace need not be parsed.
 */
import type { CatalogueRow } from '../../functions/bucket/catalogue-rows.ts';

export interface Criterion {
  matches(row: CatalogueRow): boolean;
  /**
   * Source of a regular expression with the flag `i`, for the bytes of a line read as Latin-1. Undefined: all lines must be
   * parsed.
   */
  trace?: string | undefined;
}

/** How many digits of a phone number, and hex digits of an ID and of a SHA-256, a word must have to match a part of one. */
export const leastDigits = { phone: 7, id: 8, sha256: 12 } as const;

/**
 * A word is found in file names and customer references, as the beginning of the ID of a document, an order or a
 * resource, as the end of a phone number, and as the beginning of a SHA-256.
 */
export function wordCriterion(word: string): Criterion {
  const folded = fold(word);
  const endings = phoneEndings(word);
  const isNumber = endings && ((number: string) => hasEnding(number, endings));
  const isPart = (text: string | undefined) => text !== undefined && fold(text).includes(folded);
  const isId = (id: string) => {
    const text = fold(id);
    return text === folded || (folded.length >= leastDigits.id && text.startsWith(folded));
  };
  return {
    matches: ({ id, name, reference, sha256, relations = [] }) =>
      isPart(name) ||
      isPart(reference) ||
      (folded.length >= leastDigits.id && id.startsWith(folded)) ||
      (folded.length >= leastDigits.sha256 && sha256?.startsWith(folded) === true) ||
      relations.some(
        (relation) =>
          isId(relation.id) ||
          isPart(relation.reference) ||
          // Stryker disable next-line ArrayDeclaration: any text that is not a number will do.
          (isNumber !== undefined && (relation.numbers ?? []).some(isNumber)),
      ),
    trace: endings ? phoneTrace(endings) : textTrace(folded),
  };
}

/** @param sha256 lower-case hex */
export function digestCriterion(sha256: string): Criterion {
  return { matches: (row) => row.sha256 === sha256, trace: sha256 };
}

/** When a document was archived. @param since, until milliseconds since the Unix epoch; until is exclusive */
export function periodCriterion(since: number, until: number): Criterion {
  return {
    matches: ({ archived }) => {
      // For an erased document this is not a number, which is in no period.
      // Stryker disable next-line StringLiteral: any text that is not a date will do.
      const at = Date.parse(archived ?? '');
      return at >= since && at < until;
    },
    trace: `"archived":"${datesFrom(dateOf(since))}${datesTo(dateOf(until))}`,
  };
}

const [firstInstant, lastInstant] = [Date.parse('0000-01-01'), Date.parse('9999-12-31')];

/** `2026-11-24`. Dates of four digits in the year sort as their texts do. */
function dateOf(ms: number): string {
  const at = Math.min(Math.max(ms, firstInstant), lastInstant);
  return new Date(at).toISOString().slice(0, 10);
}

/** Looks ahead for this date, or one with a larger digit after the same beginning. */
function datesFrom(date: string): string {
  const later = [...date].flatMap((digit, at) =>
    /[0-8]/.test(digit) ? [`${date.slice(0, at)}[${Number(digit) + 1}-9]`] : [],
  );
  return `(?=${[date, ...later].join('|')})`;
}

/** Looks ahead for this date, or one with a smaller digit after the same beginning. */
function datesTo(date: string): string {
  const earlier = [...date].flatMap((digit, at) =>
    /[1-9]/.test(digit) ? [`${date.slice(0, at)}[0-${Number(digit) - 1}]`] : [],
  );
  return `(?=${[date, ...earlier].join('|')})`;
}

/** Content type without parameters, such as `application/pdf`. */
export function typeCriterion(type: string): Criterion {
  const wanted = essenceOf(type);
  return {
    matches: (row) => row.type !== undefined && essenceOf(row.type) === wanted,
    trace: textTrace(wanted),
  };
}

export const erasedCriterion: Criterion = {
  matches: ({ state }) => state === 'erased',
  trace: '"state":"erased"',
};

export const heldCriterion: Criterion = { matches: ({ held }) => held === true, trace: '"held":true' };

/** Makes texts equal that differ only in case, or in how Unicode composes their characters. */
export function fold(text: string): string {
  // Greek has another lower-case sigma at the end of a word.
  return text.normalize('NFC').toLowerCase().replaceAll('ς', 'σ').normalize('NFC');
}

function essenceOf(type: string): string {
  return fold(type.replace(/;.*/s, '').trim());
}

const separators = /[\s()./-]/g;

/**
 * The digits with which a phone number must end; undefined if the word cannot be a phone number. After `+` the number must
 * be the same. Otherwise zeros at the beginning may be a dialling prefix, such as 0 or 00, which a stored number lacks.
 */
function phoneEndings(word: string): { complete: boolean; digits: string[] } | undefined {
  // Stryker disable next-line ArrayDeclaration: its first element is not used.
  const [, plus, digits = ''] = /^(\+?)(\d+)$/.exec(word.replace(separators, '')) ?? [];
  if (digits.length < leastDigits.phone) return undefined;
  const withoutZeros = digits.replace(/^0+/, '');
  const hasPrefix = plus === '' && withoutZeros.length >= leastDigits.phone;
  return { complete: plus === '+', digits: hasPrefix ? [withoutZeros, digits] : [digits] };
}

function hasEnding(
  number: string,
  { complete, digits }: NonNullable<ReturnType<typeof phoneEndings>>,
): boolean {
  // Stryker disable next-line ArrayDeclaration: its first element is not used.
  const [, stored] = /^\+?(\d+)$/.exec(number.replace(separators, '')) ?? [];
  if (stored === undefined) return false;
  return digits.some((ending) => (complete ? stored === ending : stored.endsWith(ending)));
}

/** A file name or a reference with the same digits also contains this trace. */
// Stryker disable next-line StringLiteral: there are digits; required by the type.
function phoneTrace({ digits: [shortest = ''] }: NonNullable<ReturnType<typeof phoneEndings>>): string {
  return [...shortest].join('[^0-9"]*');
}

/**
 * The longest part of the folded text that has the same bytes in a stored line, apart from case: ASCII that JSON does not
 * escape. The last letter before a character that is not ASCII is left out: both may be stored as one character, as in `ü`.
 */
function textTrace(folded: string): string | undefined {
  const runs = folded.match(/[ !#-[\]-~]+(?!\P{ASCII})/gu) ?? [];
  // Stryker disable next-line EqualityOperator: of two equally long ones, either will do.
  const longest = runs.reduce((a, b) => (b.length > a.length ? b : a), '');
  if (longest !== '') return [...longest].map(charTrace).join('');
  // Characters that are not ASCII are stored as UTF-8; a lone surrogate as an escape.
  return /\P{ASCII}/u.test(folded) ? '[\\x80-\\xff]|\\\\u' : undefined;
}

/** ASCII characters that another character is folded to, as alternatives with the UTF-8 bytes of that character. */
const foldedToAscii: Readonly<Record<string, string>> = {
  k: 'k|\\xe2\\x84\\xaa',
  ';': ';|\\xcd\\xbe',
  '`': '`|\\xe1\\xbf\\xaf',
};

function charTrace(character: string): string {
  const others = foldedToAscii[character];
  return others === undefined ? character.replace(/[^a-z0-9 ]/, '\\$&') : `(?:${others})`;
}
