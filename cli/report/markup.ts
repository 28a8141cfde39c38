import { printable } from '../../terminal/escape.ts';

/**
 * HTML that is safe to insert as it is. Text from elsewhere, such as file names, enters the report only through `html`,
 * which escapes it, or through `inlineJson`.
 */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type HtmlValue = string | number | Markup | readonly HtmlValue[] | undefined;

/** Template tag that escapes the interpolated values, except `Markup`. Undefined becomes an empty string. */
export function html(parts: TemplateStringsArray, ...values: readonly HtmlValue[]): Markup {
  return new Markup(parts.map((part, position) => part + render(values[position])).join(''));
}

function render(value: HtmlValue): string {
  if (value === undefined) return '';
  if (value instanceof Markup) return value.text;
  if (typeof value === 'string' || typeof value === 'number') return escapeHtml(String(value));
  return value.map(render).join('');
}

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Escapes for text and for quoted attributes. */
function escapeHtml(text: string): string {
  return printable(text).replace(/[&<>"']/g, (character) => entities[character] ?? '');
}

/** JSON for a `<script type="application/json">`, escaped so that it cannot end the element or start a comment. */
export function inlineJson(value: unknown): Markup {
  return new Markup(
    JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, (character) => `\\u${hex(character)}`),
  );
}

function hex(character: string): string {
  return character.charCodeAt(0).toString(16).padStart(4, '0');
}
