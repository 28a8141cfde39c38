/** What is wrong with a chain of manifests, and what is left of it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { checkManifestChain } from '../../functions/audit/manifest-chain.ts';
import { documentKey, manifestPrefix } from '../../functions/bucket/keys.ts';
import { listVersions } from '../../functions/bucket/listing.ts';
import { formatLine, manifestKey, tagManifestKey } from '../../functions/bucket/manifest-text.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { virtualTime } from '../fakes/clock.ts';
import { noon } from '../fakes/documents.ts';
import { MemoryBucket, sha256 } from '../fakes/memory-bucket.ts';

const stamps = ['20261101T000000Z', '20261102T000000Z', '20261103T000000Z'] as const;
const [first, second, third] = [...stamps].map(manifestKey) as [string, string, string];
const tag = tagManifestKey(stamps[2]);
const id = (number: number) => `0000000${number}-0000-4000-8000-000000000000`;

/** A bucket with a chain of three manifests; each names one document more. */
function startWorld() {
  const time = virtualTime(noon);
  const memory = new MemoryBucket(time);
  const access = { s3: memory as never, name: 'archive', time };
  const retry = <Result>(work: (signal: AbortSignal) => Promise<Result>) =>
    work(new AbortController().signal);
  const counted = { listings: 0, requests: 0 };
  const write = (stamp: string, text: string) => {
    memory.put(manifestKey(stamp), text, noon);
    memory.put(tagManifestKey(stamp), formatLine({ sha256: sha256(text), key: manifestKey(stamp) }), noon);
  };
  const lines = (count: number) =>
    Array.from({ length: count }, (_, n) => formatLine({ sha256: sha256(`${n}`), key: documentKey(id(n)) }));
  stamps.forEach((stamp, position) => {
    const before = stamps[position - 1];
    const text = before && memory.text(manifestKey(before));
    const link = before && text ? formatLine({ sha256: sha256(text), key: manifestKey(before) }) : '';
    write(stamp, link + lines(position + 1).join(''));
  });
  return {
    memory,
    counted,
    replace: (key: string, text: string) => {
      memory.objects.delete(key);
      memory.put(key, text, noon);
    },
    check: async (expected?: string) => {
      const folder = await mkdtemp(join(tmpdir(), 'audit-chain-'));
      onTestFinished(() => rm(folder, { recursive: true, force: true }));
      const listed = listVersions(
        { ...access, retry, onRequest: () => undefined },
        { prefix: manifestPrefix },
      );
      const chain = await checkManifestChain(listed, expected, folder, {
        ...access,
        bucket: createBucket(access),
        retry,
        onRequest: () => {
          counted.requests += 1;
        },
      });
      return {
        ...chain,
        findings: chain.findings.map(({ code, key, detail }) => `${code} ${key}: ${detail}`),
        valid: chain.valid.map(({ key }) => key),
      };
    },
  };
}

it('A complete chain has no findings', async () => {
  const { memory, check } = startWorld();

  expect(await check(sha256(memory.text(second)))).toEqual({
    findings: [],
    count: 3,
    valid: [first, second, third],
    documents: 3,
    latestTimestamp: stamps[2],
  });
});

it('A bucket without manifests has an empty chain', async () => {
  const { memory, check } = startWorld();
  for (const key of [...memory.objects.keys()]) memory.objects.delete(key);
  for (const text of ['x', 'y']) memory.put('manifests/notes.txt', text, noon);

  expect(await check()).toEqual({
    findings: [],
    count: 0,
    valid: [],
    documents: 0,
    latestTimestamp: undefined,
  });
});

it('A removed manifest is named by its tag file, and its timestamp stays taken', async () => {
  const { memory, check } = startWorld();
  memory.objects.delete(third);

  expect(await check()).toEqual({
    findings: [`manifest-removed ${third}: named by ${tag}`],
    count: 2,
    valid: [first, second],
    documents: 2,
    latestTimestamp: stamps[2],
  });
});

it('A changed manifest is reported once, and what it says of its predecessor is ignored', async () => {
  const { memory, check, replace } = startWorld();
  replace(
    third,
    memory.text(third).replace(/^./, (digit) => (digit === '0' ? '1' : '0')),
  );

  expect(await check()).toMatchObject({
    findings: [`manifest-altered ${third}: its SHA-256 differs from the one in ${tag}`],
    count: 3,
    valid: [first, second],
    documents: 2,
  });
});

it('A manifest that does not name the one before is reported, with one that no file names as expected', async () => {
  const { memory, check, replace } = startWorld();
  const [, ...rest] = memory.text(third).split('\n');
  replace(third, rest.join('\n'));
  memory.objects.delete(tag);

  expect(await check('other')).toMatchObject({
    findings: [
      `manifest-altered ${third}: does not name the previous manifest`,
      'manifest-removed manifests/: no manifest has the SHA-256 other',
    ],
    valid: [first, second],
  });
});

it('A manifest with two problems is reported with the first', async () => {
  const { memory, check, replace } = startWorld();
  const [, ...rest] = memory.text(third).split('\n');
  replace(third, rest.join('\n'));

  expect((await check()).findings).toEqual([
    `manifest-altered ${third}: its SHA-256 differs from the one in ${tag}`,
  ]);
});

it('A manifest in another format is not used', async () => {
  const { memory, check, replace } = startWorld();
  memory.objects.delete(tag);
  replace(third, `${memory.text(third)}not a manifest\n`);

  expect(await check()).toMatchObject({
    findings: [`manifest-altered ${third}: not in the format of a manifest`],
    valid: [first, second],
    documents: 2,
    latestTimestamp: stamps[2],
  });
});

it('A hidden manifest is reported once, as is one that was written again', async () => {
  const { memory, check } = startWorld();
  memory.versioned.delete(third);
  memory.put(first, memory.text(first), noon);

  expect(await check()).toEqual({
    findings: [
      `overwritten ${first}: other versions: 1, delete markers: 0`,
      `hidden ${third}: other versions: 1, delete markers: 1`,
    ],
    count: 2,
    valid: [first, second],
    documents: 2,
    latestTimestamp: stamps[2],
  });
});

it('A manifest that is hidden with its tag file keeps its timestamp', async () => {
  const { memory, check } = startWorld();
  memory.versioned.delete(third);
  memory.versioned.delete(tag);

  expect((await check()).latestTimestamp).toBe(stamps[2]);
});
