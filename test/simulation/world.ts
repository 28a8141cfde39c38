/** One simulated deployment, from its first document to the last redrive. */
import type { APIGatewayProxyEventV2, SQSEvent } from 'aws-lambda';
import { documentKey } from '../../functions/bucket/keys.ts';
import { concurrency, receives, timeouts, visibilityPerTimeout } from '../../functions/limits.ts';
import { VirtualClock } from '../fakes/clock.ts';
import { Account, type AccountDocument, type Order, type Place } from './account.ts';
import { type Archiver, type Neighbourhood, startArchive, startDiscover, startWebhook } from './archiver.ts';
import { connect } from './event-source.ts';
import { type Climate, type FaultCounts, Weather } from './faults.ts';
import { type Breach, invariants } from './invariants.ts';
import { Journal } from './journal.ts';
import { LambdaFunction } from './lambda.ts';
import { ObjectStore } from './object-store.ts';
import { isUnreadable, Operator } from './operator.ts';
import { Queue } from './queue.ts';
import { createRandom, type RandomSource } from './random.ts';
import { lowOrderPublicKey, Signer } from './signer.ts';
import type { Surroundings } from './surroundings.ts';
import type { Habits } from './telnyx-api.ts';
import { replaceTimers } from './timers.ts';
import { checkArchived, checkConservation, checkEnds, checkInTime, checkQueuesEmpty } from './verdict.ts';
import { type Scene, Watch } from './watch.ts';
import { Webhooks } from './webhooks.ts';

export interface Simulation {
  seed: number;
  documents: number;
  climate: Climate;
  archiver: Archiver;
  /** Whether every document must be archived before Telnyx deletes it: not to be had in every weather. */
  inTime?: boolean;
  /** Whether a backfill of very many spans runs from the beginning on. */
  backfillsYears?: boolean;
  /** Ends the run before its time. */
  signal?: AbortSignal;
}

export interface Outcome {
  seed: number;
  documents: number;
  archived: number;
  counts: FaultCounts;
  /** SHA-256 of the event log. */
  digest: string;
  events: number;
  breach: Breach | undefined;
  /** Empty where nothing is broken. */
  story: string[];
  /** Milliseconds from creation to receipt, of documents that were created during the run, in order. */
  latencies: number[];
  lines(): Generator<string>;
}

const minute = 60_000;
const day = 24 * 60 * minute;
/** How long documents come, and how long the weather lasts. */
const weatherMs = 70 * minute;
/** The second chance of what is ten minutes old by then, and a discovery that fails once. */
const recoveryMs = 16 * minute;
/** The last chance of what sweeps have missed, at an age of 25 to 26 hours. */
const quietMs = 26 * 60 * minute + 10 * minute;
/** A document's own fault, and a span anew. */
const redriveMs = 45 * minute;

export async function simulate(simulation: Simulation): Promise<Outcome> {
  const random = createRandom(`seed ${simulation.seed}`);
  const start =
    Date.parse('2026-11-24T00:00:00Z') + random.integer(0, 7 * 24 * 60) * minute + random.integer(0, 59_999);
  const clock = new VirtualClock(start);
  const journal = new Journal(clock);
  const watch = new Watch(clock, journal);
  const giveBack = replaceTimers(clock);
  const stopWatching = watchProcess(watch);
  try {
    const weather = new Weather(
      random.fork('weather'),
      () => clock.monotonic(),
      simulation.climate,
      weatherMs,
    );
    const surroundings: Surroundings = { clock, random: random.fork('events'), weather, journal, watch };
    const scene = createScene(surroundings, random.fork('account'));
    watch.lookAt(scene);
    const stopped = () => watch.breach !== undefined || simulation.signal?.aborted === true;
    await live(simulation, scene, surroundings, random, stopped);
    return outcomeOf(simulation, scene, surroundings, start);
  } finally {
    stopWatching();
    giveBack();
  }
}

async function live(
  simulation: Simulation,
  scene: Scene,
  surroundings: Surroundings,
  random: RandomSource,
  stopped: () => boolean,
): Promise<void> {
  const { clock, weather } = surroundings;
  const start = clock.now();
  const clearsUpAt = start + weatherMs;
  const quietUntil = clearsUpAt + quietMs;
  const end = quietUntil + redriveMs;
  const operator = new Operator(scene, surroundings);
  const signer = new Signer(random.fork('signer'));
  const webhook = deploy(simulation, scene, surroundings, signer, random.fork('habits'), clearsUpAt);
  const webhooks = new Webhooks(webhook, signer, surroundings);

  populate(simulation.documents, scene, webhooks, surroundings, random.fork('documents'));
  operator.sweepUntil(end);
  if (simulation.backfillsYears) operator.backfillYears(start - 4 * day, start);
  else operator.backfill(start - 4 * day, start);
  rotateApiKey(scene.account, surroundings, random.fork('keys'), clearsUpAt);
  for (let at = start + minute; at < clearsUpAt; at += minute) {
    clock.at(at, () => {
      webhooks.makeNoise();
      operator.fumble();
    });
  }
  for (let at = start + 10 * minute; at < clearsUpAt; at += 10 * minute) {
    clock.at(at, () => {
      if (weather.strikes('operator-redrives-early')) operator.redrive();
      operator.backfillAgain(start - 4 * day, start);
    });
  }
  clock.at(clearsUpAt, () => weather.clearUp());

  const isRecent = ({ createdAt }: AccountDocument) => createdAt > clearsUpAt - 10 * minute;
  await clock.run(clearsUpAt + recoveryMs, stopped);
  if (!stopped()) checkArchived(scene, surroundings, isRecent);
  await clock.run(quietUntil, stopped);
  if (!stopped()) {
    checkArchived(scene, surroundings, ({ createdAt }) => createdAt >= start);
    checkQueuesEmpty(scene, surroundings);
    operator.redrive();
  }
  await clock.run(end, stopped);
  if (stopped()) return;
  checkArchived(scene, surroundings, () => true);
  checkQueuesEmpty(scene, surroundings);
  checkConservation(scene, surroundings);
  checkEnds(scene, surroundings);
  if (simulation.inTime) checkInTime(scene, surroundings);
}

function createScene(surroundings: Surroundings, random: RandomSource): Scene {
  const lane = (name: string, timeoutMs: number) => {
    const deadLetters = new Queue({ name: `${name}-dead-letters`, visibilityMs: 30_000 }, surroundings);
    const queue = new Queue(
      {
        name,
        visibilityMs: visibilityPerTimeout * timeoutMs,
        redrive: { to: deadLetters, maxReceiveCount: receives.max },
      },
      surroundings,
    );
    return { queue, deadLetters };
  };
  const documents = lane('documents', timeouts.archiveMs);
  const backfill = lane('backfill', timeouts.archiveMs);
  const discovery = lane('discovery', timeouts.discoverMs);
  const spans = lane('spans', timeouts.discoverMs);
  return {
    account: new Account(random),
    store: new ObjectStore(surroundings),
    queues: {
      documents: documents.queue,
      backfill: backfill.queue,
      discovery: discovery.queue,
      spans: spans.queue,
    },
    deadLetters: {
      documents: documents.deadLetters,
      backfill: backfill.deadLetters,
      discovery: discovery.deadLetters,
      spans: spans.deadLetters,
    },
  };
}

/** The three functions and what feeds them. */
function deploy(
  { archiver, backfillsYears = false }: Simulation,
  scene: Scene,
  surroundings: Surroundings,
  signer: Signer,
  random: RandomSource,
  clearsUpAt: number,
) {
  const { clock, weather, journal, watch } = surroundings;
  const neighbourhood: Neighbourhood = {
    archiver,
    account: scene.account,
    habits: habitsOf(random, weather, backfillsYears),
    bucket: { name: 'archive', owner: '123456789012', store: scene.store },
    scene,
    surroundings,
  };
  const archive = new LambdaFunction<SQSEvent>(
    {
      name: 'archive',
      timeoutMs: timeouts.archiveMs,
      start: (container) => startArchive(container, neighbourhood),
    },
    surroundings,
  );
  const discover = new LambdaFunction<SQSEvent>(
    {
      name: 'discover',
      timeoutMs: timeouts.discoverMs,
      start: (container) => startDiscover(container, neighbourhood),
    },
    surroundings,
  );
  // A container whose clock is wrong does not outlive the weather.
  clock.at(clearsUpAt, () => {
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
      { queue: scene.queues[lane], target, maximumConcurrency: concurrency[lane], batchSize, isUnreadable },
      surroundings,
    );
  }

  let publicKeys = signer.current.publicKey;
  const target = new LambdaFunction<APIGatewayProxyEventV2>(
    {
      name: 'webhook',
      timeoutMs: timeouts.webhookMs,
      start: (container) => startWebhook(container, neighbourhood, publicKeys),
    },
    surroundings,
  );
  /** A deployment whose settings are refused does not come about: the one before goes on. */
  const redeploy = (keys: string) => {
    try {
      archiver.readWebhookSettings({
        ARCHIVER_NAME: 'simulated',
        DOCUMENTS_QUEUE_URL: scene.queues.documents.url,
        DISCOVERY_QUEUE_URL: scene.queues.discovery.url,
        TELNYX_PUBLIC_KEYS: keys,
      });
    } catch (error) {
      journal.note('webhook', `is not deployed: ${error instanceof Error ? error.name : 'an error'}`);
      return;
    }
    publicKeys = keys;
    if (keys.includes(signer.current.publicKey)) signer.isAhead = false;
    target.replaceContainers();
    journal.note('webhook', 'is deployed anew');
  };
  for (const at of [10, 20, 30, 40, 50, 60]) {
    clock.after(at * minute, () => {
      if (!weather.strikes('low-order-key-configured')) return;
      redeploy(`${publicKeys},${lowOrderPublicKey}`);
      if (publicKeys.includes(lowOrderPublicKey)) {
        watch.broken('forged-is-refused', 'webhook', 'a low-order point is deployed as public key');
      }
    });
  }
  if (weather.brings('signing-key-rotated')) {
    clock.after(random.between(5, 50) * minute, () => {
      signer.current = signer.next;
      signer.isAhead = !publicKeys.includes(signer.next.publicKey);
      journal.note('Telnyx', 'signs with another key');
    });
    const deployedAt = clock.now() + random.between(5, 65) * minute;
    clock.at(Math.min(deployedAt, clearsUpAt), () => redeploy(`${publicKeys},${signer.next.publicKey}`));
  }
  return target;
}

function habitsOf(random: RandomSource, weather: Weather, statesLimit: boolean): Habits {
  const second = 1_000;
  return {
    pageRows: weather.brings('list-page-size-ignored') ? 20 : 250,
    filtered: random.pick([
      (instant: number) => instant,
      (instant: number) => Math.floor(instant / second) * second,
      (instant: number) => Math.round(instant / second) * second,
    ]),
    inclusive: random.chance(0.5),
    limit:
      statesLimit || weather.brings('telnyx-states-limit')
        ? {
            perSecond: random.pick([20, 50]),
            reset: random.pick(['exact', 'down', 'up', 'unstated']),
            window: { second: -1, used: 0, byLowLanes: 0 },
          }
        : undefined,
  };
}

/** The secret follows the rotation, or goes ahead of it, by minutes. */
function rotateApiKey(
  account: Account,
  { clock, weather, journal }: Surroundings,
  random: RandomSource,
  clearsUpAt: number,
): void {
  if (!weather.brings('api-key-rotated')) return;
  const rotated = account.newApiKey();
  const update = () => {
    const right = account.apiKey === account.secret.text;
    account.secret.rightSince = right ? clock.monotonic() : Number.POSITIVE_INFINITY;
  };
  const at = clock.now() + random.between(5, 50) * minute;
  clock.at(at, () => {
    account.apiKey = rotated;
    journal.note('Telnyx', 'accepts another API key only');
    update();
  });
  clock.at(Math.min(clearsUpAt, at + random.between(-1, 15) * minute), () => {
    account.secret.text = rotated;
    journal.note('the secret', 'holds another API key');
    update();
  });
}

/** Documents come one by one, in groups of an order or an event, and now and then many in one second. */
function populate(
  count: number,
  scene: Scene,
  webhooks: Webhooks,
  surroundings: Surroundings,
  random: RandomSource,
): void {
  const { account } = scene;
  const { clock, watch } = surroundings;
  const start = clock.now();
  const old = Math.floor(count / 10);
  for (let made = 0; made < old; made += 1) {
    const createdAt = start - random.integer(1, 3.8 * day);
    standInTheWay(account.add(createdAt, createdAt, surroundings.weather, true), scene, surroundings);
  }
  const crowdAt = start + random.integer(0, 60) * minute;
  const crowding = random.pick([0, 0.3, 0.6]);
  for (let made = old; made < count; ) {
    const crowded = random.chance(crowding);
    const size = Math.min(count - made, random.integer(1, 8));
    const from = crowded ? crowdAt : start + random.integer(0, weatherMs - 5 * minute);
    const spreadMs = crowded ? 900 : random.pick([0, 1_000, 3 * minute]);
    const moments = Array.from({ length: size }, () => from + random.integer(0, spreadMs));
    made += size;
    const last = Math.max(...moments);
    const announcedAt = last + random.integer(-200, 90_000);
    const way = random.pick(['event', 'event', 'order', 'nothing'] as const);
    const group = moments.map((createdAt) => {
      const linked = way === 'order' || random.chance(0.4);
      const linkedAt = linked ? createdAt + random.integer(0, 25 * minute) : undefined;
      return account.add(createdAt, linkedAt, surroundings.weather);
    });
    for (const document of group) {
      standInTheWay(document, scene, surroundings);
      clock.at(document.createdAt + 16 * minute, () => watch.settledOrRung(document));
    }
    if (way === 'event') clock.at(announcedAt, () => webhooks.announce(group));
    if (way === 'order') {
      const orders = ordersOf(group, last, random);
      for (const order of orders) account.orders.set(order.id, order);
      clock.at(Math.max(last + 1, announcedAt), () => webhooks.announceOrders(orders));
    }
  }
  account.arrange();
}

/** Somebody else has put something at the document's key. */
function standInTheWay(
  { id, bytes, hopeless }: AccountDocument,
  { store }: Scene,
  { weather, watch }: Surroundings,
): void {
  if (hopeless !== undefined) return;
  const key = documentKey(id);
  if (weather.strikes('s3-foreign-object')) {
    watch.collided.add(id);
    store.put(key, Buffer.concat([bytes, Buffer.from('!')]), undefined, id < '8');
  } else if (weather.strikes('s3-foreign-copy')) store.put(key, bytes, undefined, false);
}

const placesOf = {
  'porting-order': ['loa', 'invoice', 'requirement', 'requirements', 'additional', 'links'],
  'port-out': ['supporting', 'links'],
} as const satisfies Record<Order['kind'], readonly Place[]>;

/** One order that holds all, or two that share them. */
function ordersOf(group: readonly AccountDocument[], createdAt: number, random: RandomSource): Order[] {
  const isSplit = group.length > 1 && random.chance(0.3);
  const kind = isSplit || random.chance(0.6) ? 'porting-order' : 'port-out';
  const orders: Order[] = (isSplit ? [0, 1] : [0]).map(() => ({
    id: random.uuid(),
    kind,
    createdAt,
    goneAt: random.chance(0.3) ? createdAt + random.integer(1, 20) * minute : Number.POSITIVE_INFINITY,
    documents: [],
  }));
  for (const { id } of group) {
    const order = random.pick(orders);
    const free = placesOf[kind].filter(
      (place) =>
        (place !== 'loa' && place !== 'invoice') || !order.documents.some((other) => other.place === place),
    );
    order.documents.push({ id, place: random.pick(free) });
  }
  return orders;
}

/** Anything that nobody handles would end a real process. */
function watchProcess(watch: Watch): () => void {
  const events = ['uncaughtException', 'unhandledRejection'] as const;
  const others = events.map((event) => [event, process.listeners(event as 'uncaughtException')] as const);
  const onError = (error: unknown) =>
    watch.broken(
      'process-survives',
      'the process',
      error instanceof Error ? String(error.stack) : String(error),
    );
  for (const event of events) {
    process.removeAllListeners(event);
    process.on(event, onError);
  }
  return () => {
    for (const [event, listeners] of others) {
      process.removeAllListeners(event);
      for (const listener of listeners) process.on(event, listener);
    }
  };
}

function outcomeOf(
  { seed, documents }: Simulation,
  { account }: Scene,
  { weather, journal, watch }: Surroundings,
  start: number,
): Outcome {
  const { breach } = watch;
  const latencies: number[] = [];
  for (const { id, createdAt } of account.documents.values()) {
    const archivedAt = watch.archivedAt.get(id);
    if (archivedAt !== undefined && createdAt >= start) latencies.push(archivedAt - createdAt);
  }
  return {
    seed,
    documents,
    archived: watch.archivedAt.size,
    counts: weather.counts,
    digest: journal.digest(),
    events: journal.length,
    breach,
    story: breach ? tell(breach, weather, journal) : [],
    latencies: latencies.sort((a, b) => a - b),
    lines: () => journal.lines(),
  };
}

function tell(breach: Breach, weather: Weather, journal: Journal): string[] {
  return [
    `${invariants[breach.invariant]}`,
    `Broken for ${breach.subject}: ${breach.what}`,
    ...(weather.outages().length > 0 ? [`Outages: ${weather.outages().join('; ')}`] : []),
    ...journal.story(/^[0-9a-f]{8}-|#/.test(breach.subject) ? breach.subject : undefined),
  ];
}
