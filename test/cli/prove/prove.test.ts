import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../../cli/command.ts';
import { FileError } from '../../../cli/export/folder.ts';
import { collectEvidence } from '../../../cli/prove/evidence.ts';
import type { ProofFolder } from '../../../cli/prove/proof-folder.ts';
import { contextKey, contextTombstoneKey, documentKey, receiptKey } from '../../../functions/bucket/keys.ts';
import { manifestKey, tagManifestKey } from '../../../functions/bucket/manifest-text.ts';
import { createStorageRetry } from '../../../functions/bucket/storage-retry.ts';
import { DiskError } from '../../../local/s3/file-errors.ts';
import { noon, written } from '../../fakes/documents.ts';
import { sha256 } from '../../fakes/memory-bucket.ts';
import { propertyRuns } from '../../fuzz-runs.ts';
import type { InMemoryOptions } from '../erasure/world.ts';
import {
  disclosures,
  first,
  type ProofWorld,
  second,
  startProofs,
  startWithManifests,
  third,
} from './world.ts';

const roots = ['20261108T021500Z', '20261122T021500Z'];
/** Key of the only context of the first document. */
const contextOf = ({ bucket }: ProofWorld) =>
  [...bucket.objects.keys()].find((key) => key.startsWith(`contexts/${first}/`)) ?? '';
const singles = ['20261101T021500Z', '20261115T021500Z'];

describe('archiver prove', () => {
  it('writes document, receipt, context, hold, root manifests and excerpts, and the checksums of all of them', async () => {
    const world = await startWithManifests();

    const result = await world.run([first]);
    const files = await world.files(first);

    expect(result.exitCode).toBe(0);
    expect([...files.keys()]).toEqual(
      [
        'README.html',
        'README.txt',
        'chain.txt',
        'checksums.txt',
        contextOf(world),
        documentKey(first),
        ...singles.map((stamp) => `excerpts/${manifestKey(stamp)}`),
        ...roots.map((stamp) => `excerpts/manifests/${stamp}/ids__4.txt`),
        `file/Name of ${first}.pdf`,
        `holds/${first}/2026-11-24T12-00-00.000Z.json`,
        ...roots.map(manifestKey),
        ...[...roots, ...singles].map(tagManifestKey),
        receiptKey(first),
        'whole-files.txt',
      ].sort(),
    );
    for (const key of [documentKey(first), receiptKey(first), ...roots.map(manifestKey)]) {
      expect(files.get(key)?.toString()).toBe(world.bucket.text(key));
    }
    expect(files.get(`file/Name of ${first}.pdf`)?.toString()).toBe(`Bytes of ${first}`);
    const evidence = [...files].filter(([path]) => !/^(README|checksums)/.test(path));
    expect(files.get('checksums.txt')?.toString().trimEnd().split('\n').toSorted()).toEqual(
      evidence.map(([path, bytes]) => `${sha256(bytes)}  ${path}`).sort(),
    );
    expect(result.records).toEqual([
      {
        type: 'proof',
        documentId: first,
        outcome: 'proven',
        state: 'archived',
        folder: join(world.to, first),
        sha256: sha256(files.get('checksums.txt') ?? ''),
        gaps: [],
      },
      { type: 'end', proven: 1, incomplete: 0, failed: 0 },
    ]);
    expect(result.printed).toContain(`<green>proven  archived  ${join(world.to, first)}\n`);
  });

  it('begins the chain with the first manifest that names the document, and ends it with the newest', async () => {
    const world = await startWithManifests();

    const { exitCode } = await world.run([first, third]);
    const chainOf = async (id: string) => String((await world.files(id)).get('chain.txt'));

    const line = (stamp: string) =>
      `${sha256(world.bucket.text(manifestKey(stamp)))}  ${manifestKey(stamp)}\n`;
    const stamps = [...singles, ...roots].sort();
    expect(exitCode).toBe(0);
    expect(await chainOf(first)).toBe(stamps.map(line).join(''));
    expect(await chainOf(third)).toBe(stamps.slice(2).map(line).join(''));
  });

  it('discloses nothing about any other document', async () => {
    const world = await startWithManifests();

    await world.run([first, third]);

    expect(disclosures(world, await world.files(first), [first])).toEqual([]);
    expect(disclosures(world, await world.files(third), [third])).toEqual([]);
    // The facts of the document itself, so that the search can find something.
    expect(disclosures(world, await world.files(third), [first, second])).toContain(
      `README.txt: Name of ${third}.pdf`,
    );
  });

  it('withholds the ID of another document in the name of a stretch file, whatever the stretches are', async () => {
    const nibble = fc.integer({ min: 0, max: 15 }).map((digit) => digit.toString(16));
    const uuid = fc.uuid().map((id) => id.toLowerCase());
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(uuid, { minLength: 2, maxLength: 8 }),
        fc.uniqueArray(nibble, { maxLength: 3 }),
        fc.nat(),
        async (ids, prefixes, choice) => {
          const world = await startProofs();
          for (const id of ids) world.archive(id);
          const bounds = [
            ...new Set([...prefixes.filter((each) => each !== '0'), ...ids.slice(0, 3)]),
          ].sort();
          await world.writeRoot('20261108T021500Z', ids, bounds);
          const id = ids[choice % ids.length] ?? '';

          const result = await world.run([id]);
          const files = await world.files(id);

          expect(result.records[0]).toMatchObject({ outcome: 'proven', gaps: [] });
          expect(disclosures(world, files, [id])).toEqual([]);
          const root = world.bucket.text(manifestKey('20261108T021500Z'));
          const whole = String(files.get('whole-files.txt'))
            .split('\n')
            .map((line) => line.slice(0, 64));
          expect(whole.some((digest) => digest !== '' && root.includes(digest))).toBe(true);
        },
      ),
      { numRuns: Math.min(propertyRuns(20), 500) },
    );
  });

  it('states in the READMEs who made it, when, the SHA-256 of checksums.txt, and what S3 states about version and lock', async () => {
    const world = await startWithManifests();
    const until = Date.parse('2033-01-01T00:00:00Z');
    world.bucket.objects.delete(documentKey(first));
    world.bucket.versioned.put(documentKey(first), Buffer.from(`Bytes of ${first}`), {
      retention: { mode: 'COMPLIANCE', until },
      legalHold: 'ON',
      modified: noon,
      verified: Buffer.from(`Bytes of ${first}`),
    });
    const { versionId = '' } = world.bucket.objects.get(documentKey(first)) ?? {};

    const result = await world.run([first]);
    const files = await world.files(first);

    for (const page of ['README.txt', 'README.html']) {
      const text = String(files.get(page));
      for (const fact of [
        'arn:aws:sts::1:assumed-role/BreakGlass, session jo',
        '2026-11-24T12:00:00.000Z',
        String((result.records[0] as { sha256: string }).sha256),
        versionId,
        'COMPLIANCE until 2033-01-01T00:00:00.000Z',
        's3://archive',
        'hold by local: Case 12',
        `Name of ${first}.pdf`,
        `PO of ${first}`,
        'porting-order order PORT-1',
        sha256(world.bucket.text(manifestKey('20261122T021500Z'))),
      ]) {
        expect(text).toContain(fact);
      }
      expect(text).toMatch(/Legal hold(\s+|<\/dt><dd>)ON/);
    }
  });

  it('writes files and folders for their owner only', async () => {
    const world = await startWithManifests();

    await world.run([first]);
    const modes = await Promise.all(
      ['', documentKey(first), 'README.html'].map(
        async (path) => (await stat(join(world.to, first, path))).mode & 0o777,
      ),
    );

    expect(modes).toEqual([0o700, 0o600, 0o600]);
  });
});

describe('archiver prove of an erased document', () => {
  it('proves the erasure by tombstone and manifest lines before and after, without bytes and name', async () => {
    const world = await startWithManifests();
    const before = world.known.get(first) ?? [];
    for (const key of [...world.bucket.objects.keys()]) {
      if (key.startsWith('holds/')) world.bucket.objects.delete(key);
    }
    await world.erase({}, first);
    await world.writeRoot('20261123T021500Z', [first, second, third]);

    const result = await world.run([first]);
    const files = await world.files(first);
    const texts = [...files].map(([path, bytes]) => `${path}\n${bytes}`).join('\n');

    const tombstone = world.bucket.text(receiptKey(first));
    const [, name = '', reference = '', body = '', documentDigest = '', receiptDigest = ''] = before;
    expect(result.records[0]).toMatchObject({ outcome: 'proven', state: 'erased', gaps: [] });
    for (const secret of [name, reference, body]) expect(texts).not.toContain(secret);
    expect(String(files.get(documentKey(first)))).toBe(tombstone);
    expect(String(files.get(receiptKey(first)))).toBe(tombstone);
    expect(String(files.get(contextTombstoneKey(first)))).toBe(tombstone);
    expect([...files.keys()].filter((path) => /^(file|contexts\/.*\/)/.test(path))).toEqual([]);
    const lines = (digest: string, other = digest) =>
      `${digest}  ${documentKey(first)}\n${other}  ${receiptKey(first)}\n`;
    const stretch = (stamp: string) => String(files.get(`excerpts/manifests/${stamp}/ids__4.txt`));
    expect(stretch('20261122T021500Z')).toBe(lines(documentDigest, receiptDigest));
    expect(stretch('20261123T021500Z')).toBe(lines(sha256(tombstone)));
    expect(disclosures(world, files, [first])).toEqual([]);
  });

  it('names the missing manifest when none has been written since the erasure', async () => {
    const world = await startProofs();
    world.archive(first);
    world.writeSingle('20261101T021500Z', [first]);
    await world.erase({}, first);

    const result = await world.run([first]);

    expect(result.exitCode).toBe(1);
    expect(result.records[0]).toMatchObject({
      outcome: 'incomplete',
      gaps: ['No manifest names the tombstone yet. The next manifest of the audit will.'],
    });
  });

  it.each<[string, (world: ProofWorld) => void | Promise<void>, string]>([
    [
      'versions',
      ({ bucket }) => {
        const tombstone = bucket.text(documentKey(first));
        bucket.put(documentKey(first), tombstone, noon);
      },
      'versions are left',
    ],
    [
      'neither the document nor its tombstone',
      ({ bucket }) => void bucket.objects.delete(documentKey(first)),
      'the document is left',
    ],
    ['contexts', ({ learn }) => learn(first, 'PORT-1'), 'contexts are left'],
    [
      'another tombstone of the contexts',
      ({ bucket }) => {
        bucket.objects.delete(contextTombstoneKey(first));
        bucket.put(contextTombstoneKey(first), '{}', noon);
      },
      'another tombstone of the contexts is left',
    ],
    [
      'the document',
      ({ bucket }) => {
        bucket.objects.delete(documentKey(first));
        bucket.put(documentKey(first), 'bytes', noon);
      },
      'the document is left',
    ],
  ])('fails when %s are left', async (_what, leave, reason) => {
    const world = await startProofs();
    world.archive(first);
    await world.erase({}, first);
    await leave(world);

    const result = await world.run([first]);

    expect(result.records[0]).toEqual({
      type: 'proof',
      documentId: first,
      outcome: 'failed',
      reason: `The erasure is not finished: ${reason}. Run \`archiver erase\` again.`,
    });
  });
});

describe('archiver prove of what it cannot prove', () => {
  it.each<[string, (world: ProofWorld) => void, string]>([
    [
      'is not archived',
      ({ bucket }) => void bucket.objects.delete(receiptKey(first)),
      'Not archived: there is no receipt.',
    ],
    [
      'has other bytes than its receipt says',
      ({ bucket }) => {
        bucket.objects.delete(documentKey(first));
        bucket.put(documentKey(first), `Bytes of ${second}`, noon);
      },
      'The receipt does not match the object, which has other bytes. Run `archiver audit --read-data`.',
    ],
    [
      'has another size than its receipt says',
      ({ bucket }) => {
        const receipt = JSON.parse(bucket.text(receiptKey(first)));
        receipt.object.bytes += 1;
        receipt.telnyx.size.amount += 1;
        bucket.objects.delete(receiptKey(first));
        bucket.put(receiptKey(first), written(receipt), noon);
      },
      'The receipt does not match the object, which has other bytes. Run `archiver audit --read-data`.',
    ],
    [
      'has no object',
      ({ bucket }) => void bucket.objects.delete(documentKey(first)),
      'The receipt exists but the object does not. Run `archiver audit`.',
    ],
    [
      'has a receipt that is not JSON',
      ({ bucket }) => bucket.put(receiptKey(first), '{', noon),
      'Invalid receipt: not JSON. Run `archiver audit`.',
    ],
    [
      'has a receipt that is too large',
      ({ bucket }) => bucket.put(receiptKey(first), Buffer.alloc(1024 ** 2 + 1), noon),
      'Invalid receipt: 1048577 bytes, too large for a receipt. Run `archiver audit`.',
    ],
    [
      'has a tombstone that is not valid',
      ({ bucket }) => bucket.put(receiptKey(first), '{"state":"erased"}', noon),
      'Invalid tombstone: v is missing, unknown or not valid. Run `archiver audit`.',
    ],
    [
      'has a hold record that the archiver did not write',
      ({ bucket, hold }) => {
        hold(first);
        for (const key of [...bucket.objects.keys()])
          if (key.startsWith('holds/')) bucket.put(key, '{}', noon);
      },
      'is not a hold record that the archiver wrote there',
    ],
  ])('leaves nothing behind when a document %s, and proves the others', async (_what, damage, reason) => {
    const world = await startProofs();
    for (const id of [first, second]) world.archive(id);
    world.writeSingle('20261101T021500Z', [first, second]);
    damage(world);

    const result = await world.run([first, second]);
    const alone = await world.run([first], {}, `${world.to}-alone`);

    expect(result.exitCode).toBe(1);
    expect(result.records).toMatchObject([
      { documentId: first, outcome: 'failed', reason: expect.stringContaining(reason) },
      { documentId: second, outcome: 'proven' },
      { proven: 1, incomplete: 0, failed: 1 },
    ]);
    expect(result.printed).toContain(`${first}  <red>failed  `);
    expect(await readdir(world.to)).toEqual([second]);
    expect(alone.exitCode).toBe(1);
    expect(await readdir(dirname(world.to))).toEqual(['evidence']);
  });

  it.each<[string, (world: ProofWorld) => void | Promise<void>, string[]]>([
    [
      'no manifest names it yet',
      () => undefined,
      ['No manifest names the document yet. The next manifest of the audit will.'],
    ],
    [
      'a manifest states another digest of the document',
      (world) => {
        world.archive(first, { body: 'other bytes' });
        world.writeSingle('20261101T021500Z', [first]);
        world.bucket.objects.delete(documentKey(first));
        world.bucket.objects.delete(receiptKey(first));
        world.archive(first);
      },
      [`${manifestKey('20261101T021500Z')} states another SHA-256 of the document.`],
    ],
    [
      'a manifest states another digest of the receipt',
      (world) => {
        world.archive(first, { reference: 'another reference' });
        world.writeSingle('20261101T021500Z', [first]);
        world.bucket.objects.delete(documentKey(first));
        world.bucket.objects.delete(receiptKey(first));
        world.archive(first);
      },
      [`${manifestKey('20261101T021500Z')} states another SHA-256 of the receipt.`],
    ],
    [
      'a later manifest leaves it out',
      async (world) => {
        world.archive(second);
        world.writeSingle('20261101T021500Z', [first, second]);
        await world.writeRoot('20261108T021500Z', [second]);
      },
      [`${manifestKey('20261108T021500Z')} leaves the document out.`],
    ],
    [
      'its object has another version',
      (world) => {
        world.writeSingle('20261101T021500Z', [first]);
        world.bucket.put(documentKey(first), `Bytes of ${first}`, noon);
      },
      [`${documentKey(first)} has 1 other version. Run \`archiver audit\`.`],
    ],
    [
      'a context is not as the archiver writes it',
      (world) => {
        world.writeSingle('20261101T021500Z', [first]);
        world.bucket.put(contextKey(first, sha256('')), '{}', noon);
      },
      [
        `The object ${contextKey(first, sha256(''))} is not a context that the archiver wrote there. Read it, and find out who wrote it.`,
      ],
    ],
    [
      'a manifest has been changed',
      (world) => {
        world.writeSingle('20261101T021500Z', [first]);
        world.writeSingle('20261108T021500Z', [first]);
        world.bucket.objects.delete(manifestKey('20261101T021500Z'));
        world.bucket.put(manifestKey('20261101T021500Z'), 'other lines', noon);
      },
      [
        `Not used as evidence: ${manifestKey('20261101T021500Z')}, its SHA-256 differs from the one in ${tagManifestKey('20261101T021500Z')}.`,
      ],
    ],
  ])('writes the proof with its gap when %s', async (_what, prepare, gaps) => {
    const world = await startProofs();
    world.archive(first);
    await prepare(world);

    const result = await world.run([first]);
    const files = await world.files(first);

    expect(result.exitCode).toBe(1);
    expect(result.records[0]).toMatchObject({ outcome: 'incomplete', gaps });
    expect(result.printed).toContain(`  ${gaps[0]}\n`);
    expect(String(files.get('README.txt'))).toMatch(/^Incomplete proof: 1 gap\.\n\nGAPS OF THIS PROOF\n/);
    expect(String(files.get('README.html'))).toContain('<h2>Gaps of this proof</h2>');
  });

  it.each<[string, (world: ProofWorld, key: string) => void, string]>([
    ['missing', ({ bucket }, key) => void bucket.objects.delete(key), 'named by'],
    [
      'changed',
      ({ bucket }, key) => {
        const text = bucket.text(key);
        bucket.objects.delete(key);
        bucket.put(key, text.replace(/^[0-9a-f]{8}/, '00000000'), noon);
      },
      'its SHA-256 differs from the one in',
    ],
    [
      'no manifest',
      ({ bucket }, key) => {
        bucket.objects.delete(key);
        bucket.put(key, 'other lines\n', noon);
      },
      'not in the format of a manifest',
    ],
  ])('begins with a later manifest when the file of the first is %s', async (_what, damage, detail) => {
    const world = await startProofs();
    world.archive(first);
    await world.writeRoot('20261108T021500Z', [first]);
    await world.writeRoot('20261115T021500Z', [first]);
    damage(world, 'manifests/20261108T021500Z/ids__4.txt');

    const result = await world.run([first]);

    const named = detail.endsWith('manifest') ? '' : ` ${manifestKey('20261108T021500Z')}`;
    expect(result.records[0]).toMatchObject({
      outcome: 'incomplete',
      gaps: [`Not used as evidence: manifests/20261108T021500Z/ids__4.txt, ${detail}${named}.`],
    });
    const chain = String((await world.files(first)).get('chain.txt'));
    expect(chain.trimEnd().split('\n')).toEqual([expect.stringContaining(manifestKey('20261115T021500Z'))]);
  });

  it('names a manifest that has lost its tag file, and leaves the tag file out', async () => {
    const world = await startProofs();
    world.archive(first);
    for (const stamp of roots) await world.writeRoot(stamp, [first]);
    const [older = ''] = roots;
    world.bucket.objects.delete(tagManifestKey(older));

    const result = await world.run([first]);

    expect(result.records[0]).toMatchObject({
      outcome: 'incomplete',
      gaps: [`${manifestKey(older)} has no tag file that names it.`],
    });
    expect((await world.files(first)).has(tagManifestKey(older))).toBe(false);
  });

  it('does not take the receipt of another version of the object for that of the current one', async () => {
    const world = await startProofs();
    world.archive(first);
    const receipt = JSON.parse(world.bucket.text(receiptKey(first)));
    world.bucket.objects.delete(receiptKey(first));
    world.bucket.put(
      receiptKey(first),
      `${JSON.stringify({ ...receipt, object: { ...receipt.object, versionId: 'other' } }, undefined, 2)}\n`,
      noon,
    );
    world.writeSingle('20261101T021500Z', [first]);

    const result = await world.run([first]);

    expect(result.records[0]).toMatchObject({
      gaps: ['The receipt names version other of the object, not the current one.'],
    });
  });

  it('says which manifest states other digests than the tombstone of an erased document', async () => {
    const world = await startProofs();
    world.archive(first);
    world.writeSingle('20261101T021500Z', [first]);
    for (const key of [documentKey(first), receiptKey(first)]) world.bucket.objects.delete(key);
    world.archive(first, { body: 'other bytes' });
    await world.erase({}, first);
    world.writeSingle('20261108T021500Z', [first]);

    const result = await world.run([first]);

    expect(result.records[0]).toMatchObject({
      state: 'erased',
      gaps: [`${manifestKey('20261101T021500Z')} states other digests than the tombstone.`],
    });
  });

  it.each([documentKey(first), receiptKey(first)])(
    'does not accept one tombstone for two: another digest of %s',
    async (key) => {
      const world = await startProofs();
      world.archive(first);
      await world.erase({}, first);
      const tombstone = world.bucket.text(key);
      world.bucket.objects.delete(key);
      world.bucket.put(key, 'x', noon);
      world.writeSingle('20261101T021500Z', [first]);
      world.bucket.objects.delete(key);
      world.bucket.put(key, tombstone, noon);
      world.writeSingle('20261108T021500Z', [first]);

      const result = await world.run([first]);

      expect(result.records[0]).toMatchObject({
        gaps: [`${manifestKey('20261101T021500Z')} states other digests than the tombstone.`],
      });
    },
  );

  it.each([documentKey(first), receiptKey(first)])(
    'does not accept half of what the tombstone states as erased: another digest of %s',
    async (key) => {
      const world = await startProofs();
      world.archive(first);
      const original = world.bucket.text(key);
      world.bucket.objects.delete(key);
      world.bucket.put(key, 'x', noon);
      world.writeSingle('20261101T021500Z', [first]);
      world.bucket.objects.delete(key);
      world.bucket.put(key, original, noon);
      await world.erase({}, first);
      world.writeSingle('20261108T021500Z', [first]);

      const result = await world.run([first]);

      expect(result.records[0]).toMatchObject({
        gaps: [`${manifestKey('20261101T021500Z')} states other digests than the tombstone.`],
      });
    },
  );

  it('says that the newest manifest leaves an erased document out', async () => {
    const world = await startProofs();
    world.archive(first);
    world.archive(second);
    world.writeSingle('20261101T021500Z', [first, second]);
    await world.erase({}, first);
    world.writeSingle('20261108T021500Z', [second]);

    const result = await world.run([first]);

    expect(result.records[0]).toMatchObject({
      state: 'erased',
      gaps: [`${manifestKey('20261108T021500Z')} leaves the document out.`],
    });
  });

  it('says that no manifest ever named an erased document', async () => {
    const world = await startProofs();
    world.archive(first);
    await world.erase({}, first);

    const result = await world.run([first]);

    expect(result.records[0]).toMatchObject({
      gaps: ['No manifest names the document yet. The next manifest of the audit will.'],
    });
    expect([...(await world.files(first)).keys()].filter((path) => /chain|whole|excerpt/.test(path))).toEqual(
      [],
    );
  });

  it('withholds the ID of another document in what it says of a damaged file', async () => {
    const world = await startProofs();
    world.archive(first);
    world.archive(second);
    await world.writeRoot('20261108T021500Z', [first, second], [second]);
    await world.writeRoot('20261115T021500Z', [first, second]);
    world.bucket.objects.delete(`manifests/20261108T021500Z/ids__${second}.txt`);

    const result = await world.run([first]);

    expect(result.records[0]).toMatchObject({
      gaps: [
        `Not used as evidence: manifests/20261108T021500Z/ids__withheld.txt, named by ${manifestKey('20261108T021500Z')}.`,
      ],
    });
  });

  it('ignores what has the key of a context tombstone beside an archived document', async () => {
    const world = await startWithManifests();
    world.bucket.put(contextTombstoneKey(first), 'not a tombstone', noon);

    const result = await world.run([first]);

    expect(result.records[0]).toMatchObject({ outcome: 'proven' });
    expect((await world.files(first)).has(contextTombstoneKey(first))).toBe(false);
  });

  it('proves an erasure from before there were tombstones of contexts', async () => {
    const world = await startProofs();
    world.archive(first);
    await world.erase({}, first);
    world.bucket.objects.delete(contextTombstoneKey(first));
    world.writeSingle('20261101T021500Z', [first]);

    const result = await world.run([first]);
    const files = await world.files(first);

    expect(result.records[0]).toMatchObject({ outcome: 'proven' });
    expect(String(files.get('README.txt'))).not.toContain('in the place of the contexts');
  });

  it('reads a receipt of the largest size', async () => {
    const world = await startProofs();
    world.archive(first);
    const receipt = JSON.parse(world.bucket.text(receiptKey(first)));
    receipt.telnyx.padding = '';
    receipt.telnyx.padding = 'x'.repeat(1024 ** 2 - written(receipt).length);
    world.bucket.objects.delete(receiptKey(first));
    world.bucket.put(receiptKey(first), written(receipt), noon);
    world.writeSingle('20261101T021500Z', [first]);

    expect((await world.run([first])).records[0]).toMatchObject({ outcome: 'proven' });
  });

  it.each<[string, string, (world: ProofWorld) => void, string]>([
    [
      'the object is hidden',
      `list-versions ${documentKey(first)}`,
      ({ bucket }) => void bucket.versioned.delete(documentKey(first)),
      'Document or receipt was deleted while it was read. Run `archiver audit`.',
    ],
    [
      'the object is hidden when its versions are known',
      `head ${documentKey(first)}`,
      ({ bucket }) => void bucket.versioned.delete(documentKey(first)),
      'Document or receipt was deleted while it was read. Run `archiver audit`.',
    ],
    [
      'the version of the object is deleted',
      `get-retention ${documentKey(first)}`,
      ({ bucket }) => void bucket.objects.delete(documentKey(first)),
      'Document or receipt was deleted while it was read. Run `archiver audit`.',
    ],
    [
      'the receipt is removed',
      `list-versions ${receiptKey(first)}`,
      ({ bucket }) => void bucket.objects.delete(receiptKey(first)),
      'Document or receipt was deleted while it was read. Run `archiver audit`.',
    ],
    [
      'a root manifest is replaced',
      `get ${tagManifestKey('20261108T021500Z')}`,
      ({ bucket }) => {
        const key = manifestKey('20261108T021500Z');
        bucket.objects.delete(key);
        bucket.put(key, 'other lines', noon);
      },
      `${manifestKey('20261108T021500Z')} was changed while it was read. Run \`archiver audit\`.`,
    ],
    [
      'a root manifest is removed',
      `get ${tagManifestKey('20261108T021500Z')}`,
      ({ bucket }) => void bucket.objects.delete(manifestKey('20261108T021500Z')),
      `${manifestKey('20261108T021500Z')} was changed while it was read. Run \`archiver audit\`.`,
    ],
    [
      'a hold record is removed',
      `get holds/${first}/2026-11-24T12:00:00.000Z.json`,
      ({ bucket }) => void bucket.objects.delete(`holds/${first}/2026-11-24T12:00:00.000Z.json`),
      `holds/${first}/2026-11-24T12:00:00.000Z.json was listed, but was gone when it was read. Run the command again.`,
    ],
  ])('fails, and says why, when %s while it reads', async (_what, request, change, reason) => {
    const world = await startWithManifests();
    let times = 0;
    world.bucket.refuse = (operation, key) => {
      // The manifest is read before, to find what names the document.
      if (`${operation} ${key}` === request) {
        times += 1;
        const isLast = !request.includes('manifest-sha256') || times === 2;
        if (isLast) change(world);
      }
      return undefined;
    };

    const result = await world.run([first]);

    expect(result.records[0]).toMatchObject({ outcome: 'failed', reason });
    expect(await readdir(dirname(world.to))).toEqual([]);
  });

  it.each([new DiskError('/evidence', 'ENOSPC', undefined), new FileError('Cannot write x.')])(
    'does not take a failure of the disk for one of S3: $message',
    async (error) => {
      const world = await startProofs();
      world.archive(first);
      const { bucket, versions, retry } = world.dependencies;
      const { signal } = new AbortController();
      const s3 = { send: world.bucket.send } as never;
      const source = { s3, name: 'archive', bucket, versions, retry, time: world.time, signal };
      const folder = {
        write: async () => undefined,
        receive: () => Promise.reject(error),
      } as unknown as ProofFolder;

      const collected = collectEvidence(first, { chainOf: () => [], defects: [] }, source, folder);

      await expect(collected).rejects.toBe(error);
    },
  );

  it('accepts a receipt that names the current version of the object', async () => {
    const world = await startProofs();
    world.archive(first);
    const receipt = JSON.parse(world.bucket.text(receiptKey(first)));
    receipt.object.versionId = world.bucket.objects.get(documentKey(first))?.versionId;
    world.bucket.objects.delete(receiptKey(first));
    world.bucket.put(receiptKey(first), written(receipt), noon);
    world.writeSingle('20261101T021500Z', [first]);

    const result = await world.run([first]);

    expect(receipt.object.versionId).toBeDefined();
    expect(result.records[0]).toMatchObject({ outcome: 'proven' });
    expect(String((await world.files(first)).get('README.txt'))).not.toContain('\nCONTEXTS\n');
  });

  it('proves the erasure of an object without a receipt', async () => {
    const world = await startProofs();
    world.bucket.put(documentKey(first), 'bytes', noon);
    await world.erase({}, first);
    world.writeSingle('20261101T021500Z', [first]);
    const tombstone = world.bucket.text(receiptKey(first));
    world.bucket.objects.delete(documentKey(first));
    world.bucket.put(documentKey(first), 'bytes', noon);
    world.writeSingle('20261108T021500Z', [first]);
    world.bucket.objects.delete(documentKey(first));
    world.bucket.put(documentKey(first), tombstone, noon);

    const result = await world.run([first]);

    expect(result.records[0]).toMatchObject({
      state: 'erased',
      gaps: [
        'No manifest names the tombstone yet. The next manifest of the audit will.',
        `${manifestKey('20261108T021500Z')} states other digests than the tombstone.`,
      ],
    });
  });

  it('proves the erasure of an ID that was never archived', async () => {
    const world = await startProofs();
    await world.erase({}, first);
    world.writeSingle('20261101T021500Z', [first]);

    expect((await world.run([first])).records[0]).toMatchObject({ outcome: 'proven', state: 'erased' });
  });

  it('has no chain when there are manifests but none names the document', async () => {
    const world = await startProofs();
    for (const id of [first, second]) world.archive(id);
    world.writeSingle('20261101T021500Z', [second]);

    const result = await world.run([first]);

    expect(result.records[0]).toMatchObject({
      gaps: ['No manifest names the document yet. The next manifest of the audit will.'],
    });
    expect((await world.files(first)).has('chain.txt')).toBe(false);
  });

  it('has excerpts with the predecessor and the lines about the document, and nothing else', async () => {
    const world = await startProofs();
    for (const id of [first, second]) world.archive(id);
    world.writeSingle('20261101T021500Z', [first, second]);
    world.writeSingle('20261108T021500Z', [second]);
    await world.writeRoot('20261115T021500Z', [second], [second]);

    await world.run([first]);
    const files = await world.files(first);

    const excerptOf = (stamp: string) => String(files.get(`excerpts/${manifestKey(stamp)}`));
    const line = (key: string) => `${sha256(world.bucket.text(key))}  ${key}\n`;
    expect(excerptOf('20261101T021500Z')).toBe(line(documentKey(first)) + line(receiptKey(first)));
    expect(excerptOf('20261108T021500Z')).toBe(line(manifestKey('20261101T021500Z')));
    expect(excerptOf('20261115T021500Z')).toBe(line(manifestKey('20261108T021500Z')));
  });

  it('says that IDs are withheld only if some are, and sorts what the excerpts are from', async () => {
    const world = await startWithManifests();
    const withholding = await startProofs();
    for (const id of [first, second]) withholding.archive(id);
    withholding.writeSingle('20261101T021500Z', [first, second]);
    await withholding.writeRoot('20261115T021500Z', [first, second], [second]);

    await world.run([first]);
    await withholding.run([first]);
    const files = await world.files(first);
    const readme = String((await withholding.files(first)).get('README.txt'));

    expect(readme.replace(/\s+/g, ' ')).toContain('the ID of another document is written as withheld');
    expect(String(files.get('README.txt'))).not.toContain('withheld');
    const lines = String(files.get('whole-files.txt')).trimEnd().split('\n');
    expect(lines).toHaveLength(4);
    expect(lines).toEqual(lines.toSorted());
  });

  it('reads of older manifests only the files that can name the documents', async () => {
    const world = await startWithManifests();
    world.bucket.requests.length = 0;

    await world.run([first]);

    const [older] = roots;
    const read = world.bucket.requests.filter((request) => request.startsWith(`get manifests/${older}/ids_`));
    expect(new Set(read)).toEqual(new Set([`get manifests/${older}/ids__4.txt`]));
    expect(world.bucket.requests).toContain('list-versions manifests/');
  });

  it('writes no proof when S3 denies it a file of an older manifest', async () => {
    const world = await startWithManifests();
    world.bucket.refuse = (_operation, key) =>
      key === `manifests/${roots[0]}/ids__4.txt` ? { name: 'AccessDenied', status: 403 } : undefined;

    await expect(world.run([first])).rejects.toThrow('S3 denies access');

    expect(await readdir(dirname(world.to))).toEqual([]);
  });

  it('asks S3 for no lock of a delete marker', async () => {
    const world = await startWithManifests();
    world.bucket.refuse = (operation, key) => {
      if (operation === 'list-versions' && key === documentKey(first)) world.bucket.versioned.delete(key);
      return undefined;
    };

    const result = await world.run([first]);

    expect(result.records[0]).toMatchObject({ outcome: 'failed' });
    expect(world.bucket.requests).not.toContain(`get-retention ${documentKey(first)}`);
  });

  it('ends a download that does not begin when it is interrupted', async () => {
    const world = await startProofs();
    world.archive(first);
    const interrupt = new AbortController();
    const { signal } = interrupt;
    const { bucket, versions } = world.dependencies;
    const retry = createStorageRetry({ time: world.time, random: () => 0, signal });
    const send = (_command: unknown, { abortSignal }: { abortSignal: AbortSignal }) =>
      new Promise((_resolve, reject) => {
        abortSignal.addEventListener('abort', () => reject(new Error('aborted')));
        interrupt.abort(new Error('Stopped.'));
      });
    const source = {
      s3: { send } as never,
      name: 'archive',
      bucket,
      versions,
      retry,
      time: world.time,
      signal,
    };
    const folder = { write: async () => undefined } as unknown as ProofFolder;

    const collected = collectEvidence(first, { chainOf: () => [], defects: [] }, source, folder);

    await expect(collected).rejects.toThrow('Stopped.');
  });

  it('refuses a folder inside the archive before it reads anything', async () => {
    const world = await startWithManifests();
    world.bucket.requests.length = 0;
    const asked: string[] = [];
    const localFolder = {
      path: '/srv/archive',
      contains: async (path: string) => asked.push(path) > 0,
    } as unknown as NonNullable<InMemoryOptions['localFolder']>;

    await expect(world.run([first], { localFolder })).rejects.toThrow(
      new UsageError('The folder of --to is inside the archive. Pass another folder.'),
    );

    expect(asked).toEqual([world.to]);
    expect(world.bucket.requests).toEqual([]);
    expect(await readdir(dirname(world.to))).toEqual([]);
  });

  it('names the folder of a local archive in the pages', async () => {
    const world = await startWithManifests();
    const localFolder = {
      path: '/srv/archive',
      contains: async () => false,
    } as unknown as NonNullable<InMemoryOptions['localFolder']>;

    await world.run([first], { localFolder });

    expect(String((await world.files(first)).get('README.txt'))).toMatch(/^ {2}Bucket +\/srv\/archive$/m);
  });

  it('says at the end how many are proven, and how to tell the recipient', async () => {
    const world = await startProofs();
    for (const id of [first, second]) world.archive(id);
    world.writeSingle('20261101T021500Z', [first]);

    const some = await world.run([first, second, third]);
    const none = await world.run([third]);

    expect(some.printed).toMatch(
      /\n\n1 proven, 1 with gaps, 1 failed\.\nSend each SHA-256 to the recipient separately from the folder, such as in a letter\.\n$/,
    );
    expect(some.printed).toContain(`${second}  <yellow>incomplete  archived  ${join(world.to, second)}\n`);
    expect(some.printed).toContain(
      `\n  checksums.txt  SHA-256 ${(some.records[0] as { sha256: string }).sha256}\n`,
    );
    expect(some.progresses).toEqual([{ ended: 3, total: 3, text: '1 document proven' }]);
    expect(none.printed).toMatch(/\n\n0 proven, 0 with gaps, 1 failed\.\n$/);
  });

  it('refuses a --to that is a file, or below one', async () => {
    const world = await startWithManifests();
    const file = join(dirname(world.to), 'file');
    await writeFile(file, 'kept');

    await expect(world.run([first], {}, file)).rejects.toThrow(`${file} is not a folder.`);
    await expect(world.run([first], {}, join(file, 'below'))).rejects.toThrow(
      `${join(file, 'below')} is not a folder.`,
    );

    expect(await readFile(file, 'utf8')).toBe('kept');
  });

  it('adds to a folder that has other files, and leaves it there when nothing is proven', async () => {
    const world = await startWithManifests();
    await mkdir(world.to);
    await writeFile(join(world.to, 'kept'), 'kept');

    await world.run(['6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01']);
    const before = await readdir(world.to);
    await world.run([first]);

    expect(before).toEqual(['kept']);
    expect((await readdir(world.to)).sort()).toEqual([first, 'kept']);
  });

  it('leaves an empty folder that was there before', async () => {
    const world = await startProofs();
    await mkdir(world.to);

    await world.run([first]);

    expect(await readdir(dirname(world.to))).toEqual(['evidence']);
  });

  it('refuses a folder that exists before it reads anything, and leaves it as it is', async () => {
    const world = await startWithManifests();
    await mkdir(join(world.to, second), { recursive: true });
    await writeFile(join(world.to, second, 'kept'), 'kept');
    world.bucket.requests.length = 0;

    await expect(world.run([first, second])).rejects.toThrow(
      new UsageError(`${join(world.to, second)} already exists. Pass another folder. Nothing was written.`),
    );

    expect(world.bucket.requests).toEqual([]);
    expect(await readdir(world.to)).toEqual([second]);
    expect(await readFile(join(world.to, second, 'kept'), 'utf8')).toBe('kept');
  });

  it('leaves nothing behind when it is interrupted, or when S3 denies access', async () => {
    const world = await startWithManifests();
    const interrupt = new AbortController();
    world.bucket.refuse = (_operation, key) => {
      if (key.startsWith('holds/')) interrupt.abort(new Error('Stopped.'));
      return undefined;
    };

    await expect(world.run([first], { signal: interrupt.signal })).rejects.toThrow('Stopped.');
    world.bucket.refuse = (operation) =>
      operation === 'get-retention' ? { name: 'AccessDenied', status: 403 } : undefined;
    await expect(world.run([first])).rejects.toThrow('S3 denies access');

    expect(await readdir(dirname(world.to))).toEqual([]);
  });

  it('downloads a document again when the connection breaks', async () => {
    const world = await startWithManifests();
    let breaks = 2;
    const { send } = world.bucket;
    Object.assign(world.bucket, {
      send: async (command: unknown) => {
        const answer = (await send(command)) as { Body?: Readable };
        if (!(command instanceof GetObjectCommand) || command.input.Key !== documentKey(first)) return answer;
        if (breaks-- <= 0) return answer;
        async function* broken() {
          yield Buffer.from('Bytes');
          throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' });
        }
        return { Body: Readable.from(broken()) };
      },
    });

    expect((await world.run([first])).exitCode).toBe(0);
    expect(breaks).toBe(-1);
  });

  it('takes only the keys that the archiver writes under the prefixes of the document', async () => {
    const world = await startWithManifests();
    world.bucket.put(`contexts/${first}/../../../../../outside.json`, 'x', noon);
    world.bucket.put(`holds/${first}/../../../../../outside.json`, 'x', noon);

    const result = await world.run([first]);

    expect(result.records[0]).toMatchObject({ outcome: 'proven' });
    expect([...(await world.files(first)).keys()].filter((path) => path.includes('outside'))).toEqual([]);
    expect(await readdir(dirname(world.to))).toEqual(['evidence']);
  });

  it('requires IDs and --to', async () => {
    const world = await startProofs();
    expect(() => world.runTyped(first)).toThrow("required option '--to <folder>' not specified");
    await expect(world.runTyped('--to', world.to)).rejects.toThrow(UsageError);
    await expect(world.runTyped(first, '--to', world.to)).resolves.toBe(1);
  });
});
