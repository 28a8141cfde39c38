/** Entry point of the CDK app. Reads the settings from `stage.json`, or from the file in `-c settings=<file>`. */
import { App } from 'aws-cdk-lib';
import { createDeployment } from './deployment.ts';
import { readStageFile, StageError } from './stage.ts';

const app = new App();
const file: unknown = app.node.tryGetContext('settings');
try {
  createDeployment(app, readStageFile(typeof file === 'string' ? file : 'stage.json'));
} catch (error) {
  if (!(error instanceof StageError)) throw error;
  // Without a stack trace, which would hide the list of problems.
  process.stderr.write(`${error.message}\n`);
  // Exits at once: at the end of the process the CDK would synthesize the empty app.
  process.exit(1);
}
