import { retryTimings } from '../functions/limits.ts';
import type { Log } from '../functions/log.ts';
import type { TelnyxClient } from '../functions/telnyx/client.ts';
import { createRetryingTelnyx, type RetryingTelnyx } from '../functions/telnyx/retrying-telnyx.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { CommandContext } from './command.ts';

/** Telnyx client for a command: retries without a deadline and prints each retry on stderr. */
export function retryingTelnyx(
  telnyx: TelnyxClient,
  { terminal, time, random, signal }: CommandContext,
): RetryingTelnyx {
  return createRetryingTelnyx(telnyx, {
    deadline: Number.POSITIVE_INFINITY,
    signal,
    timings: retryTimings,
    time,
    random,
    log: logToTerminal(terminal),
  });
}

/** @returns undefined for a local archive without a running stack. @throws SettingsError without an API key */
export async function telnyxOfTarget(context: CommandContext): Promise<RetryingTelnyx | undefined> {
  const telnyx = await context.target.telnyx();
  return telnyx && retryingTelnyx(telnyx, context);
}

function logToTerminal(terminal: Terminal): Log {
  const note: Log['info'] = (message, { code } = {}) =>
    terminal.note(code === undefined ? message : `${message}: ${code}`);
  return { info: note, warn: note, error: note, count: () => undefined };
}
