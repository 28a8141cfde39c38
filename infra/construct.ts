/** The archiver as a construct for other CDK apps: what the package exports. */
import { Stack, Token } from 'aws-cdk-lib';
import type { Bucket } from 'aws-cdk-lib/aws-s3';
import type { Topic } from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import cdkJson from '../cdk.json' with { type: 'json' };
import { ArchivePipeline } from './pipeline.ts';
import type { Queues } from './queues.ts';
import { type DeployTarget, readStage, type StageSettings } from './stage.ts';
import { ArchiveStorage } from './storage.ts';

/** The settings of `stage.json`. Account and region are those of the stack, and tags are the app's. */
export interface TelnyxDocumentArchiverProps extends Omit<StageSettings, 'account' | 'region' | 'tags'> {}

/**
 * Archives all documents of a Telnyx account, in the stack of its scope. Set termination protection on that stack. The
 * outputs say what to do after the first deployment.
 *
 * The bucket, its access logs, the keys, the API key and the logs stay when the stack is deleted. An ID in the construct
 * path that changes later leaves them behind, and creates new, empty ones.
 */
export class TelnyxDocumentArchiver extends Construct {
  /** Documents in `documents/`, a receipt for each in `receipts/`. Sends S3's events to EventBridge. */
  readonly bucket: Bucket;
  /** Each with its dead-letter queue. */
  readonly queues: Queues;
  /** Subscribe to it, unless `alarmEmail` is set. */
  readonly alarmTopic: Topic;
  /** Set it as the webhook URL in the Telnyx portal. */
  readonly webhookUrl: string;

  /** @throws StageError with all problems of the settings */
  constructor(scope: Construct, id: string, props: TelnyxDocumentArchiverProps) {
    super(scope, id);
    // An app can have older feature flags. These are set for this construct only.
    for (const [flag, value] of Object.entries(cdkJson.context)) this.node.setContext(flag, value);
    const stage = readStage(props, `the construct ${this.node.path}`, targetOf(Stack.of(this)));
    const storage = new ArchiveStorage(this, 'Storage', stage);
    const pipeline = new ArchivePipeline(this, 'Pipeline', {
      stage,
      storage,
      dataKeyArn: storage.key.keyArn,
    });
    this.bucket = storage.archive.bucket;
    this.queues = pipeline.queues;
    this.alarmTopic = pipeline.alarmTopic.topic;
    this.webhookUrl = pipeline.webhookApi.url;
  }
}

function targetOf({ account, region }: Stack): DeployTarget {
  return {
    ...(!Token.isUnresolved(account) && { account }),
    ...(!Token.isUnresolved(region) && { region }),
  };
}
