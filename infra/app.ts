/**
 * Entry point of the CDK app. Reads the settings from `stage.json`, or from the file in `-c settings=<file>`. If there is
 * no `stage.json`, `-c example=<file>` names the file to read instead: `npm run synth` works without one.
 */
import { App } from 'aws-cdk-lib';
import { createDeployment } from './deployment.ts';
import { deployTarget, readStageFile, StageError, settingsFile } from './stage.ts';

const app = new App();
try {
  const context: Record<string, unknown> = {
    settings: app.node.tryGetContext('settings'),
    example: app.node.tryGetContext('example'),
  };
  const file = settingsFile(context);
  // The output of the CDK CLI does not show which settings it used.
  if (file === context.example) process.stderr.write(`There is no stage.json. Using ${file}.\n`);
  createDeployment(app, readStageFile(file, deployTarget(process.env)));
} catch (error) {
  if (!(error instanceof StageError)) throw error;
  // Without a stack trace, which would hide the list of problems.
  process.stderr.write(`${error.message}\n`);
  // Exits at once: at the end of the process the CDK would synthesize the empty app.
  process.exit(1);
}
