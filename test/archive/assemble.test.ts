/** What the archive function is built from: in memory and virtual time. */
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { assembleArchive, createArchiveDependencies } from '../../functions/archive/assemble.ts';
import type { ArchiveSettings } from '../../functions/archive/settings.ts';
import type { HttpGet } from '../../functions/http.ts';
import { retryTimings } from '../../functions/limits.ts';
import { virtualTime } from '../fakes/clock.ts';
import { noon } from '../fakes/documents.ts';
import { settingsForTests } from './world.ts';

const signal = new AbortController().signal;
const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const apiKey = 'KEY0123456789_of_the_test';

function assembled(overrides: Partial<ArchiveSettings> = {}, services: object = {}) {
  const urls: Record<string, string[]> = { telnyx: [], lowLane: [], storage: [] };
  const inputs: unknown[] = [];
  const lines: string[] = [];
  const answering = (name: string): HttpGet => {
    return async (url, { headers }) => {
      urls[name]?.push(`${url.href} ${headers.authorization ?? 'no key'}`);
      return { status: 200, headers: {}, body: Readable.from([]) };
    };
  };
  const settings = settingsForTests({ telnyxUrl: new URL('https://telnyx.example/v2'), ...overrides });
  const all = {
    readSecret: async () => apiKey,
    telnyxGet: answering('telnyx'),
    lowLaneTelnyxGet: answering('lowLane'),
    storageGet: answering('storage'),
    s3: {
      send: async ({ input }: { input: unknown }) => {
        inputs.push(input);
        return {};
      },
    } as never,
    sqs: {} as never,
    writeLog: (line: string) => lines.push(line),
    time: virtualTime(noon),
    random: () => 0.5,
    ...services,
  };
  return { settings, all, urls, inputs, lines, dependencies: createArchiveDependencies(settings, all) };
}

describe('the archive function', () => {
  it('takes live work from one queue and the backfill from another, each with its dead letters', () => {
    const { dependencies, settings, all } = assembled();

    expect(dependencies.lanes).toEqual([
      {
        name: 'documents',
        live: true,
        queueUrl: settings.documentsQueueUrl,
        deadLetterQueueUrl: settings.documentsDeadLetterQueueUrl,
      },
      {
        name: 'backfill',
        live: false,
        queueUrl: settings.backfillQueueUrl,
        deadLetterQueueUrl: settings.backfillDeadLetterQueueUrl,
      },
    ]);
    expect(dependencies).toMatchObject({ sqs: all.sqs, time: all.time, random: all.random });
  });

  it('has the limits of its settings, and the timings of production by default', () => {
    const settings = { archiveInfected: true, maxDocumentBytes: 7, version: '9.9.9' };
    const timings = { ...retryTimings, attemptsSpanMs: 1 };

    expect(assembled(settings).dependencies).toMatchObject({ ...settings, timings: retryTimings });
    expect(assembled({}, { timings }).dependencies.timings).toBe(timings);
  });

  it('asks S3 for the bucket of its account, for objects and for receipts', async () => {
    const { dependencies, inputs } = assembled({ bucketOwner: '123456789012' });

    await dependencies.bucket.list('documents/', undefined, signal);
    await dependencies.receipts.state(id, signal);

    const address = { Bucket: 'archive', ExpectedBucketOwner: '123456789012' };
    expect(inputs).toEqual([
      { ...address, Prefix: 'documents/' },
      { ...address, Key: `receipts/${id}.json`, ChecksumMode: 'ENABLED' },
    ]);
  });

  it('asks Telnyx with its API key, on connections of its own for the backfill', async () => {
    const { dependencies, urls } = assembled();

    await dependencies.telnyx.document(id, signal).catch(() => undefined);
    await dependencies.lowLaneTelnyx.document(id, signal).catch(() => undefined);

    const request = `https://telnyx.example/v2/documents/${id} Bearer ${apiKey}`;
    expect(urls).toEqual({ telnyx: [request], lowLane: [request], storage: [] });
  });

  it('opens links to the hosts of its settings and to the trusted origin only, without the API key', async () => {
    const { dependencies, urls } = assembled({
      downloadHosts: ['storage.example'],
      trustedDownloadOrigin: new URL('http://127.0.0.1:9000/'),
    });

    await dependencies.download('https://storage.example/a', signal);
    await dependencies.download('http://127.0.0.1:9000/b', signal);
    await expect(dependencies.download('https://other.example/c', signal)).rejects.toMatchObject({
      code: 'LinkNotAllowed',
    });

    expect(urls.storage).toEqual(['https://storage.example/a no key', 'http://127.0.0.1:9000/b no key']);
  });

  it('trusts no origin by default', async () => {
    const { dependencies } = assembled();

    await expect(dependencies.download('http://127.0.0.1:9000/b', signal)).rejects.toMatchObject({
      code: 'LinkNotAllowed',
    });
  });

  it('logs under its name, at the time of its clock', () => {
    const { dependencies, lines } = assembled();

    dependencies.log.count('DocumentsArchived');

    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`"Timestamp":${noon}`);
    expect(lines[0]).toContain('"Namespace":"TelnyxArchiver/test"');
  });

  it('is a handler of SQS events', async () => {
    const { settings, all } = assembled();
    const handler = assembleArchive(settings, all);

    expect(await handler({ Records: [] }, { getRemainingTimeInMillis: () => 60_000 } as never)).toEqual({
      batchItemFailures: [],
    });
  });
});
