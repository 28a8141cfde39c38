/** Deployments as they would be synthesized for several settings, without bundling the functions. */
import { readFileSync } from 'node:fs';
import { App } from 'aws-cdk-lib';
import { createDeployment, createStacks, type Deployment } from '../../infra/deployment.ts';
import { readStage, type Stage, type StageSettings } from '../../infra/stage.ts';
import stageForSynth from './stage.json' with { type: 'json' };
import { type Template, type View, viewOf } from './view.ts';

const telnyxPublicKeys = stageForSynth.telnyxPublicKeys;
const account = '111122223333';
const breakGlassArns = [`arn:aws:iam::${account}:role/break-glass`];

/** The fewest answers that make a deployment. */
export const minimal: StageSettings = { telnyxPublicKeys, retentionDays: 'none' };

export const settings = {
  minimal,
  locked: {
    ...minimal,
    retentionDays: 365,
    breakGlassArns,
    alarmEmail: 'on-call@example.com',
    documentsConcurrency: 50,
    backfillConcurrency: 2,
  },
  full: {
    ...minimal,
    retentionDays: 5_000,
    retentionMode: 'COMPLIANCE',
    acceptIrreversibleRetention: true,
    name: 'letters',
    account,
    region: 'eu-central-1',
    alarmEmail: 'on-call@example.com',
    breakGlassArns,
    existingKeyArn: `arn:aws:kms:eu-central-1:${account}:key/1234abcd-12ab-34cd-56ef-1234567890ab`,
    domain: {
      name: 'telnyx.example.com',
      certificateArn: `arn:aws:acm:eu-central-1:${account}:certificate/1234abcd-12ab-34cd-56ef-1234567890ab`,
    },
    downloadHosts: ['s3.eu-central-1.amazonaws.com'],
    archiveInfected: true,
    maxDocumentBytes: 20_000_000,
    webhookConcurrency: 'unreserved',
    tags: { 'cost-centre': '4711' },
  },
  govCloud: { ...minimal, retentionDays: 30, account, region: 'us-gov-west-1' },
  china: { ...minimal, retentionDays: 30, account, region: 'cn-north-1' },
} satisfies Record<string, StageSettings>;

export type SettingsName = keyof typeof settings;
export const settingsNames = Object.keys(settings) as SettingsName[];

/** The feature flags of `cdk.json`, which the command-line tool would pass on. */
export const featureFlags: Record<string, unknown> = JSON.parse(readFileSync('cdk.json', 'utf8')).context;

function newApp(): App {
  return new App({
    context: {
      ...featureFlags,
      'aws:cdk:bundling-stacks': [],
      // The checks find resources by the paths of their constructs.
      'aws:cdk:enable-path-metadata': true,
      // Where each construct was made: of no use here, and most of the time.
      'aws:cdk:disable-stack-trace': true,
    },
    analyticsReporting: false,
  });
}

export interface Synthesized {
  stage: Stage;
  deployment: Deployment;
  templates: Record<'storage' | 'pipeline', Template>;
  view: View;
}

const synthesized = new Map<string, Synthesized>();

/** Once per process for the same settings: not to be changed. @throws Error where a validation fails the synth */
export function synthesize(stageSettings: StageSettings): Synthesized {
  const key = JSON.stringify(stageSettings);
  const known = synthesized.get(key) ?? synthesizeAnew(stageSettings);
  synthesized.set(key, known);
  return known;
}

function synthesizeAnew(stageSettings: StageSettings): Synthesized {
  const app = newApp();
  const stage = readStage(stageSettings);
  const deployment = createDeployment(app, stage);
  const assembly = app.synth();
  const artifacts = {
    storage: assembly.getStackByName(deployment.storage.stackName),
    pipeline: assembly.getStackByName(deployment.pipeline.stackName),
  };
  const templates = {
    storage: artifacts.storage.template as Template,
    pipeline: artifacts.pipeline.template as Template,
  };
  const terminationProtection = {
    storage: artifacts.storage.terminationProtection ?? false,
    pipeline: artifacts.pipeline.terminationProtection ?? false,
  };
  return { stage, deployment, templates, view: viewOf(templates, terminationProtection) };
}

/** Synthesized too: until then a reference from one stack to the other is not what cdk-nag would see. */
export function stacksWithoutAcknowledgements(stageSettings: StageSettings): Deployment {
  const app = newApp();
  const deployment = createStacks(app, readStage(stageSettings));
  app.synth();
  return deployment;
}
