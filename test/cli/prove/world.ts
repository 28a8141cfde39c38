/** An archive in memory with manifests, and the folders that `prove` writes. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Command } from 'commander';
import { prove, proveCommand } from '../../../cli/commands/prove.ts';
import { writeContext } from '../../../functions/bucket/contexts.ts';
import { documentKey, holdKey, receiptKey } from '../../../functions/bucket/keys.ts';
import {
  formatEntry,
  formatLine,
  type ManifestLine,
  manifestKey,
  tagManifestKey,
} from '../../../functions/bucket/manifest-text.ts';
import { documentOf, noon, receiptOf, written } from '../../fakes/documents.ts';
import { sha256 } from '../../fakes/memory-bucket.ts';
import { putRootManifest } from '../../fakes/root-manifests.ts';
import { createArchive, type InMemoryOptions, runInMemory } from '../erasure/world.ts';
import { newFolder } from '../world.ts';

export const [first, second, third] = ['1', '5', '9'].map(
  (digit) => `${digit}a3b1e00-0000-4000-8000-000000000000`,
) as [string, string, string];

export async function startProofs() {
  const archive = createArchive();
  const { bucket, dependencies } = archive;
  const to = join(await newFolder(), 'evidence');
  /** What is known of every document ever archived: ID, names, bytes, digests, reason of a hold, reference of an order. */
  const known = new Map<string, string[]>();
  let newest: ManifestLine | undefined;
  const entriesOf = (ids: readonly string[]) =>
    ids.toSorted().map((id) => ({
      id,
      document: sha256(bucket.text(documentKey(id))),
      receipt: sha256(bucket.text(receiptKey(id))),
    }));
  const run = (documentIds: readonly string[], options: InMemoryOptions = {}, folder = to) => {
    const { ended, result, progresses } = runInMemory(
      archive,
      (context) => prove({ documentIds, to: folder }, context),
      options,
    );
    return ended.then((exitCode) => ({ ...result, exitCode, progresses }));
  };
  return {
    ...archive,
    to,
    known,
    run,
    /** Runs the command with these words after its name. */
    runTyped: (...words: string[]) => {
      const parsed = proveCommand
        .configure(new Command('prove').exitOverride().configureOutput({ writeErr: () => undefined }))
        .parse(words, { from: 'user' });
      return runInMemory(archive, (context) => proveCommand.run(context, parsed)).ended;
    },
    archive: (
      id: string,
      { name = `Name of ${id}.pdf`, reference = `PO of ${id}`, body = `Bytes of ${id}` } = {},
    ) => {
      const document = documentOf(id, Buffer.from(body));
      document.record.filename = name;
      document.record.customer_reference = reference;
      const receipt = written(receiptOf(document));
      bucket.put(documentKey(id), document.body, noon);
      bucket.put(receiptKey(id), receipt, noon);
      known.set(id, [id, name, reference, body, sha256(body), sha256(receipt)]);
    },
    hold: (id: string, reason = 'Case 12') => {
      const at = new Date(noon).toISOString();
      const record = { v: 1, documentId: id, action: 'hold', at, by: 'local', reason, archiver: 'test' };
      bucket.put(holdKey(id, noon), written(record), noon);
      known.get(id)?.push(reason);
    },
    learn: async (id: string, reference: string) => {
      const fact = { documentId: id, kind: 'porting-order', id: `order ${reference}`, reference } as const;
      const origin = { learntAt: new Date(noon).toISOString(), archiver: 'test' };
      await writeContext(fact, origin, dependencies.bucket, new AbortController().signal);
      known.get(id)?.push(reference);
    },
    /** A root manifest of these documents. */
    writeRoot: async (timestamp: string, ids: readonly string[], bounds?: string[]) => {
      const options = { predecessor: newest, ...(bounds && { bounds }) };
      newest = (await putRootManifest(dependencies.bucket, timestamp, entriesOf(ids), options)).root;
    },
    /** A manifest that names the documents itself, as the `audit` command writes it. */
    writeSingle: (timestamp: string, ids: readonly string[]) => {
      const text = (newest ? formatLine(newest) : '') + entriesOf(ids).map(formatEntry).join('');
      newest = { key: manifestKey(timestamp), sha256: sha256(text) };
      bucket.put(newest.key, text, noon);
      bucket.put(tagManifestKey(timestamp), formatLine(newest), noon);
    },
    /** Path below the folder of the document → bytes, sorted. */
    files: async (id: string, folder = to) => {
      const root = join(folder, id);
      const entries = await readdir(root, { recursive: true, withFileTypes: true });
      const paths = entries
        .filter((entry) => entry.isFile())
        .map(({ parentPath, name }) => join(parentPath, name).slice(root.length + 1))
        .sort();
      return new Map(
        await Promise.all(paths.map(async (path) => [path, await readFile(join(root, path))] as const)),
      );
    },
    /** Writes all objects to a folder, as `aws s3 cp --recursive` does. */
    copyTo: async (folder: string) => {
      for (const [key, { body }] of bucket.objects) {
        await mkdir(dirname(join(folder, key)), { recursive: true });
        await writeFile(join(folder, key), body);
      }
    },
  };
}

export type ProofWorld = Awaited<ReturnType<typeof startProofs>>;

/** Two manifests of each kind, of three documents: the first is on hold and its order is known. */
export async function startWithManifests(): Promise<ProofWorld> {
  const world = await startProofs();
  for (const id of [first, second]) world.archive(id);
  world.hold(first);
  await world.learn(first, 'PORT-1');
  world.writeSingle('20261101T021500Z', [first, second]);
  await world.writeRoot('20261108T021500Z', [first, second]);
  world.archive(third);
  world.hold(third, 'Case 34');
  await world.learn(third, 'PORT-2');
  world.writeSingle('20261115T021500Z', [first, second, third]);
  await world.writeRoot('20261122T021500Z', [first, second, third]);
  return world;
}

/** What the files say about a document other than these. */
export function disclosures(
  world: Pick<ProofWorld, 'known'>,
  files: ReadonlyMap<string, Buffer>,
  ids: readonly string[],
) {
  const texts = [...files].map(([path, bytes]) => [path, `${path}\n${bytes.toString('utf8')}`] as const);
  return [...world.known]
    .filter(([id]) => !ids.includes(id))
    .flatMap(([, facts]) => facts)
    .flatMap((fact) => texts.filter(([, text]) => text.includes(fact)).map(([path]) => `${path}: ${fact}`));
}
