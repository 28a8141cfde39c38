/** A proof is verified by a shell with coreutils alone, as its recipient does, and every change of it is noticed. */
import { execFile } from 'node:child_process';
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { manifestKey } from '../../../functions/bucket/manifest-text.ts';
import { sha256 } from '../../fakes/memory-bucket.ts';
import { newFolder } from '../world.ts';
import { first, second, startWithManifests, third } from './world.ts';

/**
 * Arguments: the document's ID, and the SHA-256 of checksums.txt or `any`. Uses sh, sha256sum, cut, sort, comm, head, cat,
 * mktemp and rm.
 */
const script = `
set -eu
id=$1
fail() { echo "$1"; exit 1; }
tmp=$(mktemp -d)
trap 'rm -r "$tmp"' EXIT

# 1. No file has been changed.
[ "$2" = any ] || [ "$(sha256sum checksums.txt | cut -c -64)" = "$2" ] || fail 'other checksums'
sha256sum --check --strict --quiet checksums.txt

# 2. The file under its name has the bytes of the document, and all manifests state the digests of document and receipt.
document=$(sha256sum "documents/$id" | cut -c -64)
receipt=$(sha256sum "receipts/$id.json" | cut -c -64)
[ "$(cat file/* | sha256sum | cut -c -64)" = "$document" ] || fail 'other bytes'
cat excerpts/manifests/*/*.txt | while read -r digest key; do
  case $key in
    documents/*|receipts/*) echo "$digest  $key" ;;
  esac
done | sort -u > "$tmp/named"
printf '%s  documents/%s\\n%s  receipts/%s.json\\n' "$document" "$id" "$receipt" "$id" | sort > "$tmp/expected"
[ "$(cat "$tmp/named")" = "$(cat "$tmp/expected")" ] || fail 'a manifest states other digests'

# 3. Each manifest names its predecessor, and the whole ones have the digest that the chain states.
previous=
while read -r digest key; do
  file=$key
  [ -f "$file" ] || file=excerpts/$key
  [ -z "$previous" ] || [ "$(head -n 1 "$file")" = "$previous" ] || fail 'a link is broken'
  [ "$file" != "$key" ] || [ "$(sha256sum "$key" | cut -c -64)" = "$digest" ] || fail 'a manifest is altered'
  previous="$digest  $key"
done < chain.txt

# 4. Each file with an excerpt is named by a root manifest or by the chain.
cat chain.txt manifests/*/manifest-sha256.txt | sort -u > "$tmp/links"
sort whole-files.txt | comm -23 - "$tmp/links" > "$tmp/unnamed"
[ ! -s "$tmp/unnamed" ] || fail 'a file is named by no manifest'
`;

const run = promisify(execFile);

/** @returns what the shell printed after a failure; undefined if it succeeded */
async function verify(folder: string, id: string, checksums = 'any'): Promise<string | undefined> {
  try {
    await run('sh', ['-c', script, 'sh', id, checksums], {
      cwd: folder,
      env: { PATH: process.env.PATH, LC_ALL: 'C' },
    });
    return undefined;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    return stdout + stderr;
  }
}

/** Writes checksums that fit the files, as somebody would who changes the evidence. */
async function reseal(folder: string): Promise<void> {
  const checksums = await readFile(join(folder, 'checksums.txt'), 'utf8');
  const paths = checksums
    .trimEnd()
    .split('\n')
    .map((line) => line.slice(66));
  const lines = await Promise.all(
    paths.map(async (path) => `${sha256(await readFile(join(folder, path)))}  ${path}\n`),
  );
  await writeFile(join(folder, 'checksums.txt'), lines.join(''));
}

it('is verified by a shell with coreutils alone', async () => {
  const world = await startWithManifests();
  const result = await world.run([first, second, third]);

  const outcomes = await Promise.all(
    result.records
      .filter(({ type }) => type === 'proof')
      .map(({ folder, documentId, sha256: checksums }) =>
        verify(String(folder), String(documentId), String(checksums)),
      ),
  );

  expect(outcomes).toEqual([undefined, undefined, undefined]);
});

it('is not verified after any file of it has been changed', async () => {
  const world = await startWithManifests();
  await world.run([first]);
  const folder = join(world.to, first);
  const paths = [...(await world.files(first)).keys()].filter((path) => !path.startsWith('README'));

  for (const path of paths) {
    const bytes = await readFile(join(folder, path));
    await writeFile(join(folder, path), Buffer.concat([bytes, Buffer.from('x')]));

    expect([path, await verify(folder, first)]).toEqual([path, expect.stringMatching(/\S/)]);
    await writeFile(join(folder, path), bytes);
  }
  expect(paths.length).toBeGreaterThan(15);
  expect(await verify(folder, first)).toBeUndefined();
});

it.each([
  ['the document', [`documents/${first}`, `file/Name of ${first}.pdf`], 'a manifest states other digests'],
  ['the receipt', [`receipts/${first}.json`], 'a manifest states other digests'],
  ['an old root manifest', [manifestKey('20261108T021500Z')], 'a link is broken|a manifest is altered'],
  [
    'the excerpt of an old manifest',
    [`excerpts/${manifestKey('20261115T021500Z')}`],
    'states other digests|a link is broken',
  ],
  ['the list of whole files', ['whole-files.txt'], 'a file is named by no manifest'],
])('is not verified when somebody changes %s and writes new checksums', async (_what, paths, reason) => {
  const world = await startWithManifests();
  await world.run([first]);
  const folder = join(await newFolder(), 'copy');
  await cp(join(world.to, first), folder, { recursive: true });
  for (const path of paths) {
    const text = await readFile(join(folder, path), 'latin1');
    const changed = `${text[0] === 'a' ? 'b' : 'a'}${text.slice(1)}`;
    await writeFile(join(folder, path), changed, 'latin1');
  }
  await reseal(folder);

  const outcome = await verify(folder, first);

  expect(outcome).toMatch(new RegExp(reason));
});

it('has commands in README.txt that succeed, and those for the archive succeed in a copy of it', async () => {
  const world = await startWithManifests();
  await world.run([first]);
  const folder = join(world.to, first);
  const readme = await readFile(join(folder, 'README.txt'), 'utf8');
  const commands = readme.split('\n').flatMap((line) => /^ {2}((?:sha256sum|cat) .*)$/.exec(line)?.[1] ?? []);
  const [ofArchive = ''] = commands.splice(-1);
  const copy = await newFolder();
  await world.copyTo(copy);
  await cp(join(folder, 'whole-files.txt'), join(copy, 'whole-files.txt'));

  const outputs: string[] = [];
  for (const command of commands) outputs.push((await run('sh', ['-c', command], { cwd: folder })).stdout);
  const whole = await run('sh', ['-c', ofArchive], { cwd: copy });

  expect(commands).toHaveLength(6);
  expect(outputs[4]).toContain(`documents/${first}: OK\n`);
  expect(outputs[4]).toContain(`receipts/${first}.json: OK\n`);
  expect(outputs[4]).toContain(`${manifestKey('20261108T021500Z')}: OK\n`);
  expect(outputs.join('')).not.toContain('FAILED');
  expect(whole.stdout.trimEnd().split('\n')).toHaveLength(4);
});

it('shows with access to the archive that another line of a manifest was changed', async () => {
  const world = await startWithManifests();
  await world.run([first]);
  const copy = await newFolder();
  await world.copyTo(copy);
  await cp(join(world.to, first, 'whole-files.txt'), join(copy, 'whole-files.txt'));
  await rm(join(copy, manifestKey('20261101T021500Z')));

  const outcome = run('sha256sum', ['--check', 'whole-files.txt'], { cwd: copy });

  await expect(outcome).rejects.toThrow(manifestKey('20261101T021500Z'));
});
