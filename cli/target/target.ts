/**
 * The archiver that a command works on: deployed by `cdk deploy`, or a folder on this machine. Each part is looked up on
 * first use, so that a command needs only the permissions for the parts it uses.
 */

import type { S3Client } from '@aws-sdk/client-s3';
import type { SQSClient } from '@aws-sdk/client-sqs';
import type { CatalogueStore } from '../../functions/bucket/catalogue.ts';
import type { ReplaceableBucket } from '../../functions/bucket/store.ts';
import type { MetricName } from '../../functions/metrics.ts';
import type { Lane } from '../../functions/queue/batch.ts';
import { type LaneName, laneNames } from '../../functions/queue/lanes.ts';
import type { TelnyxClient } from '../../functions/telnyx/client.ts';
import type { ArchiveFolder } from '../../local/s3/archive-folder.ts';

export interface BucketAccess {
  s3: S3Client;
  name: string;
  bucket: ReplaceableBucket;
  /** The folder whose files are the objects; undefined for a bucket elsewhere. */
  localFolder?: ArchiveFolder | undefined;
  /** URL of an S3 other than Amazon's and the local one. */
  endpoint?: string | undefined;
}

export type BucketPurpose = 'read' | 'write';

export type LaneQueues = Omit<Lane, 'live'>;

/** Something for each lane. An archiver that an older version deployed has no audit function, and no lane for it. */
export type ByLane<Value> = Record<Exclude<LaneName, 'audit'>, Value> & { audit?: Value | undefined };

export interface ArchiverQueues {
  sqs: SQSClient;
  lanes: ByLane<LaneQueues>;
}

/** The lanes that the archiver has, in the order in which the commands show them. */
export function existingLanes({ lanes }: Pick<ArchiverQueues, 'lanes'>): LaneName[] {
  return laneNames.filter((name) => lanes[name] !== undefined);
}

export const withoutAuditLane =
  'This archiver has no lane audit: an older version deployed it. Deploy again to have it audited every night.';

/** @throws Error for a lane that the archiver does not have */
export function queuesOf({ lanes }: Pick<ArchiverQueues, 'lanes'>, name: LaneName): LaneQueues {
  const queues = lanes[name];
  if (queues) return queues;
  throw new Error(withoutAuditLane);
}

/** Metrics that the functions have recorded. */
export interface Metrics {
  /** Sums since the minute of `since`, in milliseconds since the Unix epoch. */
  sums<Name extends MetricName>(names: readonly Name[], since: number): Promise<Record<Name, number>>;
  /** Minute in which the metric last had a value above 0 since `since`; milliseconds since the Unix epoch. */
  latest(name: MetricName, since: number): Promise<number | undefined>;
  /** Largest value since `since`; undefined without values. */
  maximum(name: MetricName, since: number): Promise<number | undefined>;
}

export interface Alarm {
  name: string;
  state: 'OK' | 'ALARM' | 'INSUFFICIENT_DATA';
  /** Description of the alarm in CloudWatch. */
  description: string;
}

/** In the order in which `archiver doctor` shows them. */
export const checkNames = [
  'account',
  'stacks',
  'quota',
  'local-stack',
  'bucket',
  'retention',
  'disk-space',
  'api-key',
  'webhook',
  'schedule',
  'sweep',
  'audit',
  'alarm-subscription',
  'test-alarm',
  'clock',
] as const;

export type CheckName = (typeof checkNames)[number];

export interface CheckResult {
  state: 'ok' | 'problem' | 'not-checked';
  /** What was found, in one line. */
  detail: string;
  /** What to do about it. */
  advice?: string;
}

/** A check of `archiver doctor`. */
export interface Check {
  name: CheckName;
  /** Checks of the same target without whose success this one cannot run. */
  needs: readonly CheckName[];
  /** An error that it throws is a problem, or a missing permission to check. */
  run(signal: AbortSignal): Promise<CheckResult>;
}

export interface CheckOptions {
  /** Whether to set off a test alarm. Ignored by an archiver without alarms. */
  ring: boolean;
}

/** Who runs a command. */
export interface Operator {
  /** ARN of the IAM role or user, without the session of an assumed role; `local` on this machine. */
  role: string;
  /** Name of the session, or of the user on this machine. */
  session?: string | undefined;
}

export interface Target {
  /** Name to show: `telnyx-archiver in eu-central-1`, or a folder's path. */
  name: string;
  /** Options of the command line that select it, such as `--local` and a folder; none for the default. */
  options: readonly string[];
  /**
   * @param purpose whether the command writes; without `write`, a local archive's server refuses to. @default 'read'
   */
  bucket(purpose?: BucketPurpose): Promise<BucketAccess>;
  /** Undefined for an archiver that an older version deployed. */
  catalogue(): Promise<CatalogueStore | undefined>;
  /** @throws Error for a local archive without a running stack */
  queues(): Promise<ArchiverQueues>;
  /**
   * Undefined for a local archive without a running stack and without an API key.
   *
   * @throws SettingsError for a deployed archiver without an API key
   */
  telnyx(): Promise<TelnyxClient | undefined>;
  /** Undefined for a local archive without a running stack. */
  metrics(): Promise<Metrics | undefined>;
  /** Age of the oldest message in the lane, in milliseconds; undefined if unknown. */
  oldestAge(lane: LaneName): Promise<number | undefined>;
  /** Undefined for a local archive, which has no alarms. */
  alarms(): Promise<Alarm[] | undefined>;
  operator(): Promise<Operator>;
  /** What can be checked before and after a deployment. None changes anything, apart from the test alarm. */
  checks(options: CheckOptions): Promise<Check[]>;
  /** How often to poll, and how late message counts may be; milliseconds. */
  polling: { intervalMs: number; countsLagMs: number };
  /** Where the stage says its operators read the runbook; undefined: at its path. */
  runbookUrl?(): Promise<string | undefined>;
  close(): Promise<void>;
}
