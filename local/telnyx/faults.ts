/** What can be made to go wrong at Telnyx, per document or by rate, for people (`--faults`) and for tests. */
import type { Random } from '../../functions/time.ts';
import type { S3Fault } from '../s3/faults.ts';
import type { Document } from './documents.ts';

/** Where a fault shows: in the API's answers about a document, in its record, or in the download itself. */
export const faultKinds = {
  'rate-limited': { at: 'api', says: '429 with code 10011 and one second to wait' },
  'server-error': { at: 'api', says: '500' },
  'html-error': { at: 'api', says: '502 with a page of HTML from some proxy' },
  'api-reset': { at: 'api', says: 'the connection is reset' },
  'api-stall': { at: 'api', says: 'no answer, ever' },
  'not-json': { at: 'api', says: '200 with half an object' },
  'wrong-shape': { at: 'api', says: '200 with other fields than specified' },
  gone: { at: 'api', says: '404: deleted' },
  'gateway-not-found': { at: 'api', says: '404 with a page of HTML: a gateway has lost its way' },
  'gateway-forbidden': { at: 'api', says: '403 with a page of HTML: a firewall is in the way' },
  'gateway-unauthorised': { at: 'api', says: '401 with the JSON of a gateway' },
  'key-rejected': { at: 'api', says: '401 with code 10009: the API key is not valid' },
  'key-forbidden': { at: 'api', says: '403 with code 10010: the API key may not do this' },
  'link-refused': { at: 'link', says: '422 for the download link' },
  'odd-path': { at: 'link', says: 'a link whose path holds `.`, `..` and `//`' },
  'wrong-hash': { at: 'record', says: 'the record states another hash' },
  'no-hash': { at: 'record', says: 'the record states no hash' },
  'wrong-size': { at: 'record', says: 'the record states one byte too many' },
  'no-size': { at: 'record', says: 'the record states no size' },
  'malformed-fields': { at: 'record', says: 'every field but the id is other than specified' },
  'exact-numbers': { at: 'record', says: 'the record holds numbers that a double cannot' },
  'oversized-record': { at: 'record', says: 'a record of 300 kB' },
  'nested-record': { at: 'record', says: 'a record nested 2,000 levels deep' },
  'created-status': { at: 'record', says: '201 in place of 200' },
  infected: { at: 'record', says: 'the scanner has found malware' },
  'link-expired': { at: 'download', says: '403, the link has expired' },
  'download-refused': { at: 'download', says: '400' },
  'download-missing': { at: 'download', says: '404: the storage does not have it' },
  'download-reset': { at: 'download', says: 'reset in the middle' },
  truncated: { at: 'download', says: 'ends in the middle, against its Content-Length' },
  'cut-silently': { at: 'download', says: 'ends in the middle, without a Content-Length' },
  'download-stall': { at: 'download', says: 'stops in the middle and stays open' },
  'wrong-bytes': { at: 'download', says: 'one bit is flipped' },
  longer: { at: 'download', says: 'a few bytes too many' },
  compressed: { at: 'download', says: 'gzip, which nobody asked for' },
  redirected: { at: 'download', says: '302 to a place inside the network' },
} as const satisfies Record<string, { at: 'api' | 'link' | 'record' | 'download'; says: string }>;

export type FaultKind = keyof typeof faultKinds;
export type FaultPlace = (typeof faultKinds)[FaultKind]['at'];
export type FaultKindAt<Place extends FaultPlace> = {
  [Kind in FaultKind]: (typeof faultKinds)[Kind]['at'] extends Place ? Kind : never;
}[FaultKind];

export interface FaultRule {
  kind: FaultKind;
  /** Which documents, by file name or id. @default all */
  document?: string;
  /**
   * Which requests, as `TelnyxServer.requests` names them, such as `GET documents` for the list. For kinds at
   * `api` or `link`. @default those about one document
   */
  route?: string;
  /** Which share of the chances is taken, 0 to 1. @default 1 */
  rate?: number;
  /** How often per document, or per route where no document is asked for; it heals afterwards. @default for ever */
  times?: number;
  /** Rules of the same name count together towards the `times` of each. @default each counts for itself */
  budget?: string;
}

/** Something of each sort over the sample documents: most heals, three documents cannot be archived. */
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

/** For a folder of the user's own: every kind that heals, here and there, each at most twice per document. */
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

/** What a fault may strike. */
export interface FaultTarget {
  document?: Document | undefined;
  route?: string;
}

export class Faults {
  readonly #rules: FaultRule[];
  readonly #random: Random;
  /** By rule or budget, then by what was asked for. */
  #taken = new Map<FaultRule | string, Map<string, number>>();
  #counts = new Map<FaultKind, number>();

  constructor(rules: readonly FaultRule[], random: Random) {
    this.#rules = [...rules];
    this.#random = random;
  }

  /** From now on this goes wrong too; earlier rules come first. */
  add(...rules: readonly FaultRule[]): void {
    this.#rules.push(...rules);
  }

  /** How often each kind has happened. */
  counts(): Map<FaultKind, number> {
    return new Map(this.#counts);
  }

  /** Nothing goes wrong any more. */
  clear(): void {
    this.#rules.length = 0;
    this.#taken = new Map();
    this.#counts = new Map();
  }

  /** The fault that happens now at this place to what is asked for, if any; it counts as having happened. */
  next<Place extends FaultPlace>(place: Place, target: FaultTarget): FaultKindAt<Place> | undefined {
    for (const rule of this.#rules) {
      if (faultKinds[rule.kind].at !== place || !strikes(rule, target)) continue;
      const { kind, rate = 1, times = Number.POSITIVE_INFINITY, budget = rule } = rule;
      const what = target.document?.id ?? target.route ?? '';
      const taken = this.#taken.get(budget) ?? new Map<string, number>();
      const before = taken.get(what) ?? 0;
      if (before >= times || (rate < 1 && this.#random() >= rate)) continue;
      this.#taken.set(budget, taken.set(what, before + 1));
      this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
      return kind as FaultKindAt<Place>;
    }
    return undefined;
  }

  /** What the storage does to the next download of this document. */
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

function strikes({ document, route }: FaultRule, target: FaultTarget): boolean {
  if (route === undefined ? target.document === undefined : route !== target.route) return false;
  return document === undefined || [target.document?.id, target.document?.fileName].includes(document);
}
