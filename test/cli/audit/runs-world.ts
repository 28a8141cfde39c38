/** Runs commands on the runs of the audit function in a bucket in memory. */
import type { CommandContext } from '../../../cli/command.ts';
import { archiverLines } from '../../../cli/json-lines.ts';
import type { Operator, Target } from '../../../cli/target/target.ts';
import { documentKey, receiptKey } from '../../../functions/bucket/keys.ts';
import { createBucket } from '../../../functions/bucket/store.ts';
import { asStyled } from '../../../terminal/styled.ts';
import { putRun, type RunOptions } from '../../fakes/audit-runs.ts';
import { virtualTime } from '../../fakes/clock.ts';
import { documentOf, noon, receiptOf, written } from '../../fakes/documents.ts';
import { MemoryBucket } from '../../fakes/memory-bucket.ts';
import { memoryLanes, memorySqs } from '../../fakes/memory-sqs.ts';
import { recordingTerminal } from '../world.ts';

export const documentId = (number: number) => `5a3b1e00-0000-4000-8000-${String(number).padStart(12, '0')}`;

export function startRunsWorld({
  hasAuditLane = true,
  operator = { role: 'arn:aws:iam::123456789012:role/Auditor', session: 'jo' } as Operator,
} = {}) {
  const time = virtualTime(noon);
  const bucket = new MemoryBucket(time);
  const memory = memorySqs();
  const s3 = { send: bucket.send } as never;
  const archive = { s3, name: 'archive', bucket: createBucket({ s3, name: 'archive', time }) };
  const target = {
    name: 'telnyx-archiver in eu-central-1',
    options: [],
    bucket: async () => archive,
    queues: async () => ({
      sqs: memory.sqs,
      lanes: { ...memoryLanes, ...(!hasAuditLane && { audit: undefined }) },
    }),
    operator: async () => operator,
    telnyx: async () => {
      throw new Error('TELNYX_API_KEY is not set.');
    },
  } as unknown as Target;
  return {
    ...memory,
    time,
    bucket,
    putRun: (run: string, options?: RunOptions) => putRun(bucket, run, options),
    /** Archives a document with this name, or only its receipt. */
    archive: (number: number, fileName: string) => {
      const archived = documentOf(documentId(number), Buffer.from(`document ${number}`));
      archived.record.filename = fileName;
      archived.record.customer_reference = `PO-${number}`;
      bucket.put(documentKey(archived.record.id), archived.body, noon);
      bucket.put(receiptKey(archived.record.id), written(receiptOf(archived)), noon);
    },
    run: async (command: (context: CommandContext) => Promise<number>) => {
      const { terminal, result } = recordingTerminal({ schema: archiverLines.audit });
      const random = () => 0.5;
      const { signal } = new AbortController();
      const painted = { ...terminal, paint: (_style: unknown, text: never) => asStyled(text) };
      result.exitCode = await command({ target, terminal: painted, time, random, signal });
      return result;
    },
  };
}
