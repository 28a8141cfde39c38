/** The life of an erased document on the whole local stack: from its upload to the audit after its last delivery. */
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect, it, vi } from 'vitest';
import { audit } from '../../cli/audit/audit.ts';
import { erase } from '../../cli/commands/erase.ts';
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import { systemTime as time } from '../../functions/time.ts';
import { postEvent, uploadEvent } from '../../local/telnyx/upload-event.ts';
import { startArchive } from '../cli/world.ts';

const secret = 'bytes that only the erased passport has';
const files = { 'passport.txt': secret, 'letter.txt': 'a letter', 'invoice.txt': 'an invoice' };
const auditOptions = {
  quick: false,
  readData: 100,
  all: false,
  repair: false,
  dryRun: false,
  telnyx: true,
  graceMinutes: 0,
  manifest: undefined,
  acceptReceipts: false,
  expectManifest: undefined,
  html: undefined,
} as const;

async function startStory() {
  const lines: string[] = [];
  const world = await startArchive(files, { onLog: (line) => lines.push(line) });
  const { archive, stack, run } = world;
  await world.archiveAll();
  const passport = stack.standIn?.documents.all().find(({ fileName }) => fileName === 'passport.txt');
  if (!passport) throw new Error('The stand-in has no passport.');
  const { id } = passport;
  const outcomesOf = (): unknown[] =>
    lines.map((line) => JSON.parse(line)).filter(({ documentId }) => documentId === id);
  return {
    ...world,
    id,
    keys: [documentKey(id), receiptKey(id)],
    erasedDeliveries: () =>
      outcomesOf().filter((entry) => (entry as { outcome?: string }).outcome === 'erased').length,
    writeManifest: () => run((context) => audit({ ...auditOptions, manifest: 'bucket' }, context)),
    audit: () => run((context) => audit(auditOptions, context)),
    erase: () => run((context) => erase({ documentIds: [id], basis: 'DSR-1', yes: true }, context)),
    /** The document arrives again in every way that the archiver knows. */
    deliverAgain: async () => {
      const requestedAt = new Date(time.now()).toISOString();
      const { documents, backfill, spans } = stack.lanes;
      const { signal } = new AbortController();
      const message = { v: 1, kind: 'document', documentId: id, requestedAt } as const;
      await postEvent(uploadEvent(passport, time.now()), stack.addresses.webhookUrl, stack.signingKey, time);
      await stack.send(documents.queueUrl, [{ ...message, trigger: 'sweep' }], signal);
      await stack.send(backfill.queueUrl, [{ ...message, trigger: 'backfill' }], signal);
      const span = { createdAfter: '2000-01-01T00:00:00Z', createdBefore: requestedAt };
      await stack.send(spans.queueUrl, [{ v: 1, kind: 'span', ...span, requestedAt }], signal);
      await stack.sweep();
      await stack.discoverAll();
      await vi.waitFor(async () => expect(await stack.messageCount()).toBe(0), {
        timeout: 60_000,
        interval: 50,
      });
    },
    /** Runs the nightly audit, and waits for its end. */
    night: async () => {
      await stack.audit();
      await vi.waitFor(async () => expect(await stack.messageCount()).toBe(0), {
        timeout: 60_000,
        interval: 50,
      });
    },
    /** Of the archive and of its catalogue. */
    filesWithSecret: async () => {
      const paths = (await Promise.all([archive, `${archive}.catalogue`].map(filesIn))).flat();
      const texts = await Promise.all(paths.map(textOf));
      return paths.filter((_path, index) => /passport/.test(texts[index] ?? ''));
    },
  };
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
}

async function textOf(file: string): Promise<string> {
  const bytes = await readFile(file);
  return (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('latin1');
}

it('an erased document is nowhere, is never archived again, and the audit is clean and says erased 1', async () => {
  const story = await startStory();
  expect(await story.writeManifest()).toMatchObject({ exitCode: 0 });
  await story.night();
  expect(await story.filesWithSecret()).toContainEqual(expect.stringMatching(/\.catalogue\/rows\//));

  expect(await story.erase()).toMatchObject({ exitCode: 0 });
  expect(await story.filesWithSecret()).toEqual([]);
  await story.deliverAgain();
  await story.night();
  const before = await story.writeManifest();
  await story.deliverAgain();
  const after = await story.audit();

  expect(await story.filesWithSecret()).toEqual([]);
  expect(story.erasedDeliveries()).toBeGreaterThan(0);
  expect(await story.stack.deadLetterCount()).toBe(0);
  for (const result of [before, after]) {
    expect(result.exitCode).toBe(0);
    expect(result.printed).toContain('erased 1');
  }
  const [object, receipt] = await Promise.all(
    story.keys.map((key) => readFile(join(story.archive, key), 'utf8')),
  );
  expect(object).toBe(receipt);
});

it('a document that was removed without tombstones is archived again, or lost', async () => {
  const story = await startStory();
  await story.writeManifest();
  await story.night();
  for (const key of story.keys) await rm(join(story.archive, key));

  const lost = await story.audit();
  await story.deliverAgain();

  expect(lost.exitCode).toBe(1);
  expect(lost.printed).toContain('lost');
  expect(await story.filesWithSecret()).not.toEqual([]);
});
