/** The actual state of the simulated Telnyx account: documents, orders, API keys and download links. */
import { createHash } from 'node:crypto';
import { unlinkedLifetimeMs } from '../../functions/limits.ts';
import { canary } from './canary.ts';
import type { FaultInjector } from './faults.ts';
import type { RandomSource } from './random.ts';

export interface AccountDocument {
  id: string;
  bytes: Buffer;
  /** Of the bytes, lower-case hex. */
  sha256: string;
  /** Milliseconds since the Unix epoch. */
  createdAt: number;
  /** When a service links the document. If undefined, Telnyx deletes it after 30 minutes. */
  linkedAt: number | undefined;
  statesSize: boolean;
  statesDigest: boolean;
  /**
   * Set if the document cannot be archived: its dead letter must have this code. With `LinkNotAllowed` its message waits
   * until a person acts.
   */
  expectedFailure:
    | 'DocumentInfected'
    | 'DocumentTooLarge'
    | 'ChecksumMismatch'
    | 'LinkNotAllowed'
    | undefined;
  /** Whether the record is too large for the receipt. */
  hasOversizedRecord: boolean;
  /** Whether reading it kills the function, as long as faults occur. */
  crashesFunction: boolean;
  /** Telnyx's record, as JSON. */
  record: string;
}

/** Part of an order, or list, that names documents. */
export type OrderSection =
  | 'loa'
  | 'invoice'
  | 'requirement'
  | 'requirements'
  | 'additional'
  | 'supporting'
  /** The requirements of phone numbers. */
  | 'numbers'
  | 'links';

export interface Order {
  id: string;
  kind: 'porting-order' | 'port-out' | 'number-order';
  /** The customer's own text. */
  reference: string | undefined;
  createdAt: number;
  /** When Telnyx starts to respond 404 for it. */
  goneAt: number;
  /** With the phone numbers whose requirements they meet. */
  documents: { id: string; section: OrderSection; numbers?: readonly string[] | undefined }[];
}

/** Telnyx's words for an order: in the paths of its API, and in the links of documents. */
export const orderNames = {
  'porting-order': { collection: 'porting_orders', linkedType: 'porting_order' },
  'port-out': { collection: 'portouts', linkedType: 'portout' },
  'number-order': { collection: 'number_orders', linkedType: 'number_order' },
} as const satisfies Record<Order['kind'], { collection: string; linkedType: string }>;

export const largestDocument = 1024 ** 2;
/** Host of a download link (Telnyx API reference, "Generate a temporary download link"). */
export const usualHost = 's3.amazonaws.com';
export const otherHosts = [
  'telnyx-documents.s3.us-east-1.amazonaws.com',
  's3-us-west-2.amazonaws.com',
  'telnyx-documents.s3-external-1.amazonaws.com',
  'us-central-1.telnyxcloudstorage.com',
];
const linkLifetimeMs = 60_000;

export class Account {
  readonly documents = new Map<string, AccountDocument>();
  readonly orders = new Map<string, Order>();
  /** The section of each order whose request fails, by order ID. */
  readonly failingSections = new Map<string, string>();
  readonly #byCreation: AccountDocument[] = [];
  readonly #links = new Map<string, { id: string; expiresAt: number }>();
  readonly #random: RandomSource;
  /** The API key that Telnyx accepts. */
  apiKey: string;
  /** Value of the secret, and since when (monotonic milliseconds) it equals the accepted key; Infinity if it does not. */
  secret: { text: string; rightSince: number };

  constructor(random: RandomSource) {
    this.#random = random;
    this.apiKey = this.newApiKey();
    this.secret = { text: this.apiKey, rightSince: Number.NEGATIVE_INFINITY };
  }

  newApiKey(): string {
    return `KEY01${canary}${this.#random.uuid().replaceAll('-', '')}`;
  }

  /** @param isOld whether only a backfill finds the document */
  add(
    createdAt: number,
    linkedAt: number | undefined,
    injector: FaultInjector,
    isOld = false,
  ): AccountDocument {
    const random = this.#random;
    const id = random.uuid();
    const length = random.chance(0.02) ? random.integer(10_000, 300_000) : random.integer(0, 300);
    const bytes = random.bytes(length);
    if (length > 40) bytes.write(canary);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const infected = injector.shouldInject('document-infected');
    const tooLarge = !infected && injector.shouldInject('document-too-large');
    // Only for unlinked documents: the archiver retries it for as long as Telnyx lists it.
    const digestWrong =
      !infected &&
      !tooLarge &&
      linkedAt === undefined &&
      injector.shouldInjectUncounted('record-digest-wrong');
    const elsewhere =
      isOld && !infected && !tooLarge && !digestWrong && injector.shouldInject('document-on-disallowed-host');
    const malformed = !infected && !tooLarge && !digestWrong && injector.shouldInject('record-malformed');
    const statesSize = tooLarge || (!malformed && !injector.shouldInject('record-without-size'));
    const statesDigest = digestWrong || (!malformed && !injector.shouldInject('record-without-digest'));
    const hasOversizedRecord = injector.shouldInject('record-oversized');
    const stated = digestWrong ? createHash('sha256').update(sha256).digest('hex') : sha256;
    const isUpperCase = injector.shouldInject('record-digest-in-upper-case');
    const name = injector.shouldInject('document-name-with-control-characters')
      ? nameWithControlCharacters
      : `${canary} letter.pdf`;
    const record = {
      id,
      record_type: 'document',
      created_at: new Date(createdAt).toISOString(),
      content_type: 'application/pdf',
      filename: name,
      status: 'pending',
      av_scan_status: infected ? 'infected' : random.pick(['scanned', 'pending_scan', 'not_scanned']),
      ...(statesDigest && { sha256: isUpperCase ? stated.toUpperCase() : stated }),
      ...(statesSize && { size: { unit: 'bytes', amount: tooLarge ? largestDocument + 1 : length } }),
      ...(malformed && {
        filename: 12_345,
        content_type: { type: canary },
        size: random.pick<unknown>([10, { unit: 'bytes', amount: '10' }, { unit: 'bytes', amount: -1 }, []]),
        sha256: random.pick<unknown>(['not available', 7, {}, sha256.slice(1)]),
        av_scan_status: { scanned: true },
      }),
      ...(hasOversizedRecord && {
        customer_reference: random.chance(0.5) ? 'x'.repeat(200_000) : nested(2_000),
      }),
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
      expectedFailure: infected
        ? 'DocumentInfected'
        : tooLarge
          ? 'DocumentTooLarge'
          : digestWrong
            ? 'ChecksumMismatch'
            : elsewhere
              ? 'LinkNotAllowed'
              : undefined,
      hasOversizedRecord,
      crashesFunction: injector.shouldInjectUncounted('document-kills-function'),
      record: injector.shouldInject('record-with-large-numbers')
        ? `${text.slice(0, -1)}, "order":2791500000000000123,"ratio":1e400 }`
        : text,
    };
    this.documents.set(id, document);
    this.#byCreation.push(document);
    return document;
  }

  /** Call once, after all documents are added. */
  sortByCreation(): void {
    this.#byCreation.sort((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? -1 : 1));
  }

  /** The orders that name any of the documents. */
  ordersOf(documents: readonly Pick<AccountDocument, 'id'>[]): Order[] {
    const ids = new Set(documents.map(({ id }) => id));
    return [...this.orders.values()].filter((order) => order.documents.some(({ id }) => ids.has(id)));
  }

  exists({ createdAt, linkedAt }: AccountDocument, now: number): boolean {
    if (now < createdAt) return false;
    return now < createdAt + unlinkedLifetimeMs || this.isKept({ createdAt, linkedAt });
  }

  /** Whether the document is linked before its deletion is due, so that Telnyx keeps it. */
  isKept({ createdAt, linkedAt }: Pick<AccountDocument, 'createdAt' | 'linkedAt'>): boolean {
    return linkedAt !== undefined && linkedAt < createdAt + unlinkedLifetimeMs;
  }

  /** Newest first. */
  listed(now: number, isWanted: (createdAt: number) => boolean): AccountDocument[] {
    return this.#byCreation.filter((document) => isWanted(document.createdAt) && this.exists(document, now));
  }

  link(id: string, now: number, expired: boolean, host: string = usualHost): string {
    const token = `${canary}${this.#random.uuid()}`;
    this.#links.set(token, { id, expiresAt: expired ? now - 1 : now + linkLifetimeMs });
    const query = `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA${canary}2026&X-Amz-Signature=${token}`;
    return `https://${host}/telnyx-documents/${id}?${query}`;
  }

  /** The document of a download link; undefined if the link is unknown or expired. */
  documentOfLink(url: URL, now: number): AccountDocument | undefined {
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

const nameWithControlCharacters = `../${canary}\r\n{"level":"INFO"}\0\u202e${'📄'.repeat(400)}.pdf`;
