/** Query parameters as Telnyx's specification lists them for each operation. All others are rejected. */
import { isInstant } from '../../functions/time.ts';
import { unprocessable } from './response.ts';

/** How a parameter's text is checked, and whether it is a list: repeated, with or without `[]` after its name. */
interface Parameter {
  isValid: (text: string) => boolean;
  list?: boolean;
}

type Parameters = Readonly<Record<string, Parameter>>;

/** Values by the name of the parameter, without the `[]` of a list. */
export type Query = ReadonlyMap<string, readonly string[]>;

const text: Parameter = { isValid: () => true };
const uuid: Parameter = { isValid: isUuidOfAnyCase };
const boolean: Parameter = { isValid: (value) => value === 'true' || value === 'false' };
/** Telnyx's date-times have seconds (RFC 3339, section 5.6). */
const instant: Parameter = {
  isValid: (value) => isInstant(value) && /T\d\d:\d\d:\d\d/.test(value),
};
const wholeNumber = (min: number, max: number): Parameter => ({
  isValid: (value) => /^\d{1,15}$/.test(value) && Number(value) >= min && Number(value) <= max,
});
const oneOf = (...values: string[]): Parameter => ({ isValid: (value) => values.includes(value) });
const listOf = (item: Parameter): Parameter => ({ ...item, list: true });

const pages: Parameters = {
  'page[number]': wholeNumber(1, Number.MAX_SAFE_INTEGER),
  'page[size]': wholeNumber(1, 250),
};

/** Parameters by route. A route that is not listed does not exist. */
const routes: ReadonlyMap<string, Parameters> = new Map([
  [
    'GET documents',
    {
      'filter[filename][contains]': text,
      'filter[customer_reference][eq]': text,
      'filter[customer_reference][in]': listOf(text),
      'filter[created_at][gt]': instant,
      'filter[created_at][lt]': instant,
      sort: listOf(oneOf('filename', 'created_at', 'updated_at', '-filename', '-created_at', '-updated_at')),
      ...pages,
    },
  ],
  // Not in the specification, but sent by `documents.upload` of Telnyx's own client.
  ['POST documents', { 'content-type': oneOf('multipart') }],
  ['GET documents {id}', {}],
  ['PATCH documents {id}', {}],
  ['DELETE documents {id}', {}],
  ['GET documents {id} download', {}],
  ['GET documents {id} download_link', {}],
  [
    'GET document_links',
    { 'filter[linked_resource_id]': uuid, 'filter[linked_record_type]': text, ...pages },
  ],
  ['GET porting_orders {id}', { include_phone_numbers: boolean }],
  ['GET porting_orders {id} requirements', pages],
  [
    'GET porting_orders {id} additional_documents',
    {
      'filter[document_type]': listOf(oneOf('loa', 'invoice', 'csr', 'other')),
      'sort[value]': oneOf('created_at', '-created_at'),
      ...pages,
    },
  ],
  ['GET portouts {id} supporting_documents', {}],
  ['GET number_orders {id}', {}],
]);

/**
 * @returns undefined if the route does not exist
 * @throws RequestError 422 for a parameter that the specification does not allow
 */
export function readQuery(route: string, query: URLSearchParams): Query | undefined {
  const parameters = routes.get(route);
  if (!parameters) return undefined;
  const values = new Map<string, string[]>();
  for (const [written, value] of query) {
    const name = written.endsWith('[]') ? written.slice(0, -2) : written;
    const parameter = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
    const before = values.get(name);
    const problem =
      parameter === undefined || (name !== written && !parameter.list)
        ? 'unknown parameter'
        : before && !parameter.list
          ? 'given more than once'
          : parameter.isValid(value)
            ? undefined
            : 'invalid value';
    if (problem !== undefined) throw unprocessable(`${written}: ${problem}`, { parameter: written });
    values.set(name, [...(before ?? []), value]);
  }
  return values;
}

export function isUuidOfAnyCase(id: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id);
}
