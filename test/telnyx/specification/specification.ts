/** Checks requests to the Telnyx API, and its responses, against its OpenAPI specification. */
import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { parse } from 'yaml';

/** A request with its response. */
export interface Exchange {
  method: string;
  /** Path below the base URL, with the query, such as `/documents?page[size]=1`. */
  path: string;
  requestHeaders: Headers;
  requestBody: Buffer;
  status: number;
  responseHeaders: Headers;
  responseBody: Buffer;
}

type Schema = Readonly<Record<string, unknown>> & {
  properties?: Readonly<Record<string, Schema>>;
  type?: string;
  items?: Schema;
};
type Content = Readonly<Record<string, { schema: Schema }>>;

interface ListedParameter {
  name: string;
  in: 'path' | 'query';
  schema: Schema;
}

interface Operation {
  parameters?: readonly ListedParameter[];
  requestBody?: { content: Content };
  responses: Readonly<Record<string, { content: Content }>>;
}

type Paths = Readonly<Record<string, Readonly<Record<string, Operation>>>>;
type Node = Readonly<Record<string, unknown>>;

const [downloadLink, operations] = ['download-link.yaml', 'operations.yaml'].map((name) =>
  parse(readFileSync(new URL(name, import.meta.url), 'utf8')),
);
const components: Record<string, Node> = {};
for (const kind of ['parameters', 'responses', 'schemas']) {
  components[kind] = { ...downloadLink.components[kind], ...operations.components[kind] };
}
const paths = resolved({ ...downloadLink.paths, ...operations.paths }) as Paths;

const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true, keywords: ['example'] });
formats.default(ajv);

/** Replaces each `$ref` by what it refers to. */
function resolved(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(resolved);
  if (typeof node !== 'object' || node === null) return node;
  if ('$ref' in node) {
    const [, , kind = '', name = ''] = String(node.$ref).split('/');
    const target = components[kind]?.[name];
    if (target === undefined) throw new Error(`The specification has no ${node.$ref}.`);
    return resolved(target);
  }
  return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, resolved(value)]));
}

/** The methods and paths of the specification, such as `GET /documents`. */
export function specifiedOperations(): string[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
}

/** The method and path of the specification that a request uses. */
export function operationOf({ method, path }: Pick<Exchange, 'method' | 'path'>): string {
  return `${method} ${find(method, path)?.template}`;
}

/** What the specification does not allow in a request; empty if it allows the request. */
export function requestProblems(
  exchange: Omit<Exchange, 'status' | 'responseHeaders' | 'responseBody'>,
): string[] {
  const { method, path, requestHeaders, requestBody } = exchange;
  const found = find(method, path);
  if (!found) return [`${method} ${path}: not an operation of the specification`];
  const { operation, values } = found;
  const { parameters = [], requestBody: body } = operation;
  const inPath = parameters.filter((parameter) => parameter.in === 'path');
  const problems = inPath.flatMap(({ name, schema }) => invalid(name, schema, values[name]));
  problems.push(...queryProblems(parameters, new URL(path, 'http://telnyx').searchParams));
  if (!/^Bearer \S+$/.test(requestHeaders.get('authorization') ?? '')) problems.push('authorization: no key');
  if (body) problems.push(...contentProblems('request', body.content, requestHeaders, requestBody));
  else if (requestBody.length > 0) problems.push('request: has a body');
  return problems;
}

/** How a response differs from the specification; empty if it conforms. */
export function responseProblems({
  method,
  path,
  status,
  responseHeaders,
  responseBody,
}: Exchange): string[] {
  const responses = find(method, path)?.operation.responses;
  // `default` is for errors: a success must be listed.
  const response = responses?.[status] ?? (status >= 400 ? responses?.default : undefined);
  if (!response) return [`response: ${status} is not listed`];
  return contentProblems(`response ${status}`, response.content, responseHeaders, responseBody);
}

function find(method: string, path: string) {
  const { pathname } = new URL(path, 'http://telnyx');
  for (const [template, methods] of Object.entries(paths)) {
    const pattern = new RegExp(`^${template.replace(/\{(\w+)\}/g, '(?<$1>[^/]+)')}$`);
    const match = pattern.exec(pathname);
    const operation = methods[method.toLowerCase()];
    if (match && operation) return { template, operation, values: match.groups ?? {} };
  }
  return undefined;
}

/**
 * A parameter of style `deepObject` has a name in brackets for each property. A list is a parameter that is repeated, with
 * or without `[]`.
 */
function queryProblems(parameters: readonly ListedParameter[], query: URLSearchParams): string[] {
  const problems: string[] = [];
  const given = new Map<string, { schema: Schema; values: string[] }>();
  for (const [name, value] of query) {
    const [base, ...keys] = name.replaceAll(']', '').split('[');
    const written = [base, ...keys.map((key) => `[${key}]`)].join('');
    const last = keys.at(-1) === '' ? keys.pop() : undefined;
    let schema = parameters.find((parameter) => parameter.in === 'query' && parameter.name === base)?.schema;
    for (const key of keys) {
      schema =
        schema?.properties && Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined;
    }
    const isList = schema?.type === 'array';
    if (written !== name || !schema || schema.type === 'object' || (last !== undefined && !isList)) {
      problems.push(`${name}: unknown parameter`);
      continue;
    }
    const listed = [base, ...keys].join('.');
    given.set(listed, { schema, values: [...(given.get(listed)?.values ?? []), value] });
  }
  for (const [name, { schema, values }] of given) {
    if (schema.type === 'array') {
      problems.push(...invalid(name, schema, values));
    } else if (values.length > 1) {
      problems.push(`${name}: given more than once`);
    } else {
      problems.push(...invalid(name, schema, asType(schema.type, values[0] ?? '')));
    }
  }
  return problems;
}

function asType(type: string | undefined, text: string): unknown {
  if (type === 'integer' && /^-?\d+$/.test(text)) return Number(text);
  if (type === 'boolean' && /^(true|false)$/.test(text)) return text === 'true';
  return text;
}

function contentProblems(what: string, content: Content, headers: Headers, body: Buffer): string[] {
  const type = headers.get('content-type')?.replace(/;.*/s, '').trim() ?? '';
  const schema = (content[type] ?? content['*'])?.schema;
  if (!schema) return [`${what}: has the content type ${type}`];
  if (type !== 'application/json') return [];
  try {
    return invalid(what, schema, JSON.parse(body.toString('utf8')));
  } catch (error) {
    return [`${what}: ${error}`];
  }
}

function invalid(what: string, schema: Schema, value: unknown): string[] {
  const validate = ajv.compile(schema);
  if (validate(value)) return [];
  return (validate.errors ?? []).map(({ instancePath, message, params }) =>
    [`${what}${instancePath}:`, message, JSON.stringify(params)].join(' '),
  );
}
