import { Token } from 'aws-cdk-lib';
import { type Settings, SettingsError } from '../functions/settings.ts';
import type { Stage } from './stage.ts';

type Passed = string | number | boolean | readonly string[];
/** Names of the stage settings whose values fit into an environment variable. */
type PassedByName = {
  [Name in keyof Stage]-?: Stage[Name] extends Passed ? Name : never;
}[keyof Stage];

/**
 * The environment of a function. A setting that the function declares under the name of a stage setting gets the
 * stage's value. `values` holds the others, except for those in `omitted`, which keep their default. A setting that is
 * missing, or that the function does not declare, is a compile error. A value that the function would reject at
 * start-up fails the synth.
 *
 * @throws SettingsError
 */
export function environmentFor<const Declared extends Settings, const Omitted extends keyof Declared = never>(
  declared: Declared,
  stage: Pick<Stage, PassedByName>,
  values: Readonly<Record<Exclude<keyof Declared, PassedByName | Omitted>, string>>,
  _omitted: readonly Omitted[] = [],
): Record<string, string> {
  const ofStage = Object.entries(stage)
    .filter(([name]) => name in declared)
    .map(([name, value]) => [name, Array.isArray(value) ? value.join(',') : String(value)] as const);
  const environment: Record<string, string> = {};
  const problems: string[] = [];
  for (const [name, value] of [...ofStage, ...Object.entries<string>(values)]) {
    const setting = declared[name];
    if (setting === undefined) {
      problems.push(`${name} is not a setting of this function.`);
      continue;
    }
    environment[setting.variable] = value;
    // Such as the URL of a queue, which is known only after the deployment.
    if (Token.isUnresolved(value)) continue;
    try {
      setting.read(value);
    } catch (error) {
      problems.push(`${setting.variable} ${error instanceof Error ? error.message : 'cannot be read.'}`);
    }
  }
  if (problems.length > 0) throw new SettingsError(problems);
  return environment;
}
