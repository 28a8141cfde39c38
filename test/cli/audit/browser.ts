/** Starts a headless Chromium for the tests. */
import { access, constants, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import puppeteer, { type Browser } from 'puppeteer-core';

/** Chromium's sandbox needs privileges that containers lack. The tests open trusted pages only. */
const args = ['--no-sandbox', '--no-zygote', '--disable-gpu', '--font-render-hinting=none'];

export interface TestBrowser {
  browser: Browser;
  close(): Promise<void>;
}

/** @returns undefined if there is neither the package's Chromium, which is for Linux on x64, nor one on the PATH */
export async function openBrowser(): Promise<TestBrowser | undefined> {
  if (process.platform === 'linux' && process.arch === 'x64') return await openPackaged();
  const executablePath = await findOnPath(['chromium', 'chromium-browser', 'google-chrome', 'chrome']);
  if (executablePath === undefined) return undefined;
  const browser = await puppeteer.launch({ executablePath, args });
  return { browser, close: () => browser.close() };
}

/** The package contains the binary and its libraries in compressed form. */
async function openPackaged(): Promise<TestBrowser> {
  const { inflate } = await import('@sparticuz/chromium');
  const bin = join(import.meta.dirname, '../../../node_modules/@sparticuz/chromium/bin');
  const folder = await mkdtemp(join(tmpdir(), 'chromium-'));
  const originalTmpdir = process.env.TMPDIR;
  // `inflate` unpacks to TMPDIR. A separate folder prevents conflicts with other processes.
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
    if (originalTmpdir === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = originalTmpdir;
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
