/** What became of each document, read from the functions' own log lines. */
import type { ReceiveOutcome } from '../functions/queue/batch.ts';

/** What a receive has made of a document, or of a message that fails. */
export type State = Exclude<ReceiveOutcome, 'done' | 'nothing-to-do'>;

export interface Entry {
  state: State;
  /** `document`, or what kind of message of discovery it is. */
  kind: string;
  bytes: number;
  /** Milliseconds of the receive that ended it. */
  ms: number;
  /** Receives so far. */
  receives: number;
  /** Why it waits or was given up. */
  code?: string;
  reason?: string;
}

/** A document, or a message that fails and names none, that has come into another state. */
export type Change = { document: string } & Entry;

export interface Totals {
  /** Documents that discovery has seen, whether or not there was anything to do. */
  found: number;
  /** Documents that were taken up. */
  documents: number;
  /** Of these, archived or given up. */
  ended: number;
  archived: number;
  alreadyArchived: number;
  /** Documents and messages of discovery that come back. */
  waiting: number;
  /** Documents and messages of discovery that were given up. */
  deadLettered: number;
  /** Bytes archived. */
  bytes: number;
}

/** The fields of a log line that matter here; metric lines have none of them. */
interface Line {
  documentId?: string;
  messageId?: string;
  lane?: string;
  kind?: string;
  outcome?: ReceiveOutcome;
  bytes?: number;
  ms?: number;
  receives?: number;
  code?: string;
  reason?: string;
  found?: number;
  queued?: number;
}

export class Ledger {
  readonly entries = new Map<string, Entry>();
  #found = 0;
  #queued = 0;

  /**
   * Takes one log line of a function.
   *
   * @returns the new state of what the line is about, where it has one
   */
  read(text: string): Change | undefined {
    const line: Line = JSON.parse(text);
    const isDocument = line.lane !== 'discovery' && line.lane !== 'spans';
    // A message that names no document is known by its own id.
    const subject = line.documentId ?? line.messageId ?? 'unknown';
    if (line.outcome === 'done' || (!isDocument && line.outcome === 'nothing-to-do')) {
      // A sweep sees the same documents again and again.
      if (line.kind === 'span') this.#found += line.found ?? 0;
      this.#queued += line.queued ?? 0;
      this.entries.delete(subject);
      return undefined;
    }
    const state = line.outcome;
    if (state === undefined || state === 'nothing-to-do' || this.entries.get(subject)?.state === 'archived')
      return undefined;
    const entry: Entry = {
      state,
      kind: isDocument ? 'document' : (line.kind ?? 'discovery'),
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
      found: this.#found,
      documents: 0,
      ended: 0,
      archived: 0,
      alreadyArchived: 0,
      waiting: 0,
      deadLettered: 0,
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
      else if (state === 'waiting') totals.waiting += 1;
      else totals.deadLettered += 1;
    }
    totals.documents = Math.max(this.#queued, known);
    return totals;
  }
}
