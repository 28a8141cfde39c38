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

/**
 * Opens what the options select, otherwise what ARCHIVER_LOCAL or ARCHIVER_STACK selects.
 *
 * @throws UsageError if both are given, Error if the folder does not exist
 */
export async function openTarget(
  options: TargetOptions,
  environment: NodeJS.ProcessEnv,
  time: Time,
): Promise<Target> {
  const isStated = options.local !== undefined || options.stack !== undefined;
  const local = isStated ? options.local : environment.ARCHIVER_LOCAL || undefined;
  const stack = isStated ? options.stack : environment.ARCHIVER_STACK || undefined;
  if (local !== undefined && stack !== undefined) {
    const names = isStated ? ['--local', '--stack'] : ['ARCHIVER_LOCAL', 'ARCHIVER_STACK'];
    throw new UsageError(`${names.join(' and ')} cannot be combined: set one of them.`);
  }
  if (local === undefined) {
    return deployedArchiver({ stageName: stack ?? defaultStageName, environment, time });
  }
  // Loaded only when needed: it includes a local SQS, which a deployed archiver does not use.
  const { localArchive } = await import('./local-archive.ts');
  return await localArchive({ folder: resolve(local), environment, time });
}

/** Lines on an error that ended a command: what happened, then what to do about it. */
export function explain(error: unknown): string[] {
  if (error instanceof ArchiverError) {
    return [`${error.code}: ${error.message}`, `Runbook: docs/runbook.md#${error.code.toLowerCase()}`];
  }
  if (!(error instanceof Error)) return [String(error)];
  const isAboutAccess =
    error.name === 'CredentialsProviderError' || /^region is missing/i.test(error.message);
  if (isAboutAccess) {
    return [
      error.message.split('\n')[0] ?? '',
      'Set AWS_PROFILE or AWS_REGION as for the AWS CLI, or pass --local <folder> for an archive on this machine.',
    ];
  }
  if (error.name === 'QueueDoesNotExist' || error.name === 'ValidationError') {
    return [
      error.message,
      'Check that --stack is the `name` in the stage.json that was deployed, and that AWS_REGION is its region.',
    ];
  }
  return [error.name === 'Error' ? error.message : `${error.name}: ${error.message}`];
}
