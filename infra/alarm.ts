import { ArnFormat, Stack } from 'aws-cdk-lib';
import { Alarm, type AlarmProps } from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { CfnRule } from 'aws-cdk-lib/aws-events';
import {
  AnyPrincipal,
  Effect,
  ManagedPolicy,
  PolicyStatement,
  Role,
  ServicePrincipal,
} from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';

/** What the notification says. Required for every alarm. */
interface Meaning {
  /** What the alarm means for the documents, in one or two sentences. */
  impact: string;
  /** Where the alarm's article in `docs/runbook.md` is. */
  runbook: string;
}

function describe({ impact, runbook }: Meaning): string {
  return `${impact} Runbook: ${runbook}`;
}

export interface AlarmTopicProps {
  /** Name of the archiver: the sender of the emails. */
  archiverName: string;
  /** Address to subscribe. @default no subscription */
  email?: string | undefined;
  /** Encrypts the topic. Its key policy must allow CloudWatch alarms to use it. */
  key: IKey;
}

/** The SNS topic of all alarms. The only AWS service that can publish to it is CloudWatch, for alarms of this account. */
export class AlarmTopic extends Construct {
  readonly topic: Topic;
  readonly key: IKey;

  constructor(scope: Construct, id: string, { archiverName, email, key }: AlarmTopicProps) {
    super(scope, id);
    const stack = Stack.of(this);
    this.key = key;
    this.topic = new Topic(this, 'Topic', {
      displayName: `Telnyx document archiver ${archiverName}`,
      masterKey: key,
    });
    if (email !== undefined) this.topic.addSubscription(new EmailSubscription(email));
    this.topic.addToResourcePolicy(
      new PolicyStatement({
        sid: 'TlsOnly',
        effect: Effect.DENY,
        principals: [new AnyPrincipal()],
        actions: ['sns:Publish'],
        resources: [this.topic.topicArn],
        conditions: { Bool: { 'aws:SecureTransport': 'false' } },
      }),
    );
    this.topic.addToResourcePolicy(
      new PolicyStatement({
        sid: 'AlarmsPublish',
        principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['sns:Publish'],
        resources: [this.topic.topicArn],
        conditions: {
          StringEquals: { 'aws:SourceAccount': stack.account },
          ArnLike: {
            'aws:SourceArn': stack.formatArn({
              service: 'cloudwatch',
              resource: 'alarm',
              resourceName: '*',
              arnFormat: ArnFormat.COLON_RESOURCE_NAME,
            }),
          },
        },
      }),
    );
  }
}

export interface ArchiverAlarmProps extends Omit<AlarmProps, 'alarmDescription' | 'actionsEnabled'>, Meaning {
  topic: AlarmTopic;
  /**
   * Whether the topic is also notified when the alarm returns to OK. Set it only if OK means that the cause is gone.
   * An alarm that counts events returns to OK as soon as no new event happens, which must not read as an all-clear.
   */
  notifiesOk: boolean;
}

/** An alarm whose description states its impact and links its runbook article. */
export class ArchiverAlarm extends Alarm {
  constructor(
    scope: Construct,
    id: string,
    { impact, runbook, topic, notifiesOk, ...alarmProps }: ArchiverAlarmProps,
  ) {
    super(scope, id, { ...alarmProps, alarmDescription: describe({ impact, runbook }) });
    const action = new SnsAction(topic.topic);
    this.addAlarmAction(action);
    if (notifiesOk) this.addOkAction(action);
  }
}

export interface EventAlarmProps extends Meaning {
  topic: AlarmTopic;
  description: string;
  /** Event pattern (EventBridge user guide, "Event patterns"). */
  eventPattern: Record<string, unknown>;
}

/**
 * An alarm on an event that no metric shows. EventBridge publishes with a role of this account. If it published as a
 * service, the key policy could not be limited to this account: such calls carry neither aws:SourceAccount nor
 * aws:SourceArn (Amazon SNS developer guide, "Enable compatibility between event sources and encrypted topics").
 */
export class EventAlarm extends Construct {
  constructor(
    scope: Construct,
    id: string,
    { topic, description, eventPattern, ...meaning }: EventAlarmProps,
  ) {
    super(scope, id);
    const stack = Stack.of(this);
    const role = new Role(this, 'Role', {
      assumedBy: new ServicePrincipal('events.amazonaws.com', {
        conditions: {
          StringEquals: { 'aws:SourceAccount': stack.account },
          ArnLike: {
            'aws:SourceArn': stack.formatArn({ service: 'events', resource: 'rule', resourceName: '*' }),
          },
        },
      }),
      managedPolicies: [
        new ManagedPolicy(this, 'Policy', {
          statements: [
            new PolicyStatement({
              sid: 'Publish',
              actions: ['sns:Publish'],
              resources: [topic.topic.topicArn],
            }),
            new PolicyStatement({
              sid: 'UseKeyForTopic',
              actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
              resources: [topic.key.keyArn],
            }),
          ],
        }),
      ],
    });
    new CfnRule(this, 'Rule', {
      description,
      eventPattern,
      state: 'ENABLED',
      targets: [
        {
          id: 'AlarmTopic',
          arn: topic.topic.topicArn,
          roleArn: role.roleArn,
          inputTransformer: {
            inputPathsMap: { name: '$.detail.eventName', by: '$.detail.userIdentity.arn', at: '$.time' },
            inputTemplate: JSON.stringify(`${describe(meaning)} Event: <name> by <by> at <at>.`),
          },
        },
      ],
    });
  }
}
