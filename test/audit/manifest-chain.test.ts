/** What is wrong with a chain of manifests, and what is left of it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Finding } from '../../functions/audit/findings.ts';
import { checkManifestChain, checkManifestsInPlace } from '../../functions/audit/manifest-chain.ts';
import { documentKey, manifestPrefix } from '../../functions/bucket/keys.ts';
import { listVersions } from '../../functions/bucket/listing.ts';
import {
  formatLine,
  type ManifestLine,
  manifestKey,
  stretchManifestKey,
  tagManifestKey,
} from '../../functions/bucket/manifest-text.ts';
import type { Manifest } from '../../functions/bucket/manifests.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { collected } from '../collected.ts';
import { virtualTime } from '../fakes/clock.ts';
import { noon } from '../fakes/documents.ts';
import { MemoryBucket, sha256 } from '../fakes/memory-bucket.ts';
import { putRootManifest } from '../fakes/root-manifests.ts';

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
  const bucket = createBucket(access);
  const copies: Manifest[] = [];
  const dependencies = {
    ...access,
    bucket,
    retry,
    signal: new AbortController().signal,
    onRequest: () => {
      counted.requests += 1;
    },
  };
  const list = () =>
    listVersions({ ...access, retry, onRequest: () => undefined }, { prefix: manifestPrefix });
  const readable = <Chain extends { findings: Finding[]; valid: ManifestLine[] }>(chain: Chain) => ({
    ...(chain as Omit<Chain, 'findings' | 'valid'>),
    findings: chain.findings.map(({ code, key, detail }) => `${code} ${key}: ${detail}`),
    valid: chain.valid.map(({ key }) => key),
  });
  return {
    memory,
    bucket,
    counted,
    replace: (key: string, text: string, options?: { verified: boolean | Buffer }) => {
      memory.objects.delete(key);
      memory.put(key, text, noon, options);
    },
    check: async (expected?: string) => {
      const folder = await mkdtemp(join(tmpdir(), 'audit-chain-'));
      onTestFinished(() => rm(folder, { recursive: true, force: true }));
      const chain = await checkManifestChain(list(), expected, folder, dependencies);
      copies.push(...chain.valid);
      return readable(chain);
    },
    /** Reads the unchanged manifests of the checks so far. */
    readCopies: () => Promise.all(copies.map(({ entries }) => collected(entries()))),
    checkInPlace: async ({
      since = undefined as string | undefined,
      isShare = (_key: string): boolean => false,
      full = false,
    } = {}) => {
      memory.requests.length = 0;
      counted.requests = 0;
      return readable(await checkManifestsInPlace(list(), { since, isShare, full }, dependencies));
    },
  };
}

const rootStamps = ['20261104T000000Z', '20261105T000000Z'] as const;
const [olderRoot, newestRoot] = [...rootStamps].map(manifestKey) as [string, string];

/** The same bucket with two root manifests after the three others. Each has three stretch files. */
async function startWorldWithRoots() {
  const world = startWorld();
  const entries = [1, 5, 9].map((digit) => ({
    id: `${digit}${id(0).slice(1)}`,
    document: sha256(`${digit}`),
    receipt: sha256(`receipt ${digit}`),
  }));
  let predecessor: ManifestLine = { key: third, sha256: sha256(world.memory.text(third)) };
  for (const stamp of rootStamps) {
    const { root } = await putRootManifest(world.bucket, stamp, entries, { predecessor });
    predecessor = root;
  }
  const stretchOf = (stamp: string, from: string, before: string) =>
    stretchManifestKey(stamp, { from, before });
  return {
    ...world,
    olderStretches: [
      stretchOf(rootStamps[0], '', '4'),
      stretchOf(rootStamps[0], '4', '8'),
      stretchOf(rootStamps[0], '8', ''),
    ] as const,
    newestStretches: [
      stretchOf(rootStamps[1], '', '4'),
      stretchOf(rootStamps[1], '4', '8'),
      stretchOf(rootStamps[1], '8', ''),
    ] as const,
  };
}

const flipped = (text: string) => text.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));

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
  replace(third, flipped(memory.text(third)));

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

describe('a chain with root manifests', () => {
  it('has no findings if it is complete, on local copies or in place', async () => {
    const { memory, check, checkInPlace } = await startWorldWithRoots();
    const complete = {
      findings: [],
      count: 5,
      valid: [first, second, third, olderRoot, newestRoot],
      latestTimestamp: rootStamps[1],
    };

    expect(await check(sha256(memory.text(newestRoot)))).toEqual({ ...complete, documents: 3 });
    expect(await checkInPlace()).toEqual(complete);
    expect(await checkInPlace({ full: true })).toEqual(complete);
  });

  it('can be read on local copies, stretch after stretch', async () => {
    const { memory, bucket, check, readCopies } = startWorld();
    for (const key of [...memory.objects.keys()]) memory.objects.delete(key);
    const entries = [1, 2, 3].map((n) => ({ id: id(n), document: sha256(`${n}`), receipt: undefined }));
    await putRootManifest(bucket, rootStamps[0], entries, { bounds: [id(2), id(3)] });

    const { documents } = await check();

    expect(await readCopies()).toEqual([entries]);
    expect(documents).toBe(3);
  });

  it.each(['check', 'checkInPlace'] as const)(
    'reports a removed stretch file, and does not use its root (%s)',
    async (how) => {
      const world = await startWorldWithRoots();
      const [, stretch] = world.newestStretches;
      world.memory.objects.delete(stretch);

      expect(await world[how]()).toMatchObject({
        findings: [`manifest-removed ${stretch}: named by ${newestRoot}`],
        valid: [first, second, third, olderRoot],
        count: 5,
        latestTimestamp: rootStamps[1],
      });
    },
  );

  it.each(['check', 'checkInPlace'] as const)(
    'reports an altered stretch file, and does not use its root (%s)',
    async (how) => {
      const world = await startWorldWithRoots();
      const [, stretch] = world.newestStretches;
      world.replace(stretch, flipped(world.memory.text(stretch)));

      expect(await world[how]()).toMatchObject({
        findings: [`manifest-altered ${stretch}: its SHA-256 differs from the one in ${newestRoot}`],
        valid: [first, second, third, olderRoot],
      });
    },
  );

  it.each(['check', 'checkInPlace'] as const)(
    'reports a hidden stretch file once, and one that was written again (%s)',
    async (how) => {
      const world = await startWorldWithRoots();
      const [hidden, overwritten] = world.newestStretches;
      world.memory.versioned.delete(hidden);
      world.memory.put(overwritten, world.memory.text(overwritten), noon);

      expect(await world[how]()).toMatchObject({
        findings: [
          `overwritten ${overwritten}: other versions: 1, delete markers: 0`,
          `hidden ${hidden}: other versions: 1, delete markers: 1`,
        ],
        valid: [first, second, third, olderRoot],
      });
    },
  );

  it.each(['check', 'checkInPlace'] as const)(
    'reports a removed root and an altered one (%s)',
    async (how) => {
      const world = await startWorldWithRoots();
      world.memory.objects.delete(newestRoot);
      world.replace(olderRoot, flipped(world.memory.text(olderRoot)));

      const { findings, valid } = await world[how]();

      expect(findings).toEqual([
        `manifest-altered ${olderRoot}: its SHA-256 differs from the one in ${tagManifestKey(rootStamps[0])}`,
        `manifest-removed ${newestRoot}: named by ${tagManifestKey(rootStamps[1])}`,
      ]);
      expect(valid).toEqual([first, second, third]);
    },
  );

  it.each(['check', 'checkInPlace'] as const)(
    'reports a root whose stretches overlap or are not in order, although its tag file agrees (%s)',
    async (how) => {
      const world = await startWorldWithRoots();
      const [predecessor = '', one = '', two = '', three = ''] = world.memory.text(newestRoot).split('\n');
      const wide = stretchManifestKey(rootStamps[1], { from: '3', before: '8' });
      world.memory.put(wide, world.memory.text(world.newestStretches[1]), noon);
      const rewrite = (lines: string[]) => {
        const text = lines.map((line) => `${line}\n`).join('');
        world.replace(newestRoot, text);
        world.replace(tagManifestKey(rootStamps[1]), formatLine({ key: newestRoot, sha256: sha256(text) }));
      };

      rewrite([predecessor, two, one, three]);
      const reordered = await world[how]();
      rewrite([predecessor, one, `${two.slice(0, 66)}${wide}`, three]);
      const overlapping = await world[how]();

      for (const { findings, valid } of [reordered, overlapping]) {
        expect(findings).toEqual([`manifest-altered ${newestRoot}: not in the format of a manifest`]);
        expect(valid).toEqual([first, second, third, olderRoot]);
      }
    },
  );

  it.each(['check', 'checkInPlace'] as const)(
    'has no finding for a stretch file that no root names, and does not use its timestamp again (%s)',
    async (how) => {
      const world = await startWorldWithRoots();
      world.memory.put(stretchManifestKey('20261106T000000Z', { from: '', before: '4' }), 'x', noon);

      expect(await world[how]()).toMatchObject({ findings: [], latestTimestamp: '20261106T000000Z' });
    },
  );

  describe('in place', () => {
    const reads = ({ memory }: { memory: MemoryBucket }) =>
      memory.requests.filter((request) => /^(get|head) .*\/(ids_|manifest-)/.test(request)).sort();

    it('asks for the SHA-256 of the stretch files of the newest root, and reads no other manifest to its end', async () => {
      const world = await startWorldWithRoots();

      await world.checkInPlace({ since: newestRoot });

      expect(reads(world)).toEqual(
        [
          ...[first, second, third, olderRoot, newestRoot].map((key) => `get ${key}`),
          ...[first, second, third].map((key) => `head ${key}`),
          ...world.newestStretches.map((key) => `head ${key}`),
        ].sort(),
      );
      // And one for each tag file.
      expect(world.counted.requests).toBe(reads(world).length + 5);
    });

    it('checks completely what is newer than the last manifest of an earlier run', async () => {
      const world = await startWorldWithRoots();

      await world.checkInPlace({ since: second });

      const [since, ...newer] = [second, third, ...world.olderStretches, ...world.newestStretches].map(
        (key) => reads(world).filter((request) => request.endsWith(key)),
      );
      expect(since).toEqual([`get ${second}`, `head ${second}`]);
      expect(newer).toEqual([
        [`get ${third}`, `get ${third}`, `head ${third}`],
        ...[...world.olderStretches, ...world.newestStretches].map((key) => [`head ${key}`]),
      ]);
    });

    it('checks everything completely if there was no earlier run', async () => {
      const world = await startWorldWithRoots();
      const [stretch] = world.olderStretches;
      world.replace(stretch, 'x');

      expect((await world.checkInPlace()).findings).toEqual([
        `manifest-altered ${stretch}: its SHA-256 differs from the one in ${olderRoot}`,
      ]);
    });

    it('checks the daily share of the older files completely', async () => {
      const world = await startWorldWithRoots();
      const share = [world.olderStretches[1], first];
      world.replace(world.olderStretches[1], 'x');
      world.replace(first, flipped(world.memory.text(first)), {
        verified: Buffer.from(world.memory.text(first)),
      });
      const unread = await world.checkInPlace({ since: newestRoot });

      const read = await world.checkInPlace({ since: newestRoot, isShare: (key) => share.includes(key) });

      expect(unread.findings).toEqual([]);
      expect(read.findings).toEqual([
        `manifest-altered ${world.olderStretches[1]}: its SHA-256 differs from the one in ${olderRoot}`,
        `manifest-altered ${first}: its SHA-256 differs from the one in the answer of S3`,
      ]);
      expect(read.valid).toEqual([second, third, newestRoot]);
    });

    it('reports a removed stretch file of an older root, although it reads none of them', async () => {
      const world = await startWorldWithRoots();
      world.memory.objects.delete(world.olderStretches[2]);

      expect(await world.checkInPlace({ since: newestRoot })).toMatchObject({
        findings: [`manifest-removed ${world.olderStretches[2]}: named by ${olderRoot}`],
        valid: [first, second, third, newestRoot],
      });
    });

    it('hashes the bytes of a stretch file if S3 states no SHA-256, or if everything is to be read', async () => {
      const world = await startWorldWithRoots();
      const [stretch] = world.newestStretches;
      const text = world.memory.text(stretch);
      const altered = `manifest-altered ${stretch}: its SHA-256 differs from the one in ${newestRoot}`;

      world.replace(stretch, text, { verified: false });
      const unstated = await world.checkInPlace();
      world.replace(stretch, flipped(text), { verified: false });
      const unstatedAltered = await world.checkInPlace();
      world.replace(stretch, flipped(text), { verified: Buffer.from(text) });
      const stated = await world.checkInPlace();
      const full = await world.checkInPlace({ full: true });

      expect([unstated, unstatedAltered, stated, full].map(({ findings }) => findings)).toEqual([
        [],
        [altered],
        [],
        [altered],
      ]);
    });

    it('hashes a single file if S3 states no SHA-256', async () => {
      const world = startWorld();
      world.replace(first, flipped(world.memory.text(first)), { verified: false });

      const { findings } = await world.checkInPlace({ since: third });

      expect(findings).toEqual([
        `manifest-altered ${first}: its SHA-256 differs from the one in ${tagManifestKey(stamps[0])}`,
      ]);
    });

    it('reports a newest single file in another format, although its tag file agrees', async () => {
      const world = startWorld();
      const text = `${world.memory.text(third)}not a manifest\n`;
      world.replace(third, text);
      world.replace(tag, formatLine({ key: third, sha256: sha256(text) }));

      expect(await world.checkInPlace({ since: third })).toMatchObject({
        findings: [`manifest-altered ${third}: not in the format of a manifest`],
        valid: [first, second],
      });
    });

    it('treats the next older root as the newest one if the newest has a finding', async () => {
      const world = await startWorldWithRoots();
      world.replace(world.newestStretches[0], 'x');
      world.replace(world.olderStretches[0], 'x');

      const { findings, valid } = await world.checkInPlace({ since: newestRoot });

      expect(findings.map((line) => line.split(':')[0])).toEqual([
        `manifest-altered ${world.newestStretches[0]}`,
        `manifest-altered ${world.olderStretches[0]}`,
      ]);
      expect(valid).toEqual([first, second, third]);
    });

    it.each(['get', 'head'])(
      'throws BucketConflict if a manifest is gone at the time of its %s',
      async (which) => {
        const world = startWorld();
        world.memory.refuse = (operation, key) => {
          if (operation !== which || key !== second) return undefined;
          return which === 'get' ? { name: 'NoSuchKey', status: 404 } : { name: 'NotFound', status: 404 };
        };

        await expect(world.checkInPlace()).rejects.toMatchObject({ code: 'BucketConflict' });
      },
    );

    it('throws BucketConflict if a manifest is gone when it is read again, completely', async () => {
      const world = startWorld();
      world.memory.refuse = (operation, key) => {
        const isAgain = world.memory.requests.filter((request) => request === `get ${third}`).length > 1;
        return operation === 'get' && key === third && isAgain
          ? { name: 'NoSuchKey', status: 404 }
          : undefined;
      };

      await expect(world.checkInPlace()).rejects.toMatchObject({ code: 'BucketConflict' });
    });

    it('reports a stretch file that is gone at the time of its HEAD', async () => {
      const world = await startWorldWithRoots();
      const [stretch] = world.newestStretches;
      world.memory.refuse = (operation, key) =>
        operation === 'head' && key === stretch ? { name: 'NotFound', status: 404 } : undefined;

      expect((await world.checkInPlace()).findings).toEqual([
        `manifest-removed ${stretch}: named by ${newestRoot}`,
      ]);
    });
  });
});
