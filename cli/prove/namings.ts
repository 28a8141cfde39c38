/** Reads the chain of manifests, and what each of them says about some documents. */
import { checkManifestsInPlace } from '../../functions/audit/manifest-chain.ts';
import { manifestPrefix } from '../../functions/bucket/keys.ts';
import { listVersions } from '../../functions/bucket/listing.ts';
import {
  isWithin,
  type ManifestEntry,
  type ManifestLine,
  readManifestEntries,
  type StretchLine,
} from '../../functions/bucket/manifest-text.ts';
import type { NamedManifest } from '../../functions/bucket/manifests.ts';
import {
  differing,
  type ManifestDefect,
  malformed,
  missing,
  streamObject,
} from '../../functions/bucket/stored-manifests.ts';
import { mapConcurrently } from '../../functions/map-concurrently.ts';
import type { ProofSource } from './evidence.ts';

/** A manifest, and what it says about one document. */
export interface ChainLink {
  manifest: NamedManifest;
  /** The file with the lines about the document: the manifest itself, or a stretch file. Undefined: there are none. */
  named: { file: ManifestLine; entry: ManifestEntry } | undefined;
}

export interface ManifestNamings {
  /** Of one document: the manifests from the first that names it to the newest, oldest first. Empty: none names it. */
  chainOf(documentId: string): ChainLink[];
  /** What is wrong with manifests. Such manifests are not used. */
  defects: readonly Pick<ManifestDefect, 'key' | 'detail'>[];
}

/** Manifests that are read at the same time. */
const manifestsAtOnce = 8;
/** A key after every manifest, so that only the newest is checked completely. The others are checked as far as they are read. */
const sinceNone = `${manifestPrefix}~`;

/** @throws ArchiverError the errors of `Bucket` */
export async function readNamings(
  documentIds: readonly string[],
  { s3, name, time, bucket, retry, signal }: ProofSource,
): Promise<ManifestNamings> {
  const dependencies = { s3, name, time, bucket, retry, signal, onRequest: () => undefined };
  const { valid, findings } = await checkManifestsInPlace(
    listVersions(dependencies, { prefix: manifestPrefix }),
    // Stryker disable next-line ArrowFunction: undefined means the same.
    { since: sinceNone, isShare: () => false, full: false },
    dependencies,
  );
  const wanted = new Set(documentIds);
  const defects: Pick<ManifestDefect, 'key' | 'detail'>[] = [...findings];
  const read = async (manifest: NamedManifest, stretch: StretchLine | undefined) => {
    const file: ManifestLine = stretch ?? manifest;
    const entriesIn = async (chunks: AsyncIterable<Buffer>) => {
      const entries = new Map<string, ManifestEntry>();
      for await (const entry of readManifestEntries(chunks, stretch)) {
        // Stryker disable next-line ConditionalExpression: only saves memory.
        if (wanted.has(entry.id)) entries.set(entry.id, entry);
      }
      return entries;
    };
    try {
      const found = await streamObject(file.key, entriesIn, dependencies);
      if (found?.sha256 === file.sha256) return { file, entries: found.result };
      defects.push(found ? differing(file.key, manifest.key) : missing(file.key, manifest.key));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      defects.push(malformed(file.key));
    }
    return undefined;
  };
  const manifests = await mapConcurrently(valid, manifestsAtOnce, signal, async (manifest) => {
    const stretches = manifest.stretches?.filter((each) => documentIds.some((id) => isWithin(id, each)));
    const files: ({ file: ManifestLine; entries: Map<string, ManifestEntry> } | undefined)[] = [];
    for (const stretch of stretches ?? [undefined]) files.push(await read(manifest, stretch));
    return { manifest, files };
  });
  return {
    defects,
    chainOf: (documentId) => {
      const links = manifests.map(({ manifest, files }): ChainLink => {
        const named = files.find((each) => each?.entries.has(documentId));
        const entry = named?.entries.get(documentId);
        // Stryker disable next-line LogicalOperator: there are both or neither; required by the type.
        return { manifest, named: named && entry && { file: named.file, entry } };
      });
      const first = links.findIndex(({ named }) => named);
      return first < 0 ? [] : links.slice(first);
    },
  };
}
