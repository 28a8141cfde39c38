/** Which archiver a command line is about, and what to say where it cannot be reached. */
import { resolve } from 'node:path';
import { ArchiverError } from '../functions/errors.ts';
import type { Time } from '../functions/time.ts';
import { defaultStageName, deployedStack } from './deployed-stack.ts';
import type { Deployment } from './deployment.ts';

/** The options that all commands have. */
export interface Chosen {
  local?: string;
  stack?: string;
  json?: boolean;
}

/** @throws Error where both are given, or the folder is not there */
export async function openDeployment(
  { local, stack }: Chosen,
  environment: NodeJS.ProcessEnv,
  time: Time,
): Promise<Deployment> {
  if (local === undefined) {
    return deployedStack({ stageName: stack ?? defaultStageName, environment, time });
  }
  if (stack !== undefined)
    throw new Error('--local and --stack are two different archivers: give one of them.');
  // The local stack brings a whole SQS along, which nobody needs for a deployed one.
  const { localArchive } = await import('./local-archive.ts');
  return await localArchive({ folder: resolve(local), environment, time });
}

/** What a person can do about an error that ended a command. */
export function explain(error: unknown): string {
  if (error instanceof ArchiverError) {
    return `${error.code}: ${error.message}\nRunbook: docs/runbook.md#${error.code.toLowerCase()}`;
  }
  if (!(error instanceof Error)) return String(error);
  const isAboutAccess =
    error.name === 'CredentialsProviderError' || /^region is missing/i.test(error.message);
  if (isAboutAccess) {
    return `${error.message.split('\n')[0]}\nSet AWS_PROFILE or AWS_REGION as for the AWS CLI, or give --local <folder> for an archive on this machine.`;
  }
  if (error.name === 'QueueDoesNotExist' || error.name === 'ValidationError') {
    return `${error.message}\nIs --stack the \`name\` in the stage.json that was deployed, and AWS_REGION the region?`;
  }
  return error.name === 'Error' ? error.message : `${error.name}: ${error.message}`;
}
