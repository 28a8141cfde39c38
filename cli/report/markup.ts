import { printable } from '../../terminal/escape.ts';

/**
 * HTML whose holes are escaped: what is filled in is text, whatever it looks like. Everything in the report that
 * others have written goes through here or, in the page's data, through `inlineJson`.
 */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type Hole = string | number | Markup | readonly Hole[] | undefined;

/** A template whose holes are escaped, unless they are `Markup` themselves; undefined is nothing. */
export function html(parts: TemplateStringsArray, ...holes: readonly Hole[]): Markup {
  return new Markup(parts.map((part, position) => part + filled(holes[position])).join(''));
}

function filled(hole: Hole): string {
  if (hole === undefined) return '';
  if (hole instanceof Markup) return hole.text;
  if (typeof hole === 'string' || typeof hole === 'number') return escaped(String(hole));
  return hole.map(filled).join('');
}

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** For text and for attributes in quotes. */
function escaped(text: string): string {
  return printable(text).replace(/[&<>"']/g, (character) => entities[character] ?? '');
}

/** JSON for a `<script type="application/json">`, which nothing in it can end or turn into a comment. */
export function inlineJson(value: unknown): Markup {
  return new Markup(
    JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, (character) => `\\u${hex(character)}`),
  );
}

function hex(character: string): string {
  return character.charCodeAt(0).toString(16).padStart(4, '0');
}
