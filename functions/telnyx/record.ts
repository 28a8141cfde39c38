/**
 * A document's record, as returned by GET /documents and GET /documents/{id}. Telnyx's specification requires only `id`.
 * A field that does not follow the specification is treated as missing: it must not prevent archiving the document.
 */
import { membersOf, nestingOf } from '../json-text.ts';
import { isInstant } from '../time.ts';

export type Fields = Readonly<Record<string, unknown>>;

/** A fact is undefined if Telnyx's field is missing or does not follow the specification. */
export interface StatedFacts {
  fileName: string | undefined;
  /** The customer's own text, such as an order number. */
  customerReference: string | undefined;
  contentType: string | undefined;
  /** ISO 8601. */
  createdAt: string | undefined;
  /** 64 lower-case hex digits. */
  sha256: string | undefined;
  bytes: number | undefined;
  infected: boolean;
}

/**
 * Reads the facts that the archiver relies on.
 *
 * @returns `malformed`: names of the fields that do not follow the specification. Null and an empty string count as
 *   missing, not as malformed.
 */
export function readFacts(record: Fields): { facts: StatedFacts; malformed: readonly string[] } {
  const malformed: string[] = [];
  const stated = <Value>(name: string, read: (value: unknown) => Value | undefined): Value | undefined => {
    const value = record[name];
    if (value === undefined || value === null || value === '') return undefined;
    const parsed = read(value);
    if (parsed === undefined) malformed.push(name);
    return parsed;
  };
  const facts: StatedFacts = {
    fileName: stated('filename', asText),
    customerReference: stated('customer_reference', asText),
    contentType: stated('content_type', asText),
    createdAt: stated('created_at', asInstant),
    sha256: stated('sha256', asDigest),
    bytes: stated('size', asSize)?.bytes,
    infected: stated('av_scan_status', asText) === 'infected',
  };
  return { facts, malformed };
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function asInstant(value: unknown): string | undefined {
  return typeof value === 'string' && isInstant(value) ? value : undefined;
}

function asDigest(value: unknown): string | undefined {
  return typeof value === 'string' && /^[0-9a-f]{64}$/i.test(value) ? value.toLowerCase() : undefined;
}

function asSize(value: unknown): { bytes: number | undefined } | undefined {
  if (!isFields(value)) return undefined;
  const unit = value.unit ?? 'bytes';
  const amount = value.amount ?? undefined;
  // Stryker disable next-line ConditionalExpression: no other type is a safe integer; required by the type.
  const isCount = typeof amount === 'number' && Number.isSafeInteger(amount) && amount >= 0;
  return unit === 'bytes' && (isCount || amount === undefined) ? { bytes: amount } : undefined;
}

/** Limits of the record in a receipt. Telnyx's records have about 500 characters and two levels. */
export const recordBounds = { characters: 64 * 1_024, levels: 32 } as const;

/** Limits of a single field in a truncated record. A file name has at most 512 characters (Telnyx's guide). */
const fieldBounds = { characters: 1_024, levels: 4 } as const;

/** The fields of the specification, each with its members if it is an object. */
const specifiedFields: Readonly<Record<string, readonly string[]>> = {
  id: [],
  record_type: [],
  created_at: [],
  updated_at: [],
  content_type: [],
  filename: [],
  customer_reference: [],
  sha256: [],
  size: ['unit', 'amount'],
  status: [],
  av_scan_status: [],
};

/**
 * A record's text for the receipt: verbatim, or, if it is too large or too deeply nested, reduced to the specified fields,
 * each of limited size.
 *
 * @param text a JSON object
 */
export function boundRecord(text: string): { text: string; cut: boolean } {
  if (text.length <= recordBounds.characters && nestingOf(text) <= recordBounds.levels) {
    return { text, cut: false };
  }
  const members = membersOf(text);
  const kept = Object.entries(specifiedFields).map(
    ([name, parts]) => [name, members.get(name), parts] as const,
  );
  return {
    text: objectOf(kept.map(([name, value, parts]) => [name, value && boundField(value, parts)])),
    cut: true,
  };
}

/** @returns undefined if the field cannot be kept, not even truncated */
function boundField(text: string, parts: readonly string[] = []): string | undefined {
  if (text.length <= fieldBounds.characters && nestingOf(text) <= fieldBounds.levels) return text;
  // Stryker disable next-line MethodExpression: only a string begins or ends with a quotation mark.
  if (text.startsWith('"')) {
    const whole: string = JSON.parse(text);
    const kept = whole.slice(0, fieldBounds.characters).toWellFormed();
    return JSON.stringify(kept.length < whole.length ? `${kept}…` : kept);
  }
  if (!text.startsWith('{') || parts.length === 0) return undefined;
  const members = membersOf(text);
  return objectOf(parts.map((name) => [name, boundField(members.get(name) ?? '')]));
}

function objectOf(members: readonly (readonly [name: string, text: string | undefined])[]): string {
  return `{${members.flatMap(([name, text]) => (text ? [`"${name}":${text}`] : [])).join()}}`;
}
