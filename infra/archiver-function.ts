import { fileURLToPath } from 'node:url';
import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { ManagedPolicy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import {
  Architecture,
  Code,
  EventSourceMapping,
  Function as LambdaFunction,
  LoggingFormat,
  Runtime,
  Tracing,
} from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { concurrency } from '../functions/limits.ts';

export interface ArchiverFunctionProps {
  /** Folder under `dist/functions/`, whose `index.js` exports `handler`. `npm run build` writes it. */
  folder: string;
  description: string;
  /** Timeout in milliseconds. */
  timeoutMs: number;
  memoryMiB: number;
  environment: Record<string, string>;
  /** Permissions of the function, in addition to its log and its traces. */
  permissions: readonly PolicyStatement[];
  /** Encrypts the log group. */
  logKey: IKey;
  /** Reserved concurrency. @default none */
  reservedConcurrency?: number;
}

/** The path holds from here and from `dist/construct.js`. */
const bundles = fileURLToPath(new URL('../dist/functions/', import.meta.url));

/** A Lambda function with its own log group and role. The role has no other permissions than those given here. */
export class ArchiverFunction extends Construct {
  readonly function: LambdaFunction;
  readonly logGroup: LogGroup;

  constructor(scope: Construct, id: string, props: ArchiverFunctionProps) {
    super(scope, id);
    this.logGroup = new LogGroup(this, 'Log', {
      retention: RetentionDays.ONE_YEAR,
      encryptionKey: props.logKey,
      removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    });
    const policy = new ManagedPolicy(this, 'Policy', {
      statements: [
        new PolicyStatement({
          sid: 'Log',
          actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
          resources: [this.logGroup.logGroupArn],
        }),
        new PolicyStatement({
          sid: 'Trace',
          actions: ['xray:PutTelemetryRecords', 'xray:PutTraceSegments'],
          // These actions have no resource types (Service Authorization Reference, "AWS X-Ray").
          resources: ['*'],
        }),
        ...props.permissions,
      ],
    });
    // The role refers to the policy, so that resources that depend on the role also wait for the policy.
    const role = new Role(this, 'Role', {
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      managedPolicies: [policy],
    });
    this.function = new LambdaFunction(this, 'Function', {
      description: props.description,
      code: Code.fromAsset(`${bundles}${props.folder}`),
      handler: 'index.handler',
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      timeout: Duration.millis(props.timeoutMs),
      memorySize: props.memoryMiB,
      environment: props.environment,
      role: role.withoutPolicyUpdates(),
      logGroup: this.logGroup,
      loggingFormat: LoggingFormat.JSON,
      tracing: Tracing.ACTIVE,
      ...(props.reservedConcurrency !== undefined && {
        reservedConcurrentExecutions: props.reservedConcurrency,
      }),
    });
  }

  /**
   * Adds an event source mapping for the queue.
   *
   * @param maxConcurrency concurrent invocations at most
   * @param batchSize messages per invocation at most
   */
  consume(
    id: string,
    queue: IQueue,
    maxConcurrency: number,
    batchSize: number = concurrency.batchSize,
  ): EventSourceMapping {
    return new EventSourceMapping(this, id, {
      target: this.function,
      eventSourceArn: queue.queueArn,
      batchSize,
      maxConcurrency,
      reportBatchItemFailures: true,
      enabled: true,
    });
  }
}
