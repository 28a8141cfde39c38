import { fileURLToPath } from 'node:url';
import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { ManagedPolicy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { Architecture, EventSourceMapping, LoggingFormat, Runtime, Tracing } from 'aws-cdk-lib/aws-lambda';
import { NodejsFunction, type NodejsFunctionProps, OutputFormat } from 'aws-cdk-lib/aws-lambda-nodejs';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { concurrency } from '../functions/limits.ts';

export interface ArchiverFunctionProps {
  /** Folder under `functions/`, whose `lambda.ts` exports `handler`. */
  folder: string;
  description: string;
  /** Lambda's time limit, in milliseconds. */
  timeoutMs: number;
  memoryMiB: number;
  environment: Record<string, string>;
  /** All that the function may do, beyond writing its log and its trace. */
  mayDo: readonly PolicyStatement[];
  /** Encrypts the log group. */
  logKey: IKey;
  /** Laid over the defaults. @default none */
  functionProps?: NodejsFunctionProps;
}

const projectRoot = fileURLToPath(new URL('..', import.meta.url));
/** Looks for credentials wherever a machine may have them; a quarter of a bundle, which Lambda has no use for. */
const defaultCredentialsOfTheSdk = '@aws-sdk/credential-provider-node';

/** One of the archiver's functions with a log group and a role of its own. No permission comes from anywhere else. */
export class ArchiverFunction extends Construct {
  readonly function: NodejsFunction;
  readonly logGroup: LogGroup;

  constructor(scope: Construct, id: string, props: ArchiverFunctionProps) {
    super(scope, id);
    this.logGroup = new LogGroup(this, 'Log', {
      retention: RetentionDays.ONE_YEAR,
      encryptionKey: props.logKey,
      removalPolicy: RemovalPolicy.RETAIN,
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
          // X-Ray knows no resources for these (Service Authorization Reference, "AWS X-Ray").
          resources: ['*'],
        }),
        ...props.mayDo,
      ],
    });
    // The role holds the policy, not the other way round: whatever needs the role then waits for the policy, too.
    const role = new Role(this, 'Role', {
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      managedPolicies: [policy],
    });
    this.function = new NodejsFunction(this, 'Function', {
      description: props.description,
      entry: `${projectRoot}functions/${props.folder}/lambda.ts`,
      handler: 'handler',
      projectRoot,
      depsLockFilePath: `${projectRoot}package-lock.json`,
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      timeout: Duration.millis(props.timeoutMs),
      memorySize: props.memoryMiB,
      environment: props.environment,
      role: role.withoutPolicyUpdates(),
      logGroup: this.logGroup,
      loggingFormat: LoggingFormat.JSON,
      tracing: Tracing.ACTIVE,
      awsSdkConnectionReuse: false,
      bundling: {
        // CommonJS starts a fifth faster than the same bundle as an ECMAScript module (docs/performance.md).
        format: OutputFormat.CJS,
        target: 'node24',
        // The bundled SDK starts 2.6 times faster than the runtime's, and is the one that was tested.
        bundleAwsSDK: true,
        mainFields: ['module', 'main'],
        minify: true,
        keepNames: true,
        esbuildArgs: { [`--alias:${defaultCredentialsOfTheSdk}`]: `${projectRoot}functions/credentials.ts` },
      },
      ...props.functionProps,
    });
  }

  /** Has Lambda feed the queue's messages to the function, at most `maxConcurrency` batches at once. */
  consume(id: string, queue: IQueue, maxConcurrency: number): EventSourceMapping {
    return new EventSourceMapping(this, id, {
      target: this.function,
      eventSourceArn: queue.queueArn,
      batchSize: concurrency.batchSize,
      maxConcurrency,
      reportBatchItemFailures: true,
      enabled: true,
    });
  }
}
