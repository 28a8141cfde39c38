/** `status`: one screen that says how the archiver is. */
import Table from 'cli-table3';
import { type Command, InvalidArgumentError } from 'commander';
import { receiptPrefix } from '../functions/bucket/keys.ts';
import { sleep } from '../functions/time.ts';
import { listObjects } from './audit/listing.ts';
import { createInsist } from './audit/patience.ts';
import { holdDeadLetters, letGo } from './dead-letters.ts';
import { type Alarm, type LaneName, laneNames, type Queues, type Surroundings } from './deployment.ts';
import { depthsOf } from './depths.ts';
import { duration } from './watch.ts';

export interface StatusOptions {
  /** Seconds between two looks. */
  watch?: true | number;
  /** Leaves out what takes a listing of all receipts. */
  count: boolean;
}

const help = `
Archived documents are counted by listing their receipts, a request for each thousand; --no-count leaves that out.
Dead letters are only looked at.

Exit code: 0 all is well · 1 there are dead letters or alarms · 2 it could not be done

Rights: sqs:GetQueueUrl and sqs:GetQueueAttributes; on the dead-letter queues sqs:ReceiveMessage and
sqs:ChangeMessageVisibility; cloudwatch:GetMetricData and cloudwatch:DescribeAlarms; unless --no-count,
s3:ListBucket and cloudformation:DescribeStacks.`;

export function describeStatus(command: Command): Command {
  return command
    .description('one screen: queues, last sweep, archived documents, dead letters, alarms')
    .option('--watch [seconds]', 'look again every so often, until Ctrl-C', asSeconds)
    .option('--no-count', 'do not count the archived documents')
    .addHelpText('after', help);
}

const defaultWatchSeconds = 5;
const dayMs = 24 * 3_600_000;
/** A dead letter is kept from others for no longer than this, should this process be killed. */
const lookSeconds = 10;

interface Status {
  at: string;
  lanes: { lane: LaneName; waiting: number; oldestSeconds: number | undefined; deadLetters: number }[];
  /** Seconds since the last sweep that read its whole window; undefined where none is known. */
  lastSweepSeconds: number | undefined;
  /** Documents with a receipt, and those with one of this day, in UTC. */
  archived: { today: number; inAll: number } | undefined;
  deadLettersByCode: Record<string, number>;
  alarms: Alarm[] | undefined;
}

/** @returns the exit code */
export async function status(options: StatusOptions, surroundings: Surroundings): Promise<number> {
  const { deployment, terminal, time, signal } = surroundings;
  for (;;) {
    const now = await look(options, surroundings);
    terminal.record(now);
    if (options.watch !== undefined) terminal.clear();
    terminal.print(screen(now, deployment.name, terminal.paint));
    if (options.watch === undefined) return isWell(now) ? 0 : 1;
    await sleep(time, 1_000 * (options.watch === true ? defaultWatchSeconds : options.watch), signal);
  }
}

async function look({ count }: StatusOptions, surroundings: Surroundings): Promise<Status> {
  const { deployment, time, signal } = surroundings;
  const now = time.now();
  const isRunning = (await deployment.metrics()) !== undefined;
  const queues = isRunning ? await deployment.queues() : undefined;
  const [lanes, lastSweep, archived, deadLettersByCode, alarms] = await Promise.all([
    queues ? lanesOf(queues, surroundings) : [],
    deployment.metrics().then((metrics) => metrics?.latest('SweepsCompleted', now - dayMs / 8)),
    count ? countReceipts(surroundings) : undefined,
    queues ? codesOf(queues, signal) : {},
    deployment.alarms(),
  ]);
  return {
    at: new Date(now).toISOString(),
    lanes,
    lastSweepSeconds:
      lastSweep === undefined ? undefined : Math.max(0, Math.round((now - lastSweep) / 1_000)),
    archived,
    deadLettersByCode,
    alarms,
  };
}

async function lanesOf(queues: Queues, { deployment }: Surroundings): Promise<Status['lanes']> {
  const depths = await depthsOf(queues);
  return await Promise.all(
    laneNames.map(async (lane) => {
      const ageMs = depths[lane].waiting === 0 ? undefined : await deployment.oldestAge(lane);
      return {
        lane,
        ...depths[lane],
        oldestSeconds: ageMs === undefined ? undefined : Math.round(ageMs / 1_000),
      };
    }),
  );
}

async function codesOf(queues: Queues, signal: AbortSignal): Promise<Record<string, number>> {
  const codes: Record<string, number> = {};
  await Promise.all(
    laneNames.map(async (lane) => {
      const letters = await holdDeadLetters(queues, lane, { forSeconds: lookSeconds, signal });
      await letGo(queues.sqs, queues.lanes[lane].deadLetterQueueUrl, letters);
      for (const { code = 'none' } of letters) codes[code] = (codes[code] ?? 0) + 1;
    }),
  );
  return codes;
}

/** Ids are random: sixteen listings side by side are of the same length. */
async function countReceipts({
  deployment,
  time,
  random,
  signal,
}: Surroundings): Promise<Status['archived']> {
  const { s3, name } = await deployment.bucket();
  const insist = createInsist({ time, random, signal });
  const midnight = Math.floor(time.now() / dayMs) * dayMs;
  const counts = { today: 0, inAll: 0 };
  await Promise.all(
    [...'0123456789abcdef'].map(async (digit) => {
      const prefix = receiptPrefix + digit;
      for await (const { modified } of listObjects(
        { s3, name, time, insist, onRequest: () => undefined },
        { prefix },
      )) {
        counts.inAll += 1;
        if (modified >= midnight) counts.today += 1;
      }
    }),
  );
  return counts;
}

function isWell({ lanes, alarms }: Status): boolean {
  return (
    lanes.every(({ deadLetters }) => deadLetters === 0) && !alarms?.some(({ state }) => state === 'ALARM')
  );
}

function screen(now: Status, name: string, paint: Surroundings['terminal']['paint']): string {
  const lines = [`${paint('bold', name)}  ${paint('dim', now.at)}`, ''];
  if (now.lanes.length === 0) lines.push('Nothing runs here: no queues, no sweeps.');
  else {
    const table = new Table({
      head: ['lane', 'waiting', 'oldest', 'dead letters'],
      style: { head: [], border: [], compact: true },
      colAligns: ['left', 'right', 'right', 'right'],
    });
    for (const { lane, waiting, oldestSeconds, deadLetters } of now.lanes) {
      const dead = deadLetters > 0 ? paint('red', String(deadLetters)) : '0';
      table.push([lane, waiting, oldestSeconds === undefined ? '–' : duration(oldestSeconds), dead]);
    }
    lines.push(table.toString());
    const sweep = now.lastSweepSeconds;
    lines.push(
      sweep === undefined
        ? paint('yellow', 'No sweep in the last three hours')
        : `Last sweep ${duration(sweep)} ago`,
    );
  }
  if (now.archived) {
    lines.push(
      `Archived ${now.archived.inAll.toLocaleString('en')}, of these today ${now.archived.today.toLocaleString('en')}`,
    );
  }
  const codes = Object.entries(now.deadLettersByCode).sort(([, a], [, b]) => b - a);
  if (codes.length > 0) {
    lines.push(
      `Dead letters: ${codes.map(([code, letters]) => `${paint('red', code)} ${letters}`).join(', ')}`,
    );
  }
  if (now.alarms) {
    const ringing = now.alarms.filter(({ state }) => state === 'ALARM');
    lines.push(ringing.length === 0 ? `${now.alarms.length} alarms, none of them in alarm` : '');
    for (const { name: alarm, description } of ringing) lines.push(`${paint('red', alarm)}  ${description}`);
  }
  return lines.join('\n');
}

function asSeconds(value: string): number {
  if (/^[1-9]\d{0,4}$/.test(value)) return Number(value);
  throw new InvalidArgumentError('It must be a whole number of seconds.');
}
