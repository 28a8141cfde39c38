/** All kinds of fault in a table, the fault profiles, and the injector that decides when a fault occurs. */
import type { RandomSource } from './random.ts';

/** A service that the functions call. */
type Neighbour = 'telnyx' | 'storage' | 's3' | 'sqs' | 'secrets';

interface Fault {
  /** Probability, 0 to 1, per opportunity, before the factor of the fault profile. */
  rate: number;
  what: string;
  /** May also occur as an outage: on nearly every opportunity for minutes. */
  outage?: true;
  /** Set if the fault makes a response of this service fail temporarily. */
  neighbour?: Neighbour;
}

export const faults = {
  'event-lost': { rate: 0.1, what: 'Telnyx never sends an event', outage: true },
  'event-sent-twice': { rate: 0.1, what: 'Telnyx sends an event twice or thrice, at once or minutes apart' },
  'event-late': { rate: 0.1, what: 'an event arrives up to ten minutes late, after later events' },
  'event-timestamp-outside-tolerance': {
    rate: 0.05,
    what: 'the signed timestamp differs from now by more than five minutes',
  },
  'event-bit-flipped': { rate: 0.05, what: 'one bit of the event body flips in transit' },
  'event-signature-malformed': {
    rate: 0.05,
    what: 'the signature header is empty, doubled, truncated or in hex',
  },
  'event-timestamp-malformed': {
    rate: 0.05,
    what: 'the timestamp header is in milliseconds, negative, not a number or empty',
  },
  'event-forged': { rate: 0.1, what: 'an event that names an unknown document is signed with another key' },
  'event-not-json': { rate: 0.05, what: 'the signed body is not UTF-8 or not JSON' },
  'event-of-unknown-type': { rate: 0.1, what: 'a genuine event has an unknown type or names no document' },
  'event-too-large': { rate: 0.04, what: 'the body is larger than 1 MiB' },
  'event-without-envelope': { rate: 0.2, what: 'a genuine event has no envelope' },
  'event-id-with-noncharacter': {
    rate: 0.05,
    what: 'the event ID contains U+FFFF, which SQS rejects in a message',
  },
  'event-in-base64': { rate: 0.2, what: 'API Gateway passes the body in base64' },
  'webhook-response-lost': { rate: 0.05, what: 'the response to a webhook never reaches Telnyx' },
  'signing-key-rotated': { rate: 0.5, what: 'Telnyx signs with a key that is not deployed yet' },
  'low-order-key-configured': { rate: 0.8, what: 'a deployment configures a low-order point as public key' },

  'sqs-send-fails': {
    rate: 0.02,
    what: 'SQS responds to SendMessage or SendMessageBatch with 5xx',
    outage: true,
    neighbour: 'sqs',
  },
  'sqs-send-times-out': {
    rate: 0.02,
    what: 'SQS does not respond to a send',
    outage: true,
    neighbour: 'sqs',
  },
  'sqs-send-response-lost': { rate: 0.02, what: 'SQS stores the messages, but its response is lost' },
  'sqs-send-repeated-by-sdk': { rate: 0.04, what: 'the SDK repeats a send whose response was lost' },
  'sqs-batch-partly-fails': { rate: 0.1, what: 'SendMessageBatch responds 200 with failed entries' },
  'sqs-delivers-twice': { rate: 0.03, what: 'a message is delivered again while it is being processed' },
  'sqs-delivers-late': { rate: 0.03, what: 'a message becomes visible only minutes after it was sent' },
  'sqs-delivers-deleted-message': { rate: 0.03, what: 'a deleted message is delivered once more' },
  'sqs-delete-request-lost': { rate: 0.02, what: 'the request to delete the messages of a batch is lost' },
  'sqs-change-visibility-fails': { rate: 0.05, what: 'ChangeMessageVisibility fails' },
  'dead-letter-send-fails': { rate: 0.3, what: 'sending to the dead-letter queue fails', outage: true },
  'dead-letter-send-response-lost': {
    rate: 0.1,
    what: 'the dead-letter queue stores the message, but its response is lost',
  },
  'message-malformed': { rate: 0.06, what: 'a malformed message is sent' },
  'message-of-later-version': {
    rate: 0.06,
    what: 'a message has a later version, as during a deployment',
  },
  'message-in-wrong-queue': { rate: 0.06, what: 'a message has a kind that does not belong in its queue' },
  'message-received-hundreds-of-times': {
    rate: 0.06,
    what: 'a message has been received hundreds of times over nearly nine days',
  },
  'message-of-maximum-size': { rate: 0.025, what: 'a malformed message has the maximum size of 1 MiB' },

  'lambda-killed-before-call': { rate: 0.002, what: 'the process is killed before it sends a request' },
  'lambda-killed-after-call': {
    rate: 0.002,
    what: 'the process is killed while a request or its response is in transit',
  },
  'lambda-killed-at-random': { rate: 0.01, what: 'the process is killed at a random time' },
  'lambda-throttled': { rate: 0.01, what: 'a batch is received, but the function is not invoked' },
  'lambda-response-lost': {
    rate: 0.01,
    what: 'the batch is processed, but the response of the function is lost',
  },
  'lambda-resumes-with-dead-sockets': {
    rate: 0.05,
    what: 'the first requests after a pause fail because their connections are dead',
  },
  'lambda-clock-wrong': { rate: 0.1, what: 'the clock of a container is ten minutes off' },
  'lambda-clock-jumps': {
    rate: 0.02,
    what: 'the clock of a container jumps by an hour during an invocation',
  },
  'document-kills-function': {
    rate: 0.002,
    what: 'reading one certain document kills the function every time',
  },

  'secret-throttled': {
    rate: 0.1,
    what: 'Secrets Manager throttles the read of the API key',
    outage: true,
    neighbour: 'secrets',
  },
  'secret-malformed': { rate: 0.05, what: 'the secret holds JSON, nothing, or the key with extra text' },
  'api-key-rotated': { rate: 0.5, what: 'Telnyx rejects the old API key after a rotation' },
  'api-key-forbidden': { rate: 0.005, what: 'Telnyx responds 403', outage: true },
  'telnyx-rate-limited': {
    rate: 0.01,
    what: 'Telnyx responds 429 with x-ratelimit-reset or retry-after',
    outage: true,
    neighbour: 'telnyx',
  },
  'telnyx-enforces-rate-limit': {
    rate: 0.5,
    what: 'Telnyx allows a fixed number of requests per second and states it',
  },
  'telnyx-rate-limit-nearly-used': { rate: 0.03, what: 'x-ratelimit-remaining is nearly 0' },
  'telnyx-server-error': {
    rate: 0.01,
    what: 'Telnyx responds with a server error or 408, in JSON or HTML',
    outage: true,
    neighbour: 'telnyx',
  },
  'telnyx-error-contains-secrets': {
    rate: 0.01,
    what: 'the text of an error contains the API key and a presigned URL',
    neighbour: 'telnyx',
  },
  'telnyx-gateway-error': {
    rate: 0.01,
    what: "a gateway responds 400, 401, 403, 404 or 422 without the API's error object",
    outage: true,
    neighbour: 'telnyx',
  },
  'telnyx-404-with-other-code': {
    rate: 0.01,
    what: 'Telnyx responds 404 with an error code other than "not found"',
  },
  'telnyx-returns-201': { rate: 0.05, what: 'Telnyx responds 201 with the expected body' },
  'telnyx-order-section-fails': {
    rate: 0.1,
    what: 'the request for one section of an order fails',
  },
  'telnyx-404-for-existing-document': { rate: 0.01, what: 'Telnyx responds 404 for a document that exists' },
  'telnyx-refuses-link': { rate: 0.01, what: 'Telnyx responds 422 to the request for a download link' },
  'telnyx-no-response': { rate: 0.005, what: 'Telnyx does not respond', outage: true, neighbour: 'telnyx' },
  'telnyx-body-stalls': {
    rate: 0.005,
    what: 'Telnyx sends headers, but no complete body',
    neighbour: 'telnyx',
  },
  'telnyx-body-truncated': {
    rate: 0.01,
    what: 'the JSON ends early and the connection closes normally',
    neighbour: 'telnyx',
  },
  'telnyx-connection-reset': { rate: 0.01, what: 'the connection to Telnyx is reset', neighbour: 'telnyx' },
  'telnyx-returns-html': { rate: 0.005, what: 'Telnyx responds 200 with an HTML page', neighbour: 'telnyx' },
  'telnyx-returns-malformed-json': {
    rate: 0.01,
    what: 'the JSON has fields of the wrong type or no fields',
    neighbour: 'telnyx',
  },
  'telnyx-returns-other-document': { rate: 0.01, what: 'Telnyx returns the record of another document' },
  'list-page-empty': { rate: 0.08, what: 'a page of a list is empty' },
  'list-page-repeated': { rate: 0.08, what: 'a page has the rows of the previous page' },
  'list-filter-ignored': { rate: 0.05, what: 'a page has documents outside the requested time window' },
  'list-row-malformed': { rate: 0.1, what: 'a row has a malformed ID' },
  'list-page-size-ignored': { rate: 0.5, what: 'pages have at most 20 rows, whatever size is requested' },
  'list-totals-wrong': { rate: 0.3, what: 'the totals in `meta` are wrong' },
  'record-without-digest': { rate: 0.1, what: 'Telnyx states no sha256' },
  'record-without-size': { rate: 0.1, what: 'Telnyx states no size' },
  'record-malformed': { rate: 0.1, what: 'optional fields of a record violate the specification' },
  'record-with-large-numbers': { rate: 0.1, what: 'a record contains integers above 2^53 and 1e400' },
  'record-oversized': { rate: 0.01, what: 'a record has 200 kB or is nested 2,000 levels deep' },
  'record-digest-in-upper-case': { rate: 0.1, what: 'Telnyx states the sha256 in upper case' },
  'record-digest-wrong': { rate: 0.002, what: 'the sha256 that Telnyx states does not match the bytes' },
  'document-infected': { rate: 0.03, what: "Telnyx's scanner found malware" },
  'document-too-large': { rate: 0.03, what: 'the document is larger than the configured maximum' },
  'document-on-disallowed-host': {
    rate: 0.1,
    what: 'the links of an old document point to a host that is not allowed',
  },
  'document-name-with-control-characters': {
    rate: 0.1,
    what: 'the file name contains line breaks, `..`, NUL and 400 emoji',
  },

  'link-expired': { rate: 0.02, what: 'the link expires before it is used' },
  'link-to-other-allowed-host': {
    rate: 0.1,
    what: "the link points to a legacy S3 host or to Telnyx's own storage",
  },
  'link-to-disallowed-address': {
    rate: 0.02,
    what: 'the link points to a host that is not allowed, to http or to an IP address',
  },
  'download-redirected': { rate: 0.015, what: 'the storage responds with a redirect' },
  'download-server-error': {
    rate: 0.01,
    what: 'the storage responds 500 or 503',
    outage: true,
    neighbour: 'storage',
  },
  'download-client-error': { rate: 0.01, what: 'the storage responds 400 or 404', neighbour: 'storage' },
  'download-no-response': { rate: 0.015, what: 'the storage does not respond', neighbour: 'storage' },
  'download-body-stalls': {
    rate: 0.015,
    what: 'the storage stops sending in the middle of the body',
    outage: true,
    neighbour: 'storage',
  },
  'download-connection-reset': {
    rate: 0.015,
    what: 'the connection is reset in the middle of the body',
    neighbour: 'storage',
  },
  'download-truncated': {
    rate: 0.015,
    what: 'the body ends early, without Content-Length, and the connection closes normally',
  },
  'download-too-long': { rate: 0.015, what: 'the body is longer than Telnyx states' },
  'download-length-wrong': { rate: 0.015, what: 'Content-Length differs from the size that Telnyx states' },
  'download-bit-flipped': { rate: 0.015, what: 'one bit of the body is flipped' },
  'download-is-error-page': { rate: 0.015, what: 'the storage responds 200 with an XML error page' },
  'download-without-length': { rate: 0.05, what: 'the response has no Content-Length' },
  'download-slow': { rate: 0.02, what: 'the body arrives with pauses of up to four seconds' },

  's3-slow-down': { rate: 0.01, what: 'S3 responds 503 SlowDown', outage: true, neighbour: 's3' },
  's3-internal-error': { rate: 0.01, what: 'S3 responds 500 InternalError', neighbour: 's3' },
  's3-conflict': { rate: 0.01, what: 'S3 responds 409 ConditionalRequestConflict' },
  's3-access-denied': { rate: 0.005, what: 'S3 responds 403 AccessDenied', outage: true, neighbour: 's3' },
  's3-key-disabled': {
    rate: 0.005,
    what: 'S3 responds KMS.DisabledException',
    outage: true,
    neighbour: 's3',
  },
  's3-wrong-region': { rate: 0.005, what: 'S3 responds 301 PermanentRedirect', outage: true },
  's3-no-response': { rate: 0.005, what: 'S3 does not respond', outage: true, neighbour: 's3' },
  's3-connection-reset': {
    rate: 0.01,
    what: 'the connection to S3 is reset before the object is stored',
    neighbour: 's3',
  },
  's3-response-lost': { rate: 0.02, what: 'S3 stores the object, but its response is lost' },
  's3-bit-flipped': { rate: 0.01, what: 'one bit flips on the way to S3' },
  's3-responds-before-body': { rate: 0.3, what: 'S3 responds 412 before it has read the body' },
  's3-omits-checksum': { rate: 0.05, what: 'S3 returns no full-object checksum for an object' },
  's3-key-holds-other-bytes': { rate: 0.03, what: 'the key of the document already holds other bytes' },
  's3-key-holds-same-bytes': { rate: 0.03, what: 'the key of the document already holds the same bytes' },

  'schedule-skips-sweep': { rate: 0.25, what: 'the schedule skips a sweep', outage: true },
  'schedule-repeats-sweep': { rate: 0.25, what: 'the schedule sends two sweeps' },
  'operator-redrives-early': { rate: 0.4, what: 'all dead letters are redriven while faults continue' },
  'operator-backfills-twice': { rate: 0.6, what: 'the same time span is backfilled a second time' },
  'operator-backfills-many-spans': { rate: 0.3, what: '150 time spans are queued at once' },
  'operator-reverses-span': { rate: 0.6, what: 'a time span ends before it starts' },
  'operator-sends-bare-id': { rate: 0.1, what: 'a message holds only a document ID' },
  'operator-erases-document': {
    rate: 0.1,
    what: 'a document is erased that is held, archived, a dead letter or not seen yet',
  },
  'operator-erases-document-under-way': { rate: 0.02, what: 'a document is erased during its delivery' },
  'operator-holds-document': { rate: 0.05, what: 'a document is put on hold for minutes or hours' },
  'operator-holds-document-being-erased': { rate: 0.3, what: 'a document is put on hold during its erasure' },
  'operator-process-killed': {
    rate: 0.01,
    what: 'a command that erases, holds or releases is killed during a request, and run again minutes or hours later',
  },
} as const satisfies Record<string, Fault>;

/** Occur only in the simulation of the audit. */
export const auditFaults = {
  'audit-start-skipped': { rate: 0.2, what: 'the schedule skips a night of the audit' },
  'audit-start-repeated': { rate: 0.3, what: 'the schedule starts the same run of the audit twice' },
  'audit-started-by-hand': { rate: 0.3, what: 'an operator starts a run while another one is under way' },
  'audit-object-kills-function': {
    rate: 0.1,
    what: 'reading one certain object kills the audit function every time, for a night or more',
  },
  'audit-object-unreadable': {
    rate: 0.2,
    what: 'S3 refuses to read one certain object, for a night or more',
  },
} as const satisfies Record<string, Fault>;

type PipelineFaultName = keyof typeof faults;
type AuditFaultName = keyof typeof auditFaults;
export type FaultName = PipelineFaultName | AuditFaultName;
/** Without those of the audit. */
export const faultNames = Object.keys(faults) as PipelineFaultName[];
export const auditFaultNames = Object.keys(auditFaults) as AuditFaultName[];

/** How many times each kind of fault has occurred. */
export type FaultCounts = Map<FaultName, number>;

export interface FaultProfile {
  /** Share of the kinds of fault that occur in a simulation, 0 to 1. Each simulation draws its own kinds. */
  shareOfKinds: number;
  /** Factors on the rates of the table. Each kind in each simulation draws one. */
  rateFactors: readonly number[];
  /** Maximum number of outages in a simulation. */
  maxOutages: number;
  /** Kinds with a rate of 30 %, independent of the draws above. */
  forced?: readonly FaultName[] | undefined;
  /** Only faults that make the response of a service fail temporarily. */
  responsesOnly?: true;
  /** One service that is down completely, once; in addition to `maxOutages`. */
  singleOutage?: { minMs: number; maxMs: number; neighbours: readonly Neighbour[] };
}

export const faultProfiles = {
  /** Half of the kinds, many of them often: finds combinations of faults. */
  severe: { shareOfKinds: 0.5, rateFactors: [0.5, 1, 1, 3], maxOutages: 3 },
  /** All kinds at once, each often: reaches every guard quickly. */
  frequent: { shareOfKinds: 1, rateFactors: [1, 2], maxOutages: 2 },
  /** All kinds, each rarely: more faults than on an ordinary day. */
  rare: { shareOfKinds: 1, rateFactors: [0.2], maxOutages: 0 },
  /** About one response of each service in ten fails. */
  unreliable: { shareOfKinds: 1, rateFactors: [0.7], maxOutages: 0, responsesOnly: true },
  /** One service is down for less than ten minutes. */
  'short-outage': {
    shareOfKinds: 0,
    rateFactors: [0],
    maxOutages: 0,
    singleOutage: {
      minMs: 60_000,
      maxMs: 599_000,
      neighbours: ['telnyx', 'storage', 's3', 'sqs', 'secrets'],
    },
  },
  /** One service is down for longer than Telnyx keeps an unlinked document. */
  'long-outage': {
    shareOfKinds: 0,
    rateFactors: [0],
    maxOutages: 0,
    singleOutage: {
      minMs: 35 * 60_000,
      maxMs: 50 * 60_000,
      neighbours: ['telnyx', 'storage', 's3', 'sqs', 'secrets'],
    },
  },
  none: { shareOfKinds: 0, rateFactors: [0], maxOutages: 0 },
} as const satisfies Record<string, FaultProfile>;

interface Outage {
  from: number;
  to: number;
  /** Probability per opportunity, 0 to 1. */
  rate: number;
}

/** Decides for each opportunity whether a fault occurs, until it is stopped. */
export class FaultInjector {
  readonly counts: FaultCounts = new Map();
  readonly #random: RandomSource;
  readonly #elapsed: () => number;
  readonly #rates = new Map<FaultName, number>();
  readonly #outages = new Map<FaultName, Outage>();
  #stopped = false;

  /**
   * @param elapsed returns the milliseconds since the start of the simulation
   * @param durationMs how long faults occur
   */
  constructor(random: RandomSource, elapsed: () => number, profile: FaultProfile, durationMs: number) {
    this.#random = random;
    this.#elapsed = elapsed;
    const draw = (name: FaultName, fault: Fault) => {
      if (random.chance(profile.shareOfKinds) && (!profile.responsesOnly || fault.neighbour !== undefined)) {
        this.#rates.set(name, Math.min(0.9, fault.rate * random.pick(profile.rateFactors)));
      }
    };
    for (const name of faultNames) draw(name, faults[name]);
    for (const name of profile.forced ?? []) this.#rates.set(name, 0.3);
    const candidates = faultNames.filter((name) => 'outage' in faults[name]);
    for (let count = random.integer(0, profile.maxOutages); count > 0; count -= 1) {
      const from = random.between(0, durationMs);
      const to = from + random.between(60_000, 25 * 60_000);
      this.#outages.set(random.pick(candidates), { from, to, rate: 0.9 });
    }
    if (profile.singleOutage) {
      const { minMs, maxMs, neighbours } = profile.singleOutage;
      const neighbour = random.pick(neighbours);
      const kinds = candidates.filter((name) => (faults[name] as Fault).neighbour === neighbour);
      const from = random.between(0, Math.max(0, durationMs - maxMs - 20 * 60_000));
      this.#outages.set(random.pick(kinds), { from, to: from + random.between(minMs, maxMs), rate: 1 });
    }
    for (const name of auditFaultNames) draw(name, auditFaults[name]);
  }

  /** Whether the fault occurs now. If true, it is counted, and the caller must make it happen. */
  shouldInject(name: FaultName): boolean {
    if (this.#stopped || !this.#random.chance(this.#rateNow(name))) return false;
    this.count(name);
    return true;
  }

  /** Like `shouldInject`, for a fault that the caller counts only when it takes effect. */
  shouldInjectUncounted(name: FaultName): boolean {
    return !this.#stopped && this.#random.chance(this.#rateNow(name));
  }

  /** The first of the faults that occurs now. */
  firstToInject<const Name extends FaultName>(names: readonly Name[]): Name | undefined {
    return names.find((name) => this.shouldInject(name));
  }

  count(name: FaultName): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  /** No fault occurs from now on. */
  stop(): void {
    this.#stopped = true;
  }

  describeOutages(): string[] {
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
