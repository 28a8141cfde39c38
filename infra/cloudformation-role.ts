import { ArnFormat, DefaultStackSynthesizer, Fn, Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';

/**
 * The role with which CloudFormation deploys the stack: the one of the stack's synthesizer, otherwise the one that
 * `cdk bootstrap` creates (CDK guide, "Bootstrapping").
 */
export function cloudFormationRoleArn(scope: Construct): string {
  const stack = Stack.of(scope);
  const { synthesizer } = stack;
  // With placeholders such as ${AWS::AccountId}, which only Fn::Sub replaces.
  if (synthesizer instanceof DefaultStackSynthesizer)
    return Fn.sub(synthesizer.cloudFormationExecutionRoleArn);
  const qualifier = synthesizer.bootstrapQualifier ?? DefaultStackSynthesizer.DEFAULT_QUALIFIER;
  return stack.formatArn({
    service: 'iam',
    region: '',
    resource: 'role',
    resourceName: `cdk-${qualifier}-cfn-exec-role-${stack.account}-${stack.region}`,
    arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
  });
}
