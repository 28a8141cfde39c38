import { RemovalPolicy } from 'aws-cdk-lib';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { CfnSecret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';

export interface ApiKeySecretProps {
  key: IKey;
}

/**
 * An empty secret: the Telnyx API key is stored by hand after the first deployment and never passes through a
 * template. The higher-level `Secret` would generate a value, which the functions would take for an API key.
 */
export class ApiKeySecret extends Construct {
  readonly secretArn: string;

  constructor(scope: Construct, id: string, props: ApiKeySecretProps) {
    super(scope, id);
    const secret = new CfnSecret(this, 'Secret', {
      description: 'API key of Telnyx, with which the archiver reads documents',
      kmsKeyId: props.key.keyArn,
    });
    secret.applyRemovalPolicy(RemovalPolicy.RETAIN);
    this.secretArn = secret.ref;
  }
}
