/** Advice from the runbook for an error code. */
import { readFile } from 'node:fs/promises';
import { lazy } from '../lazy.ts';

const runbook = lazy(() => readFile(new URL('../../docs/runbook.md', import.meta.url), 'utf8'));

/** First paragraph of the article's "Resolution"; undefined if the runbook has no article for the code. */
export async function adviceFor(code: string): Promise<string | undefined> {
  const heading = `\n### ${code}\n`;
  const [, article] = (await runbook()).split(heading, 2);
  const resolution = article?.split('\n### ')[0]?.split('**Resolution.**')[1];
  return resolution?.trim().split('\n\n')[0];
}
