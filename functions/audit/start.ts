import { ArchiverError } from '../errors.ts';
import type { LogFields } from '../log.ts';
import type { AuditStartMessage } from '../queue/messages.ts';
import type { AuditDependencies, AuditReceive } from './handler.ts';

export async function startRun(
  _message: AuditStartMessage,
  _receive: AuditReceive,
  _dependencies: AuditDependencies,
): Promise<LogFields> {
  throw new ArchiverError('Unexpected', 'Being built.');
}
