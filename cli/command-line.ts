import { programs } from '../local/programs.ts';
import { printable } from '../terminal/escape.ts';
import type { Target } from './target/target.ts';

/**
 * The command line that runs a command on the same archiver, for advice.
 *
 * @param command such as `redrive --dry-run`
 * @returns such as `npm run archiver -- redrive --dry-run --local archive`, quoted for a POSIX shell
 */
export function commandLine({ options }: Pick<Target, 'options'>, command: string): string {
  return [programs.archiver, command, ...options.map(shellWord)].join(' ');
}

/** Quotes a word for a POSIX shell, if it needs it. */
export function shellWord(text: string): string {
  return printable(/^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);
}
