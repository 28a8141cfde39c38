/** Everything that goes wrong in the simulated world, in one table, and the weather that makes it so. */
import type { RandomSource } from './random.ts';

/** What the functions talk to. */
type Neighbour = 'telnyx' | 'storage' | 's3' | 'sqs' | 'secrets';

interface Fault {
  /** Part of the occasions, 0 to 1, on which it strikes in ordinary weather. */
  rate: number;
  what: string;
  /** May strike nearly every time for minutes on end: an outage. */
  outage?: true;
  /** Whose answer fails by it, for now. */
  by?: Neighbour;
}

export const faults = {
  'event-lost': { rate: 0.1, what: 'Telnyx never sends an event', outage: true },
  'event-sent-twice': { rate: 0.1, what: 'Telnyx sends an event twice or thrice, at once or minutes apart' },
  'event-late': { rate: 0.1, what: 'an event comes up to ten minutes late, after later ones' },
  'event-stale': { rate: 0.05, what: 'an event comes with a signature older, or newer, than five minutes' },
  'event-altered': { rate: 0.05, what: 'one bit of the body flips on its way' },
  'event-unsigned': { rate: 0.05, what: 'a signature header is missing, doubled, cut or in hex' },
  'event-timestamp-odd': {
    rate: 0.05,
    what: 'the signed timestamp is in milliseconds, negative or no number',
  },
  'event-forged': { rate: 0.1, what: "somebody else's key signs an event that names a document of theirs" },
  'event-unreadable': { rate: 0.05, what: 'signed bytes that are no UTF-8 or no JSON' },
  'event-unknown': { rate: 0.1, what: 'a genuine event of a type that nobody knows, or that names nothing' },
  'event-too-large': { rate: 0.04, what: 'a body of more than a mebibyte' },
  'event-bare': { rate: 0.2, what: 'a genuine event without its envelope' },
  'event-id-odd': { rate: 0.05, what: 'an event id with U+FFFF, which SQS takes in no message' },
  'event-in-base64': { rate: 0.2, what: 'the gateway hands the body over in base64' },
  'gateway-answer-lost': { rate: 0.05, what: 'the answer to a webhook never reaches Telnyx' },
  'signing-key-rotated': { rate: 0.5, what: 'Telnyx signs with a key that is not deployed yet' },
  'low-order-key-configured': { rate: 0.8, what: 'a deployment with a low-order point as public key' },

  'sqs-refuses': {
    rate: 0.02,
    what: 'SQS answers SendMessage or SendMessageBatch with 5xx',
    outage: true,
    by: 'sqs',
  },
  'sqs-stalls': { rate: 0.02, what: 'SQS does not answer a send', outage: true, by: 'sqs' },
  'sqs-answer-lost': { rate: 0.02, what: 'SQS has taken the messages, its answer is lost' },
  'sqs-retry-repeats': { rate: 0.04, what: 'the SDK repeats a send whose answer was lost' },
  'sqs-entries-failed': { rate: 0.1, what: 'SendMessageBatch answers 200 with entries that failed' },
  'sqs-delivers-twice': { rate: 0.03, what: 'a message is delivered again while it is worked on' },
  'sqs-delivers-late': { rate: 0.03, what: 'a message shows up only minutes after it was sent' },
  'sqs-forgets-delete': { rate: 0.03, what: 'a deleted message is delivered once more' },
  'sqs-delete-lost': { rate: 0.02, what: 'the deletion after a batch never arrives' },
  'sqs-visibility-refused': { rate: 0.05, what: 'ChangeMessageVisibility fails' },
  'dead-letter-refused': { rate: 0.3, what: 'the dead-letter queue takes no message', outage: true },
  'dead-letter-answer-lost': { rate: 0.1, what: 'the dead-letter queue has it, its answer is lost' },
  'message-malformed': { rate: 0.06, what: 'somebody sends a message that cannot be read' },
  'message-of-tomorrow': {
    rate: 0.06,
    what: 'a message of a later version, as in the middle of a deployment',
  },
  'message-in-wrong-queue': { rate: 0.06, what: 'a message of a kind that its queue does not carry' },
  'message-worn': { rate: 0.06, what: 'a message has been received hundreds of times, for nearly nine days' },
  'message-huge': { rate: 0.02, what: 'a message of a mebibyte that cannot be read' },

  'lambda-killed-before-call': { rate: 0.002, what: 'the process dies before a call goes out' },
  'lambda-killed-after-call': { rate: 0.002, what: 'the process dies with a call on its way or answered' },
  'lambda-killed-anytime': { rate: 0.01, what: 'the process dies at any moment' },
  'lambda-throttled': { rate: 0.01, what: 'a batch was received, but the function is not invoked' },
  'lambda-answer-lost': { rate: 0.01, what: 'the batch is done, its answer is lost' },
  'lambda-thaws-with-dead-sockets': { rate: 0.05, what: 'the first call after a freeze breaks' },
  'lambda-clock-wrong': { rate: 0.1, what: "a container's wall clock is ten minutes off" },
  'lambda-clock-jumps': { rate: 0.02, what: "a container's wall clock jumps in mid-invocation" },
  'document-kills-function': { rate: 0.002, what: 'reading one document kills the function, time and again' },

  'secret-throttled': {
    rate: 0.1,
    what: 'Secrets Manager does not give the API key',
    outage: true,
    by: 'secrets',
  },
  'secret-garbled': { rate: 0.05, what: 'the secret holds JSON, nothing, or the key with blanks' },
  'api-key-rotated': { rate: 0.5, what: 'Telnyx refuses the old API key' },
  'api-key-forbidden': { rate: 0.005, what: 'Telnyx answers 403', outage: true },
  'telnyx-rate-limited': {
    rate: 0.01,
    what: '429 with x-ratelimit-reset or retry-after',
    outage: true,
    by: 'telnyx',
  },
  'telnyx-states-limit': { rate: 0.5, what: 'Telnyx allows so many requests a second, and says so' },
  'telnyx-rate-limit-near': { rate: 0.03, what: 'x-ratelimit-remaining is nearly 0' },
  'telnyx-fails': { rate: 0.01, what: '500, 502, 503 or 504, with JSON or HTML', outage: true, by: 'telnyx' },
  'telnyx-quotes-secrets': {
    rate: 0.01,
    what: 'an error text quotes the API key and a presigned URL',
    by: 'telnyx',
  },
  'telnyx-behind-gateway': {
    rate: 0.01,
    what: "400, 401, 403, 404 or 422 by a gateway, without the API's error object",
    outage: true,
    by: 'telnyx',
  },
  'telnyx-not-found-otherwise': { rate: 0.01, what: "404 with another code of the API's than not found" },
  'telnyx-success-is-201': { rate: 0.05, what: '201 with the body that is needed' },
  'telnyx-place-fails': {
    rate: 0.1,
    what: 'one of the places where the documents of an order are named fails',
  },
  'telnyx-not-found-yet': { rate: 0.01, what: '404 for a document that is there' },
  'telnyx-refuses-link': { rate: 0.01, what: '422 for a download link' },
  'telnyx-stalls': { rate: 0.005, what: 'no answer at all', outage: true, by: 'telnyx' },
  'telnyx-body-stalls': { rate: 0.005, what: 'headers, and then silence', by: 'telnyx' },
  'telnyx-body-cut': { rate: 0.01, what: 'JSON that breaks off, connection closed in order', by: 'telnyx' },
  'telnyx-resets': { rate: 0.01, what: 'the connection breaks', by: 'telnyx' },
  'telnyx-answers-html': { rate: 0.005, what: '200 with a page of HTML', by: 'telnyx' },
  'telnyx-answers-nonsense': {
    rate: 0.01,
    what: 'JSON with fields of the wrong type, or none',
    by: 'telnyx',
  },
  'telnyx-wrong-document': { rate: 0.01, what: "another document's record" },
  'list-empty': { rate: 0.08, what: 'a page of a list comes empty' },
  'list-repeated': { rate: 0.08, what: 'a page comes with the rows of the page before' },
  'list-unfiltered': { rate: 0.05, what: 'a page with documents of another time than asked for' },
  'list-garbled-row': { rate: 0.1, what: 'a row without a proper id' },
  'list-page-size-ignored': { rate: 0.5, what: 'pages of 20 rows, whatever is asked for' },
  'list-totals-wrong': { rate: 0.3, what: 'meta names totals that are wrong' },
  'record-without-digest': { rate: 0.1, what: 'Telnyx states no sha256' },
  'record-without-size': { rate: 0.1, what: 'Telnyx states no size' },
  'record-malformed': { rate: 0.1, what: 'optional fields of a record are not as specified' },
  'record-great-numbers': { rate: 0.1, what: 'a record holds integers above 2^53 and 1e400' },
  'record-monstrous': { rate: 0.01, what: 'a record of 200 kB, or nested 2,000 levels deep' },
  'record-digest-in-capitals': { rate: 0.1, what: 'Telnyx states the sha256 in upper case' },
  'record-digest-wrong': { rate: 0.002, what: 'Telnyx states a sha256 that is not that of the bytes' },
  'document-infected': { rate: 0.03, what: "Telnyx's scanner found malware" },
  'document-too-large': { rate: 0.03, what: 'the document is larger than the stage allows' },
  'document-elsewhere': {
    rate: 0.1,
    what: 'the links of an old document lead to a host that is not allowed',
  },
  'document-name-hostile': { rate: 0.1, what: 'a file name with line ends, `..`, NUL and 500 emoji' },

  'link-expired': { rate: 0.02, what: 'the link expires before it is used' },
  'link-of-another-host': {
    rate: 0.1,
    what: "the link leads to a legacy host of S3, or to Telnyx's own storage",
  },
  'link-leads-astray': { rate: 0.02, what: 'the link leads to another host, to http, to an IP address' },
  'download-redirected': { rate: 0.015, what: 'the storage answers with a redirect' },
  'download-refused': { rate: 0.01, what: 'the storage answers 500 or 503', outage: true, by: 'storage' },
  'download-missing': { rate: 0.01, what: 'the storage answers 400 or 404', by: 'storage' },
  'download-stalls-at-once': { rate: 0.015, what: 'the storage does not answer', by: 'storage' },
  'download-stalls': { rate: 0.015, what: 'the storage stops in mid-body', outage: true, by: 'storage' },
  'download-resets': { rate: 0.015, what: 'the connection breaks in mid-body', by: 'storage' },
  'download-cut': { rate: 0.015, what: 'the body ends early, without a length, in order' },
  'download-too-long': { rate: 0.015, what: 'there are more bytes than promised' },
  'download-length-wrong': { rate: 0.015, what: 'Content-Length is not what Telnyx states' },
  'download-bit-flipped': { rate: 0.015, what: 'one bit of the body is wrong' },
  'download-is-error-page': { rate: 0.015, what: '200 with an XML error page' },
  'download-without-length': { rate: 0.05, what: 'no Content-Length' },
  'download-drips': { rate: 0.02, what: 'the body comes byte by byte' },

  's3-slow-down': { rate: 0.01, what: '503 SlowDown', outage: true, by: 's3' },
  's3-fails': { rate: 0.01, what: '500 InternalError', by: 's3' },
  's3-conflict': { rate: 0.01, what: '409 ConditionalRequestConflict' },
  's3-denies': { rate: 0.005, what: '403 AccessDenied', outage: true, by: 's3' },
  's3-key-disabled': { rate: 0.005, what: 'KMS.DisabledException', outage: true, by: 's3' },
  's3-bucket-elsewhere': { rate: 0.005, what: '301 PermanentRedirect', outage: true },
  's3-stalls': { rate: 0.005, what: 'S3 does not answer', outage: true, by: 's3' },
  's3-resets': { rate: 0.01, what: 'the connection to S3 breaks before the object is stored', by: 's3' },
  's3-answer-lost': { rate: 0.02, what: 'the object is stored, the answer is lost' },
  's3-bit-flipped': { rate: 0.01, what: 'one bit is wrong on the way to S3' },
  's3-answers-early': { rate: 0.3, what: 'S3 answers 412 before it has read the body' },
  's3-states-no-digest': { rate: 0.05, what: 'S3 states no full-object checksum of an object' },
  's3-foreign-object': { rate: 0.03, what: "somebody's other bytes stand at the document's key" },
  's3-foreign-copy': { rate: 0.03, what: "somebody's copy of the same bytes stands at the key" },

  'schedule-misses': { rate: 0.25, what: 'the schedule sends no sweep', outage: true },
  'schedule-repeats': { rate: 0.25, what: 'the schedule sends two sweeps' },
  'operator-redrives-early': { rate: 0.4, what: 'all dead letters are redriven while the cause persists' },
  'operator-backfills-twice': { rate: 0.6, what: 'the same span is backfilled a second time' },
  'operator-backfills-years': { rate: 0.3, what: 'hundreds of spans are queued at once' },
  'operator-mistypes-span': { rate: 0.6, what: 'a span that ends before it begins' },
  'operator-sends-id': { rate: 0.1, what: "a document's bare id as a message" },
} as const satisfies Record<string, Fault>;

export type FaultName = keyof typeof faults;
export const faultNames = Object.keys(faults) as FaultName[];

/** How many times each has struck. */
export type FaultCounts = Map<FaultName, number>;

export interface Climate {
  /** Part of the kinds of fault that a world has at all; each world has others. */
  kinds: number;
  /** How much more often than in ordinary weather they strike; each kind in each world draws one. */
  factors: readonly number[];
  /** The most outages in one world. */
  outages: number;
  /** Kinds that strike on three occasions of ten, come what may. */
  provoked?: readonly FaultName[] | undefined;
  /** Only kinds by which an answer of a neighbour fails. */
  answersOnly?: true;
  /** Instead of `outages`: one neighbour is down altogether, once, for so long. */
  down?: { leastMs: number; mostMs: number; neighbours: readonly Neighbour[] };
}

export const climates = {
  /** A few kinds at a time, each of them often: combinations that rare faults everywhere would never bring. */
  stormy: { kinds: 0.5, factors: [0.5, 1, 1, 3], outages: 3 },
  /** All kinds at once, each often: nothing stays unprovoked for long. */
  rough: { kinds: 1, factors: [1, 2], outages: 2 },
  /** All kinds, each seldom: what an ordinary day has, and more. */
  fair: { kinds: 1, factors: [0.2], outages: 0 },
  /** Of ten answers of each neighbour nine are right. */
  unreliable: { kinds: 1, factors: [0.7], outages: 0, answersOnly: true },
  /** All is well, but for one neighbour that is down for less than ten minutes. */
  blackout: {
    kinds: 0,
    factors: [0],
    outages: 0,
    down: { leastMs: 60_000, mostMs: 599_000, neighbours: ['telnyx', 'storage', 's3', 'sqs', 'secrets'] },
  },
  /** All is well, but for one neighbour that is down for longer than an unlinked document lives. */
  dark: {
    kinds: 0,
    factors: [0],
    outages: 0,
    down: {
      leastMs: 35 * 60_000,
      mostMs: 50 * 60_000,
      neighbours: ['telnyx', 'storage', 's3', 'sqs', 'secrets'],
    },
  },
  /** Nothing at all. */
  still: { kinds: 0, factors: [0], outages: 0 },
} as const satisfies Record<string, Climate>;

interface Outage {
  from: number;
  to: number;
  /** Part of the occasions on which it strikes. */
  rate: number;
}

/** Decides when what strikes, until the weather clears up. */
export class Weather {
  readonly counts: FaultCounts = new Map();
  readonly #random: RandomSource;
  readonly #elapsed: () => number;
  readonly #rates = new Map<FaultName, number>();
  readonly #outages = new Map<FaultName, Outage>();
  #cleared = false;

  /**
   * @param elapsed milliseconds since the world began
   * @param lastsMs how long there is weather at all
   */
  constructor(random: RandomSource, elapsed: () => number, climate: Climate, lastsMs: number) {
    this.#random = random;
    this.#elapsed = elapsed;
    for (const name of faultNames) {
      const fault: Fault = faults[name];
      if (random.chance(climate.kinds) && (!climate.answersOnly || fault.by !== undefined)) {
        this.#rates.set(name, Math.min(0.9, fault.rate * random.pick(climate.factors)));
      }
    }
    for (const name of climate.provoked ?? []) this.#rates.set(name, 0.3);
    const breakable = faultNames.filter((name) => 'outage' in faults[name]);
    for (let count = random.integer(0, climate.outages); count > 0; count -= 1) {
      const from = random.between(0, lastsMs);
      const to = from + random.between(60_000, 25 * 60_000);
      this.#outages.set(random.pick(breakable), { from, to, rate: 0.9 });
    }
    if (climate.down) {
      const { leastMs, mostMs, neighbours } = climate.down;
      const neighbour = random.pick(neighbours);
      const ways = breakable.filter((name) => (faults[name] as Fault).by === neighbour);
      const from = random.between(0, Math.max(0, lastsMs - mostMs - 20 * 60_000));
      this.#outages.set(random.pick(ways), { from, to: from + random.between(leastMs, mostMs), rate: 1 });
    }
  }

  /** Whether this kind strikes on this occasion. It has struck then: the caller must make it so. */
  strikes(name: FaultName): boolean {
    if (this.#cleared || !this.#random.chance(this.#rateNow(name))) return false;
    this.counted(name);
    return true;
  }

  /** As `strikes`, for what is counted only when it takes effect. */
  brings(name: FaultName): boolean {
    return !this.#cleared && this.#random.chance(this.#rateNow(name));
  }

  /** The first of the kinds that strikes. */
  oneOf<const Name extends FaultName>(names: readonly Name[]): Name | undefined {
    return names.find((name) => this.strikes(name));
  }

  /** For what strikes by itself once it has been brought about, such as a key that was rotated. */
  counted(name: FaultName): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }

  get isClear(): boolean {
    return this.#cleared;
  }

  /** From now on nothing strikes any more. */
  clearUp(): void {
    this.#cleared = true;
  }

  outages(): string[] {
    return [...this.#outages].map(
      ([name, { from, to }]) => `${name} from ${Math.round(from / 1_000)} s to ${Math.round(to / 1_000)} s`,
    );
  }

  #rateNow(name: FaultName): number {
    const outage = this.#outages.get(name);
    const elapsed = this.#elapsed();
    if (outage && elapsed >= outage.from && elapsed < outage.to) return outage.rate;
    return this.#rates.get(name) ?? 0;
  }
}
