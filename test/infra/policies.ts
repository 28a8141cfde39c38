/** Reads and evaluates IAM policy documents, as far as the archiver's own use them. */
import { at, type Json, list, object, text } from './view.ts';

export interface Statement {
  sid: string;
  effect: 'Allow' | 'Deny';
  actions: string[];
  resources: string[];
  /** Kind → names; `{ AWS: ['*'] }` for anybody. Empty in an identity's own policy. */
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
  /** Condition keys that the request carries. */
  context: Record<string, string>;
}

/** Whether one of the statements denies the request to somebody of whom nothing else is known. */
export function denies(statements: readonly Statement[], request: Request): boolean {
  return statements.some(
    ({ effect, actions, resources, principals, conditions }) =>
      effect === 'Deny' &&
      (principals.AWS ?? []).includes('*') &&
      actions.some((pattern) => like(pattern, request.action)) &&
      resources.some((pattern) => like(pattern, request.resource)) &&
      Object.entries(conditions).every(([operator, keys]) =>
        Object.entries(keys).every(([key, values]) => holds(operator, values, request.context[key])),
      ),
  );
}

/**
 * IAM user guide, "Condition operators": where the key is absent a negated operator holds and any other does not, and
 * `IfExists` makes both hold.
 */
function holds(operator: string, values: readonly string[], actual: string | undefined): boolean {
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
      throw new Error(`The evaluator does not know ${operator}.`);
  }
}

function like(pattern: string, actual: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 'i').test(actual);
}
