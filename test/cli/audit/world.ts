/** Runs the complete audit on a bucket and a Telnyx account in memory, and records its output. */
import type { S3Client } from '@aws-sdk/client-s3';
import { audit } from '../../../cli/audit/audit.ts';
import type { AuditOptions } from '../../../cli/audit/options.ts';
import type { ArchiverQueues, Target } from '../../../cli/target/target.ts';
import { type FindingCode, findingKinds } from '../../../functions/audit/findings.ts';
import { documentKey, receiptKey } from '../../../functions/bucket/keys.ts';
import { createBucket } from '../../../functions/bucket/store.ts';
import { ArchiverError } from '../../../functions/errors.ts';
import type { LaneName } from '../../../functions/queue/lanes.ts';
import type { TelnyxClient } from '../../../functions/telnyx/client.ts';
import type { Random, Time } from '../../../functions/time.ts';
import type { ProgressState } from '../../../terminal/progress.ts';
import { asStyled } from '../../../terminal/styled.ts';
import type { Terminal } from '../../../terminal/terminal.ts';
import { virtualTime } from '../../fakes/clock.ts';
import { type Archived, noon, receiptOf, type TelnyxRecord, written } from '../../fakes/documents.ts';
import { MemoryBucket } from '../../fakes/memory-bucket.ts';
import { pageOf } from '../../fakes/telnyx-list.ts';

export interface AuditOutcome {
  exitCode: number;
  /** Each finding as `code key`, sorted. */
  findings: string[];
  details: Map<string, string>;
  records: Record<string, unknown>[];
  printed: string;
  noted: string;
  /** The state of the progress at each finding. */
  progress: ProgressState[];
  /** Queued document IDs, and the lane of each. */
  queued: { lane: string; documentId: string }[];
}

const defaultOptions: AuditOptions = {
  quick: false,
  readData: 0,
  all: false,
  repair: false,
  dryRun: false,
  telnyx: true,
  graceMinutes: 15,
  manifest: undefined,
  acceptReceipts: false,
  expectManifest: undefined,
  html: undefined,
};

export function createWorld({
  random = Math.random,
  time = virtualTime(noon),
}: {
  random?: Random;
  time?: Time;
} = {}) {
  const bucket = new MemoryBucket(time);
  const account = new Map<string, TelnyxRecord>();
  /** Rows per page of Telnyx's list. */
  let pageRows = 250;
  const telnyx: Pick<TelnyxClient, 'get'> = {
    get: async (_path, query) => {
      const rows = [...account.values()].map((record) => ({
        id: record.id,
        createdAt: Date.parse(record.created_at),
        record,
      }));
      const data = pageOf(rows, query, { pageRows }).map(({ record }) => record);
      const rateLimit = { limit: undefined, remaining: undefined, resetMs: undefined };
      return { body: { data }, rateLimit };
    },
  };

  const archive = (archived: Archived, { verified = true } = {}) => {
    const modified = Date.parse(archived.record.created_at) + 4_000;
    account.set(archived.record.id, archived.record);
    bucket.put(documentKey(archived.record.id), archived.body, modified, { verified });
    bucket.put(receiptKey(archived.record.id), written(receiptOf(archived)), modified, { verified });
  };

  /** Changes an object in place, as on a disk: without leaving its version. */
  const replace: MemoryBucket['put'] = (key, ...content) => {
    bucket.objects.delete(key);
    bucket.put(key, ...content);
  };

  /** What was printed before each time that the progress was stopped. */
  const stoppedAfter: string[] = [];

  const run = async (
    options: Partial<AuditOptions> = {},
    signal = new AbortController().signal,
    targetChanges: Partial<Target> = {},
  ): Promise<AuditOutcome> => {
    const outcome: AuditOutcome = {
      exitCode: -1,
      findings: [],
      details: new Map(),
      records: [],
      printed: '',
      noted: '',
      progress: [],
      queued: [],
    };
    let describeProgress: (() => ProgressState) | undefined;
    const terminal: Terminal = {
      json: false,
      columns: undefined,
      print: (...lines) => {
        for (const line of lines) outcome.printed += `${asStyled(line).plain}\n`;
      },
      record: (value) => {
        const record = JSON.parse(JSON.stringify(value));
        outcome.records.push(record);
        if (record.type !== 'finding') return;
        if (describeProgress) outcome.progress.push(describeProgress());
        outcome.findings.push(`${record.code} ${record.key}`);
        outcome.details.set(`${record.code} ${record.key}`, record.detail);
      },
      note: (...lines) => {
        for (const line of lines) outcome.noted += `${asStyled(line).plain}\n`;
      },
      progress: (describe) => {
        describeProgress = describe;
        return { stop: () => stoppedAfter.push(outcome.printed) };
      },
      paint: (_style, text) => asStyled(text),
      clear: () => undefined,
      confirm: async () => false,
      ask: async () => '',
    };
    const lane = (name: LaneName) => ({
      live: true,
      name,
      queueUrl: name,
      deadLetterQueueUrl: `${name}-dead-letters`,
    });
    const sqs = {
      send: async ({
        input,
      }: {
        input: { QueueUrl: string; Entries: { Id: string; MessageBody: string }[] };
      }) => {
        for (const { MessageBody } of input.Entries) {
          outcome.queued.push({ lane: input.QueueUrl, documentId: JSON.parse(MessageBody).documentId });
        }
        return { Successful: input.Entries.map(({ Id }) => ({ Id })) };
      },
    } as unknown as ArchiverQueues['sqs'];
    const s3 = { send: bucket.send } as unknown as S3Client;
    const target: Target = {
      name: 'memory',
      bucket: async () => ({ s3, name: 'archive', bucket: createBucket({ s3, name: 'archive', time }) }),
      queues: async () => ({
        sqs,
        lanes: {
          documents: lane('documents'),
          backfill: lane('backfill'),
          discovery: lane('discovery'),
          spans: lane('spans'),
          audit: lane('audit'),
        },
      }),
      catalogue: async () => undefined,
      telnyx: async () => telnyx as TelnyxClient,
      metrics: async () => undefined,
      oldestAge: async () => undefined,
      alarms: async () => undefined,
      operator: async () => ({ role: 'local' }),
      checks: async () => [],
      options: [],
      polling: { intervalMs: 1, countsLagMs: 1 },
      close: async () => undefined,
      ...targetChanges,
    };
    outcome.exitCode = await audit(
      { ...defaultOptions, ...options },
      { target, terminal, time, random, signal },
    );
    outcome.findings.sort();
    return outcome;
  };

  return {
    time,
    bucket,
    account,
    archive,
    replace,
    run,
    stoppedAfter,
    setPageRows: (rows: number) => {
      pageRows = rows;
    },
    breakTelnyx: () => {
      telnyx.get = async () => {
        throw new ArchiverError('ApiKeyRejected', 'The API key is not valid.');
      };
    },
  };
}

/** The findings, as `code key`, that are problems or could not be checked. */
export function problemsAmong(findings: readonly string[]): string[] {
  return findings.filter((finding) => findingKinds[finding.split(' ')[0] as FindingCode].weight !== 'fine');
}
