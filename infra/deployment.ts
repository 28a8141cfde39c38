import { type App, Tags, Validations } from 'aws-cdk-lib';
import {
  AwsSolutionsChecks,
  HIPAASecurityChecks,
  NIST80053R5Checks,
  PCIDSS321Checks,
  ServerlessChecks,
} from 'cdk-nag';
import { acknowledgements } from './acknowledgements.ts';
import { PipelineStack } from './pipeline-stack.ts';
import type { Stage } from './stage.ts';
import { StorageStack } from './storage-stack.ts';

export interface Deployment {
  storage: StorageStack;
  pipeline: PipelineStack;
}

/** Both stacks of one stage. A cdk-nag finding that is not acknowledged fails the synth. */
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
  const storage = new StorageStack(app, `${stage.name}-storage`, { stage, env });
  const pipeline = new PipelineStack(app, `${stage.name}-pipeline`, { stage, storage, env });
  for (const [key, value] of Object.entries({ application: stage.name, ...stage.tags })) {
    Tags.of(app).add(key, value);
  }
  return { storage, pipeline };
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
