/** Which keys an object in a directory can have. */
import { invalidArgument, S3Error } from './s3-error.ts';

/** Folder for metadata, versions and uploads. Not accessible as a key. */
export const privateFolder = '.s3';

export const keyConflict = (key: string) =>
  invalidArgument(
    'This key conflicts with an existing key: a path cannot be both a file and a folder, nor a symbolic link.',
    'key',
    key,
  );

export const maxKeyBytes = 1024;

export const keyTooLong = (key: string) =>
  new S3Error(400, 'KeyTooLongError', 'Your key is too long', {
    Size: String(Buffer.byteLength(key)),
    MaxSizeAllowed: String(maxKeyBytes),
  });

/**
 * Rejects keys that cannot be a file path inside the bucket's directory.
 *
 * @throws {S3Error} KeyTooLongError or InvalidArgument
 */
export function checkKey(key: string): void {
  const bytes = Buffer.byteLength(key);
  // File systems allow 255 bytes per name; S3 allows 1,024 for the whole key.
  if (bytes > maxKeyBytes || key.split('/').some((segment) => Buffer.byteLength(segment) > 255)) {
    throw keyTooLong(key);
  }
  if (!isObjectPath(key)) {
    throw invalidArgument('This key is not a valid path inside the bucket.', 'key', key);
  }
}

/** Whether the key is the path of a file inside the bucket's directory. No object has any other key, such as `a//b`. */
export function isObjectPath(key: string): boolean {
  const segments = key.split('/');
  const isInvalid = segments.some((segment) => segment === '' || segment === '.' || segment === '..');
  return !isInvalid && !key.includes('\0') && segments[0]?.toLowerCase() !== privateFolder;
}
