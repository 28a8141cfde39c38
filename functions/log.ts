/**
 * Logs one JSON object per line to CloudWatch Logs, metrics included (embedded metric format).
 *
 * Powertools is not used: its logger and metrics add 22 ms to every cold start, and neither has a closed list of fields.
 * Only the fields below can be logged. Their values are also redacted and truncated, since file names and upstream
 * messages are written by others.
 */
import { type Dimension, type MetricName, metricNamespacePrefix, metrics } from './metrics.ts';
import { redact } from './redact.ts';

const loggedFields = [
  'documentId',
  'messageId',
  'requestId',
  'eventId',
  'eventType',
  'lane',
  'kind',
  'trigger',
  'outcome',
  'code',
  /** An `ArchiverError`'s message. */
  'reason',
  /** `nameOf` the underlying error. */
  'cause',
  'receives',
  'attempt',
  'bytes',
  'ms',
  'retryInMs',
  'found',
  'queued',
  'overdue',
  'leftOut',
  'pages',
  'requests',
  'status',
  'problems',
  'run',
  'part',
] as const;

export type LogFields = { [Field in (typeof loggedFields)[number]]?: string | number | undefined };

type MetricDimensions = { readonly [Name in Dimension]?: string };

export interface Log {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /**
   * Adds to a metric.
   *
   * @param value @default 1
   * @param dimensions values of the dimensions by which the metric is also split; each is optional
   */
  count(metric: MetricName, value?: number, dimensions?: MetricDimensions): void;
}

export interface LogOptions {
  /** Name of the archiver, the last part of its metrics' namespace. */
  name: string;
  /** Writes one line, given without its line break. */
  write: (line: string) => void;
  /** Milliseconds since the Unix epoch. */
  now: () => number;
}

export function createLog({ name, write, now }: LogOptions): Log {
  const line = (level: string, message: string, fields: LogFields = {}) => {
    const entry: Record<string, string | number> = { level, time: new Date(now()).toISOString(), message };
    for (const field of loggedFields) {
      const value = fields[field];
      if (typeof value === 'number') entry[field] = value;
      else if (typeof value === 'string') entry[field] = redact(value);
    }
    write(JSON.stringify(entry));
  };
  return {
    info: (message, fields) => line('INFO', message, fields),
    warn: (message, fields) => line('WARN', message, fields),
    error: (message, fields) => line('ERROR', message, fields),
    count: (metric, value = 1, dimensions = {}) =>
      write(JSON.stringify(embeddedMetric(name, metric, value, dimensions, now()))),
  };
}

/**
 * Writes a line to stdout. Lambda's JSON log format leaves such lines unchanged, but wraps those of `console`, which would
 * hide the metrics.
 */
export const standardOutput = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** One metric in the CloudWatch embedded metric format: `_aws` metadata next to the values. */
function embeddedMetric(
  name: string,
  metric: MetricName,
  value: number,
  dimensions: MetricDimensions,
  timestamp: number,
) {
  // Stryker disable next-line ArrayDeclaration: a dimension without a value is left out.
  const { unit, dimensions: known = [] }: { unit: string; dimensions?: readonly Dimension[] } =
    metrics[metric];
  const split = known.flatMap((dimension) => {
    const value = dimensions[dimension];
    return value === undefined ? [] : [[dimension, redact(value)] as const];
  });
  return {
    _aws: {
      Timestamp: timestamp,
      CloudWatchMetrics: [
        {
          Namespace: metricNamespacePrefix + name,
          Dimensions: [[], ...split.map(([dimension]) => [dimension])],
          Metrics: [{ Name: metric, Unit: unit }],
        },
      ],
    },
    [metric]: value,
    ...Object.fromEntries(split),
  };
}
