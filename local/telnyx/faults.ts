/** Simulated faults of Telnyx, per document or at a rate, for `--faults` and for tests. */
import type { Random } from '../../functions/time.ts';
import type { S3Fault } from '../s3/faults.ts';
import type { Document } from './documents.ts';

/** Kinds of faults, with where they occur: API response, download link, record or download. */
export const faultKinds = {
  'rate-limited': { at: 'api', description: '429 with code 10011 and one second to wait' },
  'server-error': { at: 'api', description: '500' },
  'html-error': { at: 'api', description: '502 with an HTML page from a proxy' },
  'api-reset': { at: 'api', description: 'connection reset' },
  'api-stall': { at: 'api', description: 'no response' },
  'not-json': { at: 'api', description: '200 with incomplete JSON' },
  'wrong-shape': { at: 'api', description: '200 with fields that are not in the specification' },
  gone: { at: 'api', description: '404: document deleted' },
  'gateway-not-found': { at: 'api', description: '404 with an HTML page from a misrouted gateway' },
  'gateway-forbidden': { at: 'api', description: '403 with an HTML page from a firewall' },
  'gateway-unauthorised': { at: 'api', description: '401 with JSON from a gateway' },
  'key-rejected': { at: 'api', description: '401 with code 10009: the API key is not valid' },
  'key-forbidden': { at: 'api', description: '403 with code 10010: the API key lacks permission' },
  'link-refused': { at: 'link', description: '422 instead of a download link' },
  'odd-path': { at: 'link', description: 'a link whose path contains `.`, `..` and `//`' },
  'wrong-hash': { at: 'record', description: 'the record states a wrong hash' },
  'no-hash': { at: 'record', description: 'the record states no hash' },
  'wrong-size': { at: 'record', description: 'the record states one byte too many' },
  'no-size': { at: 'record', description: 'the record states no size' },
  'malformed-fields': { at: 'record', description: 'every field except the ID has a wrong type' },
  'exact-numbers': {
    at: 'record',
    description: 'the record contains numbers that a double cannot represent',
  },
  'oversized-record': { at: 'record', description: 'a record of 300 kB' },
  'nested-record': { at: 'record', description: 'a record nested 2,000 levels deep' },
  'created-status': { at: 'record', description: '201 instead of 200' },
  infected: { at: 'record', description: 'the record states that malware was found' },
  'link-expired': { at: 'download', description: '403: the link has expired' },
  'download-refused': { at: 'download', description: '400' },
  'download-missing': { at: 'download', description: '404: not in the storage' },
  'download-reset': { at: 'download', description: 'connection reset halfway' },
  truncated: { at: 'download', description: 'ends halfway, before its Content-Length' },
  'cut-silently': { at: 'download', description: 'ends halfway, without a Content-Length' },
  'download-stall': { at: 'download', description: 'stops halfway; the connection stays open' },
  'wrong-bytes': { at: 'download', description: 'one flipped bit' },
  longer: { at: 'download', description: 'seven bytes too many' },
  compressed: { at: 'download', description: 'gzip-encoded although not requested' },
  redirected: { at: 'download', description: '302 to an internal address' },
} as const satisfies Record<string, { at: 'api' | 'link' | 'record' | 'download'; description: string }>;

export type FaultKind = keyof typeof faultKinds;
export type FaultPlace = (typeof faultKinds)[FaultKind]['at'];
export type FaultKindAt<Place extends FaultPlace> = {
  [Kind in FaultKind]: (typeof faultKinds)[Kind]['at'] extends Place ? Kind : never;
}[FaultKind];

export interface FaultRule {
  kind: FaultKind;
  /** File name or ID of the document. @default all documents */
  document?: string;
  /**
   * Route of the request, as in `TelnyxServer.requests`, such as `GET documents` for the list. Only for kinds at `api` or
   * `link`. @default all requests for a single document
   */
  route?: string;
  /** Probability, 0 to 1. @default 1 */
  rate?: number;
  /** Maximum occurrences per document, or per route for requests without a document. @default unlimited */
  times?: number;
  /** Rules with the same budget share one counter for `times`. @default a counter per rule */
  budget?: string;
}

/** Various faults for the sample documents. Most are transient; three documents cannot be archived. */
export const sampleFaults: readonly FaultRule[] = [
  { kind: 'rate-limited', document: 'Letter of authorisation.pdf', times: 1 },
  { kind: 'truncated', document: 'Passport scan.png', times: 1 },
  { kind: 'wrong-bytes', document: 'Utility bill.jpg', times: 2 },
  { kind: 'server-error', document: 'Numbers to port.csv', times: 8 },
  { kind: 'link-expired', document: 'Vollmacht Müller – 2026.pdf', times: 1 },
  { kind: 'download-reset', document: 'Scanned contract.pdf', times: 2 },
  { kind: 'gone', document: 'Billing address.txt' },
  { kind: 'wrong-hash', document: 'Requirements.docx' },
  { kind: 'infected', document: 'Empty note.txt' },
];

/** Random transient faults for a user's folder, each at most twice per document. */
export const scatteredFaults: readonly FaultRule[] = (
  [
    'rate-limited',
    'server-error',
    'api-reset',
    'link-expired',
    'download-reset',
    'truncated',
    'wrong-bytes',
  ] as const
).map((kind) => ({ kind, rate: 0.03, times: 2 }));

/** Request that a fault may apply to. */
export interface FaultTarget {
  document?: Document | undefined;
  route?: string;
}

export class Faults {
  readonly #rules: FaultRule[];
  readonly #random: Random;
  /** Number of occurrences by rule or budget, then by document ID or route. */
  #occurrences = new Map<FaultRule | string, Map<string, number>>();
  #counts = new Map<FaultKind, number>();

  constructor(rules: readonly FaultRule[], random: Random) {
    this.#rules = [...rules];
    this.#random = random;
  }

  /** Adds rules. Earlier rules take precedence. */
  add(...rules: readonly FaultRule[]): void {
    this.#rules.push(...rules);
  }

  /** Number of occurrences of each kind. */
  counts(): Map<FaultKind, number> {
    return new Map(this.#counts);
  }

  /** Removes all rules and resets all counters. */
  clear(): void {
    this.#rules.length = 0;
    this.#occurrences = new Map();
    this.#counts = new Map();
  }

  /** Returns the fault to apply to this request, if any, and counts it. */
  next<Place extends FaultPlace>(place: Place, target: FaultTarget): FaultKindAt<Place> | undefined {
    for (const rule of this.#rules) {
      if (faultKinds[rule.kind].at !== place || !matches(rule, target)) continue;
      const { kind, rate = 1, times = Number.POSITIVE_INFINITY, budget = rule } = rule;
      const what = target.document?.id ?? target.route ?? '';
      const occurrences = this.#occurrences.get(budget) ?? new Map<string, number>();
      const before = occurrences.get(what) ?? 0;
      if (before >= times || (rate < 1 && this.#random() >= rate)) continue;
      this.#occurrences.set(budget, occurrences.set(what, before + 1));
      this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
      return kind as FaultKindAt<Place>;
    }
    return undefined;
  }

  /** Fault of the storage for the next download of this document, if any. */
  download(document: Document): S3Fault | undefined {
    const middle = Math.floor(document.bytes / 2);
    switch (this.next('download', { document })) {
      case 'link-expired':
        return {
          kind: 'error',
          status: 403,
          code: 'AccessDenied',
          message: 'Request has expired',
          when: 'before-body',
        };
      case 'download-refused':
        return { kind: 'error', status: 400, code: 'InvalidRequest', when: 'before-body' };
      case 'download-missing':
        return { kind: 'error', status: 404, code: 'NoSuchKey', when: 'before-body' };
      case 'download-reset':
        return { kind: 'reset', during: 'response', afterBytes: middle };
      case 'truncated':
        return { kind: 'truncate', afterBytes: middle, withLength: true };
      case 'cut-silently':
        return { kind: 'truncate', afterBytes: middle, withLength: false };
      case 'download-stall':
        return { kind: 'stall', during: 'response', afterBytes: middle };
      case 'wrong-bytes':
        return { kind: 'corrupt', atByte: middle };
      case 'longer':
        return { kind: 'longer', extraBytes: 7, withLength: false };
      case 'compressed':
        return { kind: 'gzip', real: true };
      case 'redirected':
        return { kind: 'redirect', status: 302, location: 'http://169.254.169.254/latest/meta-data/' };
      default:
        return undefined;
    }
  }
}

function matches({ document, route }: FaultRule, target: FaultTarget): boolean {
  if (route === undefined ? target.document === undefined : route !== target.route) return false;
  return document === undefined || [target.document?.id, target.document?.fileName].includes(document);
}
