/**
 * Text that others wrote, such as a key or a file name, with what a terminal obeys or hides written as `\u{…}`: control
 * and format characters, line and paragraph separators.
 */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
