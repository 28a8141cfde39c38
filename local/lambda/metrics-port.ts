/** Local replacement for CloudWatch: collects the metrics that the functions log, by minute, and serves them over HTTP. */
import { openLoopbackServer } from '../loopback.ts';

/** One minute of a metric. */
interface MinuteOfMetric {
  /** Time of the last value, in milliseconds since the Unix epoch. */
  latest: number;
  sum: number;
  maximum: number;
}

/** Minutes with values by metric name, oldest first. */
export type MetricsByMinute = Record<string, MinuteOfMetric[]>;

export interface MetricsPort {
  /** `http://127.0.0.1:<port>/`; returns `MetricsByMinute`. */
  url: string;
  /** Reads one log line. Only lines in embedded metric format have an effect. */
  read(line: string): void;
  close(): Promise<void>;
}

const minuteMs = 60_000;

export async function openMetricsPort(): Promise<MetricsPort> {
  const minutes = new Map<string, Map<number, MinuteOfMetric>>();
  const count = (name: string, at: number, value: number) => {
    const ofMetric = minutes.get(name) ?? new Map<number, MinuteOfMetric>();
    const minute = Math.floor(at / minuteMs);
    const before = ofMetric.get(minute) ?? { latest: at, sum: 0, maximum: value };
    ofMetric.set(minute, {
      latest: Math.max(before.latest, at),
      sum: before.sum + value,
      maximum: Math.max(before.maximum, value),
    });
    minutes.set(name, ofMetric);
  };
  const read = (line: string) => {
    const entry: EmbeddedMetric = JSON.parse(line);
    for (const { Metrics = [] } of entry._aws?.CloudWatchMetrics ?? []) {
      for (const { Name } of Metrics) count(Name, entry._aws?.Timestamp ?? 0, Number(entry[Name] ?? 0));
    }
  };
  const { origin, close } = await openLoopbackServer((_request, response) => {
    const body: MetricsByMinute = Object.fromEntries(
      [...minutes].map(([name, ofMetric]) => [
        name,
        [...ofMetric].sort(([a], [b]) => a - b).map(([, minute]) => minute),
      ]),
    );
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(body));
  });
  return { url: `${origin}/`, read, close };
}

interface EmbeddedMetric {
  _aws?: { Timestamp: number; CloudWatchMetrics?: { Metrics?: { Name: string }[] }[] };
  [metric: string]: unknown;
}
