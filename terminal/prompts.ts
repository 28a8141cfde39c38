import { createInterface } from 'node:readline/promises';

export interface PromptStreams {
  stdin: NodeJS.ReadStream;
  stderr: NodeJS.WriteStream;
}

/**
 * Asks a yes/no question on stderr. The default answer is no.
 *
 * @throws Error if stdin is not a terminal, or the signal's reason
 */
export async function askToConfirm(
  question: string,
  { stdin, stderr }: PromptStreams,
  signal: AbortSignal,
): Promise<boolean> {
  if (!stdin.isTTY) throw new Error('Not a terminal; pass --yes to continue without confirmation.');
  const prompt = createInterface({ input: stdin, output: stderr });
  try {
    const answer = await prompt.question(`${question} [y/N] `, { signal });
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    prompt.close();
  }
}
