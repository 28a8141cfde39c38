/** The command on a local archive of files, over real sockets: the local S3 and the Telnyx stand-in. */
import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pLimit from 'p-limit';
import { expect, it, onTestFinished } from 'vitest';
import { eraseDocument } from '../../../cli/erasure/erase-document.ts';
import { type ErasureDependencies, examine } from '../../../cli/erasure/examine.ts';
import { localArchive } from '../../../cli/target/local-archive.ts';
import { telnyxAt } from '../../../cli/target/telnyx.ts';
import { documentKey, receiptKey } from '../../../functions/bucket/keys.ts';
import { createReceipts } from '../../../functions/bucket/receipts.ts';
import { createVersions } from '../../../functions/bucket/versions.ts';
import { systemTime as time } from '../../../functions/time.ts';
import { type Document, recordOf } from '../../../local/telnyx/documents.ts';
import { type StandIn, startStandIn } from '../../../local/telnyx/stand-in.ts';
import { day, receiptOf, written } from '../../fakes/documents.ts';
import { sha256 } from '../../fakes/memory-bucket.ts';
import { temporaryDirectory } from '../../local/s3/fixture.ts';
import { createWorld, problemsAmong } from './world.ts';

/** More than one page of a listing. */
const count = 1_030;
/** The others are written as files, as from a backup: S3 has no SHA-256 of them. */
const archivedThroughS3 = 60;
const bytesOf = (number: number) => Buffer.from(`document ${number}`);
const signal = new AbortController().signal;

interface ArchiveFixture {
  folder: string;
  standIn: StandIn;
  documents: Document[];
  erase: (id: string) => Promise<void>;
  run: ReturnType<typeof createWorld>['run'];
}

/** An archive of all documents of the stand-in, in the form that the archiver writes. */
async function createArchive(): Promise<ArchiveFixture> {
  const folder = await temporaryDirectory();
  await mkdir(join(folder, 'documents'));
  const storage = await temporaryDirectory();
  const standIn = await startStandIn({
    apiKey: 'KEY-of-this-test',
    storage,
    presign: () => '',
    time,
    random: Math.random,
    onSkipped: () => undefined,
  });
  onTestFinished(() => standIn.close());
  for (const document of standIn.documents.all()) await standIn.documents.remove(document.id);

  const target = await localArchive({ folder, environment: {}, time });
  onTestFinished(() => target.close());
  const { bucket } = await target.bucket('write');
  const receipts = createReceipts(bucket);
  const documents = await pLimit(8).map(
    Array.from({ length: count }, (_, number) => number),
    async (number) => {
      const body = bytesOf(number);
      const createdAt = Date.now() - 100 * day + number * 60_000;
      const document = standIn.documents.addRecord(`${number}.txt`, body.length, sha256(body), { createdAt });
      const record = recordOf(document) as never;
      const key = documentKey(document.id);
      const receipt = receiptOf({ record, body });
      if (number < archivedThroughS3) {
        const contentType = 'text/plain';
        await bucket.putOnce({ key, body, bytes: body.length, sha256: sha256(body), contentType }, signal);
        await receipts.writeOnce({ ...receipt, telnyx: JSON.stringify(record) }, signal);
      } else {
        await mkdir(join(folder, 'documents'), { recursive: true });
        await mkdir(join(folder, 'receipts'), { recursive: true });
        await writeFile(join(folder, key), body);
        await writeFile(join(folder, receiptKey(document.id)), written(receipt));
      }
      return document;
    },
  );
  const { run } = createWorld({ time });
  const erase = async (id: string) => {
    const access = await target.bucket('write');
    const dependencies: ErasureDependencies = {
      bucket: access.bucket,
      catalogue: undefined,
      versions: createVersions({ ...access, time }),
      retry: (work) => work(signal),
      now: time.now,
      archiver: '0.2.0',
    };
    const order = { basis: 'DSR-1', erasedBy: 'local', bypassGovernance: false };
    await eraseDocument(await examine(id, dependencies), order, dependencies);
  };
  return {
    folder,
    standIn,
    documents,
    erase,
    run: (options = {}) =>
      run(options, signal, {
        ...target,
        telnyx: async () => telnyxAt(new URL(standIn.url), 'KEY-of-this-test', time),
      }),
  };
}

it('audit reports no problems in a sound local archive of more than one page, and exactly the defects of a damaged one', async () => {
  const { folder, standIn, documents, erase, run } = await createArchive();
  const path = (key: string) => join(folder, key);
  const sha256sum = (file: string) =>
    promisify(execFile)('sha256sum', ['--check', '--quiet', '--strict', file], { cwd: folder });

  const sound = await run({ manifest: 'bucket' });
  const manifest = String(sound.records.find(({ type }) => type === 'manifest')?.place).replace(
    's3://archive/',
    '',
  );
  await sha256sum(manifest);
  const second = await run({ manifest: 'bucket', readData: 10 });
  const newest = String(second.records.find(({ type }) => type === 'manifest')?.place).replace(
    's3://archive/',
    '',
  );
  await sha256sum(newest);

  expect(sound.findings).toEqual([]);
  expect(sound.exitCode).toBe(0);
  expect(second.findings).toEqual([]);
  expect(second.records.find(({ type }) => type === 'summary')).toMatchObject({
    archived: count,
    manifests: 1,
  });

  const ids = documents.map(({ id }) => id);
  const erased = ids.pop() ?? '';
  await erase(erased);
  const third = await run({ manifest: 'bucket', all: true });
  const afterErasure = String(third.records.find(({ type }) => type === 'manifest')?.place).replace(
    's3://archive/',
    '',
  );
  await sha256sum(afterErasure);

  expect(problemsAmong(third.findings)).toEqual([]);
  expect(third.findings).toContain(`erased ${documentKey(erased)}`);

  const [deleted = '', flipped = '', keepsTime = '', altered = '', lost = '', kept = '', orphan = ''] = ids;
  await rm(path(documentKey(deleted)));
  await writeFile(path(documentKey(flipped)), 'Document 1');
  const { atime, mtime } = await stat(path(documentKey(keepsTime)));
  await writeFile(path(documentKey(keepsTime)), 'Document 2');
  await utimes(path(documentKey(keepsTime)), atime, mtime);
  const receipt = await readFile(path(receiptKey(altered)), 'utf8');
  await writeFile(path(receiptKey(altered)), receipt.replace('3.txt', '4.txt'));
  await rm(path(documentKey(lost)));
  await rm(path(receiptKey(lost)));
  await standIn.documents.remove(kept);
  const yesterday = new Date(Date.now() - day);
  await utimes(path(receiptKey(kept)), yesterday, yesterday);
  await rm(path(receiptKey(orphan)));
  await writeFile(path('documents/notes & more.txt'), 'x');
  await rm(path(manifest));
  const missing = standIn.documents.addRecord('new.txt', 1, sha256('x'), { createdAt: Date.now() - day });

  const damaged = await run({ readData: 100, all: true });

  const expected = [
    `no-object ${documentKey(deleted)}`,
    `checksum-differs ${documentKey(flipped)}`,
    `checksum-differs ${documentKey(keepsTime)}`,
    `receipt-altered ${receiptKey(altered)}`,
    `lost ${documentKey(lost)}`,
    `kept ${documentKey(kept)}`,
    `no-receipt ${documentKey(orphan)}`,
    'foreign documents/notes & more.txt',
    `manifest-removed ${manifest}`,
    `missing ${documentKey(missing.id)}`,
    `erased ${documentKey(erased)}`,
    ...ids.slice(7).map((id) => `same ${documentKey(id)}`),
  ].sort();
  expect(damaged.findings).toEqual(expected);
  expect(damaged.exitCode).toBe(1);
}, 180_000);
