import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { TelnyxResponse } from '../../local/functions.ts';
import { localApiKey } from '../../local/services.ts';
import { someBytes } from '../archive/world.ts';
import { startArchive } from '../cli/world.ts';

const main = new URL('../../local/main.ts', import.meta.url).pathname;

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'stack-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

interface Run {
  process: ChildProcess;
  lines: Record<string, unknown>[];
  /** Resolves with the next line, or undefined at the end. */
  next(): Promise<Record<string, unknown> | undefined>;
  exitCode: Promise<number | null>;
  errors: string[];
}

/** Runs `npm start -- --json …` as a separate process. */
function start(...options: string[]): Run {
  const child = spawn(process.execPath, [main, '--json', ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines: Record<string, unknown>[] = [];
  const errors: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk.toString()));
  const reader = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    process: child,
    lines,
    errors,
    next: async () => {
      const { value, done } = await reader.next();
      if (done) return undefined;
      const line = JSON.parse(value);
      lines.push(line);
      return line;
    },
    exitCode: new Promise((resolve) => child.on('exit', resolve)),
  };
}

async function summaryOf(run: Run): Promise<Record<string, unknown>> {
  while ((await run.next()) !== undefined);
  const last = run.lines.at(-1)?.summary;
  expect(last, run.errors.join('')).toBeDefined();
  return last as Record<string, unknown>;
}

/** Creates files of several types and sizes from 0 bytes to 25 MB, in folders. */
async function mixedFiles(folder: string, count: number): Promise<Map<string, string>> {
  const types = ['pdf', 'png', 'jpg', 'csv', 'docx', 'txt', 'json'];
  const noise = someBytes(25_000_000);
  const hashes = new Map<string, string>();
  for (let i = 0; i < count; i += 1) {
    const size = i === 0 ? 0 : i === 1 ? noise.length : (i * 7_919) % 60_000;
    const bytes = Buffer.concat([Buffer.from(String(i)), noise.subarray(0, Math.max(0, size - 8))]).subarray(
      0,
      size,
    );
    const place = join(folder, i % 3 === 0 ? 'Ordner Ä' : '.');
    await mkdir(place, { recursive: true });
    const path = join(place, `file ${i} – ü.${types[i % types.length]}`);
    await writeFile(path, bytes);
    hashes.set(path, createHash('sha256').update(bytes).digest('hex'));
  }
  return hashes;
}

/** Asserts that every object has one receipt with its hash, and that the hashes are those of the files. */
async function expectExactCopies(archive: string, hashes: Map<string, string>) {
  const documents = await readdir(join(archive, 'documents'));
  const receipts = await readdir(join(archive, 'receipts'));
  expect(receipts.sort()).toEqual(documents.map((id) => `${id}.json`).sort());
  const archived: string[] = [];
  for (const id of documents) {
    const hash = createHash('sha256')
      .update(await readFile(join(archive, 'documents', id)))
      .digest('hex');
    const receipt = JSON.parse(await readFile(join(archive, 'receipts', `${id}.json`), 'utf8'));
    expect(receipt.object.sha256).toBe(hash);
    archived.push(hash);
  }
  expect(archived.sort()).toEqual([...hashes.values()].sort());
}

describe('npm start', () => {
  it('archives 500 files byte for byte, then nothing on a second run, then only a file added since', async () => {
    const folder = await temporaryFolder();
    const archive = await temporaryFolder();
    const hashes = await mixedFiles(folder, 500);

    const first = await summaryOf(start('--once', '--documents', folder, '--archive', archive));
    expect(first).toMatchObject({ found: 500, documents: 500, ended: 500, archived: 500, deadLettered: 0 });
    await expectExactCopies(archive, hashes);

    const second = start('--once', '--documents', folder, '--archive', archive);
    expect(await summaryOf(second)).toMatchObject({ found: 500, documents: 0, archived: 0, deadLettered: 0 });
    expect(await second.exitCode).toBe(0);

    await writeFile(join(folder, 'new.txt'), 'new');
    hashes.set('new', createHash('sha256').update('new').digest('hex'));
    const third = await summaryOf(start('--once', '--documents', folder, '--archive', archive));
    expect(third).toMatchObject({ archived: 1 });
    await expectExactCopies(archive, hashes);
  });

  it('archives every document once, with its receipt, after being killed several times', async () => {
    const folder = await temporaryFolder();
    const archive = await temporaryFolder();
    const hashes = await mixedFiles(folder, 120);

    for (const after of [1, 20, 50]) {
      const run = start('--once', '--documents', folder, '--archive', archive);
      for (let seen = 0; seen < after; ) {
        const line = await run.next();
        if (line === undefined) throw new Error(`The process exited: ${run.errors.join('')}`);
        if (line.state !== undefined) seen += 1;
      }
      run.process.kill('SIGKILL');
      await run.exitCode;
    }
    await summaryOf(start('--once', '--documents', folder, '--archive', archive));

    await expectExactCopies(archive, hashes);
  });

  it('retries passing faults and reports each lasting one as a dead letter with code and reason', async () => {
    const run = start('--once', '--faults', '--archive', await temporaryFolder());

    expect(await summaryOf(run)).toMatchObject({ archived: 6, deadLettered: 3, waiting: 0 });

    const deadLetters = run.lines.filter(({ state }) => state === 'dead-lettered');
    expect(deadLetters.map(({ code }) => code).sort()).toEqual([
      'ChecksumMismatch',
      'DocumentGone',
      'DocumentInfected',
    ]);
    for (const { reason } of deadLetters) expect(String(reason).length).toBeGreaterThan(20);
    expect(await run.exitCode).toBe(1);
  });

  it('prints its addresses first, runs until interrupted, and then exits at once', async () => {
    const run = start('--archive', await temporaryFolder());

    const addresses = await run.next();
    expect(addresses).toMatchObject({
      telnyxUrl: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/v2$/),
      s3Endpoint: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      sqsEndpoint: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
    });
    for (let line = await run.next(); line?.summary === undefined; line = await run.next()) {
      if (line === undefined) throw new Error(`The process exited: ${run.errors.join('')}`);
    }
    run.process.kill('SIGINT');

    expect(await run.exitCode).toBe(0);
  });

  it.each([
    ['by the next sweep when no event is sent', ['--no-events', '--sweep-every', '1'], 'sweep'],
    ['by its event, before the next sweep', ['--sweep-every', '60'], 'webhook'],
  ])('archives a document uploaded while it runs, %s', async (_how, options, trigger) => {
    const archive = await temporaryFolder();
    const run = start('--wait', '--archive', archive, ...options);
    const { telnyxUrl } = (await run.next()) as { telnyxUrl: string };

    const response = await fetch(`${telnyxUrl}/documents`, {
      method: 'POST',
      headers: { authorization: `Bearer ${localApiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ file: Buffer.from('hello').toString('base64'), filename: 'hello.txt' }),
    });
    const { data } = (await response.json()) as { data: { id: string } };
    let change = await run.next();
    while (change !== undefined && change.document !== data.id) change = await run.next();

    expect(change?.state, run.errors.join('')).toBe('archived');
    const receipt = JSON.parse(await readFile(join(archive, 'receipts', `${data.id}.json`), 'utf8'));
    expect(receipt.request.trigger).toBe(trigger);
  });

  it.each<[string, string[], string]>([
    ['a folder that does not exist', ['--documents', '/no/such/folder'], 'folder not found'],
    ['--telnyx without an API key', ['--telnyx', 'https://api.telnyx.com/v2'], 'TELNYX_API_KEY'],
    ['a Telnyx URL without TLS', ['--telnyx', 'http://api.telnyx.com/v2'], 'https://'],
    ['an option that does not exist', ['--bucket', 'x'], 'unknown option'],
  ])('prints an error without a stack trace for %s', async (_what, options, message) => {
    const run = start(...options);

    expect(await run.exitCode).not.toBe(0);

    expect(run.errors.join('')).toContain(message);
    expect(run.errors.join('')).not.toContain('    at ');
  });
});

describe('low lanes of the local stack', () => {
  const concurrency = { documents: 1, backfill: 2, discovery: 1, spans: 1 };

  it('leave half of the rate limit to live lanes, although invocations share no state', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 15 }, (_, number) => [`${number}.txt`, String(number)]),
    );
    const responses: TelnyxResponse[] = [];
    const { archive, archiveAll } = await startArchive(files, {
      concurrency,
      rateLimit: { requests: 20, perSeconds: 1 },
      onTelnyxResponse: (response) => responses.push(response),
    });

    await archiveAll();

    expect(await readdir(join(archive, 'receipts'))).toHaveLength(15);
    expect(new Set(responses.map(({ live, status }) => `${live} ${status}`))).toEqual(new Set(['false 200']));
    expect(new Set(responses.map(({ headers }) => headers['x-ratelimit-limit']))).toEqual(new Set(['20']));
    const left = responses.map(({ headers }) => Number(headers['x-ratelimit-remaining']));
    expect(Math.min(...left)).toBeGreaterThanOrEqual(10);
  });

  it('archive a document while a request of a span gets no response', async () => {
    const { archive, stack, ids } = await startArchive(
      { 'old.txt': 'old' },
      { concurrency, faults: [{ kind: 'api-stall', route: 'GET documents', times: 1 }] },
    );
    const [documentId = ''] = ids();

    await stack.discoverAll();
    await vi.waitFor(() => expect(stack.standIn?.requests.get('GET documents')).toBe(1));
    const message = { v: 1, kind: 'document', documentId, trigger: 'backfill' } as const;
    await stack.send(
      stack.lanes.backfill.queueUrl,
      [{ ...message, requestedAt: '2026-11-24T00:00:00Z' }],
      new AbortController().signal,
    );

    // Less than the ten seconds after which the span's request times out.
    await vi.waitFor(
      async () => expect(await readdir(join(archive, 'receipts'))).toEqual([`${documentId}.json`]),
      { timeout: 5_000 },
    );
  });
});
