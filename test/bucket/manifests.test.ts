import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ListedObject } from '../../functions/bucket/listing.ts';
import {
  formatEntry,
  formatLine,
  manifestKey,
  tagManifestKey,
} from '../../functions/bucket/manifest-text.ts';
import { type DraftOptions, draftManifest } from '../../functions/bucket/manifest-writer.ts';
import { copyManifest, readManifests } from '../../functions/bucket/manifests.ts';
import { createBucket, type NewObject } from '../../functions/bucket/store.ts';
import type { ManifestDependencies } from '../../functions/bucket/stored-manifests.ts';
import { collected } from '../collected.ts';
import { virtualTime } from '../fakes/clock.ts';
import { noon } from '../fakes/documents.ts';
import { MemoryBucket, sha256 } from '../fakes/memory-bucket.ts';

const timestamp = '20261124T120000Z';
const key = manifestKey(timestamp);
const tag = tagManifestKey(timestamp);
const signal = new AbortController().signal;
const digest = 'ab'.repeat(32);

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'manifests-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function world() {
  const time = virtualTime(noon);
  const memory = new MemoryBucket(time);
  /** Input and options of each PUT and GET of the S3 client. */
  const sent: { input: Record<string, unknown>; options: Record<string, unknown> }[] = [];
  const send = async (command: { input: Record<string, unknown> }, options: Record<string, unknown>) => {
    sent.push({ input: command.input, options });
    return memory.send(command);
  };
  const s3 = { send } as never;
  let requests = 0;
  const dependencies: ManifestDependencies = {
    s3,
    name: 'archive',
    bucket: createBucket({ s3, name: 'archive', time }),
    retry: (work) => work(signal),
    onRequest: () => {
      requests += 1;
    },
  };
  async function* listed(): AsyncGenerator<ListedObject> {
    for (const [name, { body, modified }] of memory.objects) {
      yield { key: name, bytes: body.length, modified };
    }
  }
  const read = async (objects = listed(), changes: Partial<ManifestDependencies> = {}) => {
    const folder = await temporaryFolder();
    const changed = { ...dependencies, ...changes };
    return readManifests(objects, (name) => copyManifest(name, folder, changed), changed);
  };
  return { memory, time, dependencies, read, listed, sent, requests: () => requests };
}

async function* failingAfter(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text);
  throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
}

describe('reading the manifests of a bucket', () => {
  it('downloads and hashes a manifest, although S3 states the SHA-256 of other bytes', async () => {
    const { memory, read } = world();
    memory.put(key, 'some text', noon, { verified: Buffer.from('other text') });

    const { manifests, references } = await read();

    expect(manifests).toEqual([
      {
        key,
        sha256: sha256('some text'),
        predecessor: undefined,
        stretches: undefined,
        entries: expect.any(Function),
      },
    ]);
    expect(references).toEqual([]);
  });

  it('ignores a tag file that is too large, and one that was deleted after the listing', async () => {
    const { memory, listed, read } = world();
    const line = formatLine({ sha256: digest, key });
    memory.put(tag, line, noon);
    expect((await read()).references).toEqual([{ from: tag, to: { sha256: digest, key } }]);

    const before = await collected(listed());
    memory.objects.delete(tag);
    const gone = await read(
      (async function* () {
        yield* before;
      })(),
    );
    memory.put(tag, line.repeat(40), noon);

    expect(gone.references).toEqual([]);
    expect((await read()).references).toEqual([]);
  });

  it('returns manifests from the oldest, and references of tag files before those of manifests from the newest', async () => {
    const { memory, read, requests, sent } = world();
    const times = ['20261121T120000Z', '20261122T120000Z', '20261123T120000Z'] as const;
    const texts = ['', '', ''];
    for (const [index, at] of times.entries()) {
      const before = times[index - 1];
      const line = before && formatLine({ sha256: sha256(texts[index - 1] ?? ''), key: manifestKey(before) });
      texts[index] = `${line ?? ''}${digest}  documents/${'0'.repeat(index)}\n`;
      memory.put(manifestKey(at), texts[index] ?? '', noon);
      memory.put(
        tagManifestKey(at),
        formatLine({ sha256: sha256(texts[index] ?? ''), key: manifestKey(at) }),
        noon,
      );
    }
    memory.put('manifests/notes.txt', 'x', noon);

    const { manifests, references } = await read();

    const named = (index: number) => ({
      sha256: sha256(texts[index] ?? ''),
      key: manifestKey(times[index] ?? ''),
    });
    expect(manifests).toEqual(
      times.map((_, index) => ({
        ...named(index),
        predecessor: index === 0 ? undefined : named(index - 1),
        stretches: undefined,
        entries: expect.any(Function),
      })),
    );
    expect(references).toEqual([
      ...times.map((at, index) => ({ from: tagManifestKey(at), to: named(index) })),
      { from: manifestKey(times[2]), to: named(1) },
      { from: manifestKey(times[1]), to: named(0) },
    ]);
    expect(requests()).toBe(6);
    const downloads = sent.filter(({ options }) => options.requestTimeout !== undefined);
    expect(downloads.map(({ input }) => input)).toStrictEqual(
      times.map((at) => ({ Bucket: 'archive', Key: manifestKey(at) })),
    );
    for (const { options } of downloads) {
      expect(options).toEqual({ abortSignal: signal, requestTimeout: 3_600_000 });
    }
  });

  it('takes from a tag file only lines that name a manifest, up to 4,096 bytes', async () => {
    const { memory, read } = world();
    const line = formatLine({ sha256: digest, key });
    const others = `x\n${digest}  documents/x\n${formatLine({ sha256: digest, key: tag })}`;
    const text = `${others}${line}`.padEnd(4_096, '\n');
    memory.put(tag, text, noon);
    expect((await read()).references).toEqual([{ from: tag, to: { sha256: digest, key } }]);

    memory.put(tag, `${text}\n`, noon);

    expect((await read()).references).toEqual([]);
  });

  it('reads a manifest that is larger than a tag file may be', async () => {
    const { memory, read } = world();
    memory.put(key, 'x'.repeat(5_000), noon);

    expect((await read()).manifests).toMatchObject([{ sha256: sha256('x'.repeat(5_000)) }]);
  });

  it('hashes a manifest from its beginning when the download is repeated', async () => {
    const { memory, read } = world();
    memory.put(key, 'some text', noon);
    let attempts = 0;
    const s3 = {
      send: async (command: unknown) => {
        attempts += 1;
        const answer = (await memory.send(command)) as object;
        if (attempts > 1) return answer;
        return { ...answer, Body: Readable.from(failingAfter('some')) };
      },
    } as never;
    const retry: ManifestDependencies['retry'] = async (work) => {
      await expect(work(signal)).rejects.toMatchObject({ code: 'BucketUnavailable' });
      return work(signal);
    };

    const { manifests } = await read(undefined, { s3, retry });

    expect(manifests).toMatchObject([{ sha256: sha256('some text') }]);
  });

  it('throws the reason of its signal when the download of a manifest is aborted', async () => {
    const { memory, read } = world();
    memory.put(key, 'some text', noon);
    const stop = new AbortController();
    const s3 = {
      send: async () => {
        setImmediate(() => stop.abort(new RangeError('Stopped.')));
        return { Body: new Readable({ read: () => undefined }) };
      },
    } as never;
    const retry: ManifestDependencies['retry'] = (work) => work(stop.signal);

    const reading = read(undefined, { s3, retry });

    await expect(reading).rejects.toThrow(RangeError);
  }, 5_000);

  it('throws BucketMisconfigured without permission to read', async () => {
    const { memory, read } = world();
    memory.put(key, 'some text', noon);
    memory.refuse = (operation) => (operation === 'get' ? { name: 'AccessDenied', status: 403 } : undefined);

    await expect(read()).rejects.toMatchObject({ code: 'BucketMisconfigured' });
  });

  it('throws BucketConflict if a manifest was deleted after the listing', async () => {
    const { memory, listed, read } = world();
    memory.put(key, 'some text', noon);
    memory.refuse = (operation) => (operation === 'get' ? { name: 'NoSuchKey', status: 404 } : undefined);

    await expect(read(listed())).rejects.toMatchObject({
      code: 'BucketConflict',
      message: 'A manifest was listed, but was gone when it was read.',
    });
  });
});

describe('draftManifest', () => {
  const idOf = (number: number) => `${number.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`;

  async function startDraft(file?: string, options: Partial<DraftOptions> = {}) {
    const { memory, time, dependencies, sent } = world();
    const folder = await temporaryFolder();
    const draft = await draftManifest({
      folder,
      predecessor: undefined,
      latestTimestamp: undefined,
      file,
      time,
      signal,
      ...dependencies,
      bucket: createBucket({ s3: memory as never, name: 'archive', time }),
      ...options,
    });
    return { memory, draft, folder, sent };
  }

  const entry = { id: idOf(1), document: digest, receipt: digest };
  const text = `${digest}  documents/${idOf(1)}\n${digest}  receipts/${idOf(1)}.json\n`;

  it('puts the manifest where there is none, with its length and digest, and a tag file beside it', async () => {
    const { draft, memory, sent } = await startDraft();
    await draft.add(entry);

    const written = await draft.publish();

    expect(written).toEqual({ place: `s3://archive/${key}`, sha256: sha256(text), documents: 1 });
    expect(sent).toStrictEqual([
      {
        input: {
          Bucket: 'archive',
          Key: key,
          Body: expect.any(Readable),
          ContentLength: text.length,
          ContentType: 'text/plain; charset=utf-8',
          ChecksumSHA256: sha256(text, 'base64'),
          IfNoneMatch: '*',
        },
        options: { abortSignal: signal, requestTimeout: 3_600_000 },
      },
    ]);
    expect(memory.text(key)).toBe(text);
    expect(memory.text(tag)).toBe(formatLine({ sha256: sha256(text), key }));
    expect(memory.requests).toEqual([`put ${key}`, `put ${tag}`]);
  });

  it('puts the tag file with its type, length and digest', async () => {
    const put: NewObject[] = [];
    const bucket = {
      head: async () => undefined,
      putOnce: async (object: NewObject) => {
        put.push(object);
        return 'exists' as const;
      },
    };
    const { draft } = await startDraft(undefined, { bucket });
    await draft.add(entry);

    await draft.publish();

    const body = Buffer.from(formatLine({ sha256: sha256(text), key }));
    expect(put).toEqual([
      {
        key: tag,
        body,
        bytes: body.length,
        sha256: sha256(body),
        contentType: 'text/plain; charset=utf-8',
      },
    ]);
  });

  it('names its predecessor in the first line', async () => {
    const predecessor = { sha256: digest, key: manifestKey('20261123T120000Z') };
    const { draft, memory } = await startDraft(undefined, { predecessor });
    await draft.add(entry);

    await draft.publish();

    expect(memory.text(key)).toBe(formatLine(predecessor) + text);
  });

  it.each([
    ['the time', '20261124T115959Z', '20261124T120000Z'],
    ['a second later', '20261124T120000Z', '20261124T120001Z'],
    ['a second later', '20261124T130000Z', '20261124T130001Z'],
  ])('has %s as its timestamp after a manifest of %s', async (_what, latestTimestamp, expected) => {
    const { draft } = await startDraft(undefined, { latestTimestamp });

    expect((await draft.publish()).place).toBe(`s3://archive/${manifestKey(expected)}`);
  });

  it('writes lines to the draft in blocks of 256 KiB', async () => {
    const { draft, folder } = await startDraft();
    const path = join(folder, 'manifest.draft');
    // 113 bytes for a document and 117 for a receipt.
    for (let count = 0; count < 2_207; count += 1) await draft.add({ ...entry, receipt: undefined });
    for (let count = 1; count < 109; count += 1) await draft.add({ ...entry, document: undefined });

    const sizeBefore = (await stat(path)).size;
    await draft.add({ ...entry, document: undefined });

    expect(sizeBefore).toBe(0);
    expect((await stat(path)).size).toBe(256 * 1_024);
    await draft.discard();
  });

  it('is deleted when it is discarded, and a second time without effect', async () => {
    const { draft, folder, memory } = await startDraft();
    await draft.add(entry);

    await draft.discard();
    await draft.discard();

    expect(await readdir(folder)).toEqual([]);
    expect(memory.requests).toEqual([]);
  });

  it('is not published after its signal has aborted', async () => {
    const reason = new RangeError('Stopped.');
    const { draft, memory } = await startDraft(undefined, { signal: AbortSignal.abort(reason) });
    await draft.add(entry);

    await expect(draft.publish()).rejects.toBe(reason);

    expect(memory.requests).toEqual([]);
  });

  it('replaces an earlier file, and leaves nothing else beside it', async () => {
    const folder = await temporaryFolder();
    const file = join(folder, 'manifest.txt');
    await writeFile(file, 'of an earlier audit');
    const { draft, memory } = await startDraft(file);
    await draft.add(entry);

    await draft.publish();

    expect(await readFile(file, 'utf8')).toBe(text);
    expect(await readdir(folder)).toEqual(['manifest.txt']);
    expect(memory.requests).toEqual([]);
  });

  it('leaves nothing beside a file that it cannot replace', async () => {
    const folder = await temporaryFolder();
    const file = join(folder, 'manifest.txt');
    await mkdir(file);
    const { draft } = await startDraft(file);
    await draft.add(entry);

    await expect(draft.publish()).rejects.toMatchObject({ code: 'EISDIR' });

    expect(await readdir(folder)).toEqual(['manifest.txt']);
  });

  it('throws why it cannot be copied to a folder that does not exist', async () => {
    const { draft } = await startDraft(join(await temporaryFolder(), 'missing', 'manifest.txt'));

    await expect(draft.publish()).rejects.toMatchObject({ code: 'ENOENT', syscall: 'copyfile' });
  });

  it('throws the reason of the signal when the upload is aborted', async () => {
    const stop = new AbortController();
    const s3 = {
      send: async () => {
        stop.abort(new RangeError('Stopped.'));
        throw new Error('AbortError');
      },
    } as never;
    const retry: DraftOptions['retry'] = (work) => work(stop.signal);
    const { draft } = await startDraft(undefined, { s3, retry });

    await expect(draft.publish()).rejects.toThrow(RangeError);
  });

  it('is not published if S3 reports another manifest that is then gone', async () => {
    const { memory, draft } = await startDraft();
    memory.refuse = (operation) =>
      operation === 'put' ? { name: 'PreconditionFailed', status: 412 } : undefined;

    await expect(draft.publish()).rejects.toThrow('Another audit wrote a manifest');
  });

  it('is not looked for in the bucket after another error than a failed condition', async () => {
    const { memory, draft } = await startDraft();
    memory.put(key, '', noon);
    memory.refuse = (operation) =>
      operation === 'put' ? { name: 'ServiceUnavailable', status: 503 } : undefined;

    await expect(draft.publish()).rejects.toMatchObject({ code: 'BucketUnavailable' });
    expect(memory.requests).toEqual([`put ${key}`]);
  });

  it('writes all lines of a large manifest', async () => {
    const file = join(await temporaryFolder(), 'manifest.txt');
    const { draft } = await startDraft(file);
    const entries = Array.from({ length: 2_000 }, (_, number) => ({ ...entry, id: idOf(number) }));
    for (const each of entries) await draft.add(each);

    const written = await draft.publish();

    const text = await readFile(file, 'utf8');
    expect(text).toBe(entries.map(formatEntry).join(''));
    expect(written).toEqual({ place: file, sha256: sha256(text), documents: 2_000 });
  });

  it('publishes a manifest whose upload succeeded although its response was lost', async () => {
    const { memory, draft } = await startDraft();
    await draft.add({ id: idOf(1), document: digest, receipt: digest });
    memory.put(key, `${digest}  documents/${idOf(1)}\n${digest}  receipts/${idOf(1)}.json\n`, noon);

    const written = await draft.publish();

    expect(written.place).toBe(`s3://archive/${key}`);
    expect(memory.text(tag)).toBe(formatLine({ sha256: written.sha256, key }));
  });

  it('overwrites no other manifest, and throws if the bucket refuses the upload', async () => {
    const taken = await startDraft();
    taken.memory.put(key, 'of another audit', noon);
    const denied = await startDraft();
    denied.memory.refuse = () => ({ name: 'AccessDenied', status: 403 });

    await expect(taken.draft.publish()).rejects.toThrow('Another audit wrote a manifest');
    await expect(denied.draft.publish()).rejects.toMatchObject({ code: 'BucketMisconfigured' });
    expect(taken.memory.text(key)).toBe('of another audit');
  });
});
