/** The truth about one Telnyx account: its documents, orders, API keys, and where its links lead. */
import { createHash } from 'node:crypto';
import { unlinkedLifetimeMs } from '../../functions/limits.ts';
import { canary } from './canary.ts';
import type { Weather } from './faults.ts';
import type { RandomSource } from './random.ts';

export interface AccountDocument {
  id: string;
  bytes: Buffer;
  /** Of the bytes, lower-case hex. */
  sha256: string;
  /** Milliseconds since the Unix epoch. */
  createdAt: number;
  /** From when on a service links it; never, if undefined, and then it lives 30 minutes. */
  linkedAt: number | undefined;
  statesSize: boolean;
  statesDigest: boolean;
  /** The code with which it must become a dead letter, or wait for a person, whatever is tried. */
  hopeless: 'DocumentInfected' | 'DocumentTooLarge' | 'ChecksumMismatch' | 'LinkNotAllowed' | undefined;
  /** Whether a receipt cannot hold the whole record. */
  monstrous: boolean;
  /** Kills the function that reads it, as long as the weather lasts. */
  deadly: boolean;
  /** Telnyx's record, as JSON. */
  record: string;
}

export type Place =
  | 'loa'
  | 'invoice'
  | 'requirement'
  | 'requirements'
  | 'additional'
  | 'supporting'
  | 'links';

export interface Order {
  id: string;
  kind: 'porting-order' | 'port-out';
  createdAt: number;
  /** From when on Telnyx answers 404 for it. */
  goneAt: number;
  documents: { id: string; place: Place }[];
}

export const largestDocument = 1024 ** 2;
/** Where Telnyx's links lead (Telnyx API reference, "Generate a temporary download link"). */
export const usualHost = 's3.amazonaws.com';
export const otherHosts = [
  'telnyx-documents.s3.us-east-1.amazonaws.com',
  's3-us-west-2.amazonaws.com',
  'telnyx-documents.s3-external-1.amazonaws.com',
  'us-central-1.telnyxcloudstorage.com',
];
/** Links hold for a minute. */
const linkLifetimeMs = 60_000;

export class Account {
  readonly documents = new Map<string, AccountDocument>();
  readonly orders = new Map<string, Order>();
  /** Which place of an order fails, by the order's id. */
  readonly placesDown = new Map<string, string>();
  readonly #byCreation: AccountDocument[] = [];
  readonly #links = new Map<string, { id: string; expiresAt: number }>();
  readonly #random: RandomSource;
  /** What Telnyx accepts. */
  apiKey: string;
  /** What the secret holds, and since when that has been the accepted key, if it is. */
  secret: { text: string; rightSince: number };

  constructor(random: RandomSource) {
    this.#random = random;
    this.apiKey = this.newApiKey();
    this.secret = { text: this.apiKey, rightSince: Number.NEGATIVE_INFINITY };
  }

  newApiKey(): string {
    return `KEY01${canary}${this.#random.uuid().replaceAll('-', '')}`;
  }

  /** @param isOld whether only a backfill leads to it */
  add(createdAt: number, linkedAt: number | undefined, weather: Weather, isOld = false): AccountDocument {
    const random = this.#random;
    const id = random.uuid();
    const length = random.chance(0.02) ? random.integer(10_000, 300_000) : random.integer(0, 300);
    const bytes = random.bytes(length);
    if (length > 40) bytes.write(canary);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const infected = weather.strikes('document-infected');
    const tooLarge = !infected && weather.strikes('document-too-large');
    // Retried for as long as Telnyx lists it: better one that is not listed for long.
    const digestWrong =
      !infected && !tooLarge && linkedAt === undefined && weather.brings('record-digest-wrong');
    const elsewhere =
      isOld && !infected && !tooLarge && !digestWrong && weather.strikes('document-elsewhere');
    const malformed = !infected && !tooLarge && !digestWrong && weather.strikes('record-malformed');
    const statesSize = tooLarge || (!malformed && !weather.strikes('record-without-size'));
    const statesDigest = digestWrong || (!malformed && !weather.strikes('record-without-digest'));
    const monstrous = weather.strikes('record-monstrous');
    const stated = digestWrong ? createHash('sha256').update(sha256).digest('hex') : sha256;
    const inCapitals = weather.strikes('record-digest-in-capitals');
    const name = weather.strikes('document-name-hostile') ? hostileName : `${canary} letter.pdf`;
    const record = {
      id,
      record_type: 'document',
      created_at: new Date(createdAt).toISOString(),
      content_type: 'application/pdf',
      filename: name,
      status: 'pending',
      av_scan_status: infected ? 'infected' : random.pick(['scanned', 'pending_scan', 'not_scanned']),
      ...(statesDigest && { sha256: inCapitals ? stated.toUpperCase() : stated }),
      ...(statesSize && { size: { unit: 'bytes', amount: tooLarge ? largestDocument + 1 : length } }),
      ...(malformed && {
        filename: 12_345,
        content_type: { type: canary },
        size: random.pick<unknown>([10, { unit: 'bytes', amount: '10' }, { unit: 'bytes', amount: -1 }, []]),
        sha256: random.pick<unknown>(['not available', 7, {}, sha256.slice(1)]),
        av_scan_status: { scanned: true },
      }),
      ...(monstrous && { customer_reference: random.chance(0.5) ? 'x'.repeat(200_000) : nested(2_000) }),
    };
    const text = JSON.stringify(record);
    const document: AccountDocument = {
      id,
      bytes,
      sha256,
      createdAt,
      linkedAt,
      statesSize,
      statesDigest,
      hopeless: infected
        ? 'DocumentInfected'
        : tooLarge
          ? 'DocumentTooLarge'
          : digestWrong
            ? 'ChecksumMismatch'
            : elsewhere
              ? 'LinkNotAllowed'
              : undefined,
      monstrous,
      deadly: weather.brings('document-kills-function'),
      record: weather.strikes('record-great-numbers')
        ? `${text.slice(0, -1)}, "order":2791500000000000123,"ratio":1e400 }`
        : text,
    };
    this.documents.set(id, document);
    this.#byCreation.push(document);
    return document;
  }

  /** To be called once, after all documents have been added. */
  arrange(): void {
    this.#byCreation.sort((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? -1 : 1));
  }

  isThere({ createdAt, linkedAt }: AccountDocument, now: number): boolean {
    if (now < createdAt) return false;
    return now < createdAt + unlinkedLifetimeMs || this.staysLinked({ createdAt, linkedAt });
  }

  /** Whether it was linked in time, so that Telnyx keeps it. */
  staysLinked({ createdAt, linkedAt }: Pick<AccountDocument, 'createdAt' | 'linkedAt'>): boolean {
    return linkedAt !== undefined && linkedAt < createdAt + unlinkedLifetimeMs;
  }

  /** Newest first. */
  listed(now: number, isWanted: (createdAt: number) => boolean): AccountDocument[] {
    return this.#byCreation.filter((document) => isWanted(document.createdAt) && this.isThere(document, now));
  }

  link(id: string, now: number, expired: boolean, host: string = usualHost): string {
    const token = `${canary}${this.#random.uuid()}`;
    this.#links.set(token, { id, expiresAt: expired ? now - 1 : now + linkLifetimeMs });
    const query = `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA${canary}2026&X-Amz-Signature=${token}`;
    return `https://${host}/telnyx-documents/${id}?${query}`;
  }

  /** The document that a link leads to, unless the link is no good any more. */
  behind(url: URL, now: number): AccountDocument | undefined {
    const link = this.#links.get(url.searchParams.get('X-Amz-Signature') ?? '');
    if (!link || now >= link.expiresAt) return undefined;
    return this.documents.get(link.id);
  }
}

function nested(levels: number): unknown {
  let value: unknown = canary;
  for (let level = 0; level < levels; level += 1) value = [value];
  return value;
}

const hostileName = `../${canary}\r\n{"level":"INFO"}\0\u202e${'📄'.repeat(400)}.pdf`;
