import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import * as v from 'valibot';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { TelnyxResponse } from '../../local/functions.ts';
import type { MetricsByMinute } from '../../local/lambda/metrics-port.ts';
import { privateFolder } from '../../local/s3/object-key.ts';
import { startLine } from '../../local/start-lines.ts';
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

/** Runs `npm start -- --json …` as a separate process. Each line must match the schema. */
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
      const line: Record<string, unknown> = v.parse(startLine, JSON.parse(value));
      lines.push(line);
      return line;
    },
    exitCode: new Promise((resolve) => child.on('exit', resolve)),
  };
}

/** Reads lines up to the next one of a type. */
async function untilType(run: Run, type: string): Promise<Record<string, unknown>> {
  for (;;) {
    const line = await run.next();
    if (line === undefined) throw new Error(`The process exited: ${run.errors.join('')}`);
    if (line.type === type) return line;
  }
}

async function readJson(path: string) {
  return JSON.parse(await readFile(path, 'utf8'));
}

async function summaryOf(run: Run): Promise<Record<string, unknown>> {
  while ((await run.next()) !== undefined);
  const last = run.lines.at(-1);
  expect(last?.type, run.errors.join('')).toBe('summary');
  return last ?? {};
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

  it('prints its addresses first, runs until interrupted, and then exits at once with 130', async () => {
    const archive = await temporaryFolder();
    const run = start('--archive', archive);

    const first = await run.next();
    const url = expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+/);
    const queue = { queueUrl: url, deadLetterQueueUrl: url };
    expect(first).toMatchObject({
      type: 'started',
      telnyxUrl: url,
      apiKey: expect.any(String),
      archive,
      s3Endpoint: url,
      bucket: 'archive',
      credentials: { accessKeyId: expect.any(String), secretAccessKey: expect.any(String) },
      sqsEndpoint: url,
      queues: { documents: queue, backfill: queue, discovery: queue, spans: queue, audit: queue },
    });
    await untilType(run, 'summary');
    run.process.kill('SIGINT');
    const interruptedAt = performance.now();

    expect((await untilType(run, 'stopping')).type).toBe('stopping');
    expect(await run.exitCode).toBe(130);
    expect(performance.now() - interruptedAt).toBeLessThan(3_000);
    expect(run.errors.join('')).toBe('');
  });

  it('prints no summary when it is interrupted while documents are being archived', async () => {
    const run = start('--faults', '--archive', await temporaryFolder());
    await untilType(run, 'document');

    run.process.kill('SIGINT');
    while ((await run.next()) !== undefined);

    expect(await run.exitCode).toBe(130);
    expect(run.lines.map(({ type }) => type)).not.toContain('summary');
  });

  it('stops in good order although npm sends a second SIGINT for the same Ctrl-C', async () => {
    const archive = await temporaryFolder();
    const run = start('--wait', '--archive', archive);
    await run.next();

    run.process.kill('SIGINT');
    await untilType(run, 'stopping');
    run.process.kill('SIGINT');

    expect(await run.exitCode).toBe(130);
    expect(await readdir(join(archive, privateFolder))).not.toContain('stack.json');
  });

  it('refuses a second start on the same archive, whose session stays', async () => {
    const archive = await temporaryFolder();
    const first = start('--wait', '--archive', archive);
    await first.next();
    const session = await readFile(join(archive, privateFolder, 'stack.json'), 'utf8');

    const second = start('--archive', archive);

    expect(await second.next()).toMatchObject({
      type: 'error',
      message: expect.stringContaining(`already running on ${archive} (process ${first.process.pid})`),
    });
    expect(await second.exitCode).toBe(2);
    expect(await readFile(join(archive, privateFolder, 'stack.json'), 'utf8')).toBe(session);
  });

  it('starts on an archive whose stack was killed', async () => {
    const archive = await temporaryFolder();
    const first = start('--wait', '--archive', archive);
    await first.next();
    first.process.kill('SIGKILL');
    await first.exitCode;

    const second = start('--once', '--archive', archive);

    expect(await summaryOf(second)).toMatchObject({ archived: 9 });
    expect(await second.exitCode).toBe(0);
  });

  it('says what it does with 5,000 files, and answers Ctrl-C at once, while it reads them and afterwards', async () => {
    const folder = await temporaryFolder();
    for (let n = 0; n < 5_000; n += 1) writeFileSync(join(folder, `${n}.txt`), String(n));
    for (const shown of [/Reading the files in/, /Reading the list of documents|of 5,000 documents/]) {
      const archive = await temporaryFolder();
      const temporary = await temporaryFolder();
      const child = spawn(process.execPath, [main, '--documents', folder, '--archive', archive], {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, TMPDIR: temporary },
      });
      onTestFinished(() => void child.kill('SIGKILL'));
      let text = '';
      child.stderr.on('data', (chunk: Buffer) => {
        text += chunk;
      });
      const exited = once(child, 'exit');

      await vi.waitFor(() => expect(text).toMatch(shown), { timeout: 60_000, interval: 20 });
      child.kill('SIGINT');
      const interruptedAt = performance.now();
      await vi.waitFor(() => expect(text).toContain('Stopping…\n'), { timeout: 1_000, interval: 5 });

      expect((await exited)[0]).toBe(130);
      expect(performance.now() - interruptedAt).toBeLessThan(3_000);
      expect(await readdir(temporary)).toEqual([]);
    }
  }, 180_000);

  it('shows each webhook request with its status, and what became of it', async () => {
    const run = start('--wait', '--no-events', '--archive', await temporaryFolder());
    const { webhookUrl } = (await run.next()) as { webhookUrl: string };

    await fetch(webhookUrl, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' });

    expect(await untilType(run, 'webhook')).toMatchObject({
      outcome: 'refused',
      status: 401,
      reason: 'signature-missing',
    });
  });

  it('exits with 2 and one line when Telnyx does not accept the key, before anything is created', async () => {
    const server = createServer((_request, response) => {
      response.writeHead(401, { 'content-type': 'application/json' }).end('{"errors":[{"code":"10009"}]}');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const archive = join(await temporaryFolder(), 'archive');
    process.env.TELNYX_API_KEY = 'KEY0123456789abcdef';
    onTestFinished(() => void delete process.env.TELNYX_API_KEY);

    const run = start(
      '--archive',
      archive,
      '--telnyx',
      `http://127.0.0.1:${(server.address() as AddressInfo).port}/v2`,
    );

    expect(await run.next()).toMatchObject({ type: 'error', code: 'ApiKeyRejected' });
    expect(await run.exitCode).toBe(2);
    await expect(readdir(archive)).rejects.toThrow('ENOENT');
  });

  it('exits with 1 when Telnyx lists a row without a valid document ID', async () => {
    const id = '5a3b1e00-0000-4000-8000-000000000001';
    const archive = await temporaryFolder();
    await mkdir(join(archive, 'receipts'));
    await writeFile(join(archive, 'receipts', `${id}.json`), '{}');
    const server = createServer(({ url }, response) => {
      const isFirstPage = url?.includes('page%5Bnumber%5D=1&');
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ data: isFirstPage ? [{ id }, { id: 'not a UUID' }] : [] }));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    process.env.TELNYX_API_KEY = 'KEY0123456789abcdef';
    onTestFinished(() => void delete process.env.TELNYX_API_KEY);

    const run = start(
      '--once',
      '--archive',
      archive,
      '--telnyx',
      `http://127.0.0.1:${(server.address() as AddressInfo).port}/v2`,
    );

    expect(await summaryOf(run)).toMatchObject({ listed: true, found: 1, unreadable: true, deadLettered: 0 });
    expect(await run.exitCode).toBe(1);
  });

  it.each([
    ['by the next sweep when no event is sent', ['--no-events', '--sweep-every', '1'], 'sweep'],
    ['by its event, before the next sweep', ['--sweep-every', '60'], 'webhook'],
  ])('archives a document uploaded while it runs, %s', async (_how, options, trigger) => {
    const archive = await temporaryFolder();
    const run = start('--wait', '--archive', archive, ...options);
    const { telnyxUrl, apiKey } = (await run.next()) as { telnyxUrl: string; apiKey: string };

    const response = await fetch(`${telnyxUrl}/documents`, {
      method: 'POST',
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ file: Buffer.from('hello').toString('base64'), filename: 'hello.txt' }),
    });
    const { data } = (await response.json()) as { data: { id: string } };
    let change = await run.next();
    while (change !== undefined && change.document !== data.id) change = await run.next();

    expect(change?.state, run.errors.join('')).toBe('archived');
    const receipt = JSON.parse(await readFile(join(archive, 'receipts', `${data.id}.json`), 'utf8'));
    expect(receipt.request.trigger).toBe(trigger);
  });

  it('audits the archive again and again with --audit-every, and finds an object that was deleted', async () => {
    const archive = await temporaryFolder();
    const run = start('--archive', archive, '--audit-every', '1');
    const { metricsUrl } = (await run.next()) as { metricsUrl: string };
    await untilType(run, 'summary');

    const healthy = await untilType(run, 'audit');
    const [deleted = ''] = await readdir(join(archive, 'documents'));
    await rm(join(archive, 'documents', deleted));
    let damaged = await untilType(run, 'audit');
    while (damaged.findings === 0) damaged = await untilType(run, 'audit');

    expect(healthy).toMatchObject({ documents: 9, findings: 0 });
    const summary = await readJson(join(archive, 'audits', String(damaged.run), 'summary.json'));
    expect(summary).toMatchObject({ run: damaged.run, status: 'complete', unfinished: [] });
    const results = join(archive, 'audits', String(damaged.run), 'results');
    const found = await Promise.all((await readdir(results)).map((name) => readJson(join(results, name))));
    expect(found.flatMap(({ findings }) => findings)).toEqual([
      expect.objectContaining({ code: 'no-object', documentId: deleted }),
    ]);
    const metrics = (await (await fetch(metricsUrl)).json()) as MetricsByMinute;
    const sumOf = (name: string) => metrics[name]?.reduce((sum, { sum: more }) => sum + more, 0);
    expect(sumOf('AuditFindings')).toBeGreaterThanOrEqual(1);
    expect(sumOf('AuditCompleted')).toBeGreaterThanOrEqual(2);
    run.process.kill('SIGINT');
    expect(await run.exitCode).toBe(130);
  }, 60_000);

  it('prints the error of an invalid option on stderr without --json, and exits with 2', async () => {
    const child = spawn(process.execPath, [main, '--bogus'], { stdio: ['ignore', 'ignore', 'pipe'] });
    let text = '';
    child.stderr.on('data', (chunk: Buffer) => {
      text += chunk;
    });

    expect(await once(child, 'exit')).toEqual([2, null]);
    expect(text).toBe("error: unknown option '--bogus'\n");
  });

  it.each<[string, string[], string]>([
    ['a log in a folder that does not exist', ['--log', '/no/such/folder/log'], 'ENOENT'],
    [
      'documents that hold the archive',
      ['--documents', '.', '--archive', 'local/x'],
      'is inside --documents',
    ],
    ['a folder that does not exist', ['--documents', '/no/such/folder'], 'folder not found'],
    ['--telnyx without an API key', ['--telnyx', 'https://api.telnyx.com/v2'], 'TELNYX_API_KEY'],
    ['a Telnyx URL without TLS', ['--telnyx', 'http://api.telnyx.com/v2'], 'https://'],
    ['audits beside --once', ['--once', '--audit-every', '5'], 'cannot be combined'],
    ['a negative interval of audits', ['--audit-every', '-1'], 'from 1 to 86400'],
    ['an option that does not exist', ['--bucket', 'x'], 'unknown option'],
  ])('prints one line of JSON and exits with 2 for %s', async (_what, options, message) => {
    const run = start(...options);

    expect(await run.next()).toMatchObject({ type: 'error', message: expect.stringContaining(message) });
    expect(await run.next()).toBeUndefined();
    expect(await run.exitCode).toBe(2);
    expect(run.errors.join('')).toBe('');
  });
});

describe('low lanes of the local stack', () => {
  const concurrency = { documents: 1, backfill: 2, discovery: 1, spans: 1, audit: 1 };

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
