/**
 * Entry point of the CDK app. Reads the settings from `stage.json`, or from the file in `-c settings=<file>`. If there is
 * no `stage.json`, `-c example=<file>` names the file to read instead, so that `npm run synth` works without one.
 */
import { existsSync } from 'node:fs';
import { App } from 'aws-cdk-lib';
import { createDeployment } from './deployment.ts';
import { type DeployTarget, readStageFile, StageError } from './stage.ts';

const app = new App();
try {
  createDeployment(app, readStageFile(settingsFile(), credentialsTarget()));
} catch (error) {
  if (!(error instanceof StageError)) throw error;
  // Without a stack trace, which would hide the list of problems.
  process.stderr.write(`${error.message}\n`);
  // Exits at once: at the end of the process the CDK would synthesize the empty app.
  process.exit(1);
}

function settingsFile(): string {
  const file: unknown = app.node.tryGetContext('settings');
  if (typeof file === 'string') return file;
  const example: unknown = app.node.tryGetContext('example');
  if (typeof example !== 'string' || existsSync('stage.json')) return 'stage.json';
  process.stderr.write(`There is no stage.json; reading ${example} instead.\n`);
  return example;
}

/** The CDK CLI sets the account if it finds credentials. It sets a region in any case, but without credentials a wrong one. */
function credentialsTarget(): DeployTarget {
  const { CDK_DEFAULT_ACCOUNT: account, CDK_DEFAULT_REGION: region } = process.env;
  return account && region ? { account, region } : {};
}
