/** Finds what CloudFormation would delete, replace or no longer retain in an upgrade, among resources with data. */
import { exportsOf, fieldsOf, resourceType, type StackName, type Templates } from './specification.ts';
import { type Json, object, type Properties, text } from './view.ts';

/** Each loss with the logical ID of its resource, or with the name of its export. */
export function lossesBetween(before: Templates, after: Templates): string[] {
  return (Object.keys(before) as StackName[]).flatMap((stack) => {
    const exports = new Map(exportsOf(after[stack]));
    return [
      ...Object.entries(before[stack].Resources).flatMap(([id, was]) =>
        lossesOf(was, after[stack].Resources[id]).map((loss) => `${id} (${was.Type}) ${loss}`),
      ),
      // The storage stack is deployed first, while the pipeline stack still imports what it did.
      ...exportsOf(before[stack])
        .filter(([name, value]) => exports.get(name) !== value)
        .map(([name]) => `export ${name} is removed or changed`),
    ];
  });
}

function lossesOf(was: Properties, is: Properties | undefined): string[] {
  if (!resourceType(text(was.Type))?.isStateful) return [];
  if (is === undefined || is.Type !== was.Type) return ['is deleted'];
  const now = new Map(replacingValues(is));
  return [
    ...replacingValues(was)
      .filter(([path, value]) => now.get(path) !== value)
      .map(([path]) => `is replaced: ${path} changes`),
    ...['DeletionPolicy', 'UpdateReplacePolicy']
      .filter((policy) => isRetained(was[policy]) && !isRetained(is[policy]))
      .map((policy) => `is no longer retained: ${policy}`),
  ];
}

/** `RetainExceptOnCreate` retains, too: what is upgraded was created before. */
function isRetained(policy: Json | undefined): boolean {
  return policy === 'Retain' || policy === 'RetainExceptOnCreate';
}

/** Paths of all declared properties whose change causes replacement, or may cause it, with their values as JSON. */
function replacingValues(resource: Properties): [path: string, value: string][] {
  const { properties = {} } = resourceType(text(resource.Type)) ?? {};
  return [...fieldsOf(properties, object(resource.Properties))]
    .filter(({ declared }) => (declared?.causesReplacement ?? 'no') !== 'no')
    .map(({ path, value }) => [path, JSON.stringify(value ?? null)]);
}
