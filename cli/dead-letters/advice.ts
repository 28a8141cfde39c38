/** Advice from the runbook for an error code. */
import { readFile } from 'node:fs/promises';
import { commandLine } from '../command-line.ts';
import { lazy } from '../lazy.ts';
import type { Target } from '../target/target.ts';

const runbook = lazy(() => readFile(new URL('../../docs/runbook.md', import.meta.url), 'utf8'));

/**
 * First paragraph of the article's "Resolution", with its commands for this target; undefined if the runbook has no
 * article for the code.
 */
export async function adviceFor(code: string, target: Pick<Target, 'options'>): Promise<string | undefined> {
  const heading = `\n### ${code}\n`;
  const [, article] = (await runbook()).split(heading, 2);
  const ofThisCode = article?.split('\n### ')[0];
  const resolution = ofThisCode?.split('**Resolution.**')[1];
  const [advice] = resolution?.trim().split('\n\n') ?? [];
  return advice?.replace(/npm run archiver -- ([^`]+)/g, (_, command) => commandLine(target, command));
}
