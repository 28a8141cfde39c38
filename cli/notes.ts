import type { Log } from '../functions/log.ts';
import type { Terminal } from '../terminal/terminal.ts';

/** What the functions' code would log goes to the person who waits for it. */
export function notesOf(terminal: Terminal): Log {
  const note: Log['info'] = (message, { code } = {}) =>
    terminal.note(code === undefined ? message : `${message}: ${code}`);
  return { info: note, warn: note, error: note, count: () => undefined };
}
