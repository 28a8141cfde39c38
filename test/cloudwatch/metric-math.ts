/**
 * The subset of CloudWatch metric math that the alarms use: numbers, IDs of metrics and expressions, `+`, `-`, `*`, `/`,
 * parentheses, `FILL` and `DIFF` (CloudWatch user guide, "Using metric math").
 */

/** One value per period, oldest first; undefined where there is no data. */
export type Series = readonly (number | undefined)[];

type Value = number | Series;

const token = /\s*(?:(\d+(?:\.\d+)?)|([A-Za-z]\w*)|([-+*/(),]))/y;

const operators: Record<string, (one: number, other: number) => number> = {
  '+': (one, other) => one + other,
  '-': (one, other) => one - other,
  '*': (one, other) => one * other,
  '/': (one, other) => one / other,
};

/**
 * Evaluates an expression.
 *
 * @param series returns the series of an ID
 * @throws Error for a syntax error, and for an unknown ID or function
 */
export function evaluate(expression: string, series: (id: string) => Series): Series {
  const tokens = tokensOf(expression);
  let position = 0;
  const next = () => tokens[position++];
  const expect = (expected: string) => {
    const found = next();
    if (found !== expected)
      throw new Error(`${expression}: expected ${expected}, found ${found ?? 'the end'}`);
  };

  const sum = (): Value => chain(product, ['+', '-']);
  const product = (): Value => chain(operand, ['*', '/']);
  const chain = (part: () => Value, accepted: readonly string[]): Value => {
    let left = part();
    for (;;) {
      const operator = operators[accepted.find((one) => one === tokens[position]) ?? ''];
      if (operator === undefined) return left;
      next();
      left = combine(left, part(), operator);
    }
  };
  const operand = (): Value => {
    const found = next();
    if (found === undefined) throw new Error(`${expression}: unexpected end`);
    if (/^\d/.test(found)) return Number(found);
    if (found === '(') {
      const inner = sum();
      expect(')');
      return inner;
    }
    if (!/^\w/.test(found)) throw new Error(`${expression}: unexpected ${found}`);
    // IDs start with a lower-case letter, functions with an upper-case one.
    if (/^[a-z]/.test(found)) return series(found);
    expect('(');
    const values = [sum()];
    while (tokens[position] === ',') {
      next();
      values.push(sum());
    }
    expect(')');
    return call(found, values);
  };

  const result = sum();
  if (position < tokens.length) throw new Error(`${expression}: unexpected ${tokens[position]}`);
  return asSeries(result);
}

function tokensOf(expression: string): string[] {
  const tokens: string[] = [];
  token.lastIndex = 0;
  const end = expression.trimEnd().length;
  while (token.lastIndex < end) {
    const at = token.lastIndex;
    const match = token.exec(expression);
    if (match === null) throw new Error(`${expression}: unexpected character at position ${at}`);
    tokens.push(match[1] ?? match[2] ?? match[3] ?? '');
  }
  return tokens;
}

/** A period without data on one side has no data in the result. */
function combine(left: Value, right: Value, operator: (one: number, other: number) => number): Value {
  if (typeof left === 'number' && typeof right === 'number') return operator(left, right);
  const length = Array.isArray(left) ? left.length : asSeries(right).length;
  const valueAt = (value: Value, index: number) =>
    typeof value === 'number' ? value : asSeries(value)[index];
  return Array.from({ length }, (_, index) => {
    const [one, other] = [valueAt(left, index), valueAt(right, index)];
    return one === undefined || other === undefined ? undefined : operator(one, other);
  });
}

function call(name: string, [first, second]: readonly (Value | undefined)[]): Series {
  const series = asSeries(first);
  if (name === 'FILL' && typeof second === 'number') return series.map((value) => value ?? second);
  if (name === 'DIFF' && second === undefined) {
    return series.map((value, index) => {
      const before = series[index - 1];
      return value === undefined || before === undefined ? undefined : value - before;
    });
  }
  throw new Error(`${name} with these arguments is not supported`);
}

function asSeries(value: Value | undefined): Series {
  if (typeof value === 'object') return value;
  throw new Error(`${value} is not a time series`);
}
