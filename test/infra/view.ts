/**
 * The templates of both stacks as one flat list of resources. Intrinsic functions become text, such as `${Queue.Arn}`
 * for `{ "Fn::GetAtt": ["Queue", "Arn"] }`, and imports become the exported value. So checks compare strings, and a
 * mutation is a single assignment.
 */

export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };
export type Properties = { [name: string]: Json };

export interface Resource {
  id: string;
  type: string;
  /** Path of the construct without the stack name, `Default` and the trailing `Resource`. */
  path: string;
  stack: 'storage' | 'pipeline';
  properties: Properties;
  deletionPolicy: string | undefined;
  updateReplacePolicy: string | undefined;
}

export interface View {
  resources: Resource[];
  outputs: Record<string, Json>;
  /** Values of both stacks by export name. */
  exports: Record<string, Json>;
  terminationProtection: Record<'storage' | 'pipeline', boolean>;
}

export type Template = { Resources: Record<string, Properties>; Outputs?: Record<string, Properties> };

export function viewOf(
  templates: Record<'storage' | 'pipeline', Template>,
  terminationProtection: View['terminationProtection'],
): View {
  const exported: Record<string, Json> = {};
  for (const output of [templates.storage, templates.pipeline].flatMap((t) =>
    Object.values(t.Outputs ?? {}),
  )) {
    const name = at(output, 'Export', 'Name');
    if (typeof name === 'string') exported[name] = flatten(output.Value ?? null, {});
  }
  const resources: Resource[] = [];
  const outputs: Record<string, Json> = {};
  for (const stack of ['storage', 'pipeline'] as const) {
    for (const [id, resource] of Object.entries(templates[stack].Resources)) {
      resources.push({
        id,
        stack,
        type: text(resource.Type),
        path: text(at(resource, 'Metadata', 'aws:cdk:path'))
          .replace(/^[^/]*\/(Default\/)?/, '')
          .replace(/\/Resource$/, ''),
        properties: object(flatten(resource.Properties ?? {}, exported)),
        deletionPolicy: optionalText(resource.DeletionPolicy),
        updateReplacePolicy: optionalText(resource.UpdateReplacePolicy),
      });
    }
    for (const [name, output] of Object.entries(templates[stack].Outputs ?? {})) {
      outputs[name] = flatten(output.Value ?? null, exported);
    }
  }
  return { resources, outputs, exports: exported, terminationProtection };
}

function flatten(value: Json, exported: Record<string, Json>): Json {
  if (Array.isArray(value)) return value.map((entry) => flatten(entry, exported));
  if (value === null || typeof value !== 'object') return value;
  const [name, ...others] = Object.keys(value);
  const inner = name === undefined ? null : (value[name] ?? null);
  if (others.length === 0) {
    if (name === 'Ref') return `\${${text(inner)}}`;
    if (name === 'Fn::GetAtt') return `\${${list(inner).map(text).join('.')}}`;
    if (name === 'Fn::Sub') return inner;
    if (name === 'Fn::ImportValue') return exported[text(inner)] ?? `\${import ${text(inner)}}`;
    if (name === 'Fn::FindInMap')
      return `\${${list(inner)
        .map((part) => text(flatten(part, exported)))
        .join('.')}}`;
    if (name === 'Fn::Join') {
      const [separator, parts] = list(inner);
      return list(parts ?? null)
        .map((part) => String(flatten(part, exported)))
        .join(text(separator));
    }
  }
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, flatten(entry, exported)]));
}

export function ofType(view: View, type: string): Resource[] {
  return view.resources.filter((resource) => resource.type === type);
}

/** @throws Error unless there is exactly one */
export function atPath(view: View, path: string): Resource {
  const found = view.resources.filter((resource) => resource.path === path);
  const [resource] = found;
  if (resource === undefined || found.length > 1) throw new Error(`${found.length} resources at ${path}`);
  return resource;
}

/** The value at a path of property names and indexes, or undefined. */
export function at(value: unknown, ...path: (string | number)[]): unknown {
  return path.reduce<unknown>(
    (inner, step) =>
      inner !== null && typeof inner === 'object' ? (inner as Record<string, unknown>)[step] : undefined,
    value,
  );
}

export function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? null);
}

function optionalText(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

export function list(value: unknown): Json[] {
  if (Array.isArray(value)) return value as Json[];
  return value === undefined || value === null ? [] : [value as Json];
}

export function object(value: unknown): Properties {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Properties) : {};
}
