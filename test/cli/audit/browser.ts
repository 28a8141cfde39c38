/** A headless Chromium for the tests, wherever one is to be had. */
import { access, constants, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import puppeteer, { type Browser } from 'puppeteer-core';

/** Chromium's own sandbox needs rights that containers lack; what is opened here is a page of ours. */
const args = ['--no-sandbox', '--no-zygote', '--disable-gpu', '--font-render-hinting=none'];

export interface TestBrowser {
  browser: Browser;
  close(): Promise<void>;
}

/** @returns undefined where there is none: neither the package's own, which is for Linux on x64, nor one on the PATH */
export async function openBrowser(): Promise<TestBrowser | undefined> {
  if (process.platform === 'linux' && process.arch === 'x64') return await openPackaged();
  const executablePath = await findOnPath(['chromium', 'chromium-browser', 'google-chrome', 'chrome']);
  if (executablePath === undefined) return undefined;
  const browser = await puppeteer.launch({ executablePath, args });
  return { browser, close: () => browser.close() };
}

/** The binary in the package is compressed, and so are the libraries that it needs on a machine without any. */
async function openPackaged(): Promise<TestBrowser> {
  const { inflate } = await import('@sparticuz/chromium');
  const bin = join(import.meta.dirname, '../../../node_modules/@sparticuz/chromium/bin');
  const folder = await mkdtemp(join(tmpdir(), 'chromium-'));
  const before = process.env.TMPDIR;
  // It is unpacked to wherever this says, and a folder of one's own is not half written by somebody else.
  process.env.TMPDIR = folder;
  try {
    const [executablePath] = await Promise.all([
      inflate(join(bin, 'chromium.br')),
      inflate(join(bin, 'al2023.tar.br')),
    ]);
    const browser = await puppeteer.launch({
      executablePath,
      args,
      headless: 'shell',
      env: { ...process.env, LD_LIBRARY_PATH: join(folder, 'al2023', 'lib') },
    });
    return {
      browser,
      close: async () => {
        await browser.close();
        await rm(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
}

async function findOnPath(names: readonly string[]): Promise<string | undefined> {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    for (const name of names) {
      const path = join(folder, name);
      if (
        await access(path, constants.X_OK).then(
          () => true,
          () => false,
        )
      )
        return path;
    }
  }
  return undefined;
}
