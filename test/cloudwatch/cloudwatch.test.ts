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

/** The minutes at which the alarm changed to ALARM (positive) and back (negative), with values at the given minutes. */
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
  test('looks for missing periods in the evaluation range, so a single value holds it for a while', () => {
    expect(changes({}, [[10, 1]], { furtherPeriods: 0 })).toEqual([11, -12]);
    expect(changes({}, [[10, 1]])).toEqual([11, -14]);
    expect(changes({}, [[10, 1]], { furtherPeriods: 4 })).toEqual([11, -16]);
  });

  test('goes back with the next value that is below the threshold', () => {
    expect(
      changes({}, [
        [10, 1],
        [11, 0],
      ]),
    ).toEqual([11, -12]);
  });

  test('does not notify while it stays in a state, and does again after it has gone back', () => {
    expect(
      changes({}, [
        [10, 1],
        [11, 5],
        [12, 1],
        [30, 1],
      ]),
    ).toEqual([11, -16, 31, -34]);
  });

  test('sees a value only once it is published, and not at all if that is beyond the range', () => {
    expect(changes({}, [[10, 1, 2]])).toEqual([12, -14]);
    expect(changes({}, [[10, 1, 5]])).toEqual([]);
  });

  test('needs as many breaching periods as datapointsToAlarm says', () => {
    const twoOfThree = { evaluationPeriods: 3, datapointsToAlarm: 2 };

    expect(changes(twoOfThree, [[10, 1]])).toEqual([]);
    expect(
      changes(
        twoOfThree,
        [
          [10, 1],
          [12, 1],
        ],
        { furtherPeriods: 0 },
      ),
    ).toEqual([13, -14]);
  });

  test('takes missing periods for breaching only as far as there are too few values', () => {
    const heartbeat = {
      comparison: 'LessThanThreshold',
      missing: 'breaching',
      evaluationPeriods: 2,
      datapointsToAlarm: 2,
    } as const;
    const beats = Array.from({ length: 11 }, (_, minute): [number, number] => [minute, 1]);

    // The last value is of minute 10. With two further periods it takes four of silence.
    expect(changes(heartbeat, beats)).toEqual([15]);
    expect(changes(heartbeat, beats, { furtherPeriods: 0 })).toEqual([13]);
  });

  test('is evaluated every minute over periods that end there', () => {
    const sum = { period: 300, threshold: 2, queries: { m: { ...key, statistic: 'Sum' } } };

    expect(
      changes(
        sum,
        [
          [13, 1],
          [17, 1],
        ],
        { furtherPeriods: 0 },
      ),
    ).toEqual([18, -19]);
    expect(
      changes(
        sum,
        [
          [13, 1],
          [18, 1],
        ],
        { furtherPeriods: 0 },
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

  test('that fills a minute before it is published stays in one state, unless it looks at several', () => {
    const queries = { m: { ...key, statistic: 'Sum' }, filled: { expression: 'FILL(m, 0)' } };
    const late = [[10, 1, 2]] as [number, number, number][];

    expect(changes({ queries, returned: 'filled' }, late)).toEqual([]);
    expect(changes({ queries, returned: 'filled', evaluationPeriods: 3 }, late)).toEqual([12, -14]);
  });
});

describe('The metrics of a log line', () => {
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
    'are found under the dimensions %j',
    (dimensions) => {
      expect(stateFor('TelnyxArchiver/letters', 'DeadLetters', dimensions)).toEqual(['A']);
    },
  );

  test('are found under no other dimensions, name or namespace, and not before they are published', () => {
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
  ])('are refused %s', (_, { Dimensions }, members) => {
    const CloudWatchMetrics = [{ Namespace: 'N', Dimensions, Metrics: [{ Name: 'DeadLetters' }] }];
    const line = JSON.stringify({ _aws: { Timestamp: 0, CloudWatchMetrics }, ...members });

    expect(() => new CloudWatch([], { now: 0 }).ingest(line, 0)).toThrow('The line has no');
  });
});
