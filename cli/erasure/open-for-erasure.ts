/** What the commands `erase`, `hold` and `release` share: the archive, who runs them, and the text of a reason. */
import { InvalidArgumentError } from 'commander';
import { clockOffsetOf } from '../../functions/bucket/s3-client.ts';
import { createStorageRetry } from '../../functions/bucket/storage-retry.ts';
import { maxBasisLength } from '../../functions/bucket/tombstones.ts';
import { createVersions } from '../../functions/bucket/versions.ts';
import { ArchiverError, nameOf } from '../../functions/errors.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { printable } from '../../terminal/escape.ts';
import type { CommandContext } from '../command.ts';
import type { BucketAccess, BucketPurpose, Operator } from '../target/target.ts';
import type { ErasureDependencies } from './examine.ts';

/** Documents that are worked on at the same time. */
export const documentsAtOnce = 16;

export interface OpenedArchive {
  dependencies: ErasureDependencies;
  operator: Operator;
  /** Undefined for a bucket elsewhere. */
  localFolder: BucketAccess['localFolder'];
  /** `s3://<bucket>`, or the path of a folder. */
  place: string;
}

export async function openForErasure(
  { target, time, random, signal }: CommandContext,
  purpose: BucketPurpose,
): Promise<OpenedArchive> {
  const [{ s3, name, bucket, localFolder }, catalogue, operator] = await Promise.all([
    target.bucket(purpose),
    target.catalogue(),
    target.operator(),
  ]);
  return {
    dependencies: {
      bucket,
      catalogue,
      versions: createVersions({ s3, name, time }),
      retry: createStorageRetry({ time, random, signal }),
      // S3 judges locks by its own clock, and tombstones and hold records are evidence.
      now: () => time.now() + clockOffsetOf(s3),
      archiver: packageJson.version,
    },
    operator,
    localFolder,
    place: localFolder?.path ?? `s3://${name}`,
  };
}

/** Runs a command, and says which role it needs if S3 denies access. */
export async function withRoleAdvice<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ArchiverError) || !nameOf(error.cause).startsWith('AccessDenied')) throw error;
    throw new ArchiverError(
      error.code,
      'S3 denies access. Use a role that `breakGlassArns` in the deployed stage.json names, and that has the permissions of docs/erasure.md. Without such a role nobody can erase, hold or release.',
      { cause: error },
    );
  }
}

/** Parses the text of `--basis` and `--reason`. */
export function asReason(value: string): string {
  const text = value.trim();
  if (text === '' || text.length > maxBasisLength || printable(text) !== text) {
    throw new InvalidArgumentError(
      `Must have 1 to ${maxBasisLength} printable characters, such as the number of a ticket.`,
    );
  }
  return text;
}
