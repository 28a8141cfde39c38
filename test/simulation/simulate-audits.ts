/**
 * One simulation of the nightly audit: some nights with faults while the archive grows and documents are erased and held,
 * then some without. In one of these the archive is damaged.
 */
import type { SQSEvent } from 'aws-lambda';
import { documentIdOfReceipt, receiptKey, receiptPrefix } from '../../functions/bucket/keys.ts';
import { concurrency, nightlyAudit, timeouts } from '../../functions/limits.ts';
import { VirtualClock } from '../fakes/clock.ts';
import type { AccountDocument, Order } from './account.ts';
import {
  type Archiver,
  type SimulatedDeployment,
  startArchive,
  startAudit,
  startDiscover,
} from './archiver.ts';
import { BreakGlassOperator } from './break-glass-operator.ts';
import type { SimulationContext } from './context.ts';
import { EventLog } from './event-log.ts';
import { connect } from './event-source.ts';
import { FaultInjector, type FaultProfile } from './faults.ts';
import { checkConservation, checkErasures, checkQueuesEmpty } from './final-checks.ts';
import { InvariantMonitor, type WorldState } from './invariant-monitor.ts';
import { LambdaFunction } from './lambda.ts';
import { isUnreadable, Operator } from './operator.ts';
import { ordersOf } from './orders.ts';
import { type Outcome, outcomeOf, reportUnhandledErrors } from './outcome.ts';
import { createRandom, type RandomSource } from './random.ts';
import type { Bucket } from './s3-client.ts';
import { replaceTimers } from './timers.ts';
import { vandalise } from './vandal.ts';
import { createSimulatedWorld } from './world.ts';

export interface AuditSimulation {
  seed: number;
  /** Documents that are at Telnyx at the beginning. About three a day are added. */
  documents: number;
  profile: FaultProfile;
  archiver: Archiver;
  /** Ends the simulation early. */
  signal?: AbortSignal;
}

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const firstDay = Date.parse('2026-11-24T00:00:00Z');
/** Days within which every object is read back once. */
const fixityDays = 14;
const faultyNights = 7;
/** Interrupted erasures are finished, and no part of an earlier run is under way. */
const calmNights = 2;
const nights = faultyNights + calmNights + fixityDays + 1;

export async function simulateAudits(simulation: AuditSimulation): Promise<Outcome> {
  const random = createRandom(`audit seed ${simulation.seed}`);
  const clock = new VirtualClock(firstDay);
  const eventLog = new EventLog(clock);
  const monitor = new InvariantMonitor(clock, eventLog);
  const restoreTimers = replaceTimers(clock);
  const stopReporting = reportUnhandledErrors(monitor);
  try {
    // Outages begin and end at night: only this time counts. One that has not ended by morning lasts until the evening.
    const nightMs = 2 * hour;
    const elapsed = () => {
      const sinceMidnight = clock.monotonic() % day;
      const beforeNight = nightlyAudit.hour * hour - hour / 2;
      const night = Math.floor(clock.monotonic() / day);
      return night * nightMs + Math.min(nightMs, Math.max(0, sinceMidnight - beforeNight));
    };
    const injector = new FaultInjector(
      random.fork('weather'),
      elapsed,
      simulation.profile,
      faultyNights * nightMs,
    );
    const context: SimulationContext = { clock, random: random.fork('events'), injector, eventLog, monitor };
    const world = createSimulatedWorld(context, random.fork('account'));
    monitor.attach(world);
    const stopped = () => monitor.violation !== undefined || simulation.signal?.aborted === true;
    await runNights(simulation, world, context, random, stopped);
    return outcomeOf(simulation, world, context, firstDay);
  } finally {
    stopReporting();
    restoreTimers();
  }
}

async function runNights(
  { archiver, documents }: AuditSimulation,
  world: WorldState,
  context: SimulationContext,
  random: RandomSource,
  stopped: () => boolean,
): Promise<void> {
  const { clock, injector, monitor } = context;
  const faultsEndAt = firstDay + faultyNights * day;
  const end = firstDay + nights * day;
  const owner = '123456789012';
  const bucket: Bucket = { name: 'archive', owner, store: world.store };
  const catalogue: Bucket = { name: 'catalogue', owner, store: world.catalogue };
  deploy({ archiver, bucket, catalogue, world, context }, random.fork('habits'), faultsEndAt);
  const announce = (some: readonly AccountDocument[]) => {
    for (const { id } of some) requestDocument(id, world, clock.now());
    for (const order of world.account.ordersOf(some)) requestOrder(order, world, clock.now());
  };
  populate(documents, world, context, random.fork('documents'), announce);
  const operator = new Operator(world, context);
  const breakGlassOperator = new BreakGlassOperator(
    {
      archiver,
      bucket,
      catalogue,
      world,
      webhooks: { announce },
      random: random.fork('erasures'),
      deliveriesUntil: end,
    },
    context,
  );
  monitor.audits.isBeingChanged = (id) => breakGlassOperator.isChanging(id);

  for (let night = 0; night < nights; night += 1) {
    const midnight = firstDay + night * day;
    const startsAt = midnight + nightlyAudit.hour * hour;
    clock.at(startsAt - minute, () => {
      bucket.hazardOf ??= createHazard(world, context);
    });
    scheduleAudit(startsAt, world, context);
    for (let at = midnight; at < midnight + day; at += hour) clock.at(at, () => breakGlassOperator.work());
    for (let at = startsAt; at < startsAt + hour / 4; at += minute)
      clock.at(at, () => breakGlassOperator.work());
    clock.at(midnight + 20 * hour, () => {
      // Most last for two nights or more, so that a run does not end before the next one starts.
      if (night >= faultyNights - 1 || random.chance(0.3)) delete bucket.hazardOf;
      operator.redrive();
      announce(
        [...world.account.documents.values()].filter((document) => isDue(document, world, clock.now())),
      );
    });
    const isLastNightOfFaults = night === faultyNights - 1;
    await clock.run(isLastNightOfFaults ? midnight + 21 * hour : midnight + day, stopped);
    if (isLastNightOfFaults) {
      injector.stop();
      operator.redrive();
      await clock.run(midnight + day, stopped);
    }
    if (stopped()) return;
    monitor.audits.checkNight();
    if (night >= faultyNights) monitor.audits.checkCompleted();
    if (night === faultyNights + calmNights - 1) {
      const intact = archived(world).filter((id) => !breakGlassOperator.erasures.has(id));
      vandalise(intact, world, context);
    }
  }
  monitor.audits.checkDamages();
  checkQueuesEmpty(world, context);
  checkConservation(world, context);
  checkErasures(breakGlassOperator.erasures, context);
}

/** Deploys the archive, the discover and the audit function with their event sources. */
function deploy(
  {
    archiver,
    bucket,
    catalogue,
    world,
    context,
  }: Omit<SimulatedDeployment, 'account' | 'behaviour'> & { catalogue: Bucket },
  random: RandomSource,
  faultsEndAt: number,
): void {
  const { clock } = context;
  const deployment: SimulatedDeployment = {
    archiver,
    account: world.account,
    behaviour: {
      pageRows: random.pick([20, 250]),
      filtered: (instant) => instant,
      inclusive: true,
      limit: undefined,
    },
    bucket,
    world,
    context,
  };
  const variables = { FIXITY_DAYS: String(fixityDays), REPAIR: String(random.chance(0.5)) };
  const archive = new LambdaFunction<SQSEvent>(
    {
      name: 'archive',
      timeoutMs: timeouts.archiveMs,
      start: (container) => startArchive(container, deployment),
    },
    context,
  );
  const discover = new LambdaFunction<SQSEvent>(
    {
      name: 'discover',
      timeoutMs: timeouts.discoverMs,
      start: (container) => startDiscover(container, deployment),
    },
    context,
  );
  const auditFunction = new LambdaFunction<SQSEvent>(
    {
      name: 'audit',
      timeoutMs: timeouts.auditMs,
      start: (container) => startAudit(container, { ...deployment, catalogue }, variables),
    },
    context,
  );
  // Containers with a wrong clock are replaced when faults stop.
  clock.at(faultsEndAt - 3 * hour, () => {
    archive.replaceContainers();
    discover.replaceContainers();
    auditFunction.replaceContainers();
  });
  for (const [lane, target, batchSize] of [
    ['documents', archive, concurrency.batchSize],
    ['backfill', archive, concurrency.batchSize],
    ['discovery', discover, concurrency.batchSize],
    ['audit', auditFunction, 1],
  ] as const) {
    const queue = world.queues[lane];
    connect({ queue, target, maximumConcurrency: concurrency[lane], batchSize, isUnreadable }, context);
  }
}

/** The schedule, and an operator who starts runs by hand. */
function scheduleAudit(startsAt: number, { queues }: WorldState, context: SimulationContext): void {
  const { clock, random, injector } = context;
  const start = (requestedAt: number) => {
    const message = { v: 1, kind: 'audit-start', requestedAt: new Date(requestedAt).toISOString() };
    queues.audit.send(JSON.stringify(message));
  };
  clock.at(startsAt, () => {
    if (injector.shouldInject('audit-start-skipped')) return;
    start(startsAt);
    if (injector.shouldInject('audit-start-repeated'))
      clock.after(random.between(0, 2 * minute), () => start(startsAt));
    if (injector.shouldInject('audit-started-by-hand')) {
      const at = startsAt + random.between(1, random.pick([4, 180])) * 1_000;
      clock.at(at, () => start(at));
    }
  });
}

/** Chooses the objects that the audit function cannot read tonight. */
function createHazard(
  world: WorldState,
  { random, injector }: SimulationContext,
): NonNullable<Bucket['hazardOf']> {
  const { objects } = world.store.list('', '', Number.POSITIVE_INFINITY);
  const hazards = new Map<string, ReturnType<NonNullable<Bucket['hazardOf']>>>();
  for (const hazard of ['audit-object-kills-function', 'audit-object-unreadable'] as const) {
    const readable = objects.filter(({ key }) => /^(documents|receipts|holds)\//.test(key));
    if (readable.length > 0 && injector.shouldInject(hazard)) hazards.set(random.pick(readable).key, hazard);
  }
  return (key) => hazards.get(key);
}

/** Documents at the beginning and, until the last night of faults, about three a day, one of them during the audit. */
function populate(
  count: number,
  { account }: WorldState,
  { clock, injector }: SimulationContext,
  random: RandomSource,
  announce: (documents: readonly AccountDocument[]) => void,
): void {
  const add = (createdAt: number) => {
    const linkedAt = random.chance(0.8) ? createdAt + random.integer(0, 20 * minute) : undefined;
    const document = account.add(createdAt, linkedAt, injector);
    if (random.chance(0.5)) {
      for (const order of ordersOf([document], createdAt, random)) account.orders.set(order.id, order);
    }
    clock.at(createdAt + random.between(0, 2) * minute, () => announce([document]));
  };
  for (let made = 0; made < count; made += 1) add(firstDay + random.integer(0, hour));
  for (let night = 0; night < faultyNights; night += 1) {
    const midnight = firstDay + night * day;
    add(midnight + nightlyAudit.hour * hour + random.integer(-5 * minute, 5 * minute));
    for (let made = random.integer(1, 3); made > 0; made -= 1) add(midnight + random.integer(0, 20 * hour));
  }
  account.sortByCreation();
}

function requestOrder({ id, kind }: Order, { queues }: WorldState, now: number): void {
  const requestedAt = new Date(now).toISOString();
  queues.discovery.send(JSON.stringify({ v: 1, kind, orderId: id, requestedAt }));
}

function requestDocument(documentId: string, { queues }: WorldState, now: number): void {
  const requestedAt = new Date(now).toISOString();
  queues.documents.send(
    JSON.stringify({ v: 1, kind: 'document', documentId, trigger: 'webhook', requestedAt }),
  );
}

/** Whether Telnyx has the document and the archive does not. */
function isDue(document: AccountDocument, { account, store }: WorldState, now: number): boolean {
  return (
    document.expectedFailure === undefined &&
    account.exists(document, now) &&
    store.current(receiptKey(document.id)) === undefined
  );
}

function archived({ store }: WorldState): string[] {
  const { objects } = store.list(receiptPrefix, '', Number.POSITIVE_INFINITY);
  return objects.flatMap(({ key }) => documentIdOfReceipt(key) ?? []);
}
