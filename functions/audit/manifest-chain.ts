/** Checks the chain of manifests: whether each exists and is unchanged. */
import type { ListedKey, ListedObject } from '../bucket/listing.ts';
import { parseManifestKey } from '../bucket/manifest-text.ts';
import {
  countDocuments,
  type Manifest,
  type ManifestDependencies,
  type ManifestReference,
  readManifests,
} from '../bucket/manifests.ts';
import type { Finding } from './findings.ts';
import { judgeVersions } from './judge-versions.ts';

export interface ManifestChain {
  findings: Finding[];
  /** Number of manifests, including altered ones. */
  count: number;
  /** The unchanged manifests, oldest first. */
  valid: Manifest[];
  /** Number of documents in the newest unchanged manifest. */
  documents: number;
  /** Latest timestamp of all manifests, including those that are hidden, or missing but named by another file. */
  latestTimestamp: string | undefined;
}

/**
 * Each manifest names its predecessor, and a tag file beside it names the manifest. So removing or changing a single
 * manifest causes a finding. Removing the newest one together with its tag file is detected only through a copy of its
 * digest kept elsewhere (`expected`).
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
  dependencies: ManifestDependencies,
): Promise<ManifestChain> {
  const replaced: Finding[] = [];
  // Stryker disable next-line ArrayDeclaration: a text that is not a key has no timestamp.
  const hidden: string[] = [];
  async function* current(): AsyncGenerator<ListedObject> {
    for await (const row of listed) {
      if (!parseManifestKey(row.key)) continue;
      replaced.push(...judgeVersions(row));
      if (row.current) yield { key: row.key, ...row.current };
      else hidden.push(row.key);
    }
  }
  const { manifests, references } = await readManifests(current(), folder, dependencies);
  const findings = judgeManifests(manifests, references, expected);
  const valid: Manifest[] = [];
  let documents = 0;
  for (const manifest of manifests) {
    const { key } = manifest;
    if (findings.has(key)) continue;
    const count = await countDocuments(manifest);
    if (count === undefined) {
      findings.set(key, { code: 'manifest-altered', key, detail: 'not in the format of a manifest' });
      continue;
    }
    valid.push(manifest);
    documents = count;
  }
  const keys = [...manifests.map(({ key }) => key), ...hidden, ...references.map(({ to }) => to.key)];
  // Stryker disable next-line OptionalChaining,ArrayDeclaration: each is the key of a manifest; required by the type.
  const timestamps = keys.flatMap((key) => parseManifestKey(key)?.timestamp ?? []);
  const latestTimestamp = timestamps.toSorted().at(-1);
  const others = [...findings.values()].filter(({ key }) => !hidden.includes(key));
  return { findings: [...replaced, ...others], count: manifests.length, valid, documents, latestTimestamp };
}

/** @returns at most one finding per key */
function judgeManifests(
  manifests: readonly Manifest[],
  references: readonly ManifestReference[],
  expected: string | undefined,
): Map<string, Finding> {
  const findings = new Map<string, Finding>();
  const byKey = new Map(manifests.map((manifest) => [manifest.key, manifest]));
  const add = (code: Finding['code'], key: string, detail: string) => {
    if (!findings.has(key)) findings.set(key, { code, key, detail });
  };
  for (const { from, to } of references) {
    const manifest = byKey.get(to.key);
    if (!manifest) add('manifest-removed', to.key, `named by ${from}`);
    // Newer manifests come first, so the reference of an altered manifest to its predecessor is ignored.
    else if (manifest.sha256 !== to.sha256 && !findings.has(from)) {
      add('manifest-altered', to.key, `its SHA-256 differs from the one in ${from}`);
    }
  }
  for (const { key, predecessor } of manifests.slice(1)) {
    if (!predecessor) add('manifest-altered', key, 'does not name the previous manifest');
  }
  if (expected !== undefined && !manifests.some(({ sha256 }) => sha256 === expected)) {
    add('manifest-removed', 'manifests/', `no manifest has the SHA-256 ${expected}`);
  }
  return findings;
}
