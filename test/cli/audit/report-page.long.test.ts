/** The report in a real browser: its content, its security, and its appearance (screenshots in test/output/). */
import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Page } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { auditLatest } from '../../../cli/audit/latest.ts';
import { auditPeriod } from '../../../cli/audit/period.ts';
import { runName } from '../../../functions/audit-names.ts';
import { documentKey, receiptKey } from '../../../functions/bucket/keys.ts';
import { day, documentOf, noon, receiptOf, written } from '../../fakes/documents.ts';
import { sha256 } from '../../fakes/memory-bucket.ts';
import { openBrowser, type TestBrowser } from './browser.ts';
import { documentId, startRunsWorld } from './runs-world.ts';
import { createWorld } from './world.ts';

const output = join(import.meta.dirname, '../../output');
const hostileNames = [
  '</script><img src=x onerror="window.hacked=1">.pdf',
  '"><svg onload=window.hacked=1>.pdf',
  "'};window.hacked=1;//.pdf",
  '\u202efdp.exe',
  '<!--<script>window.hacked=1</script>-->.pdf',
  '{{constructor.constructor("window.hacked=1")()}}.pdf',
];

let opened: TestBrowser | undefined;
let folder: string;

beforeAll(async () => {
  await mkdir(output, { recursive: true });
  folder = await mkdtemp(join(tmpdir(), 'audit-report-'));
  opened = await openBrowser();
}, 180_000);

afterAll(async () => {
  await opened?.close();
  await rm(folder, { recursive: true, force: true });
});

/** An account of more than a year: bursts, quiet weeks, an initial backfill, and documents no longer at Telnyx. */
async function reportOf(prepare: (world: ReturnType<typeof createWorld>) => void = () => undefined) {
  const random = seeded(7);
  const world = createWorld({ random });
  let at = noon - 400 * day;
  for (let number = 0; number < 1_200; number += 1) {
    const isBackfilled = number < 250;
    at += isBackfilled ? 0 : (day * 0.42 * random() ** 4) / 0.2;
    const createdAt = isBackfilled ? at - 300 * day * random() : Math.min(at, noon - 3_600_000);
    const id = `${number.toString(16).padStart(8, '0')}-0000-4000-8000-${sha256(String(number)).slice(0, 12)}`;
    const body = Buffer.alloc(Math.ceil(10 ** (1.5 + 2 * random() + 2 * random())), number);
    const archived = documentOf(id, body, { createdAt });
    archived.record.filename =
      hostileNames[number] ?? `${documents[number % documents.length]} ${number}.pdf`;
    archived.record.customer_reference = number % 3 === 0 ? `PO-${number}` : null;
    archived.record.content_type = types[Math.floor(random() * types.length)] ?? '';
    world.archive(archived);
    const receipt = receiptOf(archived);
    const latency = 1_500 * Math.exp(7 * random() ** 3);
    const archivedAt = isBackfilled ? at + number * 400 : createdAt + latency;
    receipt.archivedAt = new Date(archivedAt).toISOString();
    receipt.request.trigger = isBackfilled ? 'backfill' : random() < 0.6 ? 'sweep' : 'webhook';
    world.replace(receiptKey(id), written(receipt), archivedAt);
    if (number % 9 === 0) world.account.delete(id);
  }
  await world.run({ manifest: 'bucket' });
  prepare(world);
  const file = join(folder, `${crypto.randomUUID()}.html`);
  const outcome = await world.run({ html: file, readData: 5 });
  return { world, file, outcome };
}

const documents = [
  'Letter of authorisation',
  'Utility bill',
  'Passport scan',
  'Invoice',
  'Vollmacht Müller',
  '本人確認書類',
];
const types = [
  'application/pdf',
  'application/pdf',
  'application/pdf',
  'image/png',
  'image/jpeg',
  'text/csv',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
];

/** Reproducible random numbers: a linear congruential generator. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function addDefects({ bucket, replace, account }: ReturnType<typeof createWorld>): void {
  const ids = [...account.keys()];
  const [one = '', two = '', three = '', four = ''] = ids.slice(20);
  bucket.objects.delete(documentKey(one));
  replace(documentKey(two), 'other bytes', noon - day);
  replace(receiptKey(three), '{}', noon - day);
  bucket.objects.delete(documentKey(four));
  bucket.objects.delete(receiptKey(four));
  bucket.put('documents/<img src=x onerror="window.hacked=1">', 'x', noon - day);
  bucket.put('Thumbs.db', 'x', noon - day);
}

interface OpenPage {
  page: Page;
  /** Requests other than for the page itself, errors, console messages and dialogs. */
  unwanted: string[];
}

async function openPage(file: string, context: TestContext, dark = false, width = 1_280): Promise<OpenPage> {
  if (!opened) return context.skip('There is no Chromium on this machine.');
  const page = await opened.browser.newPage();
  const unwanted: string[] = [];
  page.on('request', (request) => {
    if (request.url() !== pathToFileURL(file).href) unwanted.push(`request ${request.url()}`);
  });
  page.on('pageerror', (error) => unwanted.push(`error ${error instanceof Error ? error.message : error}`));
  page.on('console', (message) => unwanted.push(`console ${message.text()}`));
  page.on('dialog', (dialog) => {
    unwanted.push('dialog');
    void dialog.dismiss();
  });
  await page.setViewport({ width, height: 900, deviceScaleFactor: 1 });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }]);
  await page.goto(pathToFileURL(file).href);
  return { page, unwanted };
}

const cells = (page: Page, selector: string) =>
  page.$$eval(selector, (found) => found.map((element) => element.textContent ?? ''));

describe('the HTML report of an audit', () => {
  it('shows the verdict in the heading, and the code of each problem', async (context) => {
    const well = await reportOf();
    const damaged = await reportOf(addDefects);

    const { page } = await openPage(well.file, context);
    const other = await openPage(damaged.file, context);

    expect(well.outcome.exitCode).toBe(0);
    expect(await cells(page, 'h1')).toEqual([
      expect.stringMatching(/^✓No problems found in 1,200 archived documents \([\d.]+ MB\)$/),
    ]);
    expect(await cells(other.page, 'h1')).toEqual([
      expect.stringMatching(/^✗6 problems found in 1,19\d archived documents \([\d.]+ MB\)$/),
    ]);
    const commands = await cells(other.page, '.findings .commands');
    expect(commands).toContainEqual(
      expect.stringMatching(/^aws s3api put-object --bucket archive --key documents\/\S+ --body /),
    );
    expect(commands.join()).not.toContain('\\u{');
    expect(await cells(other.page, '.findings .what code')).toEqual([
      'lost',
      'no-object',
      'size-differs',
      'receipt-altered',
      'foreign',
    ]);
  });

  it('executes no script from a file name, sends no request, and does not violate its own policy', async (context) => {
    const { file } = await reportOf(addDefects);

    const { page, unwanted } = await openPage(file, context);
    const rows: string[] = [];
    for (const name of ['onerror', 'svg', 'window.hacked', 'fdp.exe']) {
      await search(page, name);
      rows.push(...(await cells(page, '#table .open')));
    }

    expect(unwanted).toEqual([]);
    expect(await page.evaluate('window.hacked')).toBeUndefined();
    expect(await page.$$('img')).toEqual([]);
    expect(rows).toContain(hostileNames[0]);
    expect(rows).toContain('\\u{202e}fdp.exe');
  });

  it('blocks injected scripts and images with its Content Security Policy', async (context) => {
    const { file } = await reportOf();
    const { page, unwanted } = await openPage(file, context);

    const requests: string[] = [];
    const server = createServer((request, response) => {
      requests.push(request.url ?? '');
      response.end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;

    await page.evaluate(`{
    const script = document.createElement('script');
    script.textContent = 'window.hacked = 1';
    document.body.append(script);
    const image = document.createElement('img');
    image.setAttribute('onerror', 'window.hacked = 1');
    image.src = 'http://127.0.0.1:${port}/x';
    document.body.append(image);
  }`);
    await page.waitForFunction('document.images[0].complete');

    expect(await page.evaluate('window.hacked')).toBeUndefined();
    expect(
      unwanted.filter((line) => line.startsWith('console') && line.includes('Content Security Policy')),
    ).not.toEqual([]);
    expect(requests).toEqual([]);
    server.close();
  });

  it('searches, sorts, filters and pages the documents', async (context) => {
    const { file } = await reportOf(addDefects);
    const { page } = await openPage(file, context);
    const first = await cells(page, '#table tbody tr:first-child .code');

    await page.click('#after');
    const second = await cells(page, '#page');
    await search(page, 'passport 1004.pdf');
    const found = await cells(page, '#table .open');
    await search(page, 'po-333');
    const byReference = await cells(page, '#table .reference');
    await search(page, '');
    await page.click('[data-column="bytes"]');
    const sizes = await page.$$eval('#table tbody tr:not(.more) td:nth-child(4)', (tds) =>
      tds.slice(0, 3).map((td) => td.textContent),
    );
    await page.select('#state', 'receipt-altered');
    const altered = await cells(page, '#table tbody tr:not(.more)');

    expect(first).toHaveLength(1);
    expect(second[0]).toMatch(/^Page 2 of 2\d$/);
    expect(found).toEqual(['Passport scan 1004.pdf']);
    expect(byReference).toEqual(['Reference PO-333']);
    expect(sizes.every((size) => size?.endsWith('kB'))).toBe(true);
    expect(altered).toHaveLength(1);
  });

  it('is accessible: tables have captions, controls have labels, images have descriptions', async (context) => {
    const { file } = await reportOf(addDefects);
    const { page } = await openPage(file, context);

    const nameless = await page.evaluate(`[
    ...[...document.querySelectorAll('table')].filter((table) => !table.caption && !table.closest('details')),
    ...[...document.querySelectorAll('input, select')].filter((control) => control.labels.length === 0),
    ...[...document.querySelectorAll('svg')].filter((svg) => !svg.getAttribute('aria-label') && svg.getAttribute('aria-hidden') !== 'true'),
    ...[...document.querySelectorAll('button')].filter((button) => button.textContent.trim() === ''),
  ].map((element) => element.outerHTML.slice(0, 80))`);
    const levels = await page.$$eval('h1, h2, h3', (headings) => headings.map(({ tagName }) => tagName));

    expect(nameless).toEqual([]);
    expect(levels[0]).toBe('H1');
    expect(new Set(levels.slice(1))).toEqual(new Set(['H2']));
  });

  for (const { name, dark = false, width = 1_280, isFine = false } of [
    { name: 'light' },
    { name: 'light, no problems', isFine: true },
    { name: 'dark', dark: true },
    { name: 'narrow', width: 380 },
  ]) {
    it(`has no horizontal scrolling: ${name}`, async (context) => {
      const { file } = await reportOf(isFine ? undefined : addDefects);
      const { page } = await openPage(file, context, dark, width);

      const overflow = await page.evaluate('document.documentElement.scrollWidth - window.innerWidth');
      await copyFile(file, join(output, `audit-${isFine ? 'ok' : 'problems'}.html`));
      await page.screenshot({ path: join(output, `audit-${name.replace(/\W+/g, '-')}.png`), fullPage: true });

      expect(overflow).toBeLessThanOrEqual(0);
    });
  }

  it('can be printed to PDF', async (context) => {
    const { file } = await reportOf(addDefects);
    const { page } = await openPage(file, context);

    const pdf = await page.pdf({ path: join(output, 'audit.pdf'), format: 'A4', printBackground: true });

    expect(Buffer.from(pdf).subarray(0, 5).toString()).toBe('%PDF-');
  });

  it('shows everything but the table without JavaScript', async () => {
    const { file, outcome } = await reportOf(addDefects);

    const text = await readFile(file, 'utf8');

    expect(outcome.exitCode).toBe(1);
    expect(text).toContain('6 problems found in');
    expect(text).not.toMatch(/<\w[^<>]*\s(?:on\w+|src|href)\s*=/i);
  });
});

describe('the HTML report on the runs of the audit function', () => {
  /** A run with problems of documents with hostile names, after two months of runs. */
  async function pagesOfRuns() {
    const world = startRunsWorld();
    const findings = hostileNames.map((name, number) => {
      world.archive(number, name);
      const key = documentKey(documentId(number));
      return { code: 'overwritten' as const, key, documentId: documentId(number), detail: name };
    });
    for (let night = 59; night >= 0; night -= 1) {
      const tally = { documents: 2_000 - night, archived: 2_000 - night, objectsRead: 66, bytesRead: 66e6 };
      const parts = { ids__: { tally, findings: night === 0 ? findings : [] } };
      world.putRun(runName(noon - night * day - 36_000_000), night === 7 ? { ended: false } : { parts });
    }
    const files = ['latest', 'period'].map((name) => join(folder, `${crypto.randomUUID()}-${name}.html`));
    const [latest = '', period = ''] = files;
    await world.run((context) => auditLatest(latest, context));
    await world.run((context) => auditPeriod({ since: '30d', until: undefined, html: period }, context));
    return { latest, period };
  }

  for (const which of ['latest', 'period'] as const) {
    it(`is safe, accessible and without horizontal scrolling: ${which}`, async (context) => {
      const { [which]: file } = await pagesOfRuns();
      const heading = which === 'latest' ? /^✗6 problems/ : /^✗29 complete runs, problems found in 1 run/;

      for (const width of [1_280, 380]) {
        const { page, unwanted } = await openPage(file, context, false, width);
        const overflow = await page.evaluate('document.documentElement.scrollWidth - window.innerWidth');
        await page.screenshot({ path: join(output, `audit-${which}-${width}.png`), fullPage: true });

        expect(unwanted).toEqual([]);
        expect(await page.evaluate('window.hacked')).toBeUndefined();
        expect(await page.$$('img, svg, table:not(:has(caption))')).toEqual([]);
        expect(await cells(page, 'h1')).toEqual([expect.stringMatching(heading)]);
        expect(overflow).toBeLessThanOrEqual(0);
      }
    });
  }
});

async function search(page: Page, words: string): Promise<void> {
  await page.$eval('#search', (input) => {
    (input as unknown as { value: string }).value = '';
  });
  await page.type('#search', `${words} `);
}
