/** The functions' own metrics, by the names under which they count. */
import { Duration } from 'aws-cdk-lib';
import { Metric, type MetricOptions, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import type { ErrorCode } from '../functions/errors.ts';
import {
  type Dimension,
  type MetricName,
  metricNamespacePrefix,
  type metrics,
} from '../functions/metrics.ts';

/** Metrics that have the dimension `Name`. */
export type SplitBy<Name extends Dimension> = {
  [Metric in MetricName]: (typeof metrics)[Metric] extends { dimensions: readonly (infer Known)[] }
    ? Name extends Known
      ? Metric
      : never
    : never;
}[MetricName];

/** The metrics of one archiver, which have a namespace of their own. */
export class ArchiverMetrics {
  readonly namespace: string;

  /** @param name the archiver's, as its functions learn it from `ARCHIVER_NAME` */
  constructor(name: string) {
    this.namespace = metricNamespacePrefix + name;
  }

  /** @param options period (default: 5 minutes), statistic (default: the sum), label, dimensions */
  counted(metricName: MetricName, options: MetricOptions = {}): Metric {
    return new Metric({
      namespace: this.namespace,
      metricName,
      statistic: Stats.SUM,
      period: Duration.minutes(5),
      ...options,
    });
  }

  /** What a metric has counted under one error code. */
  countedByCode(metricName: SplitBy<'Code'>, code: ErrorCode): Metric {
    return this.counted(metricName, { dimensionsMap: { Code: code }, label: code });
  }
}
