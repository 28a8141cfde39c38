/** Reads the log lines of the functions: progress of a soak, and violations that only the log shows. */
import { type ErrorCode, retryPolicies } from '../../functions/errors.ts';
import { attempts, calls } from '../../functions/limits.ts';
import type { ReceiveOutcome } from '../../functions/queue/batch.ts';
import type { Time } from '../../functions/time.ts';

/** A line of metrics has none of these fields. */
interface Line {
  level?: 'INFO' | 'WARN' | 'ERROR';
  message?: string;
  documentId?: string;
  messageId?: string;
  kind?: string;
  outcome?: ReceiveOutcome;
  /** Number of a failed attempt that is followed by another. */
  attempt?: number;
  code?: ErrorCode;
  found?: number;
  ms?: number;
}

/** Twice the limit of the functions, for a busy machine. */
const maxDripMs = 2 * calls.downloadMs;

export class LogWatch {
  readonly #time: Time;
  /** Number of archived documents. */
  archived = 0;
  longestReceiveMs = 0;
  readonly violations: string[] = [];
  /** Number of documents that the last message of each kind found. */
  readonly namedByMessages = new Map<string, number>();
  /** Code of each document or message that waits for a retry. */
  readonly #waiting = new Map<string, ErrorCode | undefined>();
  readonly #dripsSince = new Map<string, number>();
  /** Codes of the attempts in the current receive, by document. */
  readonly #attempts = new Map<string, (ErrorCode | undefined)[]>();
  /** IDs of the messages of each document: with more than one, their attempts cannot be distinguished. */
  readonly #messages = new Map<string, Set<string>>();
  readonly #deadAfter = new Map<string, (ErrorCode | undefined)[]>();
  #failuresSince: string[] | undefined;

  constructor(time: Time) {
    this.#time = time;
  }

  read(text: string): void {
    const line: Line = JSON.parse(text);
    const { level, message, documentId, kind, outcome, attempt, code } = line;
    if (level === 'WARN' || level === 'ERROR' || attempt !== undefined) {
      this.#failuresSince?.push(`${message} (${code})`);
    }
    if (documentId !== undefined) this.#readOfDocument(documentId, line);
    if (outcome === undefined) return;
    const subject = documentId ?? line.messageId ?? '';
    if (outcome === 'waiting') this.#waiting.set(subject, code);
    else this.#waiting.delete(subject);
    if (kind !== undefined && outcome === 'done') this.namedByMessages.set(kind, line.found ?? 0);
  }

  dripBegins(documentId: string): void {
    this.#dripsSince.set(documentId, this.#time.monotonic());
  }

  /** Call when no failure is expected from now on. @returns a function that returns the failures since */
  expectNoFailures(): () => string[] {
    const failed: string[] = [];
    this.#failuresSince = failed;
    return () => {
      this.#failuresSince = undefined;
      return failed;
    };
  }

  /** Number of waiting documents and messages by code, as JSON. */
  waiting(): string {
    const codes = [...Map.groupBy(this.#waiting.values(), String)];
    return JSON.stringify(Object.fromEntries(codes.map(([code, all]) => [code, all.length])));
  }

  /** Call when no work is left. */
  finish(): void {
    for (const [documentId, codes] of this.#deadAfter) {
      if ((this.#messages.get(documentId)?.size ?? 0) > 1) continue;
      const enough = codes.length >= attempts.max && codes.every((code) => policyOf(code) === 'retry');
      if (policyOf(codes.at(-1)) === 'retry' && !enough)
        this.violations.push(`${documentId} became a dead letter after the attempts ${codes.join(', ')}`);
    }
    for (const documentId of this.#dripsSince.keys())
      this.violations.push(`the slow download of ${documentId} never ended`);
  }

  #readOfDocument(documentId: string, { messageId, outcome, attempt, code, ms = 0 }: Line): void {
    if (messageId !== undefined) {
      this.#messages.set(documentId, (this.#messages.get(documentId) ?? new Set()).add(messageId));
    }
    const drippedFor = this.#time.monotonic() - (this.#dripsSince.get(documentId) ?? Number.NaN);
    this.#dripsSince.delete(documentId);
    if (drippedFor > maxDripMs)
      this.violations.push(`the slow download of ${documentId} took ${Math.round(drippedFor)} ms`);

    const codes = [...(this.#attempts.get(documentId) ?? []), code];
    if (attempt !== undefined) this.#attempts.set(documentId, codes);
    if (outcome !== undefined) this.#attempts.delete(documentId);
    if (outcome === 'dead-lettered') this.#deadAfter.set(documentId, codes);
    if (outcome === 'archived') {
      this.archived += 1;
      this.longestReceiveMs = Math.max(this.longestReceiveMs, ms);
    }
  }
}

function policyOf(code: ErrorCode | undefined) {
  return code === undefined ? undefined : retryPolicies[code];
}
