import { type App, Stack, Tags, Validations } from 'aws-cdk-lib';
import {
  AwsSolutionsChecks,
  HIPAASecurityChecks,
  NIST80053R5Checks,
  PCIDSS321Checks,
  ServerlessChecks,
} from 'cdk-nag';
import { acknowledgements } from './acknowledgements.ts';
import { ArchivePipeline } from './pipeline.ts';
import type { Stage } from './stage.ts';
import { ArchiveStorage } from './storage.ts';

/** Leaves no trace in the logical IDs, which must stay those of version 0.1.0: CloudFormation would create a new bucket. */
const noId = 'Default';

export interface Deployment {
  storage: ArchiveStorage;
  pipeline: ArchivePipeline;
}

/** Both stacks of one stage: what holds data, and what processes it. A cdk-nag finding that is not acknowledged fails the synth. */
export function createDeployment(app: App, stage: Stage): Deployment {
  const deployment = createStacks(app, stage);
  for (const { rules, on, reason } of acknowledgements(stage, deployment.storage, deployment.pipeline)) {
    for (const construct of on) {
      Validations.of(construct).acknowledge(...rules.map((id) => ({ id, reason })));
    }
  }
  Validations.of(app).addPlugins(...compliancePacks());
  return deployment;
}

/** The stacks without acknowledgements, so that a test can see all cdk-nag findings. */
export function createStacks(app: App, stage: Stage): Deployment {
  const env = {
    ...(stage.account !== undefined && { account: stage.account }),
    ...(stage.region !== undefined && { region: stage.region }),
  };
  const storageStack = new Stack(app, `${stage.name}-storage`, {
    description:
      'Telnyx document archiver: archive bucket, KMS key and API key secret. Has termination protection.',
    terminationProtection: true,
    env,
  });
  const storage = new ArchiveStorage(storageStack, noId, stage);
  const pipelineStack = new Stack(app, `${stage.name}-pipeline`, {
    description: 'Telnyx document archiver: webhook, queues, functions, schedule and alarms',
    env,
  });
  const pipeline = new ArchivePipeline(pipelineStack, noId, {
    stage,
    storage,
    dataKeyArn: exportedKeyArn(storageStack, storage, stage),
  });
  for (const [key, value] of Object.entries({ application: stage.name, ...stage.tags })) {
    Tags.of(app).add(key, value);
  }
  return { storage, pipeline };
}

/** CloudFormation refuses another key, because the pipeline imports its ARN, and an export in use cannot change. */
function exportedKeyArn(stack: Stack, { key }: ArchiveStorage, { existingKeyArn }: Stage): string {
  if (existingKeyArn === undefined) return key.keyArn;
  return stack.exportValue(existingKeyArn, { name: `${stack.stackName}:ExistingKeyArn` });
}

export function compliancePacks() {
  return [
    new AwsSolutionsChecks(),
    new NIST80053R5Checks(),
    new HIPAASecurityChecks(),
    new PCIDSS321Checks(),
    new ServerlessChecks(),
  ];
}
