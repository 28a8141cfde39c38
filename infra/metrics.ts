/** The custom metrics of the functions. */
import { Duration } from 'aws-cdk-lib';
import { Metric, type MetricOptions, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import type { ErrorCode } from '../functions/errors.ts';
import {
  type Dimension,
  type MetricName,
  metricNamespacePrefix,
  type metrics,
} from '../functions/metrics.ts';

/** Names of the metrics with the dimension `Name`. */
export type MetricWith<Name extends Dimension> = {
  [Metric in MetricName]: (typeof metrics)[Metric] extends { dimensions: readonly (infer Known)[] }
    ? Name extends Known
      ? Metric
      : never
    : never;
}[MetricName];

/** The metrics of one archiver, which has its own namespace. */
export class ArchiverMetrics {
  readonly namespace: string;

  /** @param name name of the archiver, which the functions get as `ARCHIVER_NAME` */
  constructor(name: string) {
    this.namespace = metricNamespacePrefix + name;
  }

  /** @param options period (default: 5 minutes), statistic (default: sum), label, dimensions */
  metric(metricName: MetricName, options: MetricOptions = {}): Metric {
    return new Metric({
      namespace: this.namespace,
      metricName,
      statistic: Stats.SUM,
      period: Duration.minutes(5),
      ...options,
    });
  }

  /** The metric for one error code. */
  metricForCode(metricName: MetricWith<'Code'>, code: ErrorCode): Metric {
    return this.metric(metricName, { dimensionsMap: { Code: code }, label: code });
  }
}
