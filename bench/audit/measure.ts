/** One audit by a process of its own. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { exactly, type Measured } from '../figures.ts';
import { openArchive } from './archive.ts';
import type { AuditJob, AuditOutcome } from './worker.ts';

/** @throws Error unless the audit finds exactly the planted defects */
export async function measureAudit(count: number, flags: readonly string[]): Promise<Measured> {
  const archive = await openArchive(count);
  try {
    const job: AuditJob = { endpoint: archive.endpoint, flags };
    const child: ChildProcess = fork(new URL('./worker.ts', import.meta.url), { execArgv: [] });
    child.send(job);
    const outcome = await Promise.race([
      once(child, 'message').then(([told]) => told as AuditOutcome),
      once(child, 'exit').then(([code]) => Promise.reject(new Error(`The audit ended with ${code}.`))),
    ]);
    child.kill();
    if (outcome.findings !== archive.defects) {
      throw new Error(`The audit found ${outcome.findings} of ${archive.defects} defects.`);
    }
    const asked = (operation: string) => exactly(archive.requests.get(operation) ?? 0);
    return {
      name: `${count.toLocaleString('en')} ${flags.join(' ')}`,
      values: {
        seconds: exactly(outcome.seconds),
        'peak MB': exactly(outcome.peakMb),
        'of it before, MB': exactly(outcome.idleMb),
        'S3 listings': asked('list'),
        'S3 GET': asked('get'),
        'S3 HEAD': asked('head'),
        'Telnyx requests': asked('telnyx'),
        findings: exactly(outcome.findings),
      },
    };
  } finally {
    archive.close();
  }
}
