/** What was learnt about whose document it is. Each fact is written once; an erasure removes all of a document. */
import * as v from 'valibot';

const text = v.pipe(v.string(), v.maxLength(512));

const context = v.strictObject({
  v: v.literal(1),
  documentId: v.string(),
  kind: v.picklist(['porting-order', 'port-out', 'number-order', 'link']),
  /** ID of the order or of the linked resource. */
  id: text,
  /** Type of the linked resource, such as `porting_order`. */
  type: v.optional(text),
  /** Customer reference of the order. */
  reference: v.optional(text),
  /** Phone numbers whose requirement the document meets. */
  numbers: v.optional(v.pipe(v.array(text), v.maxLength(1_000))),
  /** When it was learnt. ISO 8601. Not part of the fact. */
  learntAt: v.pipe(v.string(), v.isoTimestamp()),
  /** Version of the archiver that wrote it. */
  archiver: v.string(),
});
export type DocumentContext = v.InferOutput<typeof context>;
