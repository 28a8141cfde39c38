/** What goes wrong in a soak: a share of everything. */
import { attempts } from '../../functions/limits.ts';
import type { Random } from '../../functions/time.ts';
import type { S3Fault } from '../../local/s3/faults.ts';
import type { S3RequestInfo } from '../../local/s3/request.ts';
import type { FaultKind, FaultRule } from '../../local/telnyx/faults.ts';
import { storageBucket } from '../../local/telnyx/stand-in.ts';
import type { Drop } from './dropping-front.ts';
import type { Trait } from './traits.ts';

/** Somebody else's fault, or none at all: whatever the number of them, the document is archived. */
const passingOutages: Partial<Record<FaultKind, number>> = {
  'rate-limited': 0.01,
  'server-error': 0.02,
  'html-error': 0.01,
  'gateway-not-found': 0.01,
  'gateway-forbidden': 0.005,
  'gateway-unauthorised': 0.005,
  'key-rejected': 0.005,
  'key-forbidden': 0.005,
  'api-reset': 0.02,
  'api-stall': 0.000_5,
  'not-json': 0.01,
  'download-reset': 0.02,
  truncated: 0.02,
  'download-stall': 0.001,
};

/**
 * What looks like the document's own fault. Not among them: `no-hash`. With nothing to compare with, a bit that flips
 * on the way cannot be noticed.
 */
const passingDocumentFaults: Partial<Record<FaultKind, number>> = {
  'wrong-shape': 0.01,
  'link-expired': 0.02,
  'download-refused': 0.01,
  'download-missing': 0.01,
  'cut-silently': 0.01,
  'wrong-bytes': 0.02,
  longer: 0.01,
  compressed: 0.01,
  redirected: 0.005,
};

/** One attempt fewer than a document's own fault needs for a dead letter. */
const mostDocumentFaults = attempts.max - 1;

/** Of lists and of what orders name. Each of them would do for a dead letter if it were taken for the answer. */
const ofDiscovery: FaultKind[] = [
  'gateway-not-found',
  'gateway-forbidden',
  'gateway-unauthorised',
  'html-error',
  'rate-limited',
  'server-error',
  'api-reset',
];
const discoveryRoutes = [
  'GET documents',
  'GET portouts {id} supporting_documents',
  'GET porting_orders {id}',
];

/**
 * What heals at Telnyx: each outage twice per document, or once per list, whose reader waits longer from one to the next;
 * all documents' own faults together twice.
 */
export function passingFaults(): FaultRule[] {
  const rulesOf = (rates: Partial<Record<FaultKind, number>>, shared: Omit<FaultRule, 'kind'>) =>
    Object.entries(rates).map(([kind, rate]) => ({ kind: kind as FaultKind, rate, ...shared }));
  return [
    ...rulesOf(passingOutages, { times: 2 }),
    ...rulesOf(passingDocumentFaults, { times: mostDocumentFaults, budget: 'document faults' }),
    ...discoveryRoutes.flatMap((route) => ofDiscovery.map((kind) => ({ kind, route, rate: 0.2, times: 1 }))),
  ];
}

/** Of the requests on connections that have carried others. */
const ofKeptConnections: [number, Drop][] = [
  [0.01, 'reset'],
  [0.000_3, 'silence'],
];

/** @param count told of each drop */
export function keptConnectionFaults(random: Random, count: (drop: Drop) => void): () => Drop | undefined {
  return () => {
    const drop = drawn(ofKeptConnections, random);
    if (drop) count(drop);
    return drop;
  };
}

const boundary = 64 * 1024;
const error = (status: number, code: string): S3Fault => ({
  kind: 'error',
  status,
  code,
  when: 'after-body',
});

/** Made anew for each request: [share of the requests, fault]. */
const ofTheArchive: [number, () => S3Fault][] = [
  [0.01, () => error(503, 'SlowDown')],
  [0.01, () => error(500, 'InternalError')],
  [0.01, () => ({ kind: 'lose-reply' })],
  [0.01, () => ({ kind: 'reset', during: 'request', afterBytes: 1 })],
  [0.005, () => ({ kind: 'latency', ms: 200 })],
  [0.000_3, () => ({ kind: 'stall', during: 'request', afterBytes: 0 })],
];

/** Only a conditional write is answered so. */
const conflicts: [number, () => S3Fault][] = [[0.02, () => error(409, 'ConditionalRequestConflict')]];

/** One byte every 1.5 s. */
const drip: S3Fault = { kind: 'drip', bytesPerSecond: 1 / 1.5 };

export interface S3FaultOptions {
  random: Random;
  /** Whether both buckets answer 503 to everything. */
  isDown: () => boolean;
  /**
   * Length of a document in Telnyx's storage, by its key. Longer ones are reset at any boundary of 64 kB that they
   * have, the beginning included.
   */
  bytesOf: (key: string | undefined) => number;
  downloadOf: (key: string | undefined) => Trait['download'];
  /** Told of each fault. */
  count: (name: string) => void;
  /** Told of each document whose download drips from now on. */
  onDrip: (key: string) => void;
}

export function s3Faults(options: S3FaultOptions): (request: S3RequestInfo) => S3Fault | undefined {
  const { random, isDown, bytesOf, downloadOf, count, onDrip } = options;
  const dripped = new Set<string>();
  const reset = (key: string | undefined): S3Fault => {
    const number = Math.floor(random() * (Math.floor(bytesOf(key) / boundary) + 1));
    return { kind: 'reset', during: 'response', afterBytes: number * boundary };
  };
  const ofTheStorage = (key: string | undefined): [number, () => S3Fault][] => [
    [bytesOf(key) > boundary ? 0.3 : 0.01, () => reset(key)],
    [0.005, () => ({ kind: 'drip', bytesPerSecond: 200_000 })],
    [0.01, () => ({ kind: 'lose-reply' })],
  ];
  const ofTrait = (key: string): S3Fault | undefined => {
    switch (downloadOf(key)) {
      case 'without-length':
        return { kind: 'truncate', afterBytes: bytesOf(key), withLength: false };
      case 'unspoilt':
        // In the place of whatever the stand-in has in store.
        return { kind: 'latency', ms: 0 };
      case 'dripping':
        if (dripped.has(key)) return undefined;
        dripped.add(key);
        onDrip(key);
        return drip;
      case undefined:
        return undefined;
    }
  };
  return ({ bucket, key, operation }) => {
    const isStorage = bucket === storageBucket;
    const ofWrites = operation === 'PutObject' ? conflicts : [];
    const fault = isDown()
      ? error(503, 'ServiceUnavailable')
      : drawn(isStorage ? ofTheStorage(key) : [...ofTheArchive, ...ofWrites], random)?.();
    if (fault) {
      count(`${isStorage ? 'storage' : 'archive'} ${nameOf(fault)}`);
      return fault;
    }
    return isStorage && key !== undefined ? ofTrait(key) : undefined;
  };
}

/** What a draw falls on, where each has its share of 1. */
function drawn<What>(shares: readonly (readonly [number, What])[], random: Random): What | undefined {
  let draw = random();
  for (const [share, what] of shares) {
    draw -= share;
    if (draw < 0) return what;
  }
  return undefined;
}

function nameOf(fault: S3Fault): string {
  if (fault.kind === 'error') return fault.code;
  if (fault.kind === 'reset' && fault.during === 'response')
    return `reset at ${fault.afterBytes / boundary} × 64 kB`;
  return fault.kind;
}
