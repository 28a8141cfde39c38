/**
 * What travels through the queues: ids and where they came from, never payloads. One versioned union, one
 * parser, one serialiser.
 */
import * as v from 'valibot';
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
/** "Archive this document": on the `documents` and `backfill` queues. */
export type DocumentMessage = v.InferOutput<typeof documentMessage>;

const order = { v: v.literal(1), orderId: uuid, event: v.optional(eventOrigin), requestedAt: instant };
const discoveryMessages = [
  v.strictObject({ ...order, kind: v.literal('porting-order') }),
  v.strictObject({ ...order, kind: v.literal('port-out') }),
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
 * "Find out which documents there are": spans on the `spans` queue, all else on `discovery`. `createdAfter` and
 * `createdBefore` are exclusive.
 */
export type DiscoveryMessage = v.InferOutput<typeof discoveryMessage>;

export type QueueMessage = DocumentMessage | DiscoveryMessage;

/**
 * Reads a message of the `documents` or `backfill` queue. A body that is just a UUID is an operator's request,
 * so that `aws sqs send-message --message-body <uuid>` works.
 *
 * @param sentAt when SQS took the message, for bodies that do not say
 * @throws ArchiverError MalformedMessage, UnknownMessageKind or UnknownMessageVersion
 */
export function parseDocumentMessage(body: string, sentAt: Date): DocumentMessage {
  const bare = body.trim();
  if (isUuid(bare)) {
    return {
      v: 1,
      kind: 'document',
      documentId: bare,
      trigger: 'operator',
      requestedAt: sentAt.toISOString(),
    };
  }
  return parse(documentMessage, ['document'], body);
}

/**
 * Reads a message of the `discovery` or `spans` queue. Either is read in both.
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

function parse<Schema extends v.GenericSchema>(
  schema: Schema,
  kinds: readonly string[],
  body: string,
): v.InferOutput<Schema> {
  const message = parseJson(body);
  const head = v.safeParse(v.object({ v: v.number(), kind: v.string() }), message);
  if (!head.success) throw malformed('it has no version `v` and `kind`');
  if (head.output.v !== 1) {
    throw new ArchiverError(
      'UnknownMessageVersion',
      'The message has a version that this release does not know. Deploy the release that sent it, then redrive.',
      // Reading it a second time within this receive would not end differently.
      { conclusive: true },
    );
  }
  if (!kinds.includes(head.output.kind)) {
    throw new ArchiverError(
      'UnknownMessageKind',
      `This queue carries messages of kind ${kinds.join(', ')}. Send the message to the queue that it is meant for.`,
    );
  }
  const result = v.safeParse(schema, message);
  if (!result.success) {
    throw malformed(`${v.getDotPath(result.issues[0])} is missing, unknown or not as it should be`);
  }
  return result.output;
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    // The parser's own message quotes the body, which may be anything.
    throw malformed('it is neither JSON nor a lower-case UUID');
  }
}

function malformed(what: string): ArchiverError {
  return new ArchiverError(
    'MalformedMessage',
    `The message cannot be read: ${what}. Send {"v":1,"kind":…} as docs/architecture.md describes, or a document id alone.`,
  );
}
