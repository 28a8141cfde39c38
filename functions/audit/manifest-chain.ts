/** Checks the chain of manifests: whether each exists and is unchanged. */
import type { ListedKey, ListedObject } from '../bucket/listing.ts';
import { countDocuments, parseManifestKey, readManifestEntries } from '../bucket/manifest-text.ts';
import {
  copyManifest,
  copyManifestFile,
  deletedMeanwhile,
  type Manifest,
  type ManifestReference,
  type NamedManifest,
  readManifests,
} from '../bucket/manifests.ts';
import type { Bucket } from '../bucket/store.ts';
import {
  differing,
  type ManifestDefect,
  type ManifestDependencies,
  malformed,
  missing,
  readStoredHead,
  streamObject,
} from '../bucket/stored-manifests.ts';
import { mapConcurrently } from '../map-concurrently.ts';
import type { Finding } from './findings.ts';
import { judgeVersions } from './judge-versions.ts';

interface CheckedChain<Read> {
  findings: Finding[];
  /** Number of manifests, including altered ones. */
  count: number;
  /** The unchanged manifests, oldest first. */
  valid: Read[];
  /** Latest timestamp of all files of manifests, including hidden ones. So a removed manifest whose tag file is left keeps its own. */
  latestTimestamp: string | undefined;
}

export interface ManifestChain extends CheckedChain<Manifest> {
  /** Number of documents in the newest unchanged manifest. */
  documents: number;
}

interface ChainDependencies extends ManifestDependencies {
  signal: AbortSignal;
}

/** How the manifests are read. */
interface ChainReader<Read extends NamedManifest> {
  read: (key: string) => Promise<Read>;
  /**
   * Whether to read a file of the manifest now: the manifest itself, or a stretch file.
   *
   * @param isNewest whether it is the newest manifest without a finding so far
   */
  isDue: (manifest: Read, key: string, isNewest: boolean) => boolean;
  /** @returns the SHA-256 of a stretch file in lower-case hex; undefined if it does not exist */
  digestOf: (key: string) => Promise<string | undefined>;
  /** Checks the text of a manifest whose stretch files are unchanged. */
  checkText: (manifest: Read) => Promise<ManifestDefect | undefined>;
}

/** Stretch files that are read at the same time. */
const filesAtOnce = 16;

/**
 * Checks the manifests on local copies, which can then be read: every byte of them.
 *
 * Each manifest names its predecessor, a root manifest its stretch files, and a tag file beside it names the manifest. So
 * removing or changing a single file causes a finding. Removing the newest manifest together with its tag file is detected
 * only through a copy of its digest kept elsewhere (`expected`).
 *
 * @param listed the objects under `manifests/`
 * @param expected SHA-256 of a manifest that must exist
 * @param folder to download the manifests to
 * @throws ArchiverError the errors of `Bucket`
 */
export async function checkManifestChain(
  listed: AsyncIterable<ListedKey>,
  expected: string | undefined,
  folder: string,
  dependencies: ChainDependencies,
): Promise<ManifestChain> {
  const counts = new Map<string, number>();
  const chain = await checkChain<Manifest>(listed, expected, dependencies, {
    read: (key) => copyManifest(key, folder, dependencies),
    isDue: () => true,
    digestOf: (key) => copyManifestFile(key, folder, dependencies),
    checkText: async ({ key, entries }) => {
      const documents = await countDocuments(entries());
      if (documents === undefined) return malformed(key);
      counts.set(key, documents);
      return undefined;
    },
  });
  // Stryker disable next-line StringLiteral: no text has a count but the keys of manifests.
  return { ...chain, documents: counts.get(chain.valid.at(-1)?.key ?? '') ?? 0 };
}

interface PlaceOptions {
  /** Key of a manifest: newer ones are checked completely. Undefined: all are. */
  since: string | undefined;
  /** Whether to check a file of an older manifest completely, by the file's key. */
  isShare: (key: string) => boolean;
  /** Whether to hash the stretch files that are checked completely, although S3 states their SHA-256. */
  full: boolean;
}

/**
 * Checks the manifests without local copies, as the audit function does every night.
 *
 * Of each manifest: that it exists, its SHA-256 as S3 states it (computed, for a root manifest), which manifests and
 * stretch files it names, and that its stretch files exist. Of a manifest that is checked completely, which the newest
 * unchanged one always is: also the SHA-256 of its stretch files or, if it is not a root manifest, its bytes and its format.
 * The format of a stretch file is checked when the file is read.
 *
 * @param listed the objects under `manifests/`
 * @throws ArchiverError the errors of `Bucket`
 */
export function checkManifestsInPlace(
  listed: AsyncIterable<ListedKey>,
  { since, isShare, full }: PlaceOptions,
  dependencies: ChainDependencies & { bucket: Pick<Bucket, 'read' | 'head' | 'hash'> },
): Promise<CheckedChain<NamedManifest>> {
  const { bucket, retry, onRequest } = dependencies;
  const ask = <Answer>(question: (signal: AbortSignal) => Promise<Answer>) =>
    retry((signal) => {
      onRequest();
      return question(signal);
    });
  const digestOf = async (key: string, isHashed: boolean) => {
    const stored = await ask((signal) => bucket.head(key, signal));
    if (!stored || (stored.sha256 !== undefined && !isHashed)) return stored?.sha256;
    return ask((signal) => bucket.hash(key, signal));
  };
  return checkChain<NamedManifest>(listed, undefined, dependencies, {
    read: async (key) => {
      const head = await readStoredHead(key, dependencies);
      const sha256 = head?.stretches ? head.sha256 : await digestOf(key, false);
      if (!head || sha256 === undefined) throw deletedMeanwhile();
      return { ...head, key, sha256 };
    },
    isDue: (manifest, key, isNewest) =>
      isNewest || since === undefined || manifest.key > since || isShare(key),
    digestOf: (key) => digestOf(key, full),
    checkText: async ({ key, sha256, stretches }) => {
      if (stretches) return undefined;
      const count = (chunks: AsyncIterable<Buffer>) => countDocuments(readManifestEntries(chunks));
      const read = await streamObject(key, count, dependencies);
      if (!read) throw deletedMeanwhile();
      if (read.result === undefined) return malformed(key);
      return read.sha256 === sha256 ? undefined : differing(key, 'the answer of S3');
    },
  });
}

async function checkChain<Read extends NamedManifest>(
  listed: AsyncIterable<ListedKey>,
  expected: string | undefined,
  dependencies: ChainDependencies,
  reader: ChainReader<Read>,
): Promise<CheckedChain<Read>> {
  const replaced: Finding[] = [];
  const hidden = new Set<string>();
  const present = new Set<string>();
  async function* current(): AsyncGenerator<ListedObject> {
    for await (const row of listed) {
      if (!parseManifestKey(row.key)) continue;
      replaced.push(...judgeVersions(row));
      (row.current ? present : hidden).add(row.key);
      if (row.current) yield { key: row.key, ...row.current };
    }
  }
  const { manifests, references } = await readManifests(current(), reader.read, dependencies);
  const findings = judgeManifests(manifests, references, expected);
  const valid: Read[] = [];
  for (const manifest of manifests.toReversed()) {
    if (findings.has(manifest.key)) continue;
    const defects = await checkContent(manifest, present, valid.length === 0, dependencies.signal, reader);
    for (const defect of defects) findings.set(defect.key, defect);
    if (defects.length === 0) valid.unshift(manifest);
  }
  const keys = [...present, ...hidden];
  // Stryker disable next-line OptionalChaining,ArrayDeclaration: each is the key of a manifest; required by the type.
  const timestamps = keys.flatMap((key) => parseManifestKey(key)?.timestamp ?? []);
  const latestTimestamp = timestamps.toSorted().at(-1);
  const others = [...findings.values()].filter(({ key }) => !hidden.has(key));
  return { findings: [...replaced, ...others], count: manifests.length, valid, latestTimestamp };
}

/** Checks the stretch files and the text of a manifest, but not its own digest. */
async function checkContent<Read extends NamedManifest>(
  manifest: Read,
  present: ReadonlySet<string>,
  isNewest: boolean,
  signal: AbortSignal,
  reader: ChainReader<Read>,
): Promise<ManifestDefect[]> {
  const { key: root, stretches = [] } = manifest;
  const isDue = (key: string) => reader.isDue(manifest, key, isNewest);
  const defects = await mapConcurrently(stretches, filesAtOnce, signal, async ({ key, sha256 }) => {
    if (!present.has(key)) return missing(key, root);
    if (!isDue(key)) return undefined;
    const digest = await reader.digestOf(key);
    if (digest === undefined) return missing(key, root);
    return digest === sha256 ? undefined : differing(key, root);
  });
  const found = defects.filter((defect) => defect !== undefined);
  if (found.length > 0 || !isDue(root)) return found;
  const defect = await reader.checkText(manifest);
  return defect ? [defect] : [];
}

/** @returns at most one finding per key */
function judgeManifests(
  manifests: readonly NamedManifest[],
  references: readonly ManifestReference[],
  expected: string | undefined,
): Map<string, Finding> {
  const findings = new Map<string, Finding>();
  const byKey = new Map(manifests.map((manifest) => [manifest.key, manifest]));
  const add = (finding: Finding) => {
    if (!findings.has(finding.key)) findings.set(finding.key, finding);
  };
  for (const { from, to } of references) {
    const manifest = byKey.get(to.key);
    if (!manifest) add(missing(to.key, from));
    // Newer manifests come first, so the reference of an altered manifest to its predecessor is ignored.
    else if (manifest.sha256 !== to.sha256 && !findings.has(from)) add(differing(to.key, from));
  }
  for (const { key, predecessor } of manifests.slice(1)) {
    if (!predecessor) add({ code: 'manifest-altered', key, detail: 'does not name the previous manifest' });
  }
  if (expected !== undefined && !manifests.some(({ sha256 }) => sha256 === expected)) {
    add({
      code: 'manifest-removed',
      key: 'manifests/',
      detail: `no manifest has the SHA-256 ${expected}`,
    });
  }
  return findings;
}
