import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { startStack } from '../../local/stack.ts';
import { exportSeed } from '../../local/telnyx/signing.ts';
import { acceleratedTime } from '../archive/world.ts';
import { quickTimings } from '../quick-timings.ts';

const command = fileURLToPath(new URL('../../local/send-event.ts', import.meta.url));
const sample = (name: string) => fileURLToPath(new URL(`../../events/${name}.json`, import.meta.url));
/** Document ID in `document-uploaded.json`. */
const documentId = '5a3b1e00-0000-4000-8000-000000000003';

/** Starts a stack that waits for webhooks, and prepares `npm run send-event` for it. */
async function startWaitingStack() {
  const archive = await mkdtemp(join(tmpdir(), 'send-event-test-'));
  const lines: string[] = [];
  const problems: string[] = [];
  const stack = await startStack({
    archive,
    events: false,
    timings: quickTimings,
    onLog: (line) => lines.push(line),
    onProblem: (problem) => problems.push(problem),
    version: 'test',
    // Slower, so that a busy machine answers 50 webhooks at once before their deadline.
    time: acceleratedTime(0.4),
    random: Math.random,
  });
  onTestFinished(async () => {
    await stack.stop();
    await rm(archive, { recursive: true, force: true });
  });
  const sendEvent = (...options: string[]) =>
    run(...options, '--url', stack.addresses.webhookUrl, '--key', exportSeed(stack.signingKey));
  const counted = (metric: string) => lines.filter((line) => Object.hasOwn(JSON.parse(line), metric)).length;
  return { archive, sendEvent, counted, problems };
}

function run(...options: string[]): Promise<{ exitCode: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [command, ...options], (_error, stdout, stderr) =>
      resolve({ exitCode: child.exitCode, output: stdout + stderr }),
    );
  });
}

describe('npm run send-event', () => {
  it('creates one object and one receipt with the event when the event is sent 50 times at once', async () => {
    const { archive, sendEvent, counted, problems } = await startWaitingStack();

    const sent = await sendEvent(sample('document-uploaded'), '--times', '50', '--concurrency', '50');

    expect(sent).toMatchObject({ exitCode: 0, output: expect.stringContaining('50 × 200 accepted') });
    await vi.waitFor(
      () => expect(counted('DocumentsArchived') + counted('DocumentsAlreadyArchived')).toBe(50),
      { timeout: 30_000 },
    );
    expect(await readdir(join(archive, 'documents'))).toEqual([documentId]);
    expect(await readdir(join(archive, 'receipts'))).toEqual([`${documentId}.json`]);
    const event = JSON.parse(await readFile(sample('document-uploaded'), 'utf8')).data;
    const receipt = JSON.parse(await readFile(join(archive, 'receipts', `${documentId}.json`), 'utf8'));
    expect(receipt.request).toMatchObject({
      trigger: 'webhook',
      event: { id: event.id, type: event.event_type, occurredAt: event.occurred_at },
    });
    expect(problems).toEqual([]);
  });

  it.each(['--tamper', '--late'])(
    'reports that the webhook rejected an event sent with %s',
    async (option) => {
      const { sendEvent, counted } = await startWaitingStack();

      const sent = await sendEvent(sample('document-uploaded'), option);

      expect(sent).toMatchObject({
        exitCode: 1,
        output: expect.stringContaining('1 × 401 signature rejected'),
      });
      expect(counted('WebhooksAccepted')).toBe(0);
    },
  );

  it.each<[string, string[], number, string]>([
    [
      'the file is missing',
      ['nowhere.json', '--url', 'http://127.0.0.1:1', '--key', 'x'],
      2,
      'Cannot read nowhere.json. Sample events are in events/.',
    ],
    [
      'the key is not valid',
      [sample('document-uploaded'), '--url', 'http://127.0.0.1:1', '--key', 'x'],
      2,
      'A signing key must be 32 bytes in base64.',
    ],
    [
      'nothing listens at the URL',
      [
        sample('document-uploaded'),
        '--url',
        'http://127.0.0.1:1/webhook',
        '--key',
        Buffer.alloc(32).toString('base64'),
      ],
      2,
      'No response from http://127.0.0.1:1/webhook.',
    ],
    ['--times is not a number', [sample('document-uploaded'), '--times', 'x'], 2, 'whole number, at least 1'],
    ['an option is unknown', [sample('document-uploaded'), '--bogus'], 2, "unknown option '--bogus'"],
  ])('prints an error without a stack trace when %s', async (_what, options, exitCode, message) => {
    const ended = await run(...options);

    expect(ended).toMatchObject({ exitCode, output: expect.stringContaining(message) });
    expect(ended.output).not.toContain('    at ');
  });
});
