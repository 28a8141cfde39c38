import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { type ErrorCode, errorCodes, retryPolicies } from '../../functions/errors.ts';
import { waitingAfterMs } from '../../functions/limits.ts';
import { propertyRuns } from '../fuzz-runs.ts';
import { type Synthesized, settings, synthesize } from '../infra/deployments.ts';
import { alarmsOf } from './template-alarms.ts';
import { createWorld, dayMs, hourMs, laneNames, minuteMs, type World, type WorldOptions } from './world.ts';

let synthesized: Synthesized;

beforeAll(() => {
  synthesized = synthesize(settings.full);
});

const id = (position: number) => `5a3b1e00-0000-4000-8000-${String(position).padStart(12, '0')}`;

/** A world in which sweeps have run for an hour, so that nothing is left of the start. */
async function settledWorld(options?: WorldOptions): Promise<World> {
  const world = createWorld(synthesized, options);
  await world.pass(hourMs);
  return world;
}

const once = (code: ErrorCode) => {
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

const needPersonAtOnce: Record<string, readonly ErrorCode[]> = {
  ApiKeyUnusable: ['ApiKeyRejected', 'ApiKeyForbidden', 'ApiKeyUnavailable'],
  BucketUnusable: ['BucketMisconfigured', 'EncryptionKeyUnavailable'],
  DownloadHostRefused: ['LinkNotAllowed'],
};
const atOnce = Object.values(needPersonAtOnce).flat();
const waitCodes = errorCodes.filter((code) => retryPolicies[code] === 'wait' && !atOnce.includes(code));

interface Cause {
  alarm: string;
  happens: (world: World) => void;
  /** Minutes until the alarm rings at the latest. */
  within: number;
  /** Alarms that ring for the same cause. @default none */
  also?: string[];
}

const title = (name: string) => name.charAt(0).toUpperCase() + name.slice(1);

const causes: Cause[] = [
  ...laneNames.flatMap((lane): Cause[] => [
    {
      alarm: `${title(lane)}DeadLetters`,
      happens: (world) => world.message(lane, () => 'MalformedMessage'),
      within: 3,
      also: [`DeadLetterGrowth${title(lane)}`],
    },
    { alarm: `DeadLetterGrowth${title(lane)}`, happens: (world) => world.queues[lane].add(), within: 18 },
  ]),
  ...(['backfill', 'spans'] as const).map((lane) => ({
    alarm: `${title(lane)}TooOld`,
    happens: (world: World) => world.backlog(lane, 8 * dayMs - 10 * minuteMs, hourMs),
    within: 13,
  })),
  { alarm: 'DocumentsOverdue', happens: (world) => world.upload(id(1), 16 * minuteMs), within: 16 },
  {
    alarm: 'ChecksumMismatches',
    happens: (world) => world.message('documents', once('ChecksumMismatch')),
    within: 3,
  },
  ...Object.entries(needPersonAtOnce).flatMap(([alarm, codes]) =>
    codes.map((code) => ({
      alarm,
      happens: (world: World) => world.message('documents', once(code)),
      within: 3,
    })),
  ),
  ...waitCodes.map((code) => ({
    alarm: `Waiting${code}`,
    happens: (world: World) =>
      world.message('documents', failsFor(world, waitingAfterMs + 2 * minuteMs, code)),
    within: 15,
  })),
  { alarm: 'WebhookServerErrors', happens: (world) => world.webhookServerError(), within: 3 },
  {
    alarm: 'WebhooksRefused',
    happens: (world) => {
      for (let count = 0; count < 3; count += 1) world.refusedWebhook();
    },
    within: 3,
  },
  {
    alarm: 'SweepMissing',
    happens: (world) => {
      world.setSweeping(false);
      world.after(30 * minuteMs, () => world.setSweeping(true));
    },
    within: 13,
  },
  ...(['Webhook', 'Discover', 'Archive'] as const).flatMap((name): Cause[] => [
    { alarm: `${name}Errors`, happens: (world) => world.lambdaMetric(name, 'Errors', 1), within: 3 },
    { alarm: `${name}Throttles`, happens: (world) => world.lambdaMetric(name, 'Throttles', 1), within: 3 },
    { alarm: `${name}Slow`, happens: (world) => world.lambdaMetric(name, 'Duration', 299_000), within: 3 },
  ]),
  ...(['Discover', 'Archive'] as const).map((name) => ({
    alarm: `${name}RecursionStopped`,
    happens: (world: World) => world.lambdaMetric(name, 'RecursiveInvocationsDropped', 1),
    within: 3,
  })),
];

describe('Each alarm of the template', () => {
  test.each(causes)(
    '$alarm rings for its cause, alone, and again for the next one',
    async ({ alarm, happens, within, also = [] }) => {
      const world = await settledWorld();

      const rangFor = async () => {
        const since = world.now();
        happens(world);
        await world.pass(3 * hourMs);
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

  test('has a cause above', () => {
    const { view, stage } = synthesized;

    const alarms = alarmsOf(view, stage.name).map(({ name }) => name);

    expect([...new Set(causes.map(({ alarm }) => alarm))].sort()).toEqual(alarms.sort());
  });
});

describe.each([0, 2, 5])('Where CloudWatch looks at %i further periods', (furtherPeriods) => {
  test('no alarm rings on a day of healthy work with passing trouble of every kind', async () => {
    const world = await settledWorld({ furtherPeriods });
    const since = world.now();

    for (const [position, code] of waitCodes.entries()) {
      // A quarter of an hour apart, each for seven minutes, with documents that come in meanwhile.
      for (const lane of laneNames) world.message(lane, failsFor(world, 7 * minuteMs, code));
      await world.pass(3 * minuteMs);
      for (const lane of laneNames) world.message(lane, failsFor(world, 4 * minuteMs, code));
      world.upload(id(position), 3 * minuteMs);
      await world.pass(12 * minuteMs);
    }
    for (const code of ['LinkExpired', 'UnexpectedResponse', 'OrderGone'] as const) {
      world.message('documents', once(code));
    }
    world.refusedWebhook();
    world.refusedWebhook();
    // A large backfill, which takes a week and leaves half of Telnyx's rate limit to live work.
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

  test.each(laneNames)('each new dead letter of %s rings, whatever rests in the queue', async (lane) => {
    const world = await settledWorld({ furtherPeriods });
    const since = world.now();
    const alarm = `${title(lane)}DeadLetters`;

    for (let letter = 0; letter < 5; letter += 1) {
      world.message(lane, () => 'DocumentGone');
      await world.pass(10 * minuteMs);
    }

    const rang = world.rangSince(since)[alarm] ?? [];
    expect(rang).toHaveLength(5);
    rang.forEach((minute, letter) => {
      expect(minute).toBeGreaterThan(letter * 10);
      expect(minute).toBeLessThanOrEqual(letter * 10 + 3);
    });
    expect(world.endedSince(since)).toEqual([]);
  });
});

describe('Letters that no function sent', () => {
  test('ring as soon as SQS publishes the depth of the queue, and each time there are more', async () => {
    const world = await settledWorld();
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

  test('do not ring again while they rest, are looked at or are taken out', async () => {
    const world = await settledWorld();
    for (let letter = 0; letter < 3; letter += 1) world.queues.documents.add();
    await world.pass(hourMs);
    const since = world.now();

    await world.pass(24 * hourMs);
    world.queues.documents.look(30_000);
    await world.pass(hourMs);
    world.queues.documents.look(5 * minuteMs);
    await world.pass(hourMs);
    world.queues.documents.remove();
    await world.pass(hourMs);

    expect(world.cloudWatch.notifications(since)).toEqual([]);
  });
});

describe('A backfill that outlasts what its queues keep', () => {
  test.each(['backfill', 'spans'] as const)(
    'rings two days before SQS deletes a message of %s, and once while the oldest ones are received',
    async (lane) => {
      const world = await settledWorld();
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
      // SQS may as well have deleted them.
      expect(world.endedSince(since)).toEqual([]);
    },
  );
});

describe('Documents that are overdue', () => {
  test.each([{ logDelayMs: 0 }, { logDelayMs: 30_000 }, { logDelayMs: 2 * minuteMs }])(
    'ring once while more of them follow, again for the next one, and tell of no end, %o',
    async (options) => {
      const world = await settledWorld(options);
      const since = world.now();

      // One document every two minutes, none of them archived in time, for an hour; and one more later.
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
      // Counted by the next five-minute sweep at ten minutes of age, and published.
      expect(rang[0]).toBeLessThanOrEqual(18);
      expect((rang[1] ?? 0) - 120).toBeLessThanOrEqual(18);
      expect(world.endedSince(since)).toEqual([]);
    },
  );

  test('do not ring if they are archived nine minutes after their upload', async () => {
    const world = await settledWorld();
    const since = world.now();

    for (let count = 0; count < 30; count += 1) {
      world.upload(id(count), 9 * minuteMs);
      await world.pass(2 * minuteMs);
    }
    await world.pass(hourMs);

    expect(world.cloudWatch.notifications(since)).toEqual([]);
  });
});

describe('Messages that wait', () => {
  test.each(laneNames)('ring once with a single message in %s, and tell of the end', async (lane) => {
    const world = await settledWorld();
    const since = world.now();

    world.message(lane, failsFor(world, 6 * hourMs, 'TelnyxUnavailable'));
    await world.pass(8 * hourMs);

    const { WaitingTelnyxUnavailable: rang = [], ...others } = world.rangSince(since);
    expect(others).toEqual({});
    expect(rang).toHaveLength(1);
    // Live messages are received every two minutes; others at twice their age, so at 20 minutes at the latest.
    expect(rang[0]).toBeLessThanOrEqual(lane === 'documents' || lane === 'discovery' ? 15 : 21);
    expect(world.endedSince(since)).toEqual(['WaitingTelnyxUnavailable']);
  });

  test('ring within a quarter of an hour with one live document, whatever the waits', async () => {
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

  test.each(atOnce)('ring at once for %s, and once in a day of outage', async (code) => {
    const world = await settledWorld();
    const since = world.now();

    world.message('backfill', failsFor(world, 24 * hourMs, code));
    await world.pass(26 * hourMs);

    const [alarm = ''] = Object.entries(needPersonAtOnce).find(([, codes]) => codes.includes(code)) ?? [];
    const { [alarm]: rang = [], ...others } = world.rangSince(since);
    expect(others).toEqual({});
    expect(rang).toHaveLength(1);
    expect(rang[0]).toBeLessThanOrEqual(3);
    expect(world.endedSince(since)).toEqual([alarm]);
  });
});

describe('Sweeps', () => {
  test('ring within 13 minutes of the last one, and tell of the end', async () => {
    const world = await settledWorld();
    const since = world.now();

    world.setSweeping(false);
    await world.pass(hourMs);
    world.setSweeping(true);
    await world.pass(hourMs);

    expect(world.rangSince(since)).toEqual({ SweepMissing: [expect.any(Number)] });
    expect(world.rangSince(since).SweepMissing?.[0]).toBeLessThanOrEqual(13);
    expect(world.endedSince(since)).toEqual(['SweepMissing']);
  });

  test('do not ring if they stop for five minutes', async () => {
    const world = await settledWorld();
    const since = world.now();

    world.setSweeping(false);
    await world.pass(5 * minuteMs);
    world.setSweeping(true);
    await world.pass(hourMs);

    expect(world.cloudWatch.notifications(since)).toEqual([]);
  });

  test('ring where there has never been one', async () => {
    const world = createWorld(synthesized);

    world.setSweeping(false);
    await world.pass(20 * minuteMs);

    expect(world.cloudWatch.inAlarm()).toEqual(['SweepMissing']);
  });
});

describe('Archivers with other names in the same account', () => {
  test('have metrics of their own', () => {
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
