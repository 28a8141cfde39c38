import { checkManifestChain, type ManifestChain } from '../../functions/audit/manifest-chain.ts';
import { manifestPrefix } from '../../functions/bucket/keys.ts';
import { listVersions } from '../../functions/bucket/listing.ts';
import { draftManifest, type ManifestDraft } from '../../functions/bucket/manifest-writer.ts';
import { formatCount } from '../../terminal/counts.ts';
import type { Terminal } from '../../terminal/terminal.ts';
import type { AuditRun } from './run.ts';

/** Checks the manifests in the bucket, and reports the findings. */
export async function checkManifests(run: AuditRun): Promise<ManifestChain> {
  const { archive, retry, folder, onRequest, options, context, reportOther } = run;
  const listed = listVersions(run.listing, { prefix: manifestPrefix });
  const chain = await checkManifestChain(listed, options.expectManifest, folder, {
    ...archive,
    retry,
    onRequest,
    signal: context.signal,
  });
  for (const finding of chain.findings) reportOther(finding);
  return chain;
}

/** @returns undefined without `--manifest` */
export async function startManifest(
  chain: ManifestChain,
  { options, folder, archive, retry, context }: AuditRun,
): Promise<ManifestDraft | undefined> {
  if (options.manifest === undefined) return undefined;
  const { time, signal } = context;
  return await draftManifest({
    folder,
    predecessor: chain.valid.at(-1),
    latestTimestamp: chain.latestTimestamp,
    file: options.manifest === 'bucket' ? undefined : options.manifest.file,
    ...archive,
    retry,
    time,
    signal,
  });
}

export async function publishManifest(draft: ManifestDraft, terminal: Terminal): Promise<void> {
  const { place, sha256, documents } = await draft.publish();
  terminal.print(
    '',
    `Manifest of ${formatCount(documents, 'document')}: ${place}`,
    `SHA-256 ${sha256}`,
    'Store this SHA-256 outside the bucket. --expect-manifest <sha256> then reports if the manifest is removed.',
  );
  terminal.record({ type: 'manifest', place, sha256, documents });
}
