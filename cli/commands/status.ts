/** `status`: the state of the archiver on one screen. */
import { InvalidArgumentError } from 'commander';
import { receiptPrefix } from '../../functions/bucket/keys.ts';
import { listArchive } from '../../functions/bucket/listing.ts';
import { createStorageRetry } from '../../functions/bucket/storage-retry.ts';
import type { LaneName } from '../../functions/queue/lanes.ts';
import { sleep } from '../../functions/time.ts';
import { formatCount, formatNumber } from '../../terminal/counts.ts';
import { formatDuration } from '../../terminal/durations.ts';
import { type Printable, styled } from '../../terminal/styled.ts';
import { formatTable, type TableColumn } from '../../terminal/tables.ts';
import type { ArchiverCommand, CommandContext } from '../command.ts';
import {
  codeOf,
  countFailures,
  describeCount,
  type FailureCount,
  failuresOf,
} from '../dead-letters/failures.ts';
import { type LockedMessage, readDeadLetters } from '../dead-letters/lock.ts';
import { describeLockedElsewhere } from '../dead-letters/locked-elsewhere.ts';
import { findHeld } from '../held-documents.ts';
import { type CommandHelp, findStackPermissions } from '../help.ts';
import { type LaneCounts, queueCounts } from '../queue-counts.ts';
import { type Alarm, type ArchiverQueues, withoutAuditLane } from '../target/target.ts';

export interface StatusOptions {
  /** Refresh; a number is the interval in seconds. */
  watch?: true | number;
  /** Count archived and held documents, which lists all receipts and hold records. */
  count: boolean;
}

const help: CommandHelp = {
  text: `
Archived documents are counted by listing their receipts, one request per thousand; --no-count skips that. An erased
document still has an object at its receipt's key, so it counts as well; \`audit\` counts both separately. Held documents
are those whose newest record under holds/ says so. Dead letters are only read. A document may have several dead letters;
failed documents are counted by ID.`,
  examples: [
    ['status', 'show the deployed archiver'],
    ['status --watch 10 --no-count', 'refresh every ten seconds'],
    ['status --stack dev --stack prod', 'show two archivers, one after the other'],
    ['status --local archive --json', 'show a local archive, for a script'],
  ],
  exitCodes: { 0: 'no dead letters and no alarms', 1: 'dead letters or alarms' },
  permissions: `
sqs:GetQueueUrl and sqs:GetQueueAttributes; on the dead-letter queues sqs:ReceiveMessage and
sqs:ChangeMessageVisibility; cloudwatch:GetMetricData and cloudwatch:DescribeAlarms; without --no-count also
s3:ListBucket and ${findStackPermissions}; to count held documents, s3:GetObject on holds/* and kms:Decrypt.`,
};

export const statusCommand: ArchiverCommand = {
  name: 'status',
  help,
  forOneStack: ['watch'],
  configure: (command) =>
    command
      .description('show queues, last sweep and audit, archived documents, dead letters and alarms')
      .option('--watch [seconds]', 'refresh every so many seconds (default: 5) until Ctrl-C', asSeconds)
      .option('--no-count', 'do not count archived and held documents'),
  run: (context, parsed) => status(parsed.opts(), context),
};

const defaultWatchSeconds = 5;
const dayMs = 24 * 3_600_000;
const hourMs = 3_600_000;
/** Covers at least one five-minute sweep, which looks further back, although CloudWatch shows it minutes later. */
const recentMs = 10 * 60_000;

interface Status {
  at: string;
  lanes: {
    lane: LaneName;
    waiting: number;
    oldestSeconds: number | undefined;
    /** Documents, and messages without a document, that have dead letters in this lane. */
    failed: number;
    /** Approximate count by SQS. */
    deadLetters: number;
  }[];
  /** Seconds since the last completed sweep; undefined if none is known. */
  lastSweepSeconds: number | undefined;
  /** Seconds since the last complete run of the audit; undefined if none is known. */
  lastAuditSeconds: number | undefined;
  /** Documents with a receipt or a tombstone: all, and those archived or erased today (UTC). */
  archived: { today: number; total: number } | undefined;
  held: { documents: number; incomplete: string | undefined } | undefined;
  /** Age of the oldest document that a sweep of the last ten minutes found unarchived; undefined if none. */
  oldestUnarchivedSeconds: number | undefined;
  /** Metrics of the last hour; undefined for a local archive without a running stack. */
  lastHour: { deadLetters: number; documentsOverdue: number } | undefined;
  failed: FailureCount;
  /** Dead letters that could not be read, because another command has locked them. */
  lockedElsewhere: number;
  /** By the code of the newest letter. */
  failedByCode: Record<string, FailureCount>;
  alarms: Alarm[] | undefined;
}

/** @returns the exit code */
export async function status(options: StatusOptions, context: CommandContext): Promise<number> {
  const { target, terminal, time, signal } = context;
  for (;;) {
    const now = await readStatus(options, context);
    terminal.record({ type: 'status', ...now });
    if (options.watch !== undefined) terminal.clear();
    terminal.print(...formatStatus(now, target.name, terminal.paint));
    if (options.watch === undefined) return isHealthy(now) ? 0 : 1;
    await sleep(time, 1_000 * (options.watch === true ? defaultWatchSeconds : options.watch), signal);
  }
}

async function readStatus({ count }: StatusOptions, context: CommandContext): Promise<Status> {
  const { target, time, signal } = context;
  const now = time.now();
  const metrics = await target.metrics();
  const queues = metrics && (await target.queues());
  const { letters, lockedElsewhere } = queues
    ? await readDeadLetters(queues, { signal })
    : { letters: [], lockedElsewhere: 0 };
  const [lanes, lastSweep, lastAudit, lastHour, oldestUnarchived, archived, held, alarms] = await Promise.all(
    [
      queues ? lanesOf(queues, letters, context) : [],
      metrics?.latest('SweepsCompleted', now - 3 * hourMs),
      metrics?.latest('AuditCompleted', now - 3 * dayMs),
      metrics?.sums(['DeadLetters', 'DocumentsOverdue'], now - hourMs),
      metrics?.maximum('OldestUnarchived', now - recentMs),
      count ? countReceipts(context) : undefined,
      count ? findHeld(context) : undefined,
      target.alarms(),
    ],
  );
  const failures = failuresOf(letters);
  return {
    at: new Date(now).toISOString(),
    lanes,
    lastSweepSeconds: lastSweep === undefined ? undefined : Math.max(0, seconds(now - lastSweep)),
    lastAuditSeconds: lastAudit === undefined ? undefined : Math.max(0, seconds(now - lastAudit)),
    archived,
    held: held && { documents: held.ids.size, incomplete: held.incomplete },
    oldestUnarchivedSeconds: oldestUnarchived === undefined ? undefined : seconds(oldestUnarchived),
    lastHour: lastHour && { deadLetters: lastHour.DeadLetters, documentsOverdue: lastHour.DocumentsOverdue },
    failed: countFailures(failures),
    lockedElsewhere,
    failedByCode: Object.fromEntries(
      [...Map.groupBy(failures, codeOf)].map(([code, group]) => [code, countFailures(group)]),
    ),
    alarms,
  };
}

async function lanesOf(
  queues: ArchiverQueues,
  letters: readonly LockedMessage[],
  { target }: CommandContext,
): Promise<Status['lanes']> {
  const counts = await queueCounts(queues);
  return await Promise.all(
    (Object.entries(counts) as [LaneName, LaneCounts][]).map(async ([lane, ofLane]) => {
      const ageMs = ofLane.waiting === 0 ? undefined : await target.oldestAge(lane);
      return {
        lane,
        ...ofLane,
        oldestSeconds: ageMs === undefined ? undefined : seconds(ageMs),
        failed: failuresOf(letters.filter((letter) => letter.lane === lane)).length,
      };
    }),
  );
}

function seconds(ms: number): number {
  return Math.round(ms / 1_000);
}

/** IDs are random, so sixteen parallel listings by first digit have about the same length. */
async function countReceipts({ target, time, random, signal }: CommandContext): Promise<Status['archived']> {
  const { s3, name } = await target.bucket();
  const retry = createStorageRetry({ time, random, signal });
  const midnight = Math.floor(time.now() / dayMs) * dayMs;
  const counts = { today: 0, total: 0 };
  await Promise.all(
    [...'0123456789abcdef'].map(async (digit) => {
      const prefix = receiptPrefix + digit;
      for await (const { modified } of listArchive(
        { s3, name, time, retry, onRequest: () => undefined },
        { prefix },
      )) {
        counts.total += 1;
        if (modified >= midnight) counts.today += 1;
      }
    }),
  );
  return counts;
}

function isHealthy({ lanes, alarms }: Status): boolean {
  return (
    lanes.every(({ deadLetters }) => deadLetters === 0) && !alarms?.some(({ state }) => state === 'ALARM')
  );
}

const laneColumns: readonly TableColumn[] = [
  { head: 'lane', align: 'left' },
  { head: 'waiting', align: 'right' },
  { head: 'oldest', align: 'right' },
  { head: 'failed', align: 'right' },
  { head: 'dead letters', align: 'right' },
];

function formatStatus(now: Status, name: string, paint: CommandContext['terminal']['paint']): Printable[] {
  const lines: Printable[] = [styled`${paint('bold', name)}  ${paint('dim', now.at)}`, ''];
  if (now.lanes.length === 0) lines.push('No local stack is running: there are no queues and no sweeps.');
  else {
    const rows = now.lanes.map(({ lane, waiting, oldestSeconds, failed, deadLetters }) => {
      const oldest = oldestSeconds === undefined ? '–' : formatDuration(oldestSeconds);
      const inRed = (count: number) => (count > 0 ? paint('red', String(count)) : '0');
      return [lane, waiting, oldest, inRed(failed), inRed(deadLetters)];
    });
    lines.push(formatTable(laneColumns, rows));
    if (!now.lanes.some(({ lane }) => lane === 'audit')) lines.push(paint('yellow', withoutAuditLane));
    const sweep = now.lastSweepSeconds;
    lines.push(
      sweep === undefined
        ? paint('yellow', 'No sweep in the last three hours')
        : `Last sweep ${formatDuration(sweep)} ago`,
    );
    if (now.lastAuditSeconds !== undefined) {
      lines.push(
        `Last complete audit ${formatDuration(now.lastAuditSeconds)} ago; \`audit --latest\` shows it`,
      );
    }
  }
  if (now.archived) {
    lines.push(
      `Archived or erased ${formatNumber(now.archived.total)}, ${formatNumber(now.archived.today)} of them today`,
    );
  }
  if (now.held && now.held.documents > 0) lines.push(`Held ${formatNumber(now.held.documents)}`);
  if (now.held?.incomplete !== undefined)
    lines.push(paint('yellow', `Not all hold records could be read: ${now.held.incomplete}`));
  if (now.oldestUnarchivedSeconds !== undefined) {
    lines.push(
      `Sweeps of the last ${formatDuration(seconds(recentMs))} found unarchived documents up to ${formatDuration(now.oldestUnarchivedSeconds)} old`,
    );
  }
  if (now.lastHour) {
    const { deadLetters, documentsOverdue } = now.lastHour;
    lines.push(
      `Last hour: ${formatCount(documentsOverdue, 'document')} overdue, ${formatCount(deadLetters, 'new dead letter')}`,
    );
  }
  const codes = Object.entries(now.failedByCode).sort(([, a], [, b]) => b.deadLetters - a.deadLetters);
  if (codes.length > 0) lines.push(`Failed: ${describeCount(now.failed)}`);
  for (const [code, count] of codes) lines.push(styled`  ${paint('red', code)}  ${describeCount(count)}`);
  if (now.lockedElsewhere > 0) {
    const locked = describeLockedElsewhere(now.lockedElsewhere, Date.parse(now.at));
    lines.push(...locked.map((line) => paint('yellow', line)));
  }
  if (now.alarms) {
    const inAlarm = now.alarms.filter(({ state }) => state === 'ALARM');
    lines.push(
      inAlarm.length === 0 ? `${formatCount(now.alarms.length, 'alarm')}, none of them in alarm` : '',
    );
    for (const { name: alarm, description } of inAlarm)
      lines.push(styled`${paint('red', alarm)}  ${description}`);
  }
  return lines;
}

function asSeconds(value: string): number {
  if (/^[1-9]\d{0,4}$/.test(value)) return Number(value);
  throw new InvalidArgumentError('Must be a whole number of seconds from 1 to 99999.');
}
