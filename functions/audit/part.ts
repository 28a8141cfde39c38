import { ArchiverError } from '../errors.ts';
import type { LogFields } from '../log.ts';
import type { AuditPartMessage } from '../queue/messages.ts';
import type { AuditDependencies, AuditReceive } from './handler.ts';

export async function runPart(
  _message: AuditPartMessage,
  _receive: AuditReceive,
  _dependencies: AuditDependencies,
): Promise<LogFields> {
  throw new ArchiverError('Unexpected', 'Being built.');
}
