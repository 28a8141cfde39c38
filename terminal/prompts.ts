import { createInterface } from 'node:readline/promises';

export interface PromptStreams {
  stdin: NodeJS.ReadStream;
  stderr: NodeJS.WriteStream;
}

/** Thrown when Ctrl-C is pressed at a prompt. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
  override readonly message = 'Interrupted.';
}

/**
 * Asks a question on stderr. The answer is empty at the end of the input (Ctrl-D).
 *
 * @returns the line that was typed, without surrounding spaces
 * @throws Error if stdin is not a terminal or has been read to its end, InterruptedError at Ctrl-C, or the signal's reason
 */
export async function askForLine(
  question: string,
  { stdin, stderr }: PromptStreams,
  signal: AbortSignal,
): Promise<string> {
  if (!stdin.isTTY) throw new Error('Not a terminal; pass --yes to continue without confirmation.');
  // Such as after IDs that were typed: no line can follow, and `readline` would wait for it.
  if (stdin.readableEnded) {
    throw new Error(
      'Standard input has ended, so it has no answer; pass --yes to continue without confirmation.',
    );
  }
  signal.throwIfAborted();
  const prompt = createInterface({ input: stdin, output: stderr });
  const { promise: answered, resolve, reject } = Promise.withResolvers<string>();
  // A prompt reads keys itself, so Ctrl-C does not send SIGINT to the process.
  prompt.once('SIGINT', () => reject(new InterruptedError()));
  prompt.once('close', () => resolve(''));
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  prompt.once('line', resolve);
  prompt.setPrompt(`${question} `);
  prompt.prompt();
  try {
    return (await answered).trim();
  } catch (error) {
    // The question's line has not ended.
    stderr.write('\n');
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
    prompt.close();
  }
}

/** Asks a yes/no question. The default answer is no. @throws as `askForLine` */
export async function askToConfirm(
  question: string,
  streams: PromptStreams,
  signal: AbortSignal,
): Promise<boolean> {
  return /^y(es)?$/i.test(await askForLine(`${question} [y/N]`, streams, signal));
}
