/** The page of a proof in a real browser: what it says, that nothing runs, and how it looks (screenshots in test/output/). */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBrowser, type TestBrowser } from '../audit/browser.ts';
import { first, startProofs } from './world.ts';

const output = join(import.meta.dirname, '../../output');
const hostileNames = [
  '</title></style><script>window.hacked=1</script>.pdf',
  '"><img src=x onerror="window.hacked=1">.pdf',
  "<svg onload='window.hacked=1'>.pdf",
  '\u202efdp.exe',
  `${'an endless name '.repeat(30)}.pdf`,
  'x'.repeat(500),
  '-- $(touch hacked) `touch hacked`; touch hacked\n#.pdf',
  '../../../etc/passwd',
];

let opened: TestBrowser | undefined;

beforeAll(async () => {
  await mkdir(output, { recursive: true });
  opened = await openBrowser();
}, 180_000);

afterAll(() => opened?.close());

async function proofOf(name: string) {
  const world = await startProofs();
  world.archive(first, { name, reference: name });
  world.hold(first, 'Case <b>12</b>');
  await world.learn(first, name.slice(0, 500));
  world.writeSingle('20261101T021500Z', [first]);
  await world.writeRoot('20261108T021500Z', [first]);
  const result = await world.run([first]);
  return { world, result, file: join(world.to, first, 'README.html') };
}

describe.each(hostileNames.map((name, number) => [number, name] as const))(
  'the page of a proof with the hostile name %i',
  (number, name) => {
    it.for([1_280, 400])('runs nothing, loads nothing and fits into %i pixels', async (width, context) => {
      const { file, result, world } = await proofOf(name);
      if (!opened) return context.skip('There is no Chromium on this machine.');
      const page = await opened.browser.newPage();
      const unwanted: string[] = [];
      page.on('request', (request) => {
        if (request.url() !== pathToFileURL(file).href) unwanted.push(`request ${request.url()}`);
      });
      page.on('pageerror', (error) => unwanted.push(`error ${String(error)}`));
      page.on('console', (message) => unwanted.push(`console ${message.text()}`));
      await page.setViewport({ width, height: 900, deviceScaleFactor: 1 });
      await page.goto(pathToFileURL(file).href);

      const overflow = await page.evaluate('document.documentElement.scrollWidth - window.innerWidth');
      const hidden = await page.$$eval('p, dt, dd, pre, span, h1', (all) =>
        all.filter((each) => each.scrollWidth > each.clientWidth + 1).map((each) => each.textContent),
      );
      const headings = await page.$$eval('h1, h2', (all) => all.map((each) => each.textContent));
      const values = await page.$$eval('dd', (all) => all.map((each) => each.textContent ?? ''));
      await page.screenshot({
        path: join(output, `proof-${width}-${number}.png`),
        fullPage: true,
      });
      const files = await world.files(first);

      expect(result.exitCode).toBe(0);
      expect(unwanted).toEqual([]);
      expect(await page.evaluate('window.hacked')).toBeUndefined();
      expect(await page.$$('script, img, svg, b')).toEqual([]);
      expect(overflow).toBeLessThanOrEqual(0);
      expect(hidden).toEqual([]);
      expect(headings).toEqual([
        '✓Archived and unchanged: bytes, receipt and 2 manifests agree',
        'The document',
        'How to verify it',
        'What the files are',
        'What the manifests prove',
        'What S3 states',
        'Contexts',
        'Holds',
        'This proof',
      ]);
      expect(values[0]).toBe(
        name.replace(/[\u202e\n]/, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`),
      );
      expect([...files.keys()].filter((path) => path.startsWith('file/'))).toHaveLength(1);
      await page.close();
    });
  },
);
