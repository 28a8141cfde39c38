/** What goes wrong in a soak: a share of everything, and a few documents that cannot be archived at all. */
import type { Random } from '../../functions/time.ts';
import type { S3Fault } from '../../local/s3/faults.ts';
import type { S3RequestInfo } from '../../local/s3/request.ts';
import type { FaultKind, FaultRule } from '../../local/telnyx/faults.ts';
import { storageBucket } from '../../local/telnyx/stand-in.ts';

/** Of every hundred documents one has one of these fates, for good. */
export const dooms = ['wrong-hash', 'gone', 'infected', 'link-refused'] as const satisfies FaultKind[];
export type Doom = (typeof dooms)[number];

/** Not among them: `no-hash`. With nothing to compare with, a bit that flips on the way cannot be noticed. */
const passing: Partial<Record<FaultKind, number>> = {
  'rate-limited': 0.01,
  'server-error': 0.02,
  'html-error': 0.01,
  'api-reset': 0.02,
  'api-stall': 0.000_5,
  'not-json': 0.01,
  'wrong-shape': 0.01,
  'link-expired': 0.02,
  'download-reset': 0.02,
  truncated: 0.02,
  'cut-silently': 0.01,
  'download-stall': 0.001,
  'wrong-bytes': 0.02,
  longer: 0.01,
  compressed: 0.01,
  redirected: 0.005,
};

/** @param files names of the documents that are doomed */
export function telnyxFaults(files: ReadonlyMap<string, Doom>): FaultRule[] {
  const forEver = [...files].map(([document, kind]) => ({ kind, document }));
  const healing = Object.entries(passing).map(([kind, rate]) => ({
    kind: kind as FaultKind,
    rate,
    times: 2,
  }));
  return [...forEver, ...healing];
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

/**
 * @param bytesOf of a document in Telnyx's storage, by its key. Longer ones are reset at any boundary of 64 kB that
 *   they have, the beginning included.
 */
export function s3Faults(
  random: Random,
  bytesOf: (key: string | undefined) => number,
  counts: Map<string, number>,
): (request: S3RequestInfo) => S3Fault | undefined {
  const reset = (key: string | undefined): S3Fault => {
    const number = Math.floor(random() * (Math.floor(bytesOf(key) / boundary) + 1));
    return { kind: 'reset', during: 'response', afterBytes: number * boundary };
  };
  const ofTheStorage = (key: string | undefined): [number, () => S3Fault][] => [
    [bytesOf(key) > boundary ? 0.3 : 0.01, () => reset(key)],
    [0.005, () => ({ kind: 'drip', bytesPerSecond: 200_000 })],
    [0.01, () => ({ kind: 'lose-reply' })],
  ];
  return ({ bucket, key, operation }) => {
    const where = bucket === storageBucket ? 'storage' : 'archive';
    const ofWrites = operation === 'PutObject' ? conflicts : [];
    let draw = random();
    for (const [share, make] of where === 'storage' ? ofTheStorage(key) : [...ofTheArchive, ...ofWrites]) {
      draw -= share;
      if (draw >= 0) continue;
      const fault = make();
      const name = `${where} ${nameOf(fault)}`;
      counts.set(name, (counts.get(name) ?? 0) + 1);
      return fault;
    }
    return undefined;
  };
}

function nameOf(fault: S3Fault): string {
  if (fault.kind === 'error') return fault.code;
  if (fault.kind === 'reset' && fault.during === 'response')
    return `reset at ${fault.afterBytes / boundary} × 64 kB`;
  return fault.kind;
}
