/** Judges the chain of manifests: whether each is there and unchanged, and what the newest one names. */
import type { ListedObject } from '../bucket/listing.ts';
import { manifestOfKey } from '../bucket/manifest-text.ts';
import {
  downloadManifest,
  type Manifest,
  type ManifestClaim,
  type ManifestDependencies,
  readManifests,
} from '../bucket/manifests.ts';
import type { Finding } from './findings.ts';

export interface Chain {
  findings: Finding[];
  /** Oldest first, altered ones included. */
  manifests: Manifest[];
  /** The newest manifest that is unchanged, and the path of a local copy. */
  base: { manifest: Manifest; path: string } | undefined;
  /** Of all manifests, present or only named. */
  latestStamp: string | undefined;
}

/**
 * Each manifest names its predecessor, and a tag file beside it names the manifest. So no manifest can be removed or
 * changed alone without a finding. If the newest one was removed together with its tag file, only a copy of its
 * digest elsewhere (`expected`) shows it.
 *
 * @param listed what is under `manifests/`
 * @param expected SHA-256 of a manifest that must be there
 * @param copy path of the file that the newest manifest is downloaded to
 * @throws ArchiverError those of `Bucket`
 */
export async function readChain(
  listed: AsyncIterable<ListedObject>,
  expected: string | undefined,
  copy: string,
  dependencies: ManifestDependencies,
): Promise<Chain> {
  const { manifests, claims } = await readManifests(listed, dependencies);
  const findings = judgeManifests(manifests, claims, expected);
  let base: Chain['base'];
  for (const manifest of manifests.toReversed()) {
    const { key } = manifest;
    if (findings.has(key)) continue;
    if (await downloadManifest(key, copy, dependencies)) {
      base = { manifest, path: copy };
      break;
    }
    findings.set(key, { code: 'manifest-altered', key, detail: 'it is not a manifest of the archiver' });
  }
  const keys = [...manifests.map(({ key }) => key), ...claims.map(({ names }) => names.key)];
  const latestStamp = keys
    .map((key) => manifestOfKey(key)?.stamp)
    .filter((stamp) => stamp !== undefined)
    .toSorted()
    .at(-1);
  return { findings: [...findings.values()], manifests, base, latestStamp };
}

/** @returns at most one finding for each key */
function judgeManifests(
  manifests: readonly Manifest[],
  claims: readonly ManifestClaim[],
  expected: string | undefined,
): Map<string, Finding> {
  const findings = new Map<string, Finding>();
  const byKey = new Map(manifests.map((manifest) => [manifest.key, manifest]));
  const add = (code: Finding['code'], key: string, detail: string) => {
    if (!findings.has(key)) findings.set(key, { code, key, detail });
  };
  for (const { by, names } of claims) {
    const manifest = byKey.get(names.key);
    if (!manifest) add('manifest-removed', names.key, `${by} names it`);
    // Newer manifests come first: what an altered one says of its predecessor is ignored.
    else if (manifest.sha256 !== names.sha256 && !findings.has(by)) {
      add('manifest-altered', names.key, `its SHA-256 is not the one that ${by} names`);
    }
  }
  for (const { key, predecessor } of manifests.slice(1)) {
    if (!predecessor) add('manifest-altered', key, 'it does not name the manifest before it');
  }
  if (expected !== undefined && !manifests.some(({ sha256 }) => sha256 === expected)) {
    add('manifest-removed', 'manifests/', `none has the SHA-256 ${expected}`);
  }
  return findings;
}
