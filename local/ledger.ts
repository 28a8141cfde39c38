/** What has become of each document, read off the functions' own log lines: there is no second truth. */

export type State = 'queued' | 'archived' | 'already-archived' | 'waiting' | 'dead-lettered';

export interface Entry {
  state: State;
  bytes: number;
  /** Milliseconds of the receive that ended it. */
  ms: number;
  /** Receives so far. */
  receives: number;
  /** Why it waits or was given up. */
  code?: string;
  reason?: string;
}

/** A document that has come into another state. */
export type Change = { document: string } & Entry;

export interface Totals {
  /** Documents that discovery has seen, whether or not there was anything to do. */
  found: number;
  /** Documents that were taken up. */
  documents: number;
  archived: number;
  alreadyArchived: number;
  waiting: number;
  deadLettered: number;
  /** Bytes archived. */
  bytes: number;
}

/** The fields of a log line that matter here; metric lines have none of them. */
interface Line {
  message?: string;
  documentId?: string;
  messageId?: string;
  lane?: string;
  kind?: string;
  outcome?: string;
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
   * @returns the document's new state, where the line is about one
   */
  read(text: string): Change | undefined {
    const line: Line = JSON.parse(text);
    if (line.lane === 'discovery') {
      // A sweep sees the same documents again and again.
      if (line.kind === 'span') this.#found += line.found ?? 0;
      this.#queued += line.queued ?? 0;
      return undefined;
    }
    const state = stateOf(line);
    if (state === undefined) return undefined;
    // A message that nobody can read has no document; its own id stands for it.
    const subject = line.documentId ?? line.messageId ?? 'unknown';
    const known = this.entries.get(subject);
    if (known?.state === 'archived') return undefined;
    const entry: Entry = {
      state,
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
      documents: Math.max(this.#queued, this.entries.size),
      archived: 0,
      alreadyArchived: 0,
      waiting: 0,
      deadLettered: 0,
      bytes: 0,
    };
    for (const { state, bytes } of this.entries.values()) {
      if (state === 'archived') {
        totals.archived += 1;
        totals.bytes += bytes;
      } else if (state === 'already-archived') totals.alreadyArchived += 1;
      else if (state === 'waiting') totals.waiting += 1;
      else if (state === 'dead-lettered') totals.deadLettered += 1;
    }
    return totals;
  }
}

function stateOf(line: Line): State | undefined {
  if (line.message === 'Done') return line.outcome === 'archived' ? 'archived' : 'already-archived';
  if (line.message === 'Comes back later') return 'waiting';
  if (line.message === 'Dead letter') return 'dead-lettered';
  return undefined;
}
