/** Opens the archiver that a command line selects, and explains errors in reaching it. */
import { resolve } from 'node:path';
import { ArchiverError } from '../../functions/errors.ts';
import type { Time } from '../../functions/time.ts';
import { UsageError } from '../command.ts';
import { defaultStageName, deployedArchiver } from './deployed-archiver.ts';
import type { Target } from './target.ts';

/** Options that all commands share. */
export interface TargetOptions {
  local?: string;
  stack?: string;
}

/** @throws UsageError if both are given, Error if the folder does not exist */
export async function openTarget(
  { local, stack }: TargetOptions,
  environment: NodeJS.ProcessEnv,
  time: Time,
): Promise<Target> {
  if (local === undefined) {
    return deployedArchiver({ stageName: stack ?? defaultStageName, environment, time });
  }
  if (stack !== undefined) throw new UsageError('--local and --stack cannot be combined: pass one of them.');
  // Loaded only when needed: it includes a local SQS, which a deployed archiver does not use.
  const { localArchive } = await import('./local-archive.ts');
  return await localArchive({ folder: resolve(local), environment, time });
}

/** Message for an error that ended a command, with what to do about it. */
export function explain(error: unknown): string {
  if (error instanceof ArchiverError) {
    return `${error.code}: ${error.message}\nRunbook: docs/runbook.md#${error.code.toLowerCase()}`;
  }
  if (!(error instanceof Error)) return String(error);
  const isAboutAccess =
    error.name === 'CredentialsProviderError' || /^region is missing/i.test(error.message);
  if (isAboutAccess) {
    return `${error.message.split('\n')[0]}\nSet AWS_PROFILE or AWS_REGION as for the AWS CLI, or pass --local <folder> for an archive on this machine.`;
  }
  if (error.name === 'QueueDoesNotExist' || error.name === 'ValidationError') {
    return `${error.message}\nCheck that --stack is the \`name\` in the stage.json that was deployed, and that AWS_REGION is its region.`;
  }
  return error.name === 'Error' ? error.message : `${error.name}: ${error.message}`;
}
