/** Converts the alarms of a synthesized template for the model in `cloudwatch.ts`. */
import { at, list, object, ofType, text, type View } from '../infra/view.ts';
import type { AlarmDefinition, AlarmState, MetricQuery } from './cloudwatch.ts';

/**
 * @param prefix prefix of the alarm names, which is removed
 * @throws Error for an alarm that uses a feature that the model does not support
 */
export function alarmsOf(view: View, prefix: string): AlarmDefinition[] {
  return ofType(view, 'AWS::CloudWatch::Alarm').map(({ path, properties }) => {
    const { ComparisonOperator: comparison, TreatMissingData: missing } = properties;
    if (comparison !== 'GreaterThanOrEqualToThreshold' && comparison !== 'LessThanThreshold') {
      throw new Error(`${path}: unsupported comparison operator ${text(comparison)}`);
    }
    if (missing !== 'breaching' && missing !== 'notBreaching') {
      throw new Error(`${path}: unsupported treatment of missing data ${text(missing)}`);
    }
    const evaluationPeriods = Number(properties.EvaluationPeriods);
    return {
      name: text(properties.AlarmName).slice(`${prefix}-`.length),
      ...(properties.Metrics === undefined
        ? { period: Number(properties.Period), queries: { m: queryOf(properties) }, returned: 'm' }
        : queriesOf(list(properties.Metrics))),
      threshold: Number(properties.Threshold),
      comparison,
      evaluationPeriods,
      datapointsToAlarm: Number(properties.DatapointsToAlarm ?? evaluationPeriods),
      missing,
      notifiesOn: (
        [
          ['ALARM', properties.AlarmActions],
          ['OK', properties.OKActions],
          ['INSUFFICIENT_DATA', properties.InsufficientDataActions],
        ] as const
      ).flatMap(([state, actions]): AlarmState[] => (list(actions).length > 0 ? [state] : [])),
    };
  });
}

function queriesOf(entries: readonly unknown[]): Pick<AlarmDefinition, 'period' | 'queries' | 'returned'> {
  const periods = new Set<number>();
  let returned: string | undefined;
  const queries = Object.fromEntries(
    entries.map((entry) => {
      const id = text(at(entry, 'Id'));
      if (at(entry, 'ReturnData') !== false) returned = id;
      const expression = at(entry, 'Expression');
      if (typeof expression === 'string') return [id, { expression }];
      periods.add(Number(at(entry, 'MetricStat', 'Period')));
      const { Metric, Stat } = object(at(entry, 'MetricStat'));
      return [id, queryOf({ ...object(Metric), Statistic: Stat ?? null })];
    }),
  );
  const [period, another] = periods;
  if (period === undefined || another !== undefined || returned === undefined) {
    throw new Error('An alarm must have one period and return one metric.');
  }
  return { period, queries, returned };
}

function queryOf(properties: Readonly<Record<string, unknown>>): MetricQuery {
  return {
    namespace: text(properties.Namespace),
    metricName: text(properties.MetricName),
    dimensions: Object.fromEntries(
      list(properties.Dimensions).map((dimension) => [
        text(at(dimension, 'Name')),
        text(at(dimension, 'Value')),
      ]),
    ),
    statistic: text(properties.Statistic ?? properties.ExtendedStatistic),
  };
}
