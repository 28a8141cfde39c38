/** State of each document, read from the functions' structured logs. */
import type { ErrorCode } from '../functions/errors.ts';
import type { ReceiveOutcome } from '../functions/queue/batch.ts';
import type { LaneName } from '../functions/queue/lanes.ts';

/** State of a document, or of another message that failed. */
export type State = Exclude<ReceiveOutcome, 'done' | 'nothing-to-do'>;

export interface Entry {
  state: State;
  lane: LaneName;
  /** `document`, or the kind of another message. */
  kind: string;
  bytes: number;
  /** Duration of the last receive, in milliseconds. */
  ms: number;
  /** How often the message was received. */
  receives: number;
  /** Why it is waiting or became a dead letter. */
  code?: ErrorCode;
  reason?: string;
}

/** A document, or a failed message without a document, with its new state. */
export type Change = { document: string } & Entry;

export interface Totals {
  /** Whether a span was read to its end. */
  listed: boolean;
  /** Documents found by spans, including archived ones. */
  found: number;
  /** Documents that were queued or received. */
  documents: number;
  /** Of these, archived, erased or dead-lettered. */
  ended: number;
  archived: number;
  alreadyArchived: number;
  /** Documents that were received after their erasure. */
  erased: number;
  /** Documents and other messages that are waiting for another receive. */
  waiting: number;
  /** Documents and other messages that became dead letters. */
  deadLettered: number;
  /** Whether Telnyx listed rows without a valid document ID. */
  unreadable: boolean;
  /** Bytes archived. */
  bytes: number;
}

/** Fields of a log line. Metric lines have none of them. Only lines about a message have a lane. */
interface Line {
  documentId?: string;
  messageId?: string;
  lane?: LaneName;
  kind?: string;
  outcome?: ReceiveOutcome;
  bytes?: number;
  ms?: number;
  receives?: number;
  code?: ErrorCode;
  reason?: string;
  found?: number;
  queued?: number;
  /** Of a discovery message: rows without a valid document ID. Documents have problems of another kind. */
  problems?: number;
}

export class Ledger {
  readonly entries = new Map<string, Entry>();
  #found = 0;
  #queued = 0;
  #listed = false;
  #unreadable = false;

  /**
   * Reads one log line of a function.
   *
   * @returns the changed document or message; undefined if the line changes no state
   */
  read(text: string): Change | undefined {
    const line: Line = JSON.parse(text);
    if (line.lane === undefined) return undefined;
    const isDocument = line.lane === 'documents' || line.lane === 'backfill';
    // A message without a document is identified by its message ID.
    const subject = line.documentId ?? line.messageId ?? 'unknown';
    if (line.outcome === 'done' || (!isDocument && line.outcome === 'nothing-to-do')) {
      this.entries.delete(subject);
      if (line.lane === 'audit') return undefined;
      // Not counted, since retries and sweeps find the same rows again.
      if ((line.problems ?? 0) > 0) this.#unreadable = true;
      // Sweeps find the same documents repeatedly, so only spans are counted.
      if (line.kind === 'span') {
        this.#found += line.found ?? 0;
        this.#listed = true;
      }
      this.#queued += line.queued ?? 0;
      return undefined;
    }
    const state = line.outcome;
    if (state === undefined || state === 'nothing-to-do' || this.entries.get(subject)?.state === 'archived')
      return undefined;
    const entry: Entry = {
      state,
      lane: line.lane,
      kind: isDocument ? 'document' : (line.kind ?? (line.lane === 'audit' ? 'audit' : 'discovery')),
      bytes: line.bytes ?? 0,
      ms: line.ms ?? 0,
      receives: line.receives ?? 1,
      ...(line.code === undefined ? {} : { code: line.code }),
      ...(line.reason === undefined ? {} : { reason: line.reason }),
    };
    this.entries.set(subject, entry);
    return { document: subject, ...entry };
  }

  totals(): Totals {
    const totals: Totals = {
      listed: this.#listed,
      found: this.#found,
      documents: 0,
      ended: 0,
      archived: 0,
      alreadyArchived: 0,
      erased: 0,
      waiting: 0,
      deadLettered: 0,
      unreadable: this.#unreadable,
      bytes: 0,
    };
    let known = 0;
    for (const { state, kind, bytes } of this.entries.values()) {
      if (kind === 'document') known += 1;
      if (kind === 'document' && state !== 'waiting') totals.ended += 1;
      if (state === 'archived') {
        totals.archived += 1;
        totals.bytes += bytes;
      } else if (state === 'already-archived') totals.alreadyArchived += 1;
      else if (state === 'erased') totals.erased += 1;
      else if (state === 'waiting') totals.waiting += 1;
      else totals.deadLettered += 1;
    }
    totals.documents = Math.max(this.#queued, known);
    return totals;
  }
}
