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
  /** The code with which it must become a dead letter, whatever is tried. */
  hopeless: 'DocumentInfected' | 'DocumentTooLarge' | 'ChecksumMismatch' | undefined;
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
/** Links hold for a minute. */
const linkLifetimeMs = 60_000;

export class Account {
  readonly documents = new Map<string, AccountDocument>();
  readonly orders = new Map<string, Order>();
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

  add(createdAt: number, linkedAt: number | undefined, weather: Weather): AccountDocument {
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
    const statesSize = tooLarge || !weather.strikes('record-without-size');
    const statesDigest = digestWrong || !weather.strikes('record-without-digest');
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
    };
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
            : undefined,
      deadly: weather.brings('document-kills-function'),
      record: JSON.stringify(record),
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

  link(id: string, now: number, expired: boolean): string {
    const token = `${canary}${this.#random.uuid()}`;
    this.#links.set(token, { id, expiresAt: expired ? now - 1 : now + linkLifetimeMs });
    const query = `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA${canary}2026&X-Amz-Signature=${token}`;
    return `https://s3.amazonaws.com/telnyx-documents/${id}?${query}`;
  }

  /** The document that a link leads to, unless the link is no good any more. */
  behind(url: URL, now: number): AccountDocument | undefined {
    const link = this.#links.get(url.searchParams.get('X-Amz-Signature') ?? '');
    if (!link || now >= link.expiresAt) return undefined;
    return this.documents.get(link.id);
  }
}

const hostileName = `../${canary}\r\n{"level":"INFO"}\0\u202e${'📄'.repeat(400)}.pdf`;
