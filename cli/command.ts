/** What a command is. Each has a file in `commands/` and a line in `archiver.ts`. */
import type { Command } from 'commander';
import type { Random, Time } from '../functions/time.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { Target } from './target/target.ts';

export interface ArchiverCommand {
  /** As typed: `archiver <name>`. */
  name: string;
  /** Adds description, arguments, options and help. */
  configure(command: Command): Command;
  /**
   * @param parsed the command with the options and arguments that were given
   * @returns the exit code: 0 success, 1 problems found; others as the help says
   * @throws UsageError for options that do not go together; anything else that ends the command with exit code 2
   */
  run(context: CommandContext, parsed: Command): Promise<number>;
}

/** What a command works with. */
export interface CommandContext {
  target: Target;
  terminal: Terminal;
  time: Time;
  random: Random;
  /** Aborts on Ctrl-C. */
  signal: AbortSignal;
}

/** A command line that cannot be run as given. The message says what to change. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
