import { describe, expect, test } from 'vitest';
import { createLog } from '../../functions/log.ts';
import { type AlarmDefinition, CloudWatch, type CloudWatchOptions } from './cloudwatch.ts';

const minuteMs = 60_000;
const key = { namespace: 'N', metricName: 'M' };
const minutely: AlarmDefinition = {
  name: 'A',
  period: 60,
  queries: { m: { ...key, statistic: 'Sum' } },
  returned: 'm',
  threshold: 1,
  comparison: 'GreaterThanOrEqualToThreshold',
  evaluationPeriods: 1,
  datapointsToAlarm: 1,
  missing: 'notBreaching',
  notifiesOn: ['ALARM', 'OK'],
};

/** Minutes at which the alarm changes to ALARM (positive) and back (negative) for the given values. */
function changes(
  definition: Partial<AlarmDefinition>,
  values: readonly [minute: number, value: number, visibleAfterMinutes?: number][],
  options: Partial<CloudWatchOptions> = {},
  untilMinute = 60,
): number[] {
  const cloudWatch = new CloudWatch([{ ...minutely, ...definition }], { now: 0, ...options });
  for (let minute = 0; minute <= untilMinute; minute += 1) {
    cloudWatch.advanceTo(minute * minuteMs);
    for (const [at, value, delay = 0] of values) {
      if (at === minute) cloudWatch.publish(key, value, minute * minuteMs, (minute + delay) * minuteMs);
    }
  }
  return cloudWatch
    .notifications(2 * minuteMs)
    .map(({ at, state }) => (state === 'ALARM' ? at : -at) / minuteMs);
}

describe('An alarm', () => {
  test('stays in ALARM after a single value until it leaves the evaluation range', () => {
    expect(changes({}, [[10, 1]], { extraPeriods: 0 })).toEqual([11, -12]);
    expect(changes({}, [[10, 1]])).toEqual([11, -14]);
    expect(changes({}, [[10, 1]], { extraPeriods: 4 })).toEqual([11, -16]);
  });

  test('returns to OK with the next value below the threshold', () => {
    expect(
      changes({}, [
        [10, 1],
        [11, 0],
      ]),
    ).toEqual([11, -12]);
  });

  test('notifies once per change of its state', () => {
    expect(
      changes({}, [
        [10, 1],
        [11, 5],
        [12, 1],
        [30, 1],
      ]),
    ).toEqual([11, -16, 31, -34]);
  });

  test('ignores a value that is published after it left the evaluation range', () => {
    expect(changes({}, [[10, 1, 2]])).toEqual([12, -14]);
    expect(changes({}, [[10, 1, 5]])).toEqual([]);
  });

  test('changes to ALARM after as many breaching periods as datapointsToAlarm', () => {
    const twoOfThree = { evaluationPeriods: 3, datapointsToAlarm: 2 };

    expect(changes(twoOfThree, [[10, 1]])).toEqual([]);
    expect(
      changes(
        twoOfThree,
        [
          [10, 1],
          [12, 1],
        ],
        { extraPeriods: 0 },
      ),
    ).toEqual([13, -14]);
  });

  test('counts missing periods as breaching only if the range has too few values', () => {
    const heartbeat = {
      comparison: 'LessThanThreshold',
      missing: 'breaching',
      evaluationPeriods: 2,
      datapointsToAlarm: 2,
    } as const;
    const beats = Array.from({ length: 11 }, (_, minute): [number, number] => [minute, 1]);

    // The last value is in minute 10. With two extra periods it takes four periods without data.
    expect(changes(heartbeat, beats)).toEqual([15]);
    expect(changes(heartbeat, beats, { extraPeriods: 0 })).toEqual([13]);
  });

  test('is evaluated every minute over periods that end at that minute', () => {
    const sum = { period: 300, threshold: 2, queries: { m: { ...key, statistic: 'Sum' } } };

    expect(
      changes(
        sum,
        [
          [13, 1],
          [17, 1],
        ],
        { extraPeriods: 0 },
      ),
    ).toEqual([18, -19]);
    expect(
      changes(
        sum,
        [
          [13, 1],
          [18, 1],
        ],
        { extraPeriods: 0 },
      ),
    ).toEqual([]);
  });

  test.each([
    ['Sum', 10],
    ['Average', 2.5],
    ['SampleCount', 4],
    ['Maximum', 4],
    ['Minimum', 1],
    ['p99', 4],
    ['p50', 2],
  ])('compares the statistic %s', (statistic, value) => {
    const definition = { queries: { m: { ...key, statistic } } };
    const values = [1, 2, 3, 4].map((one): [number, number] => [10, one]);

    expect(changes({ ...definition, threshold: value }, values)).toEqual([11, -14]);
    expect(changes({ ...definition, threshold: value + 0.1 }, values)).toEqual([]);
  });

  test('with FILL sees a late value only if it evaluates several periods', () => {
    const queries = { m: { ...key, statistic: 'Sum' }, filled: { expression: 'FILL(m, 0)' } };
    const late = [[10, 1, 2]] as [number, number, number][];

    expect(changes({ queries, returned: 'filled' }, late)).toEqual([]);
    expect(changes({ queries, returned: 'filled', evaluationPeriods: 3 }, late)).toEqual([12, -14]);
  });
});

describe('Metrics in a log line', () => {
  const lines: string[] = [];
  const log = createLog({ name: 'letters', write: (line) => lines.push(line), now: () => 5 * minuteMs });
  log.count('DeadLetters', 2, { Code: 'DocumentGone', Lane: 'documents' });
  log.info('Nothing to do');

  const stateFor = (
    namespace: string,
    metricName: string,
    dimensions: Record<string, string>,
    options: Partial<CloudWatchOptions> = {},
  ) => {
    const queries = { m: { namespace, metricName, dimensions, statistic: 'Sum' } };
    const cloudWatch = new CloudWatch([{ ...minutely, queries, threshold: 2 }], { now: 0, ...options });
    cloudWatch.advanceTo(5 * minuteMs);
    for (const line of lines) cloudWatch.ingest(line, 5 * minuteMs);
    cloudWatch.advanceTo(6 * minuteMs);
    return cloudWatch.inAlarm();
  };

  test.each<[Record<string, string>]>([[{}], [{ Code: 'DocumentGone' }], [{ Lane: 'documents' }]])(
    'are published with the dimensions %j',
    (dimensions) => {
      expect(stateFor('TelnyxArchiver/letters', 'DeadLetters', dimensions)).toEqual(['A']);
    },
  );

  test('are not published with other dimensions, names or namespaces, or before the delay', () => {
    const namespace = 'TelnyxArchiver/letters';

    expect(stateFor(namespace, 'DeadLetters', { Code: 'DocumentGone', Lane: 'documents' })).toEqual([]);
    expect(stateFor(namespace, 'DeadLetters', { Lane: 'backfill' })).toEqual([]);
    expect(stateFor(namespace, 'ReceivesFailed', {})).toEqual([]);
    expect(stateFor('TelnyxArchiver/other', 'DeadLetters', {})).toEqual([]);
    expect(stateFor(namespace, 'DeadLetters', {}, { logDelayMs: 2 * minuteMs })).toEqual([]);
  });

  test.each([
    ['without the value', { Dimensions: [[]] }, {}],
    ['without a dimension', { Dimensions: [['Lane']] }, { DeadLetters: 1 }],
  ])('are rejected %s', (_, { Dimensions }, members) => {
    const CloudWatchMetrics = [{ Namespace: 'N', Dimensions, Metrics: [{ Name: 'DeadLetters' }] }];
    const line = JSON.stringify({ _aws: { Timestamp: 0, CloudWatchMetrics }, ...members });

    expect(() => new CloudWatch([], { now: 0 }).ingest(line, 0)).toThrow('The line has no');
  });
});
