import { ArnFormat, Stack } from 'aws-cdk-lib';
import { ManagedPolicy, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { CfnSchedule, CfnScheduleGroup } from 'aws-cdk-lib/aws-scheduler';
import { Construct } from 'constructs';
import { sweep } from '../functions/limits.ts';
import { sendTo } from './permissions.ts';
import type { QueuePair } from './queues.ts';

export interface SweepScheduleProps {
  /** Takes the `recent` messages; what the scheduler cannot deliver goes to its dead letters. */
  discovery: QueuePair;
}

/**
 * The `recent` message as `functions/queue/messages.ts` reads it. EventBridge Scheduler replaces the placeholder by
 * an instant such as `2022-03-22T18:59:43Z` (its user guide, "Adding context attributes").
 */
const recentMessage = '{"v":1,"kind":"recent","requestedAt":"<aws.scheduler.scheduled-time>"}';

/** Asks for a sweep every minute: most documents are found by it, within their 30 minutes. */
export class SweepSchedule extends Construct {
  constructor(scope: Construct, id: string, { discovery }: SweepScheduleProps) {
    super(scope, id);
    const stack = Stack.of(this);
    const group = new CfnScheduleGroup(this, 'Group', { name: `${stack.stackName}-sweep` });
    const role = new Role(this, 'Role', {
      assumedBy: new ServicePrincipal('scheduler.amazonaws.com', {
        conditions: {
          StringEquals: { 'aws:SourceAccount': stack.account },
          // The group, not the schedule (EventBridge Scheduler user guide, "Confused deputy prevention").
          ArnEquals: {
            'aws:SourceArn': stack.formatArn({
              service: 'scheduler',
              resource: 'schedule-group',
              resourceName: `${stack.stackName}-sweep`,
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
      description: 'Has the archiver look for documents that no event has named',
      groupName: group.ref,
      // At the full minute: which sweep is a fifth minute's or an hour's shows in its time.
      scheduleExpression: `cron(0/${sweep.intervalMinutes} * * * ? *)`,
      flexibleTimeWindow: { mode: 'OFF' },
      state: 'ENABLED',
      target: {
        arn: discovery.queue.queueArn,
        roleArn: role.roleArn,
        input: recentMessage,
        // Later than this the first sweep of an hour would be acknowledged unread, and any other one as well.
        retryPolicy: {
          maximumEventAgeInSeconds: sweep.hourlySupersededAfterMinutes * 60,
          maximumRetryAttempts: 185,
        },
        deadLetterConfig: { arn: discovery.deadLetters.queueArn },
      },
    });
  }
}
