/** Synthesizes deployments with several settings. */
import { readFileSync } from 'node:fs';
import { App, Stack } from 'aws-cdk-lib';
import { createDeployment, createStacks, type Deployment } from '../../infra/deployment.ts';
import { readStage, type Stage, type StageSettings } from '../../infra/stage.ts';
import stageForSynth from '../../stage.example.json' with { type: 'json' };
import { type Template, type View, viewOf } from './view.ts';

const telnyxPublicKeys = stageForSynth.telnyxPublicKeys;
const account = '111122223333';
const breakGlassArns = [`arn:aws:iam::${account}:role/break-glass`];

/** Only the required settings. */
export const minimal: StageSettings = { telnyxPublicKeys, retentionDays: 'none' };

export const settings = {
  minimal,
  locked: {
    ...minimal,
    retentionDays: 365,
    breakGlassArns,
    alarmEmail: 'on-call@example.com',
    documentsConcurrency: 50,
    webhookConcurrency: 10,
    backfillConcurrency: 2,
    fixityDays: 7,
  },
  full: {
    ...minimal,
    retentionDays: 5_000,
    retentionMode: 'COMPLIANCE',
    acceptIrreversibleRetention: true,
    name: 'letters',
    acceptSecondArchive: true,
    account,
    region: 'eu-central-1',
    alarmEmail: 'on-call@example.com',
    breakGlassArns: [...breakGlassArns, `arn:aws:iam::${account}:role/security/second`],
    existingKeyArn: `arn:aws:kms:eu-central-1:${account}:key/1234abcd-12ab-34cd-56ef-1234567890ab`,
    domain: {
      name: 'telnyx.example.com',
      certificateArn: `arn:aws:acm:eu-central-1:${account}:certificate/1234abcd-12ab-34cd-56ef-1234567890ab`,
    },
    downloadHosts: ['s3.eu-central-1.amazonaws.com'],
    archiveInfected: true,
    maxDocumentBytes: 20_000_000,
    fixityDays: 'never',
    repair: true,
    runbookUrl: 'https://github.com/example/archiver/blob/main/docs/runbook.md',
    tags: { 'cost-centre': '4711' },
  },
  govCloud: { ...minimal, retentionDays: 30, account, region: 'us-gov-west-1' },
  china: { ...minimal, retentionDays: 30, account, region: 'cn-north-1' },
} satisfies Record<string, StageSettings>;

export type SettingsName = keyof typeof settings;
export const settingsNames = Object.keys(settings) as SettingsName[];

/** Feature flags of `cdk.json`, which the CDK CLI passes to the app. */
export const featureFlags: Record<string, unknown> = JSON.parse(readFileSync('cdk.json', 'utf8')).context;

function newApp(): App {
  return new App({
    context: {
      ...featureFlags,
      // The checks find resources by construct path.
      'aws:cdk:enable-path-metadata': true,
      // Creation stack traces of constructs: not needed, and they take most of the time.
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

/** Cached per process and settings: do not modify the result. @throws Error if a validation fails the synth */
export function synthesize(stageSettings: StageSettings): Synthesized {
  const key = JSON.stringify(stageSettings);
  const result = synthesized.get(key) ?? synthesizeUncached(stageSettings);
  synthesized.set(key, result);
  return result;
}

function synthesizeUncached(stageSettings: StageSettings): Synthesized {
  const app = newApp();
  const stage = readStage(stageSettings);
  const deployment = createDeployment(app, stage);
  const assembly = app.synth();
  const artifacts = {
    storage: assembly.getStackByName(Stack.of(deployment.storage).stackName),
    pipeline: assembly.getStackByName(Stack.of(deployment.pipeline).stackName),
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

/** Synthesizes, because references between the stacks are resolved only then and cdk-nag must see them. */
export function stacksWithoutAcknowledgements(stageSettings: StageSettings): Deployment {
  const app = newApp();
  const deployment = createStacks(app, readStage(stageSettings));
  app.synth();
  return deployment;
}
