import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createStacks } from '../../infra/deployment.ts';
import { readStage } from '../../infra/stage.ts';
import { featureFlags, settings } from './deployments.ts';
import { at, type Template, text } from './view.ts';

const functionNames = ['Webhook', 'Discover', 'Archive'] as const;

interface Bundle {
  /** Folder of the asset, as it would be uploaded. */
  folder: string;
  /** As in `index.handler`. */
  handler: string;
  environment: Record<string, string>;
}

const bundles = {} as Record<(typeof functionNames)[number], Bundle>;
const output = mkdtempSync(join(tmpdir(), 'bundles-'));
afterAll(() => rmSync(output, { recursive: true }));

beforeAll(() => {
  const app = new App({
    outdir: output,
    context: {
      ...featureFlags,
      'aws:cdk:enable-asset-metadata': true,
      'aws:cdk:enable-path-metadata': true,
      'aws:cdk:disable-stack-trace': true,
    },
  });
  const { pipeline } = createStacks(app, readStage(settings.minimal));
  const { Resources } = app.synth().getStackByName(pipeline.stackName).template as Template;
  for (const name of functionNames) {
    const found = Object.values(Resources).find(
      (resource) =>
        resource.Type === 'AWS::Lambda::Function' &&
        text(at(resource, 'Metadata', 'aws:cdk:path')).includes(`/Functions/${name}/`),
    );
    const variables = Object.entries(at(found, 'Properties', 'Environment', 'Variables') ?? {});
    bundles[name] = {
      folder: join(output, text(at(found, 'Metadata', 'aws:asset:path'))),
      handler: text(at(found, 'Properties', 'Handler')),
      environment: Object.fromEntries(
        variables.map(([variable, value]) => [
          variable,
          typeof value === 'string' ? value : example(variable),
        ]),
      ),
    };
  }
});

/** In place of what CloudFormation would fill in. */
function example(variable: string): string {
  return variable.endsWith('_URL') ? 'https://sqs.us-east-1.amazonaws.com/111122223333/queue' : variable;
}

/** Starts Node as Lambda would, which imports the module and takes its handler. */
function start({ folder, handler, environment }: Bundle) {
  const [module = '', name = ''] = handler.split('.');
  const script = `
    const { [${JSON.stringify(name)}]: handler } = await import(${JSON.stringify(join(folder, `${module}.mjs`))});
    console.log(JSON.stringify({ type: typeof handler, parameters: handler?.length }));
    process.exit(0);`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    // Away from the checkout: a bundle must not find the project's own packages.
    cwd: folder,
    encoding: 'utf8',
    env: { AWS_REGION: 'us-east-1', ...environment },
  });
  return { stdout, stderr };
}

describe.each(functionNames)('The bundle of %s that would be deployed', (name) => {
  test('starts by itself in a fresh process, with the environment and the handler of the template.', () => {
    const { stdout, stderr } = start(bundles[name]);

    expect(stderr).toBe('');
    const { type, parameters } = JSON.parse(stdout);
    expect(type).toBe('function');
    // Lambda takes a handler of three parameters for one with a callback, and refuses it.
    expect(parameters).toBeLessThanOrEqual(2);
  });

  test('does not start without what the template passes.', () => {
    const { stdout, stderr } = start({ ...bundles[name], environment: {} });

    expect(stdout).toBe('');
    expect(stderr).toContain('DOCUMENTS_QUEUE_URL is not set.');
  });

  test('is small enough to start fast.', () => {
    expect(statSync(join(bundles[name].folder, 'index.mjs')).size).toBeLessThan(800_000);
  });
});
