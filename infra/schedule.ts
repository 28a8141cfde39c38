import { ArnFormat, Stack } from 'aws-cdk-lib';
import { ManagedPolicy, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { CfnSchedule, CfnScheduleGroup } from 'aws-cdk-lib/aws-scheduler';
import { Construct } from 'constructs';
import { sweep } from '../functions/limits.ts';
import { sendTo } from './permissions.ts';
import type { QueuePair } from './queues.ts';

export interface SweepScheduleProps {
  archiverName: string;
  /** Receives the `recent` messages. Messages that the scheduler cannot deliver go to its dead-letter queue. */
  discovery: QueuePair;
}

/**
 * A `recent` message, see `functions/queue/messages.ts`. EventBridge Scheduler replaces the placeholder with a time such
 * as `2022-03-22T18:59:43Z` (EventBridge Scheduler user guide, "Adding context attributes").
 */
const recentMessage = '{"v":1,"kind":"recent","requestedAt":"<aws.scheduler.scheduled-time>"}';

/** Requests a sweep every minute. Sweeps find most documents, within 30 minutes of their upload. */
export class SweepSchedule extends Construct {
  constructor(scope: Construct, id: string, { archiverName, discovery }: SweepScheduleProps) {
    super(scope, id);
    const stack = Stack.of(this);
    // With the name of the stack in which version 0.1.0 created it: another name would replace the group.
    const groupName = `${archiverName}-pipeline-sweep`;
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
        new ManagedPolicy(this, 'Policy', { statements: [sendTo(discovery.queue, discovery.deadLetters)] }),
      ],
    });
    new CfnSchedule(this, 'Schedule', {
      description: 'Requests a sweep, which finds documents that no event has named',
      groupName: group.ref,
      // At the full minute: the time of a sweep decides whether it is one of every fifth minute or of the hour.
      scheduleExpression: `cron(0/${sweep.intervalMinutes} * * * ? *)`,
      flexibleTimeWindow: { mode: 'OFF' },
      state: 'ENABLED',
      target: {
        arn: discovery.queue.queueArn,
        roleArn: role.roleArn,
        input: recentMessage,
        // The discover function ignores a sweep that arrives later than this.
        retryPolicy: {
          maximumEventAgeInSeconds: sweep.hourlySupersededAfterMinutes * 60,
          maximumRetryAttempts: 185,
        },
        deadLetterConfig: { arn: discovery.deadLetters.queueArn },
      },
    });
  }
}
