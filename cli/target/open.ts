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
  /** One or more, each a `name` in a `stage.json`. */
  stack?: readonly string[];
}

/**
 * Selects what the options name, otherwise what ARCHIVER_LOCAL or ARCHIVER_STACK names.
 *
 * @returns a function for each archiver that opens it; throws Error if the folder does not exist
 * @throws UsageError if both a folder and a stack are named
 */
export function selectTargets(
  options: TargetOptions,
  environment: NodeJS.ProcessEnv,
  time: Time,
): (() => Promise<Target>)[] {
  const isStated = options.local !== undefined || options.stack !== undefined;
  const local = isStated ? options.local : environment.ARCHIVER_LOCAL || undefined;
  const stated = environment.ARCHIVER_STACK ? [environment.ARCHIVER_STACK] : undefined;
  const stacks = isStated ? options.stack : stated;
  if (local !== undefined && stacks !== undefined) {
    const names = isStated ? ['--local', '--stack'] : ['ARCHIVER_LOCAL', 'ARCHIVER_STACK'];
    throw new UsageError(`${names.join(' and ')} cannot be combined: set one of them.`);
  }
  if (local === undefined) {
    return [...new Set(stacks ?? [defaultStageName])].map(
      (stageName) => async () => deployedArchiver({ stageName, environment, time }),
    );
  }
  return [
    async () => {
      // Loaded only when needed: it includes a local SQS, which a deployed archiver does not use.
      const { localArchive } = await import('./local-archive.ts');
      return await localArchive({ folder: resolve(local), environment, time });
    },
  ];
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
