/**
 * Checks templates against CloudFormation's resource specification, as `@aws-cdk/aws-service-spec` carries it: AWS CDK
 * is generated from the same package. Does for the two stacks what CloudFormation does before a deployment.
 */
import { loadAwsServiceSpecSync } from '@aws-cdk/aws-service-spec';
import type { Property, PropertyType, Resource } from '@aws-cdk/service-spec-types';
import { at, type Json, list, object, type Properties, type Template, text } from './view.ts';

export type StackName = 'storage' | 'pipeline';
export type Templates = Record<StackName, Template>;

const specification = loadAwsServiceSpecSync();

export function resourceType(type: string): Resource | undefined {
  return specification.lookup('resource', 'cloudFormationType', 'equals', type)[0];
}

/** A value of a template with what the specification declares for it: nothing if the property is unknown. */
export interface Field {
  path: string;
  value: Json | undefined;
  declared: Pick<Property, 'type' | 'required' | 'causesReplacement' | 'relationshipRefs'> | undefined;
}

/** All declared and all given properties, with those inside them. */
export function* fieldsOf(
  declared: Record<string, Field['declared']>,
  properties: Properties,
  path = '',
): Generator<Field> {
  for (const name of new Set([...Object.keys(declared), ...Object.keys(properties)])) {
    yield* fieldsIn({ path: `${path}.${name}`, value: properties[name], declared: declared[name] });
  }
}

function* fieldsIn(field: Field): Generator<Field> {
  yield field;
  const { path, value, declared } = field;
  if (value === undefined || declared === undefined || functionIn(value) !== undefined) return;
  const type = memberFor(declared.type, value);
  if (type.type === 'array') {
    for (const [index, entry] of list(value).entries()) {
      yield* fieldsIn({
        path: `${path}[${index}]`,
        value: entry,
        declared: { ...declared, type: type.element },
      });
    }
  } else if (type.type === 'map') {
    for (const [key, entry] of Object.entries(object(value))) {
      yield* fieldsIn({
        path: `${path}.${key}`,
        value: entry,
        declared: { ...declared, type: type.element },
      });
    }
  } else if (type.type === 'ref') {
    yield* fieldsOf(specification.get('typeDefinition', type.reference.$ref).properties, object(value), path);
  } else if (type.type === 'tag') {
    const tagField = { type: { type: 'string' }, required: true } as const;
    yield* fieldsOf({ Key: tagField, Value: tagField }, object(value), path);
  }
}

function memberFor(type: PropertyType, value: Json): PropertyType {
  return type.type === 'union' ? (type.types.find((member) => hasType(value, member)) ?? type) : type;
}

function hasType(value: Json, type: PropertyType): boolean {
  switch (type.type) {
    case 'string':
    case 'date-time':
      return typeof value === 'string';
    case 'integer':
      return Number.isInteger(value);
    case 'number':
    case 'boolean':
      return typeof value === type.type;
    case 'array':
      return Array.isArray(value);
    case 'union':
      return type.types.some((member) => hasType(value, member));
    default:
      return value !== null && typeof value === 'object' && !Array.isArray(value);
  }
}

interface FunctionCall {
  name: string;
  argument: Json;
}

/** The intrinsic function that stands in place of a value. */
function functionIn(value: Json): FunctionCall | undefined {
  const [entry, ...others] = Object.entries(object(value));
  if (entry === undefined || others.length > 0) return undefined;
  const [name, argument] = entry;
  return name === 'Ref' || name.startsWith('Fn::') ? { name, argument } : undefined;
}

/** @returns all calls in the value, the outer ones first */
function functionsIn(value: Json): FunctionCall[] {
  const call = functionIn(value);
  const inner = value !== null && typeof value === 'object' ? Object.values(value).flatMap(functionsIn) : [];
  return call === undefined ? inner : [call, ...inner];
}

interface Reference {
  target: string;
  /** Undefined for the resource itself, as in `Ref`. */
  attribute: string | undefined;
}

/** What a call refers to in its own template. */
function referencesOf({ name, argument }: FunctionCall): Reference[] {
  if (name === 'Ref') return [{ target: text(argument), attribute: undefined }];
  if (name === 'Fn::GetAtt') return [referenceTo(list(argument).map(text).join('.'))];
  if (name !== 'Fn::Sub') return [];
  const [template, variables] = list(argument);
  return [...text(template).matchAll(/\$\{([^!}]+)\}/g)]
    .map(([, reference = '']) => referenceTo(reference))
    .filter(({ target }) => at(variables, target) === undefined);
}

function referenceTo(dotted: string): Reference {
  const [target = '', ...attribute] = dotted.split('.');
  return { target, attribute: attribute.length > 0 ? attribute.join('.') : undefined };
}

/** Those of CloudFormation that the templates use. */
const pseudoParameters = ['AccountId', 'Partition', 'Region', 'URLSuffix'].map((name) => `AWS::${name}`);

/** Functions that give text, whatever their arguments are. */
const textFunctions = ['Ref', 'Fn::FindInMap', 'Fn::ImportValue', 'Fn::Join', 'Fn::Sub'];

/** The section `Rules` has functions of its own. */
const ruleFunctions = ['Fn::Contains', 'Fn::Not'];

const sections = ['Description', 'Mappings', 'Outputs', 'Parameters', 'Resources', 'Rules'];
const resourceFields = [
  'DeletionPolicy',
  'DependsOn',
  'Metadata',
  'Properties',
  'Type',
  'UpdateReplacePolicy',
];
const policies: Record<string, readonly string[]> = {
  DeletionPolicy: ['Delete', 'Retain', 'RetainExceptOnCreate'],
  UpdateReplacePolicy: ['Delete', 'Retain'],
};

/** Everything in the templates that CloudFormation would refuse, as far as the specification tells. */
export function specificationProblems(templates: Templates): string[] {
  return [
    ...Object.values(templates).flatMap((template) => [
      ...unknownNames(template, sections).map((name) => `${name}: unknown section`),
      ...Object.entries(template.Resources).flatMap(([id, resource]) =>
        resourceProblems(template, id, resource),
      ),
      ...functionsIn({ ...template }).flatMap((call) => functionProblems(template, call)),
      ...circular(dependenciesIn(template)).map((id) => `${id}: circular dependency`),
    ]),
    ...exportProblems(templates),
  ];
}

function unknownNames(value: object, known: readonly string[]): string[] {
  return Object.keys(value).filter((name) => !known.includes(name));
}

function resourceProblems(template: Template, id: string, resource: Properties): string[] {
  const type = text(resource.Type);
  const known = resourceType(type);
  if (known === undefined) return [`${id}: unknown type ${type}`];
  return [
    ...unknownNames(resource, resourceFields).map((name) => `${id}: unknown field ${name}`),
    ...Object.entries(policies).flatMap(([name, allowed]) => {
      const policy = resource[name];
      return policy === undefined || allowed.includes(text(policy)) ? [] : [`${id}: ${name} ${text(policy)}`];
    }),
    ...list(resource.DependsOn)
      .filter((other) => template.Resources[text(other)] === undefined)
      .map((other) => `${id}: depends on unknown ${text(other)}`),
    ...[...fieldsOf(known.properties, object(resource.Properties))].flatMap((field) =>
      fieldProblem(template, field).map((problem) => `${id}${field.path}: ${problem}`),
    ),
  ];
}

function fieldProblem(template: Template, { value, declared }: Field): string[] {
  if (declared === undefined) return ['unknown property'];
  if (value === undefined) return declared.required ? ['missing'] : [];
  const { type } = declared;
  const call = functionIn(value);
  if (call !== undefined) {
    const returned = returnedType(template, call);
    if (returned !== undefined && !accepts(type, returned)) {
      return [`not of type ${typeName(type)}: ${call.name} gives ${typeName(returned)}`];
    }
    return wrongTargets(template, call, declared.relationshipRefs);
  }
  if (!hasType(value, type)) return [`not of type ${typeName(type)}: ${JSON.stringify(value)}`];
  const allowed: readonly Json[] | undefined = 'allowedValues' in type ? type.allowedValues : undefined;
  return allowed === undefined || allowed.includes(value) ? [] : [`not an allowed value: ${text(value)}`];
}

function typeName(type: PropertyType): string {
  if (type.type === 'union') return type.types.map(typeName).join(' or ');
  return type.type === 'ref' ? 'object' : type.type;
}

/** Undefined if it is unknown, which is a problem of its own. */
function returnedType(template: Template, call: FunctionCall): PropertyType | undefined {
  if (textFunctions.includes(call.name)) return { type: 'string' };
  const [reference] = referencesOf(call);
  return reference && attributeOf(template, reference)?.type;
}

function attributeOf(template: Template, { target, attribute = '' }: Reference) {
  return resourceType(text(template.Resources[target]?.Type))?.attributes[attribute];
}

/** For a property that takes, say, only the ARN of a key: references to anything else in the template. */
function wrongTargets(
  template: Template,
  call: FunctionCall,
  expected: Property['relationshipRefs'],
): string[] {
  if (expected === undefined) return [];
  return referencesOf(call).flatMap(({ target, attribute }) => {
    const known = resourceType(text(template.Resources[target]?.Type));
    if (known === undefined) return [];
    const name = attribute ?? (known.cfnRefIdentifier ?? known.primaryIdentifier ?? []).join();
    return expected.some(
      (one) => one.cloudFormationType === known.cloudFormationType && one.propertyName === name,
    )
      ? []
      : [`refers to ${name} of ${known.cloudFormationType}`];
  });
}

function accepts(type: PropertyType, returned: PropertyType): boolean {
  if (type.type === 'union') return type.types.some((member) => accepts(member, returned));
  return type.type === returned.type;
}

function functionProblems(template: Template, call: FunctionCall): string[] {
  if (![...textFunctions, ...ruleFunctions, 'Fn::GetAtt'].includes(call.name)) {
    return [`unknown function ${call.name}`];
  }
  if (call.name === 'Fn::FindInMap') {
    const [map, , key] = list(call.argument);
    const rows = Object.values(object(at(template, 'Mappings', text(map))));
    return rows.length > 0 && rows.every((row) => at(row, text(key)) !== undefined)
      ? []
      : [`no ${text(key)} in mapping ${text(map)}`];
  }
  return referencesOf(call).flatMap((reference) => {
    const { target, attribute } = reference;
    if (attribute !== undefined) {
      return attributeOf(template, reference) ? [] : [`no attribute ${target}.${attribute}`];
    }
    const known =
      template.Resources[target] ?? at(template, 'Parameters', target) ?? pseudoParameters.includes(target);
    return known ? [] : [`no resource or parameter ${target}`];
  });
}

type Dependencies = ReadonlyMap<string, readonly string[]>;

function dependenciesIn({ Resources }: Template): Dependencies {
  return new Map(
    Object.entries(Resources).map(([id, { DependsOn, Properties = {} }]) => [
      id,
      [
        ...list(DependsOn).map(text),
        ...functionsIn(Properties)
          .flatMap(referencesOf)
          .map(({ target }) => target),
      ],
    ]),
  );
}

/** @returns what can never be created: members of circles, and what depends on them */
function circular(dependencies: Dependencies): string[] {
  const left = new Map(dependencies);
  for (;;) {
    const ready = [...left].filter(([, needed]) => !needed.some((other) => left.has(other)));
    if (ready.length === 0) return [...left.keys()];
    for (const [id] of ready) left.delete(id);
  }
}

/** Names with their values as JSON. */
export function exportsOf({ Outputs = {} }: Template): [name: string, value: string][] {
  return Object.values(Outputs).flatMap((output) => {
    const name = at(output, 'Export', 'Name');
    return name === undefined ? [] : [[text(name), text(output.Value)]];
  });
}

function importNames(template: Template): string[] {
  return functionsIn({ ...template })
    .filter(({ name }) => name === 'Fn::ImportValue')
    .map(({ argument }) => text(argument));
}

function exportProblems(templates: Templates): string[] {
  const stacks = Object.entries(templates);
  const exported = stacks.flatMap(([stack, template]) =>
    exportsOf(template).map(([name]) => ({ name, stack })),
  );
  const names = exported.map(({ name }) => name);
  const dependencies = stacks.map(([stack, template]) => {
    const imports = importNames(template);
    return [stack, exported.filter(({ name }) => imports.includes(name)).map((one) => one.stack)] as const;
  });
  return [
    ...new Set([
      ...names
        .filter((name, index) => names.indexOf(name) !== index)
        .map((name) => `${name}: exported twice`),
      ...stacks
        .flatMap(([, template]) => importNames(template))
        .filter((name) => !names.includes(name))
        .map((name) => `${name}: not exported`),
      ...circular(new Map(dependencies)).map((stack) => `${stack}: circular imports`),
    ]),
  ];
}
