/**
 * The tombstone of an erased document. The same text is written at the keys of its receipt and of its object, so neither
 * key is ever free again and no delivery, however late, archives the document a second time.
 */
import * as v from 'valibot';
import { faultyMember } from '../faulty-member.ts';
import { type NewObject, objectInMemory } from './store.ts';

/** Longest text in characters that states on what basis a document was erased or held. */
export const maxBasisLength = 200;

const digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const instant = v.pipe(v.string(), v.isoTimestamp());

const tombstone = v.strictObject({
  v: v.literal(1),
  state: v.literal('erased'),
  documentId: v.string(),
  /** When the erasure began. */
  erasedAt: instant,
  /** Role that erased it, without its session: nothing in a tombstone is about a person. */
  erasedBy: v.string(),
  /** Reference to the reason, such as a ticket. */
  basis: v.pipe(v.string(), v.maxLength(maxBasisLength)),
  /** What was erased; a digest is absent if there was no such object. SHA-256 in lower-case hex. */
  erased: v.strictObject({
    archivedAt: v.optional(instant),
    document: v.optional(v.strictObject({ bytes: v.number(), sha256: digest })),
    receipt: v.optional(v.strictObject({ sha256: digest })),
  }),
  /** Version of the archiver that wrote the tombstone. */
  archiver: v.string(),
});

const claimJson = v.pipe(v.string(), v.parseJson(), v.object({ state: v.literal('erased') }));
const tombstoneJson = v.pipe(v.string(), v.parseJson(), tombstone);

export type Tombstone = v.InferOutput<typeof tombstone>;

export function tombstoneText(content: Tombstone): string {
  return `${JSON.stringify(content, undefined, 2)}\n`;
}

/** A tombstone as an object of the archive. */
export function tombstoneObject(
  key: string,
  content: Tombstone,
): NewObject & { body: Buffer; sha256: string } {
  return {
    ...objectInMemory(key, tombstoneText(content), 'application/json'),
    metadata: { state: 'erased' },
  };
}

/** Larger objects are not tombstones. */
export const maxTombstoneBytes = 8 * 1024;

/**
 * Reads a tombstone back.
 *
 * @param documentId the one in the object's key
 * @returns the tombstone; or what is wrong with it, in words; or undefined if the object does not claim to be one
 */
export function parseTombstone(documentId: string, body: Buffer): Tombstone | string | undefined {
  if (body.length > maxTombstoneBytes) return undefined;
  const text = body.toString('utf8');
  if (!v.is(claimJson, text)) return undefined;
  const result = v.safeParse(tombstoneJson, text);
  if (!result.success) {
    return `${faultyMember(result.issues[0])} is missing, unknown or not valid`;
  }
  const content = result.output;
  if (content.documentId !== documentId) return 'the tombstone of another document';
  // The members of the parsed content are in the order of the schema, so this detects any other text.
  return body.equals(Buffer.from(tombstoneText(content)))
    ? content
    : 'not formatted as the archiver formats it';
}
