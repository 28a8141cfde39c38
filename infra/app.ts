/** What `cdk` runs. Settings come from `stage.json`, or from the file named by `-c settings=<file>`. */
import { App } from 'aws-cdk-lib';
import { createDeployment } from './deployment.ts';
import { readStageFile, StageError } from './stage.ts';

const app = new App();
const file: unknown = app.node.tryGetContext('settings');
try {
  createDeployment(app, readStageFile(typeof file === 'string' ? file : 'stage.json'));
} catch (error) {
  if (!(error instanceof StageError)) throw error;
  // A person reads this: the message says all, a stack trace would bury it.
  process.stderr.write(`${error.message}\n`);
  // At once, or the app would synthesize itself, empty, at the end of the process.
  process.exit(1);
}
