/** Parses and evaluates IAM policy documents, as far as the policies of the archiver need it. */
import { at, type Json, list, object, text } from './view.ts';

export interface Statement {
  sid: string;
  effect: 'Allow' | 'Deny';
  actions: string[];
  resources: string[];
  /** Type → names; `{ AWS: ['*'] }` for every principal. Empty in identity-based policies. */
  principals: Record<string, string[]>;
  /** Operator → key → values. */
  conditions: Record<string, Record<string, string[]>>;
}

export function statementsOf(document: unknown): Statement[] {
  return list(at(document, 'Statement')).map((statement) => {
    const principal = at(statement, 'Principal');
    return {
      sid: text(at(statement, 'Sid') ?? ''),
      effect: at(statement, 'Effect') === 'Deny' ? 'Deny' : 'Allow',
      actions: list(at(statement, 'Action')).map(text),
      resources: list(at(statement, 'Resource')).map(text),
      principals: principal === '*' ? { AWS: ['*'] } : valuesByName(principal),
      conditions: Object.fromEntries(
        Object.entries(object(at(statement, 'Condition'))).map(([operator, keys]) => [
          operator,
          valuesByName(keys),
        ]),
      ),
    };
  });
}

function valuesByName(value: unknown): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(object(value)).map(([name, values]) => [name, list(values as Json).map(text)]),
  );
}

export interface Request {
  action: string;
  resource: string;
  /** Values of the condition keys in the request. */
  context: Record<string, string>;
}

/** Whether a statement denies the request to every principal. */
export function denies(statements: readonly Statement[], request: Request): boolean {
  return statements.some(
    ({ effect, actions, resources, principals, conditions }) =>
      effect === 'Deny' &&
      (principals.AWS ?? []).includes('*') &&
      actions.some((pattern) => matchesPattern(pattern, request.action)) &&
      resources.some((pattern) => matchesPattern(pattern, request.resource)) &&
      Object.entries(conditions).every(([operator, keys]) =>
        Object.entries(keys).every(([key, values]) =>
          conditionMatches(operator, values, request.context[key]),
        ),
      ),
  );
}

/**
 * If the key is absent, negated operators and operators with `IfExists` match, and others do not (IAM user guide,
 * "Condition operators").
 */
function conditionMatches(operator: string, values: readonly string[], actual: string | undefined): boolean {
  if (operator === 'Null') return values.includes(String(actual === undefined));
  const ifExists = operator.endsWith('IfExists');
  const name = ifExists ? operator.slice(0, -'IfExists'.length) : operator;
  const negated = name.includes('Not');
  if (actual === undefined) return ifExists || negated;
  switch (name) {
    case 'Bool':
    case 'StringEquals':
    case 'ArnEquals':
      return values.includes(actual);
    case 'StringNotEquals':
    case 'ArnNotEquals':
      return !values.includes(actual);
    case 'NumericLessThan':
      return values.some((value) => Number(actual) < Number(value));
    default:
      throw new Error(`Unsupported condition operator: ${operator}.`);
  }
}

function matchesPattern(pattern: string, actual: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 'i').test(actual);
}
