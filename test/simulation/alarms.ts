/** The alarms of a synthesized deployment, for the metrics of the simulated functions. */
import { type AlarmDefinition, CloudWatch } from '../cloudwatch/cloudwatch.ts';
import { alarmsOf } from '../cloudwatch/template-alarms.ts';
import { minimal, synthesize } from '../infra/deployments.ts';

export const archiverName = 'simulated';

let definitions: AlarmDefinition[] | undefined;

/** Synthesizes the deployment once per process. @param now milliseconds since the Unix epoch */
export function createAlarms(now: number): CloudWatch {
  definitions ??= alarmsOf(synthesize({ ...minimal, name: archiverName }).view, archiverName);
  return new CloudWatch(definitions, { now });
}
