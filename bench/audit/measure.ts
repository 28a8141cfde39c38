/** Measures one audit in a separate process. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { exact, type Row } from '../figures.ts';
import { generateArchive, serveArchive } from './archive.ts';
import type { AuditJob, AuditOutcome } from './worker.ts';

/** @throws Error unless the number of findings equals the number of seeded defects */
export async function measureAudit(count: number, flags: readonly string[]): Promise<Row> {
  const archive = generateArchive({ documents: count, defectEach: 10_000 });
  const { endpoint, close } = await serveArchive(archive);
  try {
    const job: AuditJob = { endpoint, flags };
    const child: ChildProcess = fork(new URL('./worker.ts', import.meta.url), { execArgv: [] });
    child.send(job);
    const outcome = await Promise.race([
      once(child, 'message').then(([message]) => message as AuditOutcome),
      once(child, 'exit').then(([code]) => Promise.reject(new Error(`The audit exited with code ${code}.`))),
    ]);
    child.kill();
    if (outcome.findings !== archive.defects) {
      throw new Error(`The audit found ${outcome.findings} defects instead of ${archive.defects}.`);
    }
    const requests = (operation: string) => exact(archive.requests.get(operation) ?? 0);
    return {
      name: `${count.toLocaleString('en')} ${flags.join(' ')}`,
      values: {
        seconds: exact(outcome.seconds),
        'peak MB': exact(outcome.peakMb),
        'before the audit, MB': exact(outcome.idleMb),
        'S3 listings': requests('list'),
        'S3 GET': requests('get'),
        'S3 HEAD': requests('head'),
        'Telnyx requests': requests('telnyx'),
        findings: exact(outcome.findings),
      },
    };
  } finally {
    close();
  }
}
