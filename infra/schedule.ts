import { ArnFormat, Stack } from 'aws-cdk-lib';
import { ManagedPolicy, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { CfnSchedule, CfnScheduleGroup } from 'aws-cdk-lib/aws-scheduler';
import { Construct } from 'constructs';
import { nightlyAudit, sweep } from '../functions/limits.ts';
import { sendTo } from './permissions.ts';
import type { QueuePair } from './queues.ts';

interface Scheduled {
  /** Last part of the schedule group's name. */
  name: string;
  description: string;
  /** A cron expression in UTC (EventBridge Scheduler user guide, "Schedule types"). */
  expression: string;
  /**
   * A message as in `functions/queue/messages.ts`. EventBridge Scheduler replaces the placeholder with a time such as
   * `2022-03-22T18:59:43Z` (EventBridge Scheduler user guide, "Adding context attributes").
   */
  message: string;
  /** For how long the scheduler tries to deliver a message. */
  maximumAgeMinutes: number;
}

/** Requests a sweep every minute. Sweeps find most documents, within 30 minutes of their upload. */
export const sweepSchedule: Scheduled = {
  name: 'sweep',
  description: 'Requests a sweep, which finds documents that no event has named',
  // At the full minute: the time of a sweep decides whether it is one of every fifth minute or of the hour.
  expression: `cron(0/${sweep.intervalMinutes} * * * ? *)`,
  message: '{"v":1,"kind":"recent","requestedAt":"<aws.scheduler.scheduled-time>"}',
  // The discover function ignores a sweep that arrives later than this.
  maximumAgeMinutes: sweep.hourlySupersededAfterMinutes,
};

/** Starts a run of the audit every night. */
export const auditSchedule: Scheduled = {
  name: 'audit',
  description: 'Starts the audit, which compares the whole archive',
  // Not at the full hour, whose sweep has the most to do.
  expression: `cron(15 ${nightlyAudit.hour} * * ? *)`,
  message: '{"v":1,"kind":"audit-start","requestedAt":"<aws.scheduler.scheduled-time>"}',
  // The next night's start closes a run that has not ended by then, so a run that starts later would have too little time.
  maximumAgeMinutes: nightlyAudit.unfinishedAfterMs / 60_000,
};

export interface LaneScheduleProps extends Scheduled {
  archiverName: string;
  /** Receives the messages. Those that the scheduler cannot deliver go to its dead-letter queue. */
  lane: QueuePair;
}

/** Sends a message to a lane at fixed times. */
export class LaneSchedule extends Construct {
  constructor(scope: Construct, id: string, { archiverName, lane, ...scheduled }: LaneScheduleProps) {
    super(scope, id);
    const stack = Stack.of(this);
    // With the name of the stack in which version 0.1.0 created the one of sweeps: another name would replace the group.
    const groupName = `${archiverName}-pipeline-${scheduled.name}`;
    const group = new CfnScheduleGroup(this, 'Group', { name: groupName });
    const role = new Role(this, 'Role', {
      assumedBy: new ServicePrincipal('scheduler.amazonaws.com', {
        conditions: {
          StringEquals: { 'aws:SourceAccount': stack.account },
          // The schedule group, not the schedule (EventBridge Scheduler user guide, "Confused deputy prevention").
          ArnEquals: {
            'aws:SourceArn': stack.formatArn({
              service: 'scheduler',
              resource: 'schedule-group',
              resourceName: groupName,
              arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
            }),
          },
        },
      }),
      managedPolicies: [
        new ManagedPolicy(this, 'Policy', { statements: [sendTo(lane.queue, lane.deadLetters)] }),
      ],
    });
    new CfnSchedule(this, 'Schedule', {
      description: scheduled.description,
      groupName: group.ref,
      scheduleExpression: scheduled.expression,
      flexibleTimeWindow: { mode: 'OFF' },
      state: 'ENABLED',
      target: {
        arn: lane.queue.queueArn,
        roleArn: role.roleArn,
        input: scheduled.message,
        retryPolicy: {
          maximumEventAgeInSeconds: scheduled.maximumAgeMinutes * 60,
          maximumRetryAttempts: 185,
        },
        deadLetterConfig: { arn: lane.deadLetters.queueArn },
      },
    });
  }
}
