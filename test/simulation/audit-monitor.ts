/** Checks what the audit function guarantees, at every result and summary and at the end of each night. */

import { type FindingCode, type Weight, weightOf } from '../../functions/audit/findings.ts';
import {
  type AuditPlan,
  type PartResult,
  parsePlan,
  parseResult,
  parseSummary,
  type RecordedFinding,
} from '../../functions/audit/records.ts';
import { findingsOf, tallyOf } from '../../functions/audit/run-findings.ts';
import { parsePartName, partStartName, runName } from '../../functions/audit-names.ts';
import {
  auditPlanKey,
  auditPrefix,
  auditResultPrefix,
  auditSummaryKey,
  parseAuditKey,
} from '../../functions/bucket/keys.ts';
import { parseManifestKey } from '../../functions/bucket/manifest-text.ts';
import { nightlyAudit } from '../../functions/limits.ts';
import type { VirtualClock } from '../fakes/clock.ts';
import type { StoredVersion } from '../fakes/versioned-objects.ts';
import { holdsCanary } from './canary.ts';
import type { Invocation } from './container.ts';
import type { InvariantMonitor, WorldState } from './invariant-monitor.ts';
import { fieldsOf, type Queue, type QueuedMessage } from './queue.ts';

const millisecondsPerDay = 24 * 60 * 60_000;

export class AuditMonitor {
  readonly #monitor: Pick<InvariantMonitor, 'report' | 'archivedAt' | 'erasures' | 'catalogue'>;
  readonly #world: WorldState;
  readonly #clock: VirtualClock;
  /** Parts that have been queued, as `<run> <part>`. */
  readonly #queued = new Set<string>();
  /** When something other than a function last changed an object of a document, milliseconds since the Unix epoch. */
  readonly #changedAt = new Map<string, number>();
  /** The damage of each document, and when it was done. */
  readonly #damages = new Map<string, { code: FindingCode; at: number }>();
  /** Whether a command that erases or holds the document has begun and not ended. */
  isBeingChanged: (documentId: string) => boolean = () => false;
  /** Complete runs. */
  readonly completed: string[] = [];

  constructor(
    monitor: Pick<InvariantMonitor, 'report' | 'archivedAt' | 'erasures' | 'catalogue'>,
    world: WorldState,
    clock: VirtualClock,
  ) {
    this.#monitor = monitor;
    this.#world = world;
    this.#clock = clock;
  }

  damaged(documentId: string, code: FindingCode): void {
    this.#damages.set(documentId, { code, at: this.#clock.now() });
  }

  /** Something other than a function has changed the object at this key. */
  changed(key: string): void {
    const [, name = ''] = key.split('/');
    this.#changedAt.set(name.replace(/\.json$/, ''), this.#clock.now());
  }

  messageQueued({ body }: QueuedMessage): void {
    const { run, part } = fieldsOf(body);
    if (part !== undefined) this.#queued.add(`${run} ${part}`);
  }

  /** @param writtenBy an invocation of the audit function */
  stored({ key, body }: StoredVersion, writtenBy: Invocation): void {
    const { run, file } = parseAuditKey(key) ?? {};
    if (run === undefined && !parseManifestKey(key)) {
      this.#monitor.report('audit-writes-its-own', key, `${writtenBy.id} stores it`);
    }
    if (holdsCanary(body.toString('utf8'))) this.#monitor.report('no-secret-disclosed', key, 'in the record');
    if (run !== undefined && file === 'summary') this.#checkSummary(run, body, writtenBy);
  }

  /** A run is complete only when all its parts are, and its metrics are published before its summary is written. */
  #checkSummary(run: string, body: Buffer, writtenBy: Invocation): void {
    const plan = this.#plan(run);
    const results = this.#results(run);
    const { status } = parseSummary(body);
    const untruth = !plan
      ? 'there is no plan'
      : status === 'incomplete'
        ? this.#prematureEnd(run, writtenBy)
        : wrongCompletion(plan, results, writtenBy);
    if (untruth !== undefined)
      this.#monitor.report('audit-summary-is-true', run, `${status}, but ${untruth}`);
    if (!plan || status === 'incomplete') return;
    this.completed.push(run);
    for (const finding of findingsOf(plan, results)) this.#checkFinding(run, finding);
  }

  #prematureEnd(run: string, { causes }: Invocation): string | undefined {
    const ageMs = this.#clock.now() - (this.#world.store.current(auditPlanKey(run))?.modified ?? 0);
    if (ageMs >= nightlyAudit.unfinishedAfterMs || causes.has('lambda-clock-wrong')) return undefined;
    return `its plan is ${Math.round(ageMs / 60_000)} minutes old`;
  }

  /** A complete run finds no defect that is none. */
  #checkFinding(run: string, { code, key, documentId = '', detail }: RecordedFinding): void {
    if (weightOf(code) !== 'defect') return;
    const { store } = this.#world;
    const begunAt = store.current(auditPlanKey(run))?.modified ?? 0;
    const archivedAt = this.#monitor.archivedAt.get(documentId) ?? Number.POSITIVE_INFINITY;
    const changedAt = this.#changedAt.get(documentId) ?? Number.NEGATIVE_INFINITY;
    const isUnarchived = (code === 'missing' || code === 'no-receipt') && archivedAt >= begunAt;
    const isChanging = this.isBeingChanged(documentId) || changedAt >= begunAt;
    const isLeft =
      code === 'erasure-unfinished' && this.#monitor.erasures.contextsLeft(documentId).length > 0;
    if (isUnarchived || isChanging || isLeft || this.#damages.has(documentId)) return;
    this.#monitor.report('healthy-is-clean', documentId || key, `${run}: ${code} ${key} ${detail}`);
  }

  /** Called before the message is deleted from its queue. */
  acknowledged(queue: Queue, message: QueuedMessage, { id }: Invocation): void {
    const { kind, run, part, requestedAt } = fieldsOf(message.body);
    const name = kind === 'audit-start' ? runName(Date.parse(String(requestedAt))) : String(run);
    const undone = this.#undoneOf(name, part === undefined ? undefined : String(part), queue, message);
    if (undone === undefined) return;
    this.#monitor.report(
      'done-before-acknowledged',
      `${name} ${part ?? ''}`,
      `${message.id} by ${id}: ${undone}`,
    );
  }

  /** What is left to do for a message that is acknowledged. */
  #undoneOf(run: string, part: string | undefined, queue: Queue, message: QueuedMessage): string | undefined {
    const plan = this.#plan(run);
    if (!plan) return 'there is no plan';
    if (this.#world.store.current(auditSummaryKey(run))) return undefined;
    if (part === undefined) {
      const lost = plan.parts.find((name) => !this.#queued.has(`${run} ${name}`));
      if (lost !== undefined) return `${lost} is not queued`;
    } else {
      const [undone] = unfinishedParts([part], this.#results(run));
      if (undone !== undefined) return `${undone} has no result`;
    }
    const others = queue.messages().filter(({ id }) => id !== message.id);
    return others.some(({ body }) => isAbout(run, fieldsOf(body)))
      ? undefined
      : 'it is the last, and there is no summary';
  }

  /** Every run that is older than a later night's start has ended. */
  checkNight(): void {
    const { store } = this.#world;
    const { objects } = store.list(auditPrefix, '', Number.POSITIVE_INFINITY);
    const plans = objects.flatMap(({ key, modified }) => {
      const { run, file } = parseAuditKey(key) ?? {};
      return run !== undefined && file === 'plan' ? { run, modified } : [];
    });
    const latest = Math.max(...plans.map(({ modified }) => modified));
    for (const { run, modified } of plans) {
      // Between them: the time that a container's clock may be wrong.
      if (
        latest - modified < nightlyAudit.unfinishedAfterMs + 60 * 60_000 ||
        store.current(auditSummaryKey(run))
      )
        continue;
      this.#monitor.report('audit-ends', run, 'neither completed nor closed by the next run');
    }
  }

  /** Called at the end of a night without faults. */
  checkCompleted(): void {
    const since = runName(this.#clock.now() - millisecondsPerDay);
    const run = this.completed.at(-1);
    if (run === undefined || run < since) {
      this.#monitor.report('audit-ends', since, 'no run has been completed in a day without faults');
      return;
    }
    const plan = this.#plan(run);
    const unchecked = plan && countsOf(plan, this.#results(run)).unchecked;
    if (unchecked !== 0) {
      this.#monitor.report('audit-ends', run, `${unchecked} could not be checked in a night without faults`);
    }
    this.#monitor.catalogue.checkRows(this.#world.store.current(auditPlanKey(run))?.modified ?? 0);
  }

  /** Each damage, and each context that was left by an erasure, has been found by a complete run. */
  checkDamages(): void {
    const found = new Set(
      this.completed.flatMap((run) =>
        this.#results(run).flatMap(({ findings }) =>
          findings.map(({ code, documentId }) => `${documentId} ${code}`),
        ),
      ),
    );
    const { erasures } = this.#monitor;
    const left = [...erasures.erased].filter((id) => erasures.contextsLeft(id).length > 0);
    const expected: [string, FindingCode][] = [
      ...[...this.#damages].map(([id, { code }]): [string, FindingCode] => [id, code]),
      ...left.map((id): [string, FindingCode] => [id, 'erasure-unfinished']),
    ];
    for (const [documentId, code] of expected) {
      if (!found.has(`${documentId} ${code}`))
        this.#monitor.report('damage-is-found', documentId, `no ${code}`);
    }
  }

  #plan(run: string): AuditPlan | undefined {
    const plan = this.#world.store.current(auditPlanKey(run));
    return plan && parsePlan(plan.body);
  }

  #results(run: string): PartResult[] {
    const { objects } = this.#world.store.list(auditResultPrefix(run), '', Number.POSITIVE_INFINITY);
    return objects.map(({ body }) => parseResult(body));
  }
}

function wrongCompletion(
  plan: AuditPlan,
  results: readonly PartResult[],
  { metrics }: Invocation,
): string | undefined {
  const [missing] = unfinishedParts(plan.parts, results);
  if (missing !== undefined) return `${missing} has no result`;
  const expected = {
    AuditCompleted: 1,
    AuditFindings: countsOf(plan, results).problems,
    AuditedDocuments: results.reduce((sum, { tally }) => sum + tally.documents, 0),
  };
  const wrong = Object.entries(expected).find(([name, value]) => metrics.get(name) !== value);
  return (
    wrong && `${wrong[0]} is ${metrics.get(wrong[0])} instead of ${wrong[1]} before the summary is written`
  );
}

/** The parts, and rests of those that ended early, that have no result. */
function* unfinishedParts(parts: readonly string[], results: readonly PartResult[]): Generator<string> {
  const byStart = new Map(results.map((result) => [startOf(result.part), result]));
  for (const part of parts) {
    for (let next: string | undefined = part; next !== undefined; ) {
      const result = byStart.get(startOf(next));
      if (!result) yield next;
      next = result?.rest;
    }
  }
}

function startOf(part: string): string {
  const parsed = parsePartName(part);
  return parsed ? partStartName(parsed) : part;
}

/** Numbers of findings that are a problem or could not be checked, and of the latter alone. */
function countsOf(plan: AuditPlan, results: readonly PartResult[]): { problems: number; unchecked: number } {
  const counts = Object.entries(tallyOf(plan, results).counts) as [FindingCode, number][];
  const countOf = (isCounted: (weight: Weight) => boolean) =>
    counts.reduce((sum, [code, count]) => sum + (isCounted(weightOf(code)) ? count : 0), 0);
  return {
    problems: countOf((weight) => weight !== 'fine'),
    unchecked: countOf((weight) => weight === 'unchecked'),
  };
}

function isAbout(run: string, { run: named, requestedAt, kind }: Record<string, unknown>): boolean {
  return kind === 'audit-start' ? runName(Date.parse(String(requestedAt))) === run : named === run;
}
