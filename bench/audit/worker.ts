/** Process that runs one audit and reports duration and memory. */
import { Command } from 'commander';
import { auditCommand } from '../../cli/commands/audit.ts';
import type { Target } from '../../cli/target/target.ts';
import { telnyxAt } from '../../cli/target/telnyx.ts';
import { createS3Client } from '../../functions/bucket/s3-client.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { systemTime as time } from '../../functions/time.ts';
import { createTerminal } from '../../terminal/terminal.ts';
import { peakMb } from '../peak-memory.ts';

export interface AuditJob {
  endpoint: string;
  flags: readonly string[];
}

export interface AuditOutcome {
  exitCode: number;
  findings: number;
  seconds: number;
  /** Peak resident set size. */
  peakMb: number;
  idleMb: number;
}

process.once('message', async ({ endpoint, flags }: AuditJob) => {
  const command = auditCommand.configure(new Command('audit'));
  command.parse([...flags], { from: 'user' });
  const s3 = createS3Client({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'a-secret-of-the-bench' },
    forcePathStyle: true,
  });
  const none = async () => undefined;
  const target: Target = {
    name: 'the bench',
    bucket: async () => ({ s3, name: 'archive', bucket: createBucket({ s3, name: 'archive', time }) }),
    queues: async () => {
      throw new Error('The benchmark has no queues.');
    },
    telnyx: async () => telnyxAt(new URL(`${endpoint}/v2`), 'KEY0123456789ABCDEF', time),
    metrics: none,
    oldestAge: none,
    catalogue: none,
    alarms: none,
    operator: async () => ({ role: 'local' }),
    checks: async () => [],
    options: [],
    polling: { intervalMs: 1_000, countsLagMs: 1_000 },
    close: async () => s3.destroy(),
  };
  let findings = 0;
  const { stdin, stdout, stderr } = process;
  const terminal = createTerminal({ json: false, time, stdin, stdout, stderr });
  const idleMb = peakMb();
  const started = time.monotonic();
  const exitCode = await auditCommand.run(
    {
      target,
      terminal: {
        ...terminal,
        print: () => undefined,
        record: (value) => {
          if ('type' in value && value.type === 'finding') findings += 1;
        },
      },
      time,
      random: Math.random,
      signal: new AbortController().signal,
    },
    command,
  );
  const seconds = (time.monotonic() - started) / 1_000;
  process.send?.({ exitCode, findings, seconds, peakMb: peakMb(), idleMb } satisfies AuditOutcome);
});
