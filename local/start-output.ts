/** Output of `npm start`: lines for people, or one JSON object per line with `--json`. */
import { ArchiverError } from '../functions/errors.ts';
import type { Time } from '../functions/time.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { Change } from './ledger.ts';
import { auditLine, changeLine, webhookLine } from './report.ts';
import type { StartEvent, StartEventOf } from './start-lines.ts';

export interface StartOutput {
  /** Prints an event as JSON. With `--json` the addresses come first: what happens before them is printed after them. */
  record(event: StartEvent): void;
  /** Prints the new state of a document: with `--json` or `showAll` each, otherwise the first failure per lane and code. */
  change(change: Change): void;
  webhook(event: StartEventOf<'webhook'>): void;
  audit(event: StartEventOf<'audit'>): void;
  warning(message: string): void;
  error(error: unknown): void;
  /** What is being done before anything else can be shown; not with `--json`. */
  doing(what: string): void;
  stopping(): void;
  /** From now on prints each change, for people too. */
  showAll(): void;
}

export function createStartOutput(terminal: Terminal, time: Time): StartOutput {
  let pending: object[] | undefined = [];
  let showsAll = false;
  const failuresSeen = new Set<string>();

  const record = ({ type, ...fields }: StartEvent) => {
    const line = { type, time: new Date(time.now()).toISOString(), ...fields };
    if (type === 'started') {
      terminal.record(line);
    } else if (pending !== undefined && type !== 'error') {
      pending.push(line);
      return;
    }
    for (const earlier of pending ?? []) terminal.record(earlier);
    pending = undefined;
    if (type !== 'started') terminal.record(line);
  };
  const note = (text: string) => {
    if (terminal.json) return;
    // Indented, so that no line of an error can be taken for one of ours.
    const [first = '', ...others] = text.split('\n');
    terminal.note(first, ...others.map((other) => `  ${other.trimStart()}`));
  };
  const printTimed = (text: string) => terminal.print(`${timeOfDay(time.now())}  ${text}`);

  return {
    record,
    change: (change) => {
      record(eventOf(change));
      const failure = change.code && `${change.lane} ${change.code}`;
      const isNewFailure = failure !== undefined && !failuresSeen.has(failure);
      if (failure !== undefined) failuresSeen.add(failure);
      if (showsAll || isNewFailure) printTimed(changeLine(change));
    },
    webhook: (event) => {
      record(event);
      printTimed(webhookLine(event));
    },
    audit: (event) => {
      record(event);
      printTimed(auditLine(event));
    },
    warning: (message) => {
      record({ type: 'warning', message });
      // One line: a line break in it is of a name that others chose.
      if (!terminal.json) terminal.note(message);
    },
    error: (error) => {
      const code = error instanceof ArchiverError ? { code: error.code } : {};
      const message = error instanceof Error ? error.message : String(error);
      record({ type: 'error', ...code, message });
      note(error instanceof ArchiverError ? `${error.code}: ${message}` : message);
    },
    doing: (what) => note(`${what}…`),
    stopping: () => {
      record({ type: 'stopping' });
      note('Stopping…');
    },
    showAll: () => {
      showsAll = true;
    },
  };
}

function eventOf({ document, kind, ...entry }: Change): StartEvent {
  if (kind === 'document') return { type: 'document', document, ...entry };
  const type = entry.lane === 'audit' ? 'audit-message' : 'discovery';
  return { type, message: document, kind, ...entry };
}

/** `14:02:59`, in the time zone of the machine. */
function timeOfDay(now: number): string {
  return new Date(now).toTimeString().slice(0, 8);
}
