import { ArnFormat, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import {
  AccountRootPrincipal,
  AnyPrincipal,
  Effect,
  PolicyDocument,
  PolicyStatement,
  ServicePrincipal,
} from 'aws-cdk-lib/aws-iam';
import { Key, type KeyProps } from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import { cloudFormationRoleArn } from './cloudformation-role.ts';

export interface EncryptionKeyProps extends KeyProps {
  /** What the key encrypts; shown in the KMS console. */
  description: string;
  /** ARNs of IAM roles that can schedule the key's deletion or disable it. @default none */
  breakGlassArns?: readonly string[];
  /** Permissions of AWS services. @default none */
  serviceStatements?: readonly PolicyStatement[];
}

/**
 * A customer managed key. IAM policies of the account control its use. Only break-glass roles can disable it, and only
 * they and the CloudFormation role can delete it; any other principal must change the key policy first. CloudFormation
 * deletes it only if its creation is rolled back. The waiting period for deletion is 30 days, the maximum.
 */
export class EncryptionKey extends Key {
  constructor(scope: Construct, id: string, props: EncryptionKeyProps) {
    const { breakGlassArns = [], serviceStatements = [], ...keyProps } = props;
    super(scope, id, {
      enableKeyRotation: true,
      pendingWindow: Duration.days(30),
      removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
      policy: new PolicyDocument({
        statements: [
          new PolicyStatement({
            sid: 'EnableIamPolicies',
            principals: [new AccountRootPrincipal()],
            actions: ['kms:*'],
            resources: ['*'],
          }),
          denyExcept('KeepKey', 'kms:ScheduleKeyDeletion', [cloudFormationRoleArn(scope), ...breakGlassArns]),
          denyExcept('KeepEnabled', 'kms:DisableKey', breakGlassArns),
          ...serviceStatements,
        ],
      }),
      ...keyProps,
    });
  }
}

function denyExcept(sid: string, action: string, roleArns: readonly string[]): PolicyStatement {
  return new PolicyStatement({
    sid,
    effect: Effect.DENY,
    principals: [new AnyPrincipal()],
    actions: [action],
    resources: ['*'],
    ...(roleArns.length > 0 && { conditions: { ArnNotEquals: { 'aws:PrincipalArn': [...roleArns] } } }),
  });
}

/** For log groups of this account and Region (Amazon CloudWatch Logs user guide, "Encrypt log data using KMS"). */
export function allowLogs(scope: Construct): PolicyStatement {
  const stack = Stack.of(scope);
  return new PolicyStatement({
    sid: 'LogsEncrypt',
    principals: [new ServicePrincipal(`logs.${stack.region}.${stack.urlSuffix}`)],
    actions: ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:DescribeKey'],
    resources: ['*'],
    conditions: {
      ArnLike: {
        'kms:EncryptionContext:aws:logs:arn': stack.formatArn({
          service: 'logs',
          resource: 'log-group',
          resourceName: '*',
          arnFormat: ArnFormat.COLON_RESOURCE_NAME,
        }),
      },
    },
  });
}

/** For alarms (Amazon SNS developer guide, "Enable compatibility between event sources and encrypted topics"). */
export function allowAlarms(scope: Construct): PolicyStatement {
  const stack = Stack.of(scope);
  return new PolicyStatement({
    sid: 'AlarmsPublish',
    principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
    actions: ['kms:Decrypt', 'kms:GenerateDataKey*'],
    resources: ['*'],
    conditions: { StringEquals: { 'aws:SourceAccount': stack.account } },
  });
}
