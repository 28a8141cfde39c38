/** What CloudWatch is to the deployed functions: keeps the metrics that they log, by the minute, and tells them. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Metric → sums by minute: `[milliseconds since the Unix epoch at which the minute begins, sum]`, in order. */
export type SumsByMinute = Record<string, [minute: number, sum: number][]>;

export interface MetricsPort {
  /** `http://127.0.0.1:<port>/`; answers a GET with `SumsByMinute`. */
  url: string;
  /** Takes one line that a function logs; only those in embedded metric format count. */
  read(line: string): void;
  close(): Promise<void>;
}

const minute = 60_000;

export async function openMetricsPort(): Promise<MetricsPort> {
  const sums = new Map<string, Map<number, number>>();
  const read = (line: string) => {
    const entry: EmbeddedMetric = JSON.parse(line);
    for (const { Metrics = [] } of entry._aws?.CloudWatchMetrics ?? []) {
      for (const { Name } of Metrics) {
        const at = Math.floor((entry._aws?.Timestamp ?? 0) / minute) * minute;
        const byMinute = sums.get(Name) ?? new Map<number, number>();
        byMinute.set(at, (byMinute.get(at) ?? 0) + Number(entry[Name] ?? 0));
        sums.set(Name, byMinute);
      }
    }
  };
  const server = createServer((_request, response) => {
    const told: SumsByMinute = Object.fromEntries(
      [...sums].map(([name, byMinute]) => [name, [...byMinute].sort(([a], [b]) => a - b)]),
    );
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(told));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    read,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

interface EmbeddedMetric {
  _aws?: { Timestamp: number; CloudWatchMetrics?: { Metrics?: { Name: string }[] }[] };
  [metric: string]: unknown;
}
