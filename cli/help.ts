/** The part of a command's help that follows its options. */
import { type Command, Help } from 'commander';

export interface CommandHelp {
  /** Paragraphs, separated by an empty line. Indented lines are not joined. */
  text: string;
  /** Each an invocation without the program's name, such as `status --watch`, and what it does. */
  examples: readonly (readonly [invocation: string, effect: string])[];
  /** Meaning of each exit code of this command. Those that all commands share are added. */
  exitCodes: Readonly<Record<number, string>>;
  /** Which rights in AWS the command needs, and which parts of it. */
  permissions: string;
}

/** Permissions to find the stacks of a deployed archiver. */
export const findStackPermissions =
  'cloudformation:DescribeStacks (with the construct in a stack of your own app, also cloudformation:ListExports)';

/** Exit codes of every command. */
const sharedExitCodes = {
  2: 'error, or invalid arguments',
  130: 'interrupted with Ctrl-C',
  141: 'output closed by the reader, as by `| head`',
} as const;

const defaultColumns = 80;
const maxColumns = 120;

/** Adds the help, wrapped to the width of the terminal. */
export function addHelp(command: Command, help: CommandHelp): Command {
  return command.addHelpText('after', () =>
    formatHelp(help, Math.min(maxColumns, process.stdout.columns || defaultColumns)),
  );
}

/** @param columns width of the output, in characters */
export function formatHelp({ text, examples, exitCodes, permissions }: CommandHelp, columns: number): string {
  const codes = Object.entries({ ...sharedExitCodes, ...exitCodes }).map(
    ([code, meaning]) => `${code} ${meaning}`,
  );
  const paragraphs = [
    // Line breaks within a paragraph only keep the source readable.
    ...text
      .trim()
      .split('\n\n')
      .map((paragraph) => paragraph.replace(/\n(?! )/g, ' ')),
    [
      'Examples:',
      ...examples.flatMap(([invocation, effect]) => [`  archiver ${invocation}`, `      ${effect}`]),
    ].join('\n'),
    `Exit code: ${codes.join(' · ')}`,
    `Permissions: ${permissions.trim().replaceAll('\n', ' ')}`,
  ];
  const wrap = (paragraph: string) => new Help().boxWrap(paragraph, columns);
  return `\n${paragraphs.map(wrap).join('\n\n')}`;
}
