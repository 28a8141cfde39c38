/** Failures of a disk, as opposed to those of one file. */
import { hasSystemCode } from '../../functions/errors.ts';

const failures = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the file system is read-only',
  EIO: 'the disk reports an input/output error',
  ENOTCONN: 'the file system is no longer connected',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
} as const;

type FailureCode = keyof typeof failures;

/** Every further file meets these as well. A missing permission may concern one file only. */
const wholeDisk: readonly FailureCode[] = ['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'ENOTCONN'];

/** Nothing can be written to a folder, whatever the file. The message names the folder and the reason. */
export class DiskError extends Error {
  // The name stays `Error`, so that a command prints the message alone.

  /** @param folder absolute path */
  constructor(folder: string, code: FailureCode, cause: unknown) {
    super(`Cannot write to ${folder}: ${failures[code]} (${code}).`, { cause });
  }
}

/**
 * Translates the failure of a file operation to a `DiskError` if all further files would fail as well. Returns any other
 * error unchanged. Only for file operations: a socket has some of the same codes.
 */
export function asDiskError(error: unknown, folder: string): unknown {
  return translate(error, folder, wholeDisk);
}

/** As `asDiskError`, for an operation on the folder itself: a missing permission then concerns all files. */
export function asFolderError(error: unknown, folder: string): unknown {
  return translate(error, folder, Object.keys(failures) as FailureCode[]);
}

function translate(error: unknown, folder: string, codes: readonly FailureCode[]): unknown {
  const code = codes.find((candidate) => hasSystemCode(error, candidate));
  return code === undefined ? error : new DiskError(folder, code, error);
}
