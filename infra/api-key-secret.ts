import { RemovalPolicy } from 'aws-cdk-lib';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { CfnSecret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';

export interface ApiKeySecretProps {
  key: IKey;
}

/**
 * An empty secret. The operator stores the Telnyx API key after the first deployment, so it never appears in a
 * template. The L2 construct `Secret` would generate a value, which the functions would use as an API key.
 */
export class ApiKeySecret extends Construct {
  readonly secretArn: string;

  constructor(scope: Construct, id: string, props: ApiKeySecretProps) {
    super(scope, id);
    const secret = new CfnSecret(this, 'Secret', {
      description: 'Telnyx API key that the archiver uses to read documents',
      kmsKeyId: props.key.keyArn,
    });
    secret.applyRemovalPolicy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE);
    this.secretArn = secret.ref;
  }
}
