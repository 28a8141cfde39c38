/** Text for the terminal. Only what is written in this project may hold colours and line breaks; all else is escaped. */
import { printable } from './escape.ts';

/** Text without anything unsafe, made by `styled` and `Terminal.paint`. Everything in it came through the escape filter. */
export class StyledText {
  /** Without colours. */
  readonly plain: string;
  /** With colours, if the terminal shows them. */
  readonly coloured: string;

  constructor(plain: string, coloured: string) {
    this.plain = plain;
    this.coloured = coloured;
  }

  /** Without colours: in a template without the tag `styled`, the colours are lost and nothing else happens. */
  toString(): string {
    return this.plain;
  }
}

/** A string is one line: control characters in it, line breaks included, are escaped. */
export type Printable = string | StyledText;

/**
 * Template tag for text with colours or line breaks. The template itself is printed as it is; values are escaped, except
 * `StyledText`.
 */
export function styled(parts: TemplateStringsArray, ...values: readonly (Printable | number)[]): StyledText {
  const texts = values.map((value) => asStyled(typeof value === 'number' ? String(value) : value));
  const join = (of: 'plain' | 'coloured') =>
    parts.map((part, position) => part + (texts[position]?.[of] ?? '')).join('');
  return new StyledText(join('plain'), join('coloured'));
}

export function asStyled(text: Printable): StyledText {
  if (text instanceof StyledText) return text;
  const escaped = printable(text);
  return new StyledText(escaped, escaped);
}
