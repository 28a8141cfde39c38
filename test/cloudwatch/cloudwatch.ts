/**
 * A model of CloudWatch metrics and alarms on a virtual clock. It evaluates the alarms of a synthesized template on the
 * log lines of the functions.
 *
 * Its rules, from the CloudWatch user guide:
 * - A metric is identified by its namespace, its name and all its dimensions ("Metrics concepts").
 * - An alarm is evaluated every minute, over periods that end at that minute; an alarm on more than a day, every hour
 *   ("Alarm evaluation").
 * - The evaluation range has more periods than `EvaluationPeriods`. If at least `EvaluationPeriods` of them have data,
 *   the latest of these are evaluated. Otherwise all that have data are evaluated, and the rest is filled up by
 *   `TreatMissingData` ("Configuring how CloudWatch alarms treat missing data").
 * - An alarm notifies only when its state changes ("Using Amazon CloudWatch alarms").
 */
import { evaluate, type Series } from './metric-math.ts';

export type AlarmState = 'OK' | 'ALARM' | 'INSUFFICIENT_DATA';

export interface MetricKey {
  namespace: string;
  metricName: string;
  /** @default none */
  dimensions?: Readonly<Record<string, string>>;
}

export interface MetricQuery extends MetricKey {
  /** `Sum`, `Maximum`, `Minimum`, `Average`, `SampleCount` or a percentile such as `p99`. */
  statistic: string;
}

export interface AlarmDefinition {
  name: string;
  /** Seconds. */
  period: number;
  /** ID → metric or expression. */
  queries: Readonly<Record<string, MetricQuery | { expression: string }>>;
  /** The ID whose value is compared with the threshold. */
  returned: string;
  threshold: number;
  comparison: 'GreaterThanOrEqualToThreshold' | 'LessThanThreshold';
  evaluationPeriods: number;
  datapointsToAlarm: number;
  missing: 'breaching' | 'notBreaching';
  /** The state changes on which it notifies. */
  notifiesOn: readonly AlarmState[];
}

export interface Notification {
  /** Milliseconds since the Unix epoch. */
  at: number;
  alarm: string;
  state: AlarmState;
}

export interface CloudWatchOptions {
  /** Milliseconds since the Unix epoch at which the alarms are created. */
  now: number;
  /** Milliseconds from a log line to its metric. @default 30 s */
  logDelayMs?: number;
  /** Periods of the evaluation range beyond `EvaluationPeriods`. AWS documents only an example with two. @default 2 */
  extraPeriods?: number;
}

const minuteMs = 60_000;

export class CloudWatch {
  private readonly alarms: Alarm[];
  private readonly metrics = new Map<string, Metric>();
  private readonly sent: Notification[] = [];
  private readonly logDelayMs: number;
  /** Published values that are not visible yet, by the minute in which they become visible. */
  private readonly delayed = new Map<number, (() => void)[]>();
  /** The last evaluated minute. */
  private minute: number;

  constructor(definitions: readonly AlarmDefinition[], options: CloudWatchOptions) {
    const { now, logDelayMs = 30_000, extraPeriods = 2 } = options;
    this.logDelayMs = logDelayMs;
    this.minute = Math.floor(now / minuteMs);
    this.alarms = definitions.map(
      (definition) => new Alarm(definition, extraPeriods, (key) => this.metricOf(key)),
    );
  }

  /**
   * Takes one line of a function's log. Ignores lines without metrics in the embedded metric format.
   *
   * @param at when it was written, milliseconds since the Unix epoch
   * @throws Error for metrics that CloudWatch would reject
   */
  ingest(line: string, at: number): void {
    if (!line.includes('"_aws"')) return;
    const entry = JSON.parse(line) as EmbeddedMetrics;
    for (const { Namespace, Dimensions, Metrics } of entry._aws.CloudWatchMetrics) {
      for (const { Name } of Metrics) {
        const value = entry[Name];
        if (typeof value !== 'number') throw new Error(`The line has no number ${Name}: ${line}`);
        for (const names of Dimensions) {
          const dimensions = Object.fromEntries(
            names.map((name) => {
              const dimension = entry[name];
              if (typeof dimension !== 'string' || dimension === '') {
                throw new Error(`The line has no text ${name}: ${line}`);
              }
              return [name, dimension];
            }),
          );
          const key = { namespace: Namespace, metricName: Name, dimensions };
          this.publish(key, value, entry._aws.Timestamp, at + this.logDelayMs);
        }
      }
    }
  }

  /**
   * Takes one value of a metric that an AWS service publishes.
   *
   * @param timestamp time of the value, milliseconds since the Unix epoch
   * @param visibleAt when alarms can see it, milliseconds since the Unix epoch. @default `timestamp`
   */
  publish(key: MetricKey, value: number, timestamp: number, visibleAt = timestamp): void {
    // Ignores metrics that no alarm reads.
    const metric = this.metrics.get(textOf(key));
    if (metric === undefined) return;
    const arrive = () => metric.add(Math.floor(timestamp / minuteMs), value);
    const minute = Math.ceil(visibleAt / minuteMs);
    if (minute <= this.minute) arrive();
    else {
      const others = this.delayed.get(minute);
      if (others) others.push(arrive);
      else this.delayed.set(minute, [arrive]);
    }
  }

  /** Evaluates all alarms at every full minute until the instant. */
  advanceTo(instant: number): void {
    const last = Math.floor(instant / minuteMs);
    while (this.minute < last) {
      this.minute += 1;
      for (const arrive of this.delayed.get(this.minute) ?? []) arrive();
      this.delayed.delete(this.minute);
      for (const alarm of this.alarms) {
        const changed = alarm.evaluateAt(this.minute);
        if (changed !== undefined && alarm.definition.notifiesOn.includes(changed)) {
          this.sent.push({ at: this.minute * minuteMs, alarm: alarm.definition.name, state: changed });
        }
      }
    }
  }

  /** Names of the alarms that are in ALARM. */
  inAlarm(): string[] {
    return this.alarms.filter(({ state }) => state === 'ALARM').map(({ definition }) => definition.name);
  }

  /** Notifications since the instant, oldest first. @param since @default all */
  notifications(since = Number.NEGATIVE_INFINITY): Notification[] {
    return this.sent.filter(({ at }) => at >= since);
  }

  private metricOf(key: MetricKey): Metric {
    const text = textOf(key);
    const known = this.metrics.get(text);
    if (known) return known;
    const metric = new Metric();
    this.metrics.set(text, metric);
    return metric;
  }
}

interface EmbeddedMetrics {
  _aws: {
    Timestamp: number;
    CloudWatchMetrics: { Namespace: string; Dimensions: string[][]; Metrics: { Name: string }[] }[];
  };
  [name: string]: unknown;
}

function textOf({ namespace, metricName, dimensions = {} }: MetricKey): string {
  const sorted = Object.entries(dimensions).sort(([one], [other]) => (one < other ? -1 : 1));
  return JSON.stringify([namespace, metricName, sorted]);
}

/** The values of one metric, by minute. */
class Metric {
  private readonly minutes = new Map<number, number[]>();
  private latest = Number.NEGATIVE_INFINITY;
  private range = 0;

  /** Keeps values for at least this many minutes. */
  keepFor(minutes: number): void {
    this.range = Math.max(this.range, minutes);
  }

  add(minute: number, value: number): void {
    this.latest = Math.max(this.latest, minute);
    const values = this.minutes.get(minute);
    if (values) values.push(value);
    else this.minutes.set(minute, [value]);
    if (this.minutes.size <= 2 * this.range) return;
    for (const known of this.minutes.keys()) {
      if (known < this.latest - this.range) this.minutes.delete(known);
    }
  }

  /** Whether there is a value in the minute or later. */
  hasSince(minute: number): boolean {
    return this.latest >= minute;
  }

  /** @param end the minute after the period's last one */
  statistic(name: string, end: number, minutes: number): number | undefined {
    const values: number[] = [];
    for (let minute = end - minutes; minute < end; minute += 1) {
      const ofMinute = this.minutes.get(minute);
      if (ofMinute) values.push(...ofMinute);
    }
    return values.length === 0 ? undefined : statisticOf(name, values);
  }
}

function statisticOf(name: string, values: readonly number[]): number {
  const sum = values.reduce((total, value) => total + value, 0);
  switch (name) {
    case 'Sum':
      return sum;
    case 'Average':
      return sum / values.length;
    case 'SampleCount':
      return values.length;
    case 'Maximum':
      return Math.max(...values);
    case 'Minimum':
      return Math.min(...values);
  }
  const percentile = Number(/^p(\d{1,2}(?:\.\d+)?)$/.exec(name)?.[1]);
  if (Number.isNaN(percentile)) throw new Error(`The statistic ${name} is not supported`);
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.ceil((percentile / 100) * sorted.length) - 1] ?? 0;
}

class Alarm {
  state: AlarmState = 'INSUFFICIENT_DATA';
  readonly definition: AlarmDefinition;
  private readonly metrics = new Map<string, Metric>();
  private readonly periods: number;
  private readonly periodMinutes: number;
  private readonly everyMinutes: number;
  private stateWithoutData: AlarmState | undefined;

  constructor(definition: AlarmDefinition, extraPeriods: number, metricOf: (key: MetricKey) => Metric) {
    this.definition = definition;
    this.periods = definition.evaluationPeriods + extraPeriods;
    this.periodMinutes = definition.period / 60;
    if (!Number.isInteger(this.periodMinutes)) throw new Error(`${definition.name} has periods of seconds`);
    this.everyMinutes = definition.evaluationPeriods * definition.period > 86_400 ? 60 : 1;
    for (const [id, query] of Object.entries(definition.queries)) {
      if ('expression' in query) continue;
      const metric = metricOf(query);
      metric.keepFor(this.periods * this.periodMinutes);
      this.metrics.set(id, metric);
    }
  }

  /** @returns the new state, or undefined if it does not change */
  evaluateAt(minute: number): AlarmState | undefined {
    if (minute % this.everyMinutes !== 0) return undefined;
    const state = this.stateAt(minute);
    if (state === this.state) return undefined;
    this.state = state;
    return state;
  }

  private stateAt(minute: number): AlarmState {
    const since = minute - this.periods * this.periodMinutes;
    const metrics = [...this.metrics.values()];
    // Cached: without data the state is always the same, and most alarms have no data most of the time.
    if (metrics.some((metric) => metric.hasSince(since))) {
      return this.judge(this.seriesAt(minute, this.definition.returned));
    }
    this.stateWithoutData ??= this.judge(this.seriesAt(minute, this.definition.returned));
    return this.stateWithoutData;
  }

  private seriesAt(minute: number, id: string): Series {
    const query = this.definition.queries[id];
    if (query === undefined) throw new Error(`${this.definition.name} has no query ${id}`);
    if ('expression' in query) {
      return evaluate(query.expression, (inner) => this.seriesAt(minute, inner));
    }
    return Array.from({ length: this.periods }, (_, index) =>
      this.metrics
        .get(id)
        ?.statistic(
          query.statistic,
          minute - (this.periods - 1 - index) * this.periodMinutes,
          this.periodMinutes,
        ),
    );
  }

  private judge(series: Series): AlarmState {
    const { evaluationPeriods, datapointsToAlarm, missing, comparison, threshold } = this.definition;
    const known = series.filter((value) => value !== undefined).slice(-evaluationPeriods);
    const breaching = known.filter((value) =>
      comparison === 'LessThanThreshold' ? value < threshold : value >= threshold,
    ).length;
    const filledIn = missing === 'breaching' ? evaluationPeriods - known.length : 0;
    return breaching + filledIn >= datapointsToAlarm ? 'ALARM' : 'OK';
  }
}
