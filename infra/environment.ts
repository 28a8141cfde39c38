import { Token } from 'aws-cdk-lib';
import { type Settings, SettingsError } from '../functions/settings.ts';

/**
 * The environment of a function: one value for each setting that it declares, by the setting's name, except for
 * those named in `omitted`, which keep their fallback. A setting left out, or one that the function does not
 * declare, does not compile; a value that the function would refuse at start-up fails the synth.
 *
 * @throws SettingsError
 */
export function environmentFor<const Declared extends Settings, const Omitted extends keyof Declared = never>(
  declared: Declared,
  values: Readonly<Record<Exclude<keyof Declared, Omitted>, string>>,
  _omitted: readonly Omitted[] = [],
): Record<string, string> {
  const environment: Record<string, string> = {};
  const problems: string[] = [];
  for (const [name, value] of Object.entries<string>(values)) {
    const setting = declared[name];
    if (setting === undefined) {
      problems.push(`${name} is no setting of this function.`);
      continue;
    }
    environment[setting.variable] = value;
    // A queue's URL and the like are known only once they are deployed.
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
