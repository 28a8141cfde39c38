/** A bucket and a Telnyx account in memory, a terminal that listens, and the whole command on them. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { audit } from '../../../cli/audit/audit.ts';
import type { AuditOptions } from '../../../cli/audit/options.ts';
import type { ArchiverQueues, Target } from '../../../cli/target/target.ts';
import { type Code, kinds } from '../../../functions/audit/findings.ts';
import { documentKey, receiptKey } from '../../../functions/bucket/keys.ts';
import type { Receipt } from '../../../functions/bucket/receipts.ts';
import { createBucket } from '../../../functions/bucket/store.ts';
import { ArchiverError } from '../../../functions/errors.ts';
import type { LaneName } from '../../../functions/queue/lanes.ts';
import type { TelnyxClient } from '../../../functions/telnyx/client.ts';
import type { Random, Time } from '../../../functions/time.ts';
import type { Terminal } from '../../../terminal/terminal.ts';
import { virtualTime } from '../../fakes/clock.ts';

export const noon = Date.parse('2026-11-24T12:00:00Z');
export const day = 24 * 3_600_000;

export interface MemoryObject {
  body: Buffer;
  modified: number;
  /** Whether S3 has a SHA-256 of it, and of which bytes: it verified them when they were put. */
  verified: Buffer | undefined;
}

/** What an S3 would say no to, as an SDK error has it. */
class Refusal extends Error {
  readonly $metadata: { httpStatusCode: number };
  constructor(name: string, status: number) {
    super(name);
    this.name = name;
    this.$metadata = { httpStatusCode: status };
  }
}

export class MemoryBucket {
  readonly objects = new Map<string, MemoryObject>();
  readonly requests: string[] = [];
  /** Keys on a page of a listing. */
  pageKeys = 1_000;
  /** What the next request is refused with. */
  refuse: (operation: string, key: string) => { name: string; status: number } | undefined = () => undefined;
  readonly #time: Time;

  constructor(time: Time) {
    this.#time = time;
  }

  put(key: string, body: Buffer | string, modified: number, { verified = true } = {}): void {
    const bytes = Buffer.from(body);
    this.objects.set(key, { body: bytes, modified, verified: verified ? bytes : undefined });
  }

  text(key: string): string {
    return this.objects.get(key)?.body.toString('utf8') ?? '';
  }

  readonly send = async (command: unknown): Promise<unknown> => {
    if (command instanceof ListObjectsV2Command) {
      this.#request('list', command.input.Prefix ?? '');
      return this.#list(command.input.Prefix ?? '', command.input.StartAfter, command.input.EncodingType);
    }
    if (command instanceof HeadObjectCommand) {
      this.#request('head', command.input.Key ?? '');
      const { body, verified } = this.#existing(command.input.Key);
      return { ContentLength: body.length, ...(verified && { ChecksumSHA256: sha256(verified, 'base64') }) };
    }
    if (command instanceof GetObjectCommand) {
      this.#request('get', command.input.Key ?? '');
      const { body } = this.#existing(command.input.Key);
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(command.input.Range ?? '') ?? [];
      if (from !== undefined && body.length === 0) throw new Refusal('InvalidRange', 416);
      const part = from === undefined ? body : body.subarray(Number(from), Number(to) + 1);
      return {
        Body: Object.assign(Readable.from([part]), {
          transformToByteArray: async () => part,
          transformToString: async () => part.toString('utf8'),
        }),
      };
    }
    if (command instanceof PutObjectCommand) {
      const { Key = '', Body, IfNoneMatch } = command.input;
      this.#request('put', Key);
      if (IfNoneMatch === '*' && this.objects.has(Key)) throw new Refusal('PreconditionFailed', 412);
      const chunks: Buffer[] = [];
      if (Buffer.isBuffer(Body)) chunks.push(Body);
      else for await (const chunk of Body as AsyncIterable<Buffer>) chunks.push(chunk);
      const body = Buffer.concat(chunks);
      this.put(Key, body, this.#time.now());
      return {};
    }
    throw new Refusal('NotImplemented', 501);
  };

  #request(operation: string, key: string): void {
    this.requests.push(`${operation} ${key}`);
    const refusal = this.refuse(operation, key);
    if (refusal) throw new Refusal(refusal.name, refusal.status);
  }

  #existing(key = ''): MemoryObject {
    const object = this.objects.get(key);
    if (!object) throw new Refusal('NoSuchKey', 404);
    return object;
  }

  #list(prefix: string, after: string | undefined, encoding: string | undefined) {
    const bytes = (key: string) => Buffer.from(key);
    const keys = [...this.objects.keys()]
      .filter((key) => key.startsWith(prefix))
      .filter((key) => after === undefined || Buffer.compare(bytes(key), bytes(after)) > 0)
      .sort((a, b) => Buffer.compare(bytes(a), bytes(b)));
    const page = keys.slice(0, this.pageKeys);
    const encoded = (key: string) =>
      encoding === 'url' ? encodeURIComponent(key).replaceAll('%2F', '/').replaceAll('%20', '+') : key;
    return {
      IsTruncated: keys.length > page.length,
      Contents: page.map((key) => {
        const { body, modified } = this.#existing(key);
        return { Key: encoded(key), Size: body.length, LastModified: new Date(modified) };
      }),
    };
  }
}

export function sha256(bytes: Buffer | string, encoding: 'hex' | 'base64' = 'hex'): string {
  return createHash('sha256').update(bytes).digest(encoding);
}

export interface TelnyxRecord {
  id: string;
  created_at: string;
  filename: string;
  content_type: string;
  sha256?: string | undefined;
  size?: { unit: 'bytes'; amount: number } | undefined;
  av_scan_status: string;
}

export interface Archived {
  record: TelnyxRecord;
  body: Buffer;
}

/** What Telnyx and the archiver make of some bytes. */
export function documentOf(
  id: string,
  body: Buffer,
  { createdAt = noon - 10 * day, statesDigest = true, statesSize = true } = {},
): Archived {
  return {
    body,
    record: {
      id,
      created_at: new Date(createdAt).toISOString(),
      filename: `${id.slice(0, 4)}.pdf`,
      content_type: 'application/pdf',
      ...(statesDigest && { sha256: sha256(body) }),
      ...(statesSize && { size: { unit: 'bytes', amount: body.length } }),
      av_scan_status: 'scanned',
    },
  };
}

export function receiptOf({ record, body }: Archived): Receipt {
  return {
    v: 1,
    documentId: record.id,
    archivedAt: new Date(Date.parse(record.created_at) + 4_000).toISOString(),
    object: {
      key: documentKey(record.id),
      bytes: body.length,
      sha256: sha256(body),
      sha256StatedBy: record.sha256 === undefined ? 'archiver' : 'telnyx',
      etag: '"0123456789abcdef"',
      versionId: undefined,
    },
    request: { trigger: 'sweep', requestedAt: record.created_at, receives: 1 },
    archiver: '0.1.0',
    telnyx: { ...record },
  };
}

export function written(receipt: unknown): string {
  return `${JSON.stringify(receipt, undefined, 2)}\n`;
}

export interface Told {
  exitCode: number;
  /** Each finding as `code key`, sorted. */
  findings: string[];
  details: Map<string, string>;
  records: Record<string, unknown>[];
  printed: string;
  noted: string;
  /** Ids that were queued, and in which lane. */
  queued: { lane: string; documentId: string }[];
}

const plainOptions: AuditOptions = {
  quick: false,
  readData: 0,
  all: false,
  repair: false,
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
  /** Rows of a page of Telnyx's list. */
  let pageRows = 250;
  const telnyx: Pick<TelnyxClient, 'get'> = {
    get: async (_path, query) => {
      const after = Date.parse(query.get('filter[created_at][gt]') ?? '');
      const before = Date.parse(query.get('filter[created_at][lt]') ?? '');
      const page = Number(query.get('page[number]'));
      const chosen = [...account.values()]
        .filter(({ created_at }) => Date.parse(created_at) > after && Date.parse(created_at) < before)
        .sort((a, b) =>
          b.created_at < a.created_at ? -1 : b.created_at > a.created_at ? 1 : a.id < b.id ? -1 : 1,
        );
      const rateLimit = { limit: undefined, remaining: undefined, resetMs: undefined };
      return { body: { data: chosen.slice((page - 1) * pageRows, page * pageRows) }, rateLimit };
    },
  };

  const archive = (archived: Archived, { verified = true } = {}) => {
    const modified = Date.parse(archived.record.created_at) + 4_000;
    account.set(archived.record.id, archived.record);
    bucket.put(documentKey(archived.record.id), archived.body, modified, { verified });
    bucket.put(receiptKey(archived.record.id), written(receiptOf(archived)), modified, { verified });
  };

  const run = async (
    options: Partial<AuditOptions> = {},
    signal = new AbortController().signal,
    deploymentChanges: Partial<Target> = {},
  ): Promise<Told> => {
    const told: Told = {
      exitCode: -1,
      findings: [],
      details: new Map(),
      records: [],
      printed: '',
      noted: '',
      queued: [],
    };
    const terminal: Terminal = {
      json: false,
      print: (text) => {
        told.printed += `${text}\n`;
      },
      record: (value) => {
        const record = JSON.parse(JSON.stringify(value));
        told.records.push(record);
        if (record.type !== 'finding') return;
        told.findings.push(`${record.code} ${record.key}`);
        told.details.set(`${record.code} ${record.key}`, record.detail);
      },
      note: (text) => {
        told.noted += `${text}\n`;
      },
      progress: (describe) => {
        describe();
        return { stop: () => undefined };
      },
      paint: (_style, text) => text,
      clear: () => undefined,
      confirm: async () => false,
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
          told.queued.push({ lane: input.QueueUrl, documentId: JSON.parse(MessageBody).documentId });
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
        },
      }),
      telnyx: async () => telnyx as TelnyxClient,
      metrics: async () => undefined,
      oldestAge: async () => undefined,
      alarms: async () => undefined,
      pace: { pollMs: 1, countsLagMs: 1 },
      close: async () => undefined,
      ...deploymentChanges,
    };
    told.exitCode = await audit({ ...plainOptions, ...options }, { target, terminal, time, random, signal });
    told.findings.sort();
    return told;
  };

  return {
    time,
    bucket,
    account,
    archive,
    run,
    setPageRows: (rows: number) => {
      pageRows = rows;
    },
    breakTelnyx: () => {
      telnyx.get = async () => {
        throw new ArchiverError('ApiKeyRejected', 'The key is not valid.');
      };
    },
  };
}

/** As the command lists them: the defects among `code key`. */
export function defectsAmong(findings: readonly string[]): string[] {
  return findings.filter((finding) => kinds[finding.split(' ')[0] as Code].weight !== 'fine');
}
