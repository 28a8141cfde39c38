/** Interface of a command. Each command has a file in `commands/` and a line in `archiver.ts`. */
import type { Command } from 'commander';
import type { Random, Time } from '../functions/time.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { CommandHelp } from './help.ts';
import type { Target } from './target/target.ts';

export interface ArchiverCommand {
  /** As typed: `archiver <name>`. */
  name: string;
  help: CommandHelp;
  /**
   * For a command that may run on several archivers, one after the other, by repeated `--stack`: its options, as commander
   * names them, that are for one archiver only. @default `--stack` cannot be repeated
   */
  forOneStack?: readonly string[];
  /** Adds description, arguments and options. */
  configure(command: Command): Command;
  /**
   * @param parsed the command with its parsed options and arguments
   * @returns the exit code: 0 success, 1 problems found; others as the help says
   * @throws UsageError for options that cannot be combined; any error ends the command with exit code 2
   */
  run(context: CommandContext, parsed: Command): Promise<number>;
}

/** Dependencies of a command. */
export interface CommandContext {
  target: Target;
  terminal: Terminal;
  time: Time;
  random: Random;
  /** Aborts on Ctrl-C. */
  signal: AbortSignal;
}

/** Invalid command line. The message says what to change. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
