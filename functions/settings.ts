/**
 * Settings are read from the environment once, at start-up, and all problems are reported together. Each function
 * declares its own settings; `infra/` passes exactly the declared variables.
 */

interface Setting<Value> {
  /** Name of the environment variable. */
  variable: string;
  /** Parses the variable's text. Throws an `Error` whose message completes "VARIABLE …". */
  read: (text: string) => Value;
  /** The value if the variable is not set or empty. Without it the setting is required. */
  fallback?: Value;
}

export type Settings = Record<string, Setting<unknown>>;
export type ValuesOf<Declared extends Settings> = {
  [Name in keyof Declared]: Declared[Name] extends Setting<infer Value> ? Value : never;
};
export type Environment = Record<string, string | undefined>;

/** Thrown at start-up: the function must not run with invalid settings. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`Invalid settings:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
    this.problems = problems;
  }
}

/**
 * Reads all declared settings.
 *
 * @throws SettingsError naming every missing or malformed variable, but no value: values may be secret
 */
export function readSettings<const Declared extends Settings>(
  declared: Declared,
  environment: Environment,
): ValuesOf<Declared> {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(declared)) {
    const text = environment[setting.variable]?.trim();
    if (text === undefined || text === '') {
      if ('fallback' in setting) values[name] = setting.fallback;
      else problems.push(`${setting.variable} is not set.`);
      continue;
    }
    try {
      values[name] = setting.read(text);
    } catch (error) {
      problems.push(`${setting.variable} ${error instanceof Error ? error.message : 'is not valid.'}`);
    }
  }
  if (problems.length > 0) throw new SettingsError(problems);
  return values as ValuesOf<Declared>;
}

type DefaultsOf<Declared extends Settings> = {
  [Name in keyof Declared as Declared[Name] extends { fallback: unknown }
    ? Name
    : never]: ValuesOf<Declared>[Name];
};

/** The settings that have a default, each with that default. */
export function defaultsOf<const Declared extends Settings>(declared: Declared): DefaultsOf<Declared> {
  const defaults = Object.entries(declared)
    .filter(([, setting]) => 'fallback' in setting)
    .map(([name, { fallback }]) => [name, fallback]);
  return Object.fromEntries(defaults);
}

export function text(value: string): string {
  return value;
}

export function flag(value: string): boolean {
  if (value === 'true') return true;
  if (value === 'false') return false;
  throw new Error('must be true or false.');
}

/** A whole number from `min` to `max`, both inclusive. */
export function wholeNumber(min: number, max: number): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (!/^\d{1,15}$/.test(value) || number < min || number > max) {
      throw new Error(`must be a whole number from ${min} to ${max}.`);
    }
    return number;
  };
}

/** A comma-separated list. Blanks around the entries, and empty entries, are ignored. */
export function list(value: string): string[] {
  return value
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}

const loopbackHosts = new Set(['127.0.0.1', '[::1]', 'localhost']);

/** An absolute https URL, or an http URL of this machine (the local stack). */
export function serviceUrl(value: string): URL {
  const url = URL.parse(value);
  if (!url) throw new Error('is not a URL.');
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopbackHosts.has(url.hostname))) {
    throw new Error('must start with https:// (http:// only for 127.0.0.1).');
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new Error('must not contain credentials, a query or a fragment.');
  }
  return url;
}

/** The URL of an SQS queue. */
export function queueUrl(value: string): string {
  return serviceUrl(value).href;
}
