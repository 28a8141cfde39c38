/**
 * The archiver that a command is about: one deployed by `cdk deploy`, or an archive on this machine. Each part is
 * looked up when it is first asked for, so that a command needs no more rights than its work takes.
 */

import type { S3Client } from '@aws-sdk/client-s3';
import type { SQSClient } from '@aws-sdk/client-sqs';
import type { Bucket } from '../../functions/bucket/store.ts';
import type { MetricName } from '../../functions/metrics.ts';
import type { Lane } from '../../functions/queue/batch.ts';
import type { LaneName } from '../../functions/queue/lanes.ts';
import type { TelnyxClient } from '../../functions/telnyx/client.ts';

export interface BucketAccess {
  s3: S3Client;
  name: string;
  bucket: Bucket;
}

export type LaneQueues = Omit<Lane, 'live'>;

export interface ArchiverQueues {
  sqs: SQSClient;
  lanes: Record<LaneName, LaneQueues>;
}

/** What the functions have counted. */
export interface Metrics {
  /** Sums from the minute of `since` on; milliseconds since the Unix epoch. */
  sums<Name extends MetricName>(names: readonly Name[], since: number): Promise<Record<Name, number>>;
  /** When the metric was last counted since `since`, to the minute. */
  latest(name: MetricName, since: number): Promise<number | undefined>;
  /** Largest value since `since`; undefined if the metric was not counted. */
  maximum(name: MetricName, since: number): Promise<number | undefined>;
}

export interface Alarm {
  name: string;
  state: 'OK' | 'ALARM' | 'INSUFFICIENT_DATA';
  /** What the alarm says it means. */
  description: string;
}

export interface Target {
  /** For a person: `telnyx-archiver in eu-central-1`, or a folder's path. */
  name: string;
  bucket(): Promise<BucketAccess>;
  /** @throws Error where the queues are those of a local stack that is not running */
  queues(): Promise<ArchiverQueues>;
  /** Undefined for a local archive on which nothing runs and no key is given. @throws Error where the key is missing */
  telnyx(): Promise<TelnyxClient | undefined>;
  /** Undefined for a local archive on which nothing runs. */
  metrics(): Promise<Metrics | undefined>;
  /** Milliseconds that the oldest message of the lane has waited; undefined where nothing tells. */
  oldestAge(lane: LaneName): Promise<number | undefined>;
  /** Undefined where there are none: a local archive. */
  alarms(): Promise<Alarm[] | undefined>;
  /** How often to look at what changes, and how late its counts may be; milliseconds. */
  pace: { pollMs: number; countsLagMs: number };
  close(): Promise<void>;
}
