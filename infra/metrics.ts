/** The functions' own metrics, by the names under which they count. */
import { Duration } from 'aws-cdk-lib';
import { Metric, type MetricOptions, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import type { ErrorCode } from '../functions/errors.ts';
import { type MetricName, metricNamespace } from '../functions/metrics.ts';

/** @param options period (5 minutes unless told), label, statistic (the sum unless told) */
export function counted(metricName: MetricName, options: MetricOptions = {}): Metric {
  return new Metric({
    namespace: metricNamespace,
    metricName,
    statistic: Stats.SUM,
    period: Duration.minutes(5),
    ...options,
  });
}

/** Receives that failed with one error code. */
export function failedWith(code: ErrorCode, options: MetricOptions = {}): Metric {
  return counted('ReceivesFailed', { dimensionsMap: { Code: code }, label: code, ...options });
}
