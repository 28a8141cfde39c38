import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { FileError } from '../../../cli/export/folder.ts';
import { openProofPlace, ProofFolder } from '../../../cli/prove/proof-folder.ts';
import { DiskError } from '../../../local/s3/file-errors.ts';
import { sha256 } from '../../fakes/memory-bucket.ts';
import { newFolder } from '../world.ts';

/** What the file system of the test does differently; reset after each test. */
const disk = vi.hoisted(() => ({
  /** The code with which a step fails, if it does. */
  fails: (_step: string, _path: string): string | undefined => undefined,
  /** Files that have been opened and not closed. */
  open: new Set<string>(),
  /** Files that were synced. */
  synced: [] as string[],
}));
vi.mock('node:fs/promises', async (importOriginal) => {
  const original = await importOriginal<typeof import('node:fs/promises')>();
  const fail = (step: string, path: unknown) => {
    const code = disk.fails(step, String(path));
    if (code !== undefined) throw Object.assign(new Error(`${code}: ${step}`), { code });
  };
  return {
    ...original,
    stat: async (...args: Parameters<typeof original.stat>) => {
      fail('stat', args[0]);
      return original.stat(...args);
    },
    mkdir: async (...args: Parameters<typeof original.mkdir>) => {
      fail('mkdir', args[0]);
      return original.mkdir(...args);
    },
    rmdir: async (...args: Parameters<typeof original.rmdir>) => {
      fail('rmdir', args[0]);
      return original.rmdir(...args);
    },
    open: async (...args: Parameters<typeof original.open>) => {
      const path = String(args[0]);
      const handle = await original.open(...args);
      const { close, sync, writeFile } = handle;
      disk.open.add(path);
      handle.close = async () => {
        disk.open.delete(path);
        await close.call(handle);
      };
      handle.sync = async () => {
        fail('sync', path);
        disk.synced.push(path);
        await sync.call(handle);
      };
      handle.writeFile = async (...written) => {
        fail('write', path);
        await writeFile.apply(handle, written);
      };
      return handle;
    },
  };
});
afterEach(() => {
  disk.fails = () => undefined;
  disk.open.clear();
  disk.synced.length = 0;
});

async function newProof() {
  const path = join(await newFolder(), 'proof');
  return { path, proof: new ProofFolder(path) };
}

describe('the folder of a proof', () => {
  it('has each file and its copies with the same bytes, on the disk, and states size and SHA-256', async () => {
    const { path, proof } = await newProof();

    const received = await proof.receive('documents/1', Readable.from([Buffer.from('a'), Buffer.from('b')]), [
      'file/loa.pdf',
    ]);
    await proof.write('receipts/1.json', '{}');

    expect(received).toEqual({ bytes: 2, sha256: sha256('ab') });
    const paths = ['documents/1', 'file/loa.pdf', 'receipts/1.json'].map((each) => join(path, each));
    expect(await Promise.all(paths.map((each) => readFile(each, 'utf8')))).toEqual(['ab', 'ab', '{}']);
    expect(disk.synced).toEqual(paths);
    expect([...disk.open]).toEqual([]);
  });

  it('is sealed with the checksums of its evidence, sorted, and not of what explains it', async () => {
    const { path, proof } = await newProof();
    await proof.write('a', 'one');
    await proof.write('b', 'two');
    await proof.explain('README.txt', 'text');

    const digest = await proof.seal();

    const text = await readFile(join(path, 'checksums.txt'), 'utf8');
    expect(text).toBe([`${sha256('one')}  a\n`, `${sha256('two')}  b\n`].toSorted().join(''));
    expect(digest).toBe(sha256(text));
    expect(disk.synced.slice(-2)).toEqual([join(path, 'README.txt'), join(path, 'checksums.txt')]);
    expect([...disk.open]).toEqual([]);
  });

  it('leaves no file of a stream that fails, so that it can be received again', async () => {
    const { path, proof } = await newProof();
    async function* broken() {
      yield Buffer.from('half');
      throw new Error('The connection broke.');
    }

    const failed = proof.receive('documents/1', Readable.from(broken()), ['file/loa.pdf']);
    await expect(failed).rejects.toThrow('The connection broke.');

    expect([await readdir(join(path, 'documents')), await readdir(join(path, 'file'))]).toEqual([[], []]);
    expect([...disk.open]).toEqual([]);
    expect((await proof.receive('documents/1', [Buffer.from('whole')], ['file/loa.pdf'])).bytes).toBe(5);
  });

  it('says why a stream failed although somebody else has removed its file', async () => {
    const { path, proof } = await newProof();
    async function* broken() {
      await rm(join(path, 'documents', '1'));
      yield Buffer.from('half');
      throw new Error('The connection broke.');
    }

    await expect(proof.receive('documents/1', Readable.from(broken()))).rejects.toThrow(
      'The connection broke.',
    );
  });

  it('ends a stream that does not end when it is interrupted', async () => {
    const { proof } = await newProof();
    const interrupt = new AbortController();

    const received = proof.receive(
      'documents/1',
      new Readable({ read: () => undefined }),
      [],
      interrupt.signal,
    );
    interrupt.abort(new Error('Stopped.'));

    await expect(received).rejects.toThrow(/abort/i);
    expect([...disk.open]).toEqual([]);
  });

  it.each(['write', 'sync'])('says that the disk is full when a %s fails', async (failing) => {
    const { proof } = await newProof();
    disk.fails = (step) => (step === failing ? 'ENOSPC' : undefined);

    for (const written of [() => proof.write('a', 'x'), () => proof.explain('b', 'x')]) {
      await expect(written()).rejects.toThrow(DiskError);
      expect([...disk.open]).toEqual([]);
    }
  });

  it('names the file that cannot be written, and never replaces one', async () => {
    const { path, proof } = await newProof();
    await proof.write('a', 'first');

    const again = proof.write('a', 'second');
    await expect(again).rejects.toThrow(FileError);
    await expect(again).rejects.toThrow('Cannot write a: EEXIST. Pass another folder.');
    await expect(again).rejects.toMatchObject({ cause: { code: 'EEXIST' } });

    expect(await readFile(join(path, 'a'), 'utf8')).toBe('first');
  });

  it('names an error without a code as unexpected', async () => {
    const { proof } = await newProof();
    disk.fails = () => {
      throw new Error('a defect');
    };

    await expect(proof.write('a', 'x')).rejects.toThrow('Cannot write a: unexpected error.');
  });

  it('is not published over a folder with files', async () => {
    const { path, proof } = await newProof();
    await proof.write('a', 'x');
    const taken = `${path}-taken`;
    await mkdir(taken);
    await writeFile(join(taken, 'kept'), 'kept');

    await expect(proof.publish(taken)).rejects.toThrow(/^Cannot write .*-taken: (ENOTEMPTY|EEXIST)\./);

    expect(await readdir(taken)).toEqual(['kept']);
  });
});

describe('the place of proofs', () => {
  it('is created, and removed again if nothing was published', async () => {
    const to = join(await newFolder(), 'evidence');

    const place = await openProofPlace(to);
    const proof = place.newFolder();
    await proof.write('a', 'x');
    const during = await readdir(to);
    await place.close();

    expect(during).toEqual([expect.stringMatching(/^\.prove-/)]);
    await expect(stat(to)).rejects.toThrow('ENOENT');
  });

  it('has what was published', async () => {
    const to = join(await newFolder(), 'evidence');

    const place = await openProofPlace(to);
    const proof = place.newFolder();
    await proof.write('a', 'x');
    await proof.publish(join(to, 'proof'));
    await place.close();

    expect(await readdir(to)).toEqual(['proof']);
  });

  it.each([
    ['stat', 'EACCES', 'permission denied'],
    ['mkdir', 'EROFS', 'the file system is read-only'],
  ])('cannot be opened when its %s fails with %s', async (failing, code, reason) => {
    const to = join(await newFolder(), 'evidence');
    disk.fails = (step, path) => (step === failing && path === to ? code : undefined);

    await expect(openProofPlace(to)).rejects.toThrow(`Cannot write to ${to}: ${reason} (${code}).`);
  });

  it('is left if it was there before, or if somebody else has written to it', async () => {
    const to = await newFolder();

    await (await openProofPlace(to)).close();
    expect(await readdir(to)).toEqual([]);
    const place = await openProofPlace(join(to, 'new'));
    disk.fails = (step) => (step === 'rmdir' ? 'EEXIST' : undefined);
    await place.close();

    expect(await readdir(to)).toEqual(['new']);
  });

  it('cannot be a file', async () => {
    const file = join(await newFolder(), 'file');
    await writeFile(file, 'kept');

    await expect(openProofPlace(file)).rejects.toThrow(`${file} is not a folder.`);
  });

  it('does not hide that it could not be removed', async () => {
    const to = join(await newFolder(), 'evidence');
    const place = await openProofPlace(to);
    disk.fails = (step) => (step === 'rmdir' ? 'EIO' : undefined);

    await expect(place.close()).rejects.toThrow('EIO');
  });
});
