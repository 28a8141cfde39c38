/** Root manifests in a bucket, written by the archiver's own functions. */
import {
  type IdRange,
  isWithin,
  type ManifestEntry,
  type ManifestLine,
} from '../../functions/bucket/manifest-text.ts';
import type { Bucket } from '../../functions/bucket/store.ts';
import { writeRootManifest, writeStretchManifest } from '../../functions/bucket/stretch-manifest.ts';

const signal = new AbortController().signal;

/** The stretches between these bounds, from the first ID to the last. @param bounds sorted, without repetition */
function stretchesBetween(bounds: readonly string[]): IdRange[] {
  return ['', ...bounds].map((from, position) => ({ from, before: bounds[position] ?? '' }));
}

/**
 * Writes a root manifest with its stretch files and its tag file.
 *
 * @param entries sorted by ID
 * @param bounds of the stretches
 */
export async function putRootManifest(
  bucket: Bucket,
  timestamp: string,
  entries: readonly ManifestEntry[],
  { bounds = ['4', '8'], predecessor }: { bounds?: string[]; predecessor?: ManifestLine | undefined } = {},
): Promise<{ root: ManifestLine; stretches: ManifestLine[] }> {
  const stretches: ManifestLine[] = [];
  for (const stretch of stretchesBetween(bounds)) {
    const within = entries.filter(({ id }) => isWithin(id, stretch));
    const { key, sha256 } = await writeStretchManifest(
      { timestamp, ...stretch, entries: within },
      bucket,
      signal,
    );
    stretches.push({ key, sha256 });
  }
  return { root: await writeRootManifest({ timestamp, predecessor, stretches }, bucket, signal), stretches };
}
