import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { type ErrorCode, errorCodes, retryPolicies } from '../../functions/errors.ts';
import { waitingAfterMs } from '../../functions/limits.ts';
import { laneNames } from '../../functions/queue/lanes.ts';
import { propertyRuns } from '../fuzz-runs.ts';
import { type Synthesized, settings, synthesize } from '../infra/deployments.ts';
import { alarmsOf } from './template-alarms.ts';
import { createWorld, dayMs, hourMs, minuteMs, type World, type WorldOptions } from './world.ts';

let synthesized: Synthesized;

beforeAll(() => {
  synthesized = synthesize(settings.full);
});

const id = (position: number) => `5a3b1e00-0000-4000-8000-${String(position).padStart(12, '0')}`;

/** A world after one hour of sweeps and a minute, in which every alarm has been evaluated: none is left from the start. */
async function createRunningWorld(options?: WorldOptions): Promise<World> {
  const world = createWorld(synthesized, options);
  await world.pass(hourMs + minuteMs);
  return world;
}

const failsOnce = (code: ErrorCode) => {
  let failed = false;
  return () => {
    if (failed) return undefined;
    failed = true;
    return code;
  };
};

const failsFor = (world: World, ms: number, code: ErrorCode) => {
  const end = world.now() + ms;
  return () => (world.now() < end ? code : undefined);
};

const needOperator: Record<string, readonly ErrorCode[]> = {
  ApiKeyUnusable: ['ApiKeyRejected', 'ApiKeyForbidden', 'ApiKeyUnavailable'],
  BucketUnusable: ['BucketMisconfigured', 'EncryptionKeyUnavailable'],
  DownloadHostRefused: ['LinkNotAllowed'],
};
const needOperatorCodes = Object.values(needOperator).flat();
const waitCodes = errorCodes.filter(
  (code) => retryPolicies[code] === 'wait' && !needOperatorCodes.includes(code),
);

interface Cause {
  alarm: string;
  trigger: (world: World) => void;
  /** Minutes within which the alarm rings. */
  within: number;
  /** Other alarms that ring for the same cause. @default none */
  also?: string[];
  /** Until the next cause. @default three hours */
  forMs?: number;
}

const title = (name: string) => name.charAt(0).toUpperCase() + name.slice(1);

const causes: Cause[] = [
  ...laneNames.flatMap((lane): Cause[] => [
    {
      alarm: `${title(lane)}DeadLetters`,
      trigger: (world) => world.message(lane, () => 'MalformedMessage'),
      within: 3,
      also: [`DeadLetterGrowth${title(lane)}`],
    },
    { alarm: `DeadLetterGrowth${title(lane)}`, trigger: (world) => world.queues[lane].add(), within: 18 },
  ]),
  ...(['backfill', 'spans'] as const).map((lane) => ({
    alarm: `${title(lane)}TooOld`,
    trigger: (world: World) => world.backlog(lane, 8 * dayMs - 10 * minuteMs, hourMs),
    within: 13,
  })),
  { alarm: 'DocumentsOverdue', trigger: (world) => world.upload(id(1), 16 * minuteMs), within: 16 },
  {
    alarm: 'ChecksumMismatches',
    trigger: (world) => world.message('documents', failsOnce('ChecksumMismatch')),
    within: 3,
  },
  ...Object.entries(needOperator).flatMap(([alarm, codes]) =>
    codes.map((code) => ({
      alarm,
      trigger: (world: World) => world.message('documents', failsOnce(code)),
      within: 3,
    })),
  ),
  ...waitCodes.map((code) => ({
    alarm: `Waiting${code}`,
    trigger: (world: World) =>
      world.message('documents', failsFor(world, waitingAfterMs + 2 * minuteMs, code)),
    within: 15,
  })),
  { alarm: 'WebhookServerErrors', trigger: (world) => world.webhookServerError(), within: 3 },
  {
    alarm: 'WebhooksRefused',
    trigger: (world) => {
      for (let count = 0; count < 3; count += 1) world.refusedWebhook();
    },
    within: 3,
  },
  {
    alarm: 'SweepMissing',
    trigger: (world) => {
      world.setSweeping(false);
      world.after(30 * minuteMs, () => world.setSweeping(true));
    },
    within: 13,
  },
  {
    alarm: 'AuditFindings',
    trigger: (world) => world.endAudit('missing', 'missing', 'unreadable'),
    within: 3,
  },
  {
    alarm: 'AuditMissing',
    trigger: (world) => {
      world.setAuditing(undefined);
      world.after(2.5 * dayMs, () => world.setAuditing(minuteMs));
    },
    within: 56 * 60,
    forMs: 4 * dayMs,
  },
  ...(['Webhook', 'Discover', 'Archive', 'Audit'] as const).flatMap((name): Cause[] => [
    { alarm: `${name}Errors`, trigger: (world) => world.lambdaMetric(name, 'Errors', 1), within: 3 },
    { alarm: `${name}Throttles`, trigger: (world) => world.lambdaMetric(name, 'Throttles', 1), within: 3 },
    { alarm: `${name}Slow`, trigger: (world) => world.lambdaMetric(name, 'Duration', 299_000), within: 3 },
  ]),
  ...(['Discover', 'Archive', 'Audit'] as const).map((name) => ({
    alarm: `${name}RecursionStopped`,
    trigger: (world: World) => world.lambdaMetric(name, 'RecursiveInvocationsDropped', 1),
    within: 3,
  })),
  { alarm: 'ObjectsDeleted', trigger: (world) => world.deletions(10_000), within: 3 },
];

describe('Each alarm of the template', () => {
  test.each(causes)(
    '$alarm rings once for its cause and once again for the next',
    async ({ alarm, trigger, within, also = [], forMs = 3 * hourMs }) => {
      const world = await createRunningWorld();

      const rangFor = async () => {
        const since = world.now();
        trigger(world);
        await world.pass(forMs);
        return world.rangSince(since);
      };

      for (const rang of [await rangFor(), await rangFor()]) {
        expect(Object.keys(rang).sort()).toEqual([alarm, ...also].sort());
        expect(rang[alarm]).toHaveLength(1);
        expect(rang[alarm]?.[0]).toBeLessThanOrEqual(within);
      }
      expect(world.cloudWatch.inAlarm()).toEqual([]);
    },
  );

  test('has a cause in this test', () => {
    const { view, stage } = synthesized;

    const alarms = alarmsOf(view, stage.name).map(({ name }) => name);

    expect([...new Set(causes.map(({ alarm }) => alarm))].sort()).toEqual(alarms.sort());
  });
});

describe.each([0, 2, 5])('With %i extra periods in the evaluation range', (extraPeriods) => {
  test('no alarm rings during a day with short failures of every kind', async () => {
    const world = await createRunningWorld({ extraPeriods });
    const since = world.now();

    for (const [position, code] of waitCodes.entries()) {
      // Every 15 minutes, failures of 7 minutes, and new documents during each.
      for (const lane of laneNames) world.message(lane, failsFor(world, 7 * minuteMs, code));
      await world.pass(3 * minuteMs);
      for (const lane of laneNames) world.message(lane, failsFor(world, 4 * minuteMs, code));
      world.upload(id(position), 3 * minuteMs);
      await world.pass(12 * minuteMs);
    }
    for (const code of ['LinkExpired', 'UnexpectedResponse', 'OrderGone'] as const) {
      world.message('documents', failsOnce(code));
    }
    world.refusedWebhook();
    world.refusedWebhook();
    // A backfill that takes a week and leaves half of Telnyx's rate limit to live work.
    for (const lane of ['backfill', 'spans'] as const) {
      world.backlog(lane, 6 * dayMs, dayMs);
      for (let count = 0; count < 3; count += 1) {
        world.message(lane, failsFor(world, dayMs, 'RateLimitReserved'));
        await world.pass(7 * minuteMs);
      }
    }
    await world.pass(dayMs);

    expect(world.cloudWatch.notifications(since)).toEqual([]);
  });

  test.each(laneNames)('each new dead letter of %s rings, even if others are in the queue', async (lane) => {
    const world = await createRunningWorld({ extraPeriods });
    const since = world.now();
    const alarm = `${title(lane)}DeadLetters`;

    for (let count = 0; count < 5; count += 1) {
      world.message(lane, () => 'DocumentGone');
      await world.pass(10 * minuteMs);
    }

    const rang = world.rangSince(since)[alarm] ?? [];
    expect(rang).toHaveLength(5);
    rang.forEach((minute, position) => {
      expect(minute).toBeGreaterThan(position * 10);
      expect(minute).toBeLessThanOrEqual(position * 10 + 3);
    });
    expect(world.resolvedSince(since)).toEqual([]);
  });
});

describe('Dead letters that SQS or EventBridge Scheduler moved', () => {
  test('ring once SQS publishes the depth of the queue, and again for each further one', async () => {
    const world = await createRunningWorld();
    const since = world.now();

    world.queues.documents.add();
    await world.pass(hourMs);
    world.queues.documents.add();
    await world.pass(hourMs);

    const { DeadLetterGrowthDocuments: rang = [] } = world.rangSince(since);
    expect(Object.keys(world.rangSince(since))).toEqual(['DeadLetterGrowthDocuments']);
    expect(rang).toHaveLength(2);
    expect(rang[0]).toBeLessThanOrEqual(18);
    expect((rang[1] ?? 0) - 60).toBeLessThanOrEqual(3);
  });

  test('do not ring again while they stay in the queue, are received or are deleted', async () => {
    const world = await createRunningWorld();
    for (let count = 0; count < 3; count += 1) world.queues.documents.add();
    await world.pass(hourMs);
    const since = world.now();

    await world.pass(24 * hourMs);
    world.queues.documents.peek(30_000);
    await world.pass(hourMs);
    world.queues.documents.peek(5 * minuteMs);
    await world.pass(hourMs);
    world.queues.documents.remove();
    await world.pass(hourMs);

    expect(world.cloudWatch.notifications(since)).toEqual([]);
  });
});

describe('A backfill that takes longer than the retention of its queues', () => {
  test.each(['backfill', 'spans'] as const)(
    'rings once, two days before SQS deletes a message of %s',
    async (lane) => {
      const world = await createRunningWorld();
      const since = world.now();

      world.backlog(lane, 8 * dayMs - hourMs, 2 * hourMs);
      await world.pass(2 * hourMs);
      for (let count = 0; count < 6; count += 1) {
        world.backlog(lane, 8 * dayMs - 10 * minuteMs, 20 * minuteMs);
        await world.pass(20 * minuteMs);
      }
      await world.pass(3 * hourMs);

      const alarm = `${title(lane)}TooOld`;
      expect(world.rangSince(since)).toEqual({ [alarm]: [expect.any(Number)] });
      const [rangAt = 0] = world.rangSince(since)[alarm] ?? [];
      expect(rangAt).toBeGreaterThanOrEqual(60);
      expect(rangAt).toBeLessThanOrEqual(63);
      // No OK notification, because SQS may have deleted them.
      expect(world.resolvedSince(since)).toEqual([]);
    },
  );
});

describe('Overdue documents', () => {
  test.each([{ logDelayMs: 0 }, { logDelayMs: 30_000 }, { logDelayMs: 2 * minuteMs }])(
    'ring once while others follow, and again for a later one, with the options %o',
    async (options) => {
      const world = await createRunningWorld(options);
      const since = world.now();

      // One late document every two minutes for an hour, and another one an hour later.
      for (let count = 0; count < 30; count += 1) {
        world.upload(id(count), 25 * minuteMs);
        await world.pass(2 * minuteMs);
      }
      await world.pass(hourMs);
      world.upload(id(99), 25 * minuteMs);
      await world.pass(hourMs);

      const { DocumentsOverdue: rang = [], ...others } = world.rangSince(since);
      expect(others).toEqual({});
      expect(rang).toHaveLength(2);
      // The next five-minute sweep counts a document that is ten minutes old; then the metric is published.
      expect(rang[0]).toBeLessThanOrEqual(18);
      expect((rang[1] ?? 0) - 120).toBeLessThanOrEqual(18);
      expect(world.resolvedSince(since)).toEqual([]);
    },
  );

  test('do not include documents that are archived nine minutes after their upload', async () => {
    const world = await createRunningWorld();
    const since = world.now();

    for (let count = 0; count < 30; count += 1) {
      world.upload(id(count), 9 * minuteMs);
      await world.pass(2 * minuteMs);
    }
    await world.pass(hourMs);

    expect(world.cloudWatch.notifications(since)).toEqual([]);
  });
});

describe('Waiting messages', () => {
  test.each(laneNames)('ring once for a single message in %s, and notify of OK', async (lane) => {
    const world = await createRunningWorld();
    const since = world.now();

    world.message(lane, failsFor(world, 6 * hourMs, 'TelnyxUnavailable'));
    await world.pass(8 * hourMs);

    const { WaitingTelnyxUnavailable: rang = [], ...others } = world.rangSince(since);
    expect(others).toEqual({});
    expect(rang).toHaveLength(1);
    // Live messages are received every two minutes; others at twice their age, so after 20 minutes at the latest.
    expect(rang[0]).toBeLessThanOrEqual(lane === 'documents' || lane === 'discovery' ? 15 : 21);
    expect(world.resolvedSince(since)).toEqual(['WaitingTelnyxUnavailable']);
  });

  test('ring within 15 minutes for one live document, for any jitter', async () => {
    const jitter = fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), {
      minLength: 1,
      maxLength: 50,
    });
    await fc.assert(
      fc.asyncProperty(jitter, fc.nat({ max: minuteMs }), async (values, offsetMs) => {
        let position = 0;
        const random = () => values[position++ % values.length] ?? 0;
        const world = createWorld(synthesized, { random });
        await world.pass(20 * minuteMs + offsetMs);
        const since = world.now();

        world.message('documents', () => 'TelnyxUnavailable');
        await world.pass(15 * minuteMs);

        expect(world.cloudWatch.inAlarm()).toEqual(['WaitingTelnyxUnavailable']);
        expect(world.rangSince(since).WaitingTelnyxUnavailable).toHaveLength(1);
      }),
      { numRuns: propertyRuns(30) },
    );
  });

  test.each(needOperatorCodes)(
    'ring within three minutes for %s, and only once during an outage of a day',
    async (code) => {
      const world = await createRunningWorld();
      const since = world.now();

      world.message('backfill', failsFor(world, 24 * hourMs, code));
      await world.pass(26 * hourMs);

      const [alarm = ''] = Object.entries(needOperator).find(([, codes]) => codes.includes(code)) ?? [];
      const { [alarm]: rang = [], ...others } = world.rangSince(since);
      expect(others).toEqual({});
      expect(rang).toHaveLength(1);
      expect(rang[0]).toBeLessThanOrEqual(3);
      expect(world.resolvedSince(since)).toEqual([alarm]);
    },
  );
});

describe('SweepMissing', () => {
  test('rings within 13 minutes after the last sweep, and notifies of OK', async () => {
    const world = await createRunningWorld();
    const since = world.now();

    world.setSweeping(false);
    await world.pass(hourMs);
    world.setSweeping(true);
    await world.pass(hourMs);

    expect(world.rangSince(since)).toEqual({ SweepMissing: [expect.any(Number)] });
    expect(world.rangSince(since).SweepMissing?.[0]).toBeLessThanOrEqual(13);
    expect(world.resolvedSince(since)).toEqual(['SweepMissing']);
  });

  test('does not ring if there are no sweeps for five minutes', async () => {
    const world = await createRunningWorld();
    const since = world.now();

    world.setSweeping(false);
    await world.pass(5 * minuteMs);
    world.setSweeping(true);
    await world.pass(hourMs);

    expect(world.cloudWatch.notifications(since)).toEqual([]);
  });

  test('rings if there has never been a sweep', async () => {
    const world = createWorld(synthesized);

    world.setSweeping(false);
    await world.pass(20 * minuteMs);

    expect(world.cloudWatch.inAlarm()).toEqual(['SweepMissing']);
  });
});

describe('AuditFindings', () => {
  test('rings for each run with findings, and not for others', async () => {
    const world = createWorld(synthesized);
    const runs = [[], ['missing'], ['overwritten', 'unreadable'], [], ['erased'], ['missing']] as const;

    const rang: number[] = [];
    for (const codes of runs) {
      const since = world.now();
      world.endAudit(...codes);
      await world.pass(hourMs);
      rang.push(world.rangSince(since).AuditFindings?.length ?? 0);
    }

    expect(rang).toEqual([0, 1, 1, 0, 0, 1]);
    expect(world.resolvedSince(0)).not.toContain('AuditFindings');
  });
});

describe.each([0, 2, 5])('AuditMissing with %i extra periods in the evaluation range', (extraPeriods) => {
  test('rings after two nights without a complete run, and notifies of OK after the next one', async () => {
    const world = createWorld(synthesized, { extraPeriods });
    await world.pass(3 * hourMs);
    const since = world.now();

    world.setAuditing(undefined);
    await world.pass(2.5 * dayMs);
    world.setAuditing(minuteMs);
    await world.pass(dayMs);

    const { AuditMissing: rang = [], ...others } = world.rangSince(since);
    expect(others).toEqual({});
    expect(rang).toHaveLength(1);
    // The last one ended at 02:18. The second night without one has had six hours by 08:15, two days later.
    expect(rang[0]).toBeGreaterThanOrEqual(2 * 24 * 60 + 5.25 * 60);
    expect(rang[0]).toBeLessThanOrEqual(56 * 60);
    expect(world.resolvedSince(since)).toEqual(['AuditMissing']);
  });

  test('does not ring if one night has no complete run and those around it take as long as they may', async () => {
    const world = createWorld(synthesized, { extraPeriods });
    await world.pass(3 * hourMs);
    const since = world.now();

    world.setAuditing(undefined);
    await world.pass(dayMs);
    world.setAuditing(6 * hourMs);
    await world.pass(2 * dayMs);

    expect(world.cloudWatch.notifications(since)).toEqual([]);
  });
});

describe('AuditMissing after a deployment', () => {
  test('waits until the first two nights are over, and rings if no run has completed', async () => {
    const world = createWorld(synthesized);
    world.setAuditing(undefined);

    await world.pass(dayMs + 9 * hourMs);
    const before = world.cloudWatch.inAlarm();
    await world.pass(dayMs);

    expect(before).toEqual([]);
    expect(world.cloudWatch.inAlarm()).toEqual(['AuditMissing']);
    expect(world.rangSince(0).AuditMissing).toHaveLength(1);
  });

  test('does not ring while there are no sweeps either, which has an alarm of its own', async () => {
    const world = createWorld(synthesized);
    world.setAuditing(undefined);
    world.setSweeping(false);

    await world.pass(3 * dayMs);

    expect(world.cloudWatch.inAlarm()).toEqual(['SweepMissing']);
  });
});

describe('Archivers with different names in the same account', () => {
  test('have separate metrics', () => {
    const namespacesOf = ({ view, stage }: Synthesized) =>
      new Set(
        alarmsOf(view, stage.name)
          .flatMap(({ queries }) => Object.values(queries))
          .flatMap((query) => ('namespace' in query ? [query.namespace] : []))
          .filter((namespace) => !namespace.startsWith('AWS/')),
      );

    expect(namespacesOf(synthesized)).toEqual(new Set(['TelnyxArchiver/letters']));
    expect(namespacesOf(synthesize(settings.minimal))).toEqual(new Set(['TelnyxArchiver/telnyx-archiver']));
  });
});
