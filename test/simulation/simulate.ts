/** One simulation: a deployment from the first document to the last redrive. */
import type { APIGatewayProxyEventV2, SQSEvent } from 'aws-lambda';
import { documentKey } from '../../functions/bucket/keys.ts';
import { concurrency, timeouts } from '../../functions/limits.ts';
import { VirtualClock } from '../fakes/clock.ts';
import type { Account, AccountDocument } from './account.ts';
import {
  type Archiver,
  type SimulatedDeployment,
  startArchive,
  startDiscover,
  startWebhook,
} from './archiver.ts';
import { BreakGlassOperator } from './break-glass-operator.ts';
import type { SimulationContext } from './context.ts';
import { EventLog } from './event-log.ts';
import { connect } from './event-source.ts';
import { FaultInjector, type FaultProfile } from './faults.ts';
import {
  checkArchived,
  checkConservation,
  checkEnds,
  checkErasures,
  checkInTime,
  checkQueuesEmpty,
} from './final-checks.ts';
import { InvariantMonitor, type WorldState } from './invariant-monitor.ts';
import { LambdaFunction } from './lambda.ts';
import { isUnreadable, Operator } from './operator.ts';
import { ordersOf } from './orders.ts';
import { type Outcome, outcomeOf, reportUnhandledErrors } from './outcome.ts';
import { createRandom, type RandomSource } from './random.ts';
import { lowOrderPublicKey, Signer } from './signer.ts';
import type { TelnyxBehaviour } from './telnyx-api.ts';
import { replaceTimers } from './timers.ts';
import { Webhooks } from './webhooks.ts';
import { createSimulatedWorld } from './world.ts';

export interface Simulation {
  seed: number;
  documents: number;
  profile: FaultProfile;
  archiver: Archiver;
  /** Whether every document must be archived before Telnyx deletes it: impossible under some fault profiles. */
  expectInTime?: boolean;
  /** Whether a backfill of many spans runs from the start. */
  withLargeBackfill?: boolean;
  /** Ends the simulation early. */
  signal?: AbortSignal;
}

const minute = 60_000;
const day = 24 * 60 * minute;
/** How long documents are created and faults occur. */
const faultsMs = 70 * minute;
/** Enough for the five-minute sweep to queue documents that are ten minutes old, and for one failed discovery. */
const recoveryMs = 16 * minute;
/** Enough for the hourly sweep to queue missed documents at an age of 25 to 26 hours. */
const quietMs = 26 * 60 * minute + 10 * minute;
/** Enough to retry a document until it is a dead letter again, and to read a span again. */
const redriveMs = 45 * minute;
/** How much later erased documents are delivered once more. */
const lateMs = 10 * day;
const archiveBucket = { name: 'archive', owner: '123456789012' };

export async function simulate(simulation: Simulation): Promise<Outcome> {
  const random = createRandom(`seed ${simulation.seed}`);
  const start =
    Date.parse('2026-11-24T00:00:00Z') + random.integer(0, 7 * 24 * 60) * minute + random.integer(0, 59_999);
  const clock = new VirtualClock(start);
  const eventLog = new EventLog(clock);
  const monitor = new InvariantMonitor(clock, eventLog);
  const restoreTimers = replaceTimers(clock);
  const stopReporting = reportUnhandledErrors(monitor);
  try {
    // The labels of `fork` are part of the seed: another label would change every run.
    const injector = new FaultInjector(
      random.fork('weather'),
      () => clock.monotonic(),
      simulation.profile,
      faultsMs,
    );
    const context: SimulationContext = { clock, random: random.fork('events'), injector, eventLog, monitor };
    const world = createSimulatedWorld(context, random.fork('account'));
    monitor.attach(world);
    const stopped = () => monitor.violation !== undefined || simulation.signal?.aborted === true;
    await runPhases(simulation, world, context, random, stopped);
    return outcomeOf(simulation, world, context, start);
  } finally {
    stopReporting();
    restoreTimers();
  }
}

async function runPhases(
  simulation: Simulation,
  world: WorldState,
  context: SimulationContext,
  random: RandomSource,
  stopped: () => boolean,
): Promise<void> {
  const { clock, injector } = context;
  const start = clock.now();
  const faultsEndAt = start + faultsMs;
  const quietUntil = faultsEndAt + quietMs;
  const end = quietUntil + redriveMs;
  const operator = new Operator(world, context);
  const signer = new Signer(random.fork('signer'));
  const webhook = deploy(simulation, world, context, signer, random.fork('habits'), faultsEndAt);
  const webhooks = new Webhooks(webhook, signer, context);
  const breakGlassOperator = new BreakGlassOperator(
    {
      archiver: simulation.archiver,
      bucket: { ...archiveBucket, store: world.store },
      world,
      webhooks,
      random: random.fork('erasures'),
      deliveriesUntil: quietUntil - redriveMs,
    },
    context,
  );

  populate(simulation.documents, world, webhooks, context, random.fork('documents'));
  operator.sweepUntil(end);
  if (simulation.withLargeBackfill) operator.backfillManySpans(start - 4 * day, start);
  else operator.backfill(start - 4 * day, start);
  rotateApiKey(world.account, context, random.fork('keys'), faultsEndAt);
  for (let at = start + minute; at < faultsEndAt; at += minute) {
    clock.at(at, () => {
      webhooks.sendUnrelatedEvents();
      operator.makeMistakes();
      breakGlassOperator.work();
    });
  }
  for (let at = start + 10 * minute; at < faultsEndAt; at += 10 * minute) {
    clock.at(at, () => {
      if (injector.shouldInject('operator-redrives-early')) operator.redrive();
      operator.backfillAgain(start - 4 * day, start);
    });
  }
  clock.at(faultsEndAt, () => injector.stop());

  const isRecent = ({ createdAt }: AccountDocument) => createdAt > faultsEndAt - 10 * minute;
  await clock.run(faultsEndAt + recoveryMs, stopped);
  if (!stopped()) checkArchived(world, context, isRecent);
  await clock.run(quietUntil, stopped);
  if (!stopped()) {
    checkArchived(world, context, ({ createdAt }) => createdAt >= start);
    checkQueuesEmpty(world, context);
    operator.redrive();
  }
  await clock.run(end, stopped);
  if (stopped()) return;
  const erased = [...context.monitor.erasures.erased].flatMap((id) => world.account.documents.get(id) ?? []);
  if (erased.length > 0) {
    // A person has acted on the messages that wait.
    for (const queue of Object.values(world.queues)) queue.purge();
    await clock.run(end + lateMs, stopped);
    webhooks.announce(erased);
    for (const order of world.account.ordersOf(erased)) webhooks.announceOrders([order]);
    operator.backfill(start - 4 * day, faultsEndAt);
    operator.redrive();
    await clock.run(end + lateMs + redriveMs, stopped);
    if (stopped()) return;
  }
  checkArchived(world, context, () => true);
  checkQueuesEmpty(world, context);
  checkConservation(world, context);
  checkEnds(world, context);
  checkErasures(breakGlassOperator.erasures, context);
  if (simulation.expectInTime) checkInTime(world, context);
}

/** Deploys the three functions and their event sources. @returns the webhook function */
function deploy(
  { archiver, withLargeBackfill = false }: Simulation,
  world: WorldState,
  context: SimulationContext,
  signer: Signer,
  random: RandomSource,
  faultsEndAt: number,
) {
  const { clock, injector, eventLog, monitor } = context;
  const deployment: SimulatedDeployment = {
    archiver,
    account: world.account,
    behaviour: behaviourOf(random, injector, withLargeBackfill),
    bucket: { ...archiveBucket, store: world.store },
    world,
    context,
  };
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
  // Containers with a wrong clock are replaced when faults stop.
  clock.at(faultsEndAt, () => {
    archive.replaceContainers();
    discover.replaceContainers();
  });
  const { batchSize } = concurrency;
  for (const [lane, target] of [
    ['documents', archive],
    ['backfill', archive],
    ['discovery', discover],
    ['spans', discover],
  ] as const) {
    connect(
      { queue: world.queues[lane], target, maximumConcurrency: concurrency[lane], batchSize, isUnreadable },
      context,
    );
  }

  let publicKeys = signer.current.publicKey;
  const target = new LambdaFunction<APIGatewayProxyEventV2>(
    {
      name: 'webhook',
      timeoutMs: timeouts.webhookMs,
      start: (container) => startWebhook(container, deployment, publicKeys),
    },
    context,
  );
  /** If the settings are invalid, the deployment fails and the previous one continues. */
  const redeploy = (keys: string) => {
    try {
      archiver.readWebhookSettings({
        ARCHIVER_NAME: 'simulated',
        DOCUMENTS_QUEUE_URL: world.queues.documents.url,
        DISCOVERY_QUEUE_URL: world.queues.discovery.url,
        TELNYX_PUBLIC_KEYS: keys,
      });
    } catch (error) {
      eventLog.add('webhook', `deployment fails: ${error instanceof Error ? error.name : 'an error'}`);
      return;
    }
    publicKeys = keys;
    if (keys.includes(signer.current.publicKey)) signer.usesUndeployedKey = false;
    target.replaceContainers();
    eventLog.add('webhook', 'is deployed again');
  };
  for (const at of [10, 20, 30, 40, 50, 60]) {
    clock.after(at * minute, () => {
      if (!injector.shouldInject('low-order-key-configured')) return;
      redeploy(`${publicKeys},${lowOrderPublicKey}`);
      if (publicKeys.includes(lowOrderPublicKey)) {
        monitor.report('forged-is-rejected', 'webhook', 'a low-order point is deployed as public key');
      }
    });
  }
  if (injector.shouldInjectUncounted('signing-key-rotated')) {
    clock.after(random.between(5, 50) * minute, () => {
      signer.current = signer.next;
      signer.usesUndeployedKey = !publicKeys.includes(signer.next.publicKey);
      eventLog.add('Telnyx', 'signs with another key');
    });
    const deployedAt = clock.now() + random.between(5, 65) * minute;
    clock.at(Math.min(deployedAt, faultsEndAt), () => redeploy(`${publicKeys},${signer.next.publicKey}`));
  }
  return target;
}

function behaviourOf(random: RandomSource, injector: FaultInjector, statesLimit: boolean): TelnyxBehaviour {
  const second = 1_000;
  return {
    pageRows: injector.shouldInjectUncounted('list-page-size-ignored') ? 20 : 250,
    filtered: random.pick([
      (instant: number) => instant,
      (instant: number) => Math.floor(instant / second) * second,
      (instant: number) => Math.round(instant / second) * second,
    ]),
    inclusive: random.chance(0.5),
    limit:
      statesLimit || injector.shouldInjectUncounted('telnyx-enforces-rate-limit')
        ? {
            perSecond: random.pick([20, 50]),
            reset: random.pick(['exact', 'down', 'up', 'unstated']),
            window: { second: -1, used: 0, byLowLanes: 0 },
          }
        : undefined,
  };
}

/** Rotates the API key; the secret is updated from one minute before to 15 minutes after. */
function rotateApiKey(
  account: Account,
  { clock, injector, eventLog }: SimulationContext,
  random: RandomSource,
  faultsEndAt: number,
): void {
  if (!injector.shouldInjectUncounted('api-key-rotated')) return;
  const rotated = account.newApiKey();
  const update = () => {
    const right = account.apiKey === account.secret.text;
    account.secret.rightSince = right ? clock.monotonic() : Number.POSITIVE_INFINITY;
  };
  const at = clock.now() + random.between(5, 50) * minute;
  clock.at(at, () => {
    account.apiKey = rotated;
    eventLog.add('Telnyx', 'accepts another API key only');
    update();
  });
  clock.at(Math.min(faultsEndAt, at + random.between(-1, 15) * minute), () => {
    account.secret.text = rotated;
    eventLog.add('the secret', 'holds another API key');
    update();
  });
}

/** Creates documents alone or in groups of an order or event, sometimes many within one second. */
function populate(
  count: number,
  world: WorldState,
  webhooks: Webhooks,
  context: SimulationContext,
  random: RandomSource,
): void {
  const { account } = world;
  const { clock, monitor } = context;
  const start = clock.now();
  const oldCount = Math.floor(count / 10);
  for (let made = 0; made < oldCount; made += 1) {
    const createdAt = start - random.integer(1, 3.8 * day);
    occupyKey(account.add(createdAt, createdAt, context.injector, true), world, context);
  }
  const burstAt = start + random.integer(0, 60) * minute;
  const burstShare = random.pick([0, 0.3, 0.6]);
  for (let made = oldCount; made < count; ) {
    const inBurst = random.chance(burstShare);
    const size = Math.min(count - made, random.integer(1, 8));
    const from = inBurst ? burstAt : start + random.integer(0, faultsMs - 5 * minute);
    const spreadMs = inBurst ? 900 : random.pick([0, 1_000, 3 * minute]);
    const moments = Array.from({ length: size }, () => from + random.integer(0, spreadMs));
    made += size;
    const last = Math.max(...moments);
    const announcedAt = last + random.integer(-200, 90_000);
    const announcedBy = random.pick(['event', 'order', 'order', 'nothing'] as const);
    const group = moments.map((createdAt) => {
      const linked = announcedBy === 'order' || random.chance(0.4);
      const linkedAt = linked ? createdAt + random.integer(0, 25 * minute) : undefined;
      return account.add(createdAt, linkedAt, context.injector);
    });
    for (const document of group) {
      occupyKey(document, world, context);
      clock.at(document.createdAt + 16 * minute, () => monitor.checkAlarm(document));
    }
    if (announcedBy === 'event') clock.at(announcedAt, () => webhooks.announce(group));
    if (announcedBy === 'order') {
      const orders = ordersOf(group, last, random);
      for (const order of orders) account.orders.set(order.id, order);
      clock.at(Math.max(last + 1, announcedAt), () => webhooks.announceOrders(orders));
    }
  }
  account.sortByCreation();
}

/** Sometimes another writer has stored an object at the key of the document. */
function occupyKey(
  { id, bytes, expectedFailure }: AccountDocument,
  { store }: WorldState,
  { injector, monitor }: SimulationContext,
): void {
  if (expectedFailure !== undefined) return;
  const key = documentKey(id);
  if (injector.shouldInject('s3-key-holds-other-bytes')) {
    monitor.collided.add(id);
    const body = Buffer.concat([bytes, Buffer.from('!')]);
    store.put(key, body, { verified: id < '8' ? body : undefined });
  } else if (injector.shouldInject('s3-key-holds-same-bytes')) store.put(key, bytes);
}
