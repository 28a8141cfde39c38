/**
 * Filter for untrusted text, such as a key, a file name or the reason of a dead letter. Escapes control and format
 * characters (terminal commands, bidirectional control characters), line and paragraph separators, and lone surrogates.
 */
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** The text with each unsafe character written as `\u{…}`. */
export function printable(text: string): string {
  return text.replace(unsafe, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

/** JSON on one line with unsafe characters as JSON escapes, so that a program reads the same text. */
export function printableJson(value: object | string): string {
  return JSON.stringify(value).replace(unsafe, (character) =>
    // JSON escapes each UTF-16 code unit with four hex digits (RFC 8259, section 7).
    character
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}
