/**
 * The lines of `npm start -- --json`: one object each, told apart by `type`. `docs/json-output.schema.json` is generated
 * from these schemas.
 */
import * as v from 'valibot';
import { errorCodes } from '../functions/errors.ts';
import { laneNames } from '../functions/queue/lanes.ts';
import { refusalStatus } from '../functions/webhook/handler.ts';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const time = v.pipe(v.string(), v.isoTimestamp(), v.description('When the line was printed.'));
const lane = v.picklist(laneNames);
export const errorCode = v.picklist(errorCodes);

function described<const Schema extends v.GenericSchema>(schema: Schema, text: string) {
  return v.pipe(schema, v.description(text));
}

function optional<const Schema extends v.GenericSchema>(schema: Schema, text: string) {
  return v.exactOptional(described(schema, text));
}

/** The first line, unless the start failed. */
const started = v.strictObject({
  type: v.literal('started'),
  time,
  webhookUrl: v.string(),
  publicKey: described(v.string(), 'Verifies the events of this stack. Created at each start.'),
  telnyxUrl: v.string(),
  standIn: described(v.boolean(), 'Whether Telnyx is the stand-in.'),
  apiKey: optional(v.string(), 'API key of the stand-in. The key of a real account is never printed.'),
  archive: described(v.string(), 'Folder of the archive, or the bucket of another S3.'),
  s3Endpoint: v.string(),
  bucket: optional(v.string(), 'Bucket of the archive at `s3Endpoint`. Missing if it is in another S3.'),
  sqsEndpoint: v.string(),
  queues: described(
    v.strictObject(
      v.entriesFromList(laneNames, v.strictObject({ queueUrl: v.string(), deadLetterQueueUrl: v.string() })),
    ),
    'Queues by lane.',
  ),
  region: v.string(),
  credentials: described(
    v.strictObject({ accessKeyId: v.string(), secretAccessKey: v.string() }),
    'For the local S3 and SQS.',
  ),
  metricsUrl: v.string(),
});

const entry = {
  lane,
  state: v.picklist(['archived', 'already-archived', 'erased', 'waiting', 'dead-lettered']),
  bytes: count,
  ms: described(count, 'Duration of the last receive, in milliseconds.'),
  receives: described(count, 'How often the message was received.'),
  /** Why it is waiting or became a dead letter. */
  code: v.exactOptional(errorCode),
  reason: v.exactOptional(v.string()),
};

/** A document whose state has changed. */
const document = v.strictObject({
  type: v.literal('document'),
  time,
  document: described(v.string(), 'Document ID, or the ID of a message without a readable document ID.'),
  ...entry,
});

/** A discovery message that failed. */
const discovery = v.strictObject({
  type: v.literal('discovery'),
  time,
  message: described(v.string(), 'Message ID.'),
  kind: described(v.string(), 'Kind of the message, such as `recent` for a sweep or `span`.'),
  ...entry,
});

/** A message of the audit that failed. */
const auditMessage = v.strictObject({
  type: v.literal('audit-message'),
  time,
  message: described(v.string(), 'Message ID.'),
  kind: described(v.string(), 'Kind of the message, such as `audit-part`.'),
  ...entry,
});

/** A completed run of the audit. */
const audit = v.strictObject({
  type: v.literal('audit'),
  time,
  run: described(v.string(), 'Name of the run, whose results are at `audits/<run>/`.'),
  documents: described(count, 'Documents that the run compared.'),
  findings: described(count, 'Problems, and what could not be checked.'),
});

const webhook = v.strictObject({
  type: v.literal('webhook'),
  time,
  outcome: v.picklist(['accepted', 'ignored', 'deferred', 'refused']),
  status: optional(
    count,
    'HTTP status of the response. Missing if another line follows for the rest of the event.',
  ),
  reason: optional(v.string(), `Why it was refused (${Object.keys(refusalStatus).join(', ')}) or ignored.`),
  eventType: v.exactOptional(v.string()),
  eventId: v.exactOptional(v.string()),
  queued: optional(count, 'Documents and orders that the event names.'),
});

/** Printed once, when all documents that Telnyx listed at the start are archived or dead letters. */
const summary = v.strictObject({
  type: v.literal('summary'),
  time,
  listed: described(v.boolean(), "Whether Telnyx's list of documents was read to its end."),
  found: described(count, 'Documents that Telnyx listed, including archived ones.'),
  documents: described(count, 'Documents that were queued or received.'),
  ended: described(count, 'Of these, archived, erased or dead letters.'),
  archived: count,
  alreadyArchived: count,
  erased: described(count, 'Documents that were received after their erasure.'),
  waiting: count,
  deadLettered: described(count, 'Documents and other messages that became dead letters.'),
  unreadable: described(v.boolean(), 'Whether Telnyx listed rows without a valid document ID.'),
  bytes: described(count, 'Bytes archived.'),
});

const warning = v.strictObject({ type: v.literal('warning'), time, message: v.string() });
const error = v.strictObject({
  type: v.literal('error'),
  time,
  code: v.exactOptional(errorCode),
  message: v.string(),
});
/** After Ctrl-C. */
const stopping = v.strictObject({ type: v.literal('stopping'), time });

export const startLine = v.variant('type', [
  started,
  document,
  discovery,
  auditMessage,
  audit,
  webhook,
  summary,
  warning,
  error,
  stopping,
]);

type WithoutTime<Line> = Line extends { time: string } ? Omit<Line, 'time'> : never;
/** A line before it is printed. */
export type StartEvent = WithoutTime<v.InferOutput<typeof startLine>>;
export type StartEventOf<Type extends StartEvent['type']> = Extract<StartEvent, { type: Type }>;
