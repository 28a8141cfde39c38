/** Deployed bundles, and bundles with only a client of the SDK, built with the same settings but with all dependencies. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { App, Stack } from 'aws-cdk-lib';
import { CfnFunction } from 'aws-cdk-lib/aws-lambda';
import { build } from 'esbuild';
import { functionOptions } from '../../build/functions.ts';
import cdkJson from '../../cdk.json' with { type: 'json' };
import { createStacks } from '../../infra/deployment.ts';
import { readStage } from '../../infra/stage.ts';
import { createSigningKey } from '../../local/telnyx/signing.ts';

export interface Bundle {
  name: string;
  /** Absolute path of the entry file. */
  path: string;
  environment: Record<string, string>;
}

export type FunctionName = 'webhook' | 'discover' | 'archive' | 'audit';

/** For values that are only known after a deployment. */
const placeholder = 'https://sqs.us-east-1.amazonaws.com/000000000000/bench';

/** Builds the bundles with `cdk synth`. */
export function deployedBundles(directory: string): Record<FunctionName, Bundle> {
  const outdir = join(directory, 'cdk.out');
  const app = new App({ outdir, context: { ...cdkJson.context, 'aws:cdk:enable-asset-metadata': true } });
  const stage = readStage({ telnyxPublicKeys: [createSigningKey().publicKey], retentionDays: 'none' });
  const { pipeline } = createStacks(app, stage);
  const template = app.synth().getStackByName(Stack.of(pipeline).stackName).template;
  const functions = pipeline.node.findAll().filter((construct) => CfnFunction.isCfnFunction(construct));
  const bundleOf = (name: FunctionName): Bundle => {
    const made = functions.find(({ node }) => node.path.toLowerCase().includes(`/functions/${name}/`));
    if (made === undefined) throw new Error(`Function ${name} not found in the stack.`);
    const { Metadata, Properties } = template.Resources[Stack.of(made).getLogicalId(made)];
    const variables = Object.entries(Properties.Environment.Variables).map(([variable, value]) => [
      variable,
      typeof value === 'string' ? value : placeholder,
    ]);
    return {
      name,
      path: join(outdir, Metadata['aws:asset:path'], 'index.js'),
      environment: Object.fromEntries(variables),
    };
  };
  return {
    webhook: bundleOf('webhook'),
    discover: bundleOf('discover'),
    archive: bundleOf('archive'),
    audit: bundleOf('audit'),
  };
}

const minimalSources = {
  'client-s3': `
    import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
    const client = new S3Client();
    export const handler = (input) => client.send(new PutObjectCommand(input));`,
  'client-sqs': `
    import { SendMessageBatchCommand, SQSClient } from '@aws-sdk/client-sqs';
    const client = new SQSClient();
    export const handler = (input) => client.send(new SendMessageBatchCommand(input));`,
};

/** Builds a minimal function that only calls the given service, with the settings of our bundles. */
export async function clientAlone(name: keyof typeof minimalSources, directory: string): Promise<Bundle> {
  const path = join(directory, `${name}.js`);
  await build({
    stdin: { contents: minimalSources[name], resolveDir: fileURLToPath(new URL('../..', import.meta.url)) },
    outfile: path,
    ...functionOptions,
  });
  return { name: `${name} alone`, path, environment: {} };
}
