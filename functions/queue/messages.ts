/**
 * The messages of all queues: a versioned discriminated union with one parser and one serialiser (`serialise.ts`).
 * Messages carry ids and their origin, never payloads.
 */
import * as v from 'valibot';
import { isRunName, parsePartName } from '../audit-names.ts';
import { ArchiverError } from '../errors.ts';
import { isInstant } from '../time.ts';
import { type EventOrigin, triggers } from '../trigger.ts';
import { isUuid, uuidPattern } from '../uuid.ts';

const uuid = v.pipe(v.string(), v.regex(uuidPattern));
const instant = v.pipe(v.string(), v.maxLength(64), v.check(isInstant));
const shortText = v.pipe(v.string(), v.maxLength(200));

const eventOrigin = v.strictObject({
  id: shortText,
  type: shortText,
  occurredAt: shortText,
} satisfies Record<keyof EventOrigin, unknown>);

const documentMessage = v.strictObject({
  v: v.literal(1),
  kind: v.literal('document'),
  documentId: uuid,
  trigger: v.picklist(triggers),
  event: v.optional(eventOrigin),
  requestedAt: instant,
});
/** Asks to archive one document. Sent to the `documents` and `backfill` queues. */
export type DocumentMessage = v.InferOutput<typeof documentMessage>;

const order = { v: v.literal(1), orderId: uuid, event: v.optional(eventOrigin), requestedAt: instant };
const discoveryMessages = [
  v.strictObject({ ...order, kind: v.literal('porting-order') }),
  v.strictObject({ ...order, kind: v.literal('port-out') }),
  v.strictObject({ ...order, kind: v.literal('number-order') }),
  v.strictObject({ v: v.literal(1), kind: v.literal('recent'), requestedAt: instant }),
  v.strictObject({
    v: v.literal(1),
    kind: v.literal('span'),
    createdAfter: instant,
    createdBefore: instant,
    requestedAt: instant,
  }),
] as const;
const discoveryMessage = v.variant('kind', discoveryMessages);
/**
 * Asks to find documents: `span` is sent to the `spans` queue, the other kinds to `discovery`. The span includes both
 * `createdAfter` and `createdBefore`.
 */
export type DiscoveryMessage = v.InferOutput<typeof discoveryMessage>;

const auditMessages = [
  v.strictObject({
    v: v.literal(1),
    kind: v.literal('audit-start'),
    /** Read everything, whatever earlier runs have read. */
    full: v.optional(v.literal(true)),
    requestedAt: instant,
  }),
  v.strictObject({
    v: v.literal(1),
    kind: v.literal('audit-part'),
    run: v.pipe(v.string(), v.check(isRunName)),
    part: v.pipe(
      v.string(),
      v.check((name) => parsePartName(name) !== undefined),
    ),
    requestedAt: instant,
  }),
] as const;
const auditMessage = v.variant('kind', auditMessages);
/** Sent to the `audit` queue: `audit-start` begins a run of the audit, `audit-part` asks for one part of it. */
export type AuditMessage = v.InferOutput<typeof auditMessage>;
export type AuditStartMessage = Extract<AuditMessage, { kind: 'audit-start' }>;
export type AuditPartMessage = Extract<AuditMessage, { kind: 'audit-part' }>;

export type QueueMessage = DocumentMessage | DiscoveryMessage | AuditMessage;

/**
 * Parses a message of the `documents` or `backfill` queue. A body that is only a UUID is an operator's request, so
 * that `aws sqs send-message --message-body <uuid>` works.
 *
 * @param sentAt SQS's `SentTimestamp`; becomes `requestedAt` of a body that is only a UUID
 * @throws ArchiverError MalformedMessage, UnknownMessageKind or UnknownMessageVersion
 */
export function parseDocumentMessage(body: string, sentAt: Date): DocumentMessage {
  const trimmed = body.trim();
  if (isUuid(trimmed)) {
    return {
      v: 1,
      kind: 'document',
      documentId: trimmed,
      trigger: 'operator',
      requestedAt: sentAt.toISOString(),
    };
  }
  return parse(documentMessage, ['document'], body);
}

/**
 * Parses a message of the `discovery` or `spans` queue. Each queue accepts the messages of both.
 *
 * @throws ArchiverError MalformedMessage, UnknownMessageKind or UnknownMessageVersion
 */
export function parseDiscoveryMessage(body: string): DiscoveryMessage {
  return parse(
    discoveryMessage,
    discoveryMessages.map((message) => message.entries.kind.literal),
    body,
  );
}

/** @throws ArchiverError MalformedMessage, UnknownMessageKind or UnknownMessageVersion */
export function parseAuditMessage(body: string): AuditMessage {
  return parse(
    auditMessage,
    auditMessages.map((message) => message.entries.kind.literal),
    body,
  );
}

function parse<Schema extends v.GenericSchema>(
  schema: Schema,
  kinds: readonly string[],
  body: string,
): v.InferOutput<Schema> {
  const message = parseJson(body);
  const head = v.safeParse(v.object({ v: v.number(), kind: v.string() }), message);
  if (!head.success) throw malformed('`v` (a number) and `kind` (a string) are required');
  if (head.output.v !== 1) {
    throw new ArchiverError(
      'UnknownMessageVersion',
      'This release does not support the version of the message. Deploy the release that sent it, then redrive.',
      // Another attempt within this receive cannot succeed.
      { conclusive: true },
    );
  }
  if (!kinds.includes(head.output.kind)) {
    throw new ArchiverError(
      'UnknownMessageKind',
      `This queue accepts messages of kind ${kinds.join(', ')}. Send the message to the queue for its kind.`,
    );
  }
  const result = v.safeParse(schema, message);
  if (!result.success) {
    throw malformed(`${v.getDotPath(result.issues[0])} is missing, unknown or invalid`);
  }
  return result.output;
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    // The parser's own error quotes the body, which may hold secrets.
    throw malformed('the body is not valid JSON');
  }
}

function malformed(problem: string): ArchiverError {
  return new ArchiverError(
    'MalformedMessage',
    `Invalid message: ${problem}. Send JSON as described in docs/architecture.md; the documents and backfill queues also accept a document ID alone.`,
  );
}
