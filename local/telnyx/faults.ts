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
  'link-refused': { at: 'link', says: '422 for the download link' },
  'wrong-hash': { at: 'record', says: 'the record states another hash' },
  'no-hash': { at: 'record', says: 'the record states no hash' },
  'no-size': { at: 'record', says: 'the record states no size' },
  infected: { at: 'record', says: 'the scanner has found malware' },
  'link-expired': { at: 'download', says: '403, the link has expired' },
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

export interface FaultRule {
  kind: FaultKind;
  /** Which documents, by file name or id. @default all */
  document?: string;
  /** Which share of the chances is taken, 0 to 1. @default 1 */
  rate?: number;
  /** How often per document; it heals afterwards. @default for ever */
  times?: number;
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

export class Faults {
  readonly #rules: readonly FaultRule[];
  readonly #random: Random;
  readonly #taken = new Map<string, number>();

  constructor(rules: readonly FaultRule[], random: Random) {
    this.#rules = rules;
    this.#random = random;
  }

  /** The fault that happens now to this document at this place, if any; it counts as having happened. */
  next(place: FaultPlace, document: Document): FaultKind | undefined {
    for (const [
      index,
      { kind, document: which, rate = 1, times = Number.POSITIVE_INFINITY },
    ] of this.#rules.entries()) {
      if (faultKinds[kind].at !== place) continue;
      if (which !== undefined && which !== document.id && which !== document.fileName) continue;
      const chance = `${index} ${document.id}`;
      const taken = this.#taken.get(chance) ?? 0;
      if (taken >= times || (rate < 1 && this.#random() >= rate)) continue;
      this.#taken.set(chance, taken + 1);
      return kind;
    }
    return undefined;
  }

  /** What the storage does to the next download of this document. */
  download(document: Document): S3Fault | undefined {
    const middle = Math.floor(document.bytes / 2);
    switch (this.next('download', document)) {
      case 'link-expired':
        return {
          kind: 'error',
          status: 403,
          code: 'AccessDenied',
          message: 'Request has expired',
          when: 'before-body',
        };
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
        return { kind: 'redirect', location: 'http://169.254.169.254/latest/meta-data/' };
      default:
        return undefined;
    }
  }
}
