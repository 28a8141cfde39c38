/** The faults of a soak and their rates. */
import { attempts } from '../../functions/limits.ts';
import type { Random } from '../../functions/time.ts';
import type { S3Fault } from '../../local/s3/faults.ts';
import type { S3RequestInfo } from '../../local/s3/request.ts';
import type { FaultKind, FaultRule } from '../../local/telnyx/faults.ts';
import { storageBucket } from '../../local/telnyx/stand-in.ts';
import type { Drop } from './dropping-tcp-proxy.ts';
import type { Trait } from './traits.ts';

/** Faults of other systems. However often they occur, the document is archived. */
const temporaryOutages: Partial<Record<FaultKind, number>> = {
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
 * Faults that look like the document's own. `no-hash` is not among them: without a stated hash, a flipped bit cannot be
 * detected.
 */
const temporaryDocumentFaults: Partial<Record<FaultKind, number>> = {
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

/** One attempt fewer than a dead letter requires. */
const maxDocumentFaults = attempts.max - 1;

/** Faults of the requests for lists and orders. Each would lead to a dead letter if it were misread as Telnyx's response. */
const discoveryFaults: FaultKind[] = [
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
 * Faults of Telnyx that end by themselves: each outage twice per document, or once per list, whose reader waits longer
 * between attempts; all document faults together twice per document.
 */
export function temporaryFaults(): FaultRule[] {
  const rulesOf = (rates: Partial<Record<FaultKind, number>>, shared: Omit<FaultRule, 'kind'>) =>
    Object.entries(rates).map(([kind, rate]) => ({ kind: kind as FaultKind, rate, ...shared }));
  return [
    ...rulesOf(temporaryOutages, { times: 2 }),
    ...rulesOf(temporaryDocumentFaults, { times: maxDocumentFaults, budget: 'document faults' }),
    ...discoveryRoutes.flatMap((route) =>
      discoveryFaults.map((kind) => ({ kind, route, rate: 0.2, times: 1 })),
    ),
  ];
}

/** [share of the requests on reused connections, how the connection is dropped]. */
const reusedConnectionDrops: [number, Drop][] = [
  [0.01, 'reset'],
  [0.000_3, 'silence'],
];

/** @param count called for each drop */
export function reusedConnectionFaults(random: Random, count: (drop: Drop) => void): () => Drop | undefined {
  return () => {
    const drop = drawn(reusedConnectionDrops, random);
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

/** [share of the requests, creates the fault]. */
const archiveFaults: [number, () => S3Fault][] = [
  [0.01, () => error(503, 'SlowDown')],
  [0.01, () => error(500, 'InternalError')],
  [0.01, () => ({ kind: 'lose-reply' })],
  [0.01, () => ({ kind: 'reset', during: 'request', afterBytes: 1 })],
  [0.005, () => ({ kind: 'latency', ms: 200 })],
  [0.000_3, () => ({ kind: 'stall', during: 'request', afterBytes: 0 })],
];

/** For conditional writes only. */
const conflictFaults: [number, () => S3Fault][] = [[0.02, () => error(409, 'ConditionalRequestConflict')]];

/** One byte every 1.5 s. */
const drip: S3Fault = { kind: 'drip', bytesPerSecond: 1 / 1.5 };

export interface S3FaultOptions {
  random: Random;
  /** Whether both buckets respond 503 to every request. */
  isDown: () => boolean;
  /**
   * Length of a document in Telnyx's storage, by its key. Downloads are reset at a random multiple of 64 kB, including
   * 0.
   */
  bytesOf: (key: string | undefined) => number;
  downloadOf: (key: string | undefined) => Trait['download'];
  /** Called for each fault. */
  count: (name: string) => void;
  /** Called when the slow download of a document starts. */
  onDrip: (key: string) => void;
}

export function s3Faults(options: S3FaultOptions): (request: S3RequestInfo) => S3Fault | undefined {
  const { random, isDown, bytesOf, downloadOf, count, onDrip } = options;
  const dripped = new Set<string>();
  const reset = (key: string | undefined): S3Fault => {
    const number = Math.floor(random() * (Math.floor(bytesOf(key) / boundary) + 1));
    return { kind: 'reset', during: 'response', afterBytes: number * boundary };
  };
  const storageFaults = (key: string | undefined): [number, () => S3Fault][] => [
    [bytesOf(key) > boundary ? 0.3 : 0.01, () => reset(key)],
    [0.005, () => ({ kind: 'drip', bytesPerSecond: 200_000 })],
    [0.01, () => ({ kind: 'lose-reply' })],
  ];
  const traitFault = (key: string): S3Fault | undefined => {
    switch (downloadOf(key)) {
      case 'without-length':
        return { kind: 'truncate', afterBytes: bytesOf(key), withLength: false };
      case 'unmodified':
        // Replaces any other fault of the stand-in.
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
    const writeFaults = operation === 'PutObject' ? conflictFaults : [];
    const fault = isDown()
      ? error(503, 'ServiceUnavailable')
      : drawn(isStorage ? storageFaults(key) : [...archiveFaults, ...writeFaults], random)?.();
    if (fault) {
      count(`${isStorage ? 'storage' : 'archive'} ${nameOf(fault)}`);
      return fault;
    }
    return isStorage && key !== undefined ? traitFault(key) : undefined;
  };
}

/** Draws an item by its share; undefined for the rest to 1. */
function drawn<Item>(shares: readonly (readonly [number, Item])[], random: Random): Item | undefined {
  let draw = random();
  for (const [share, item] of shares) {
    draw -= share;
    if (draw < 0) return item;
  }
  return undefined;
}

function nameOf(fault: S3Fault): string {
  if (fault.kind === 'error') return fault.code;
  if (fault.kind === 'reset' && fault.during === 'response')
    return `reset at ${fault.afterBytes / boundary} × 64 kB`;
  return fault.kind;
}
