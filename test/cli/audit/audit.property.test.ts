/** Random archives with every type of defect: the audit reports exactly these. */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { documentKey, receiptKey } from '../../../functions/bucket/keys.ts';
import type { Receipt } from '../../../functions/bucket/receipts.ts';
import { type Tombstone, tombstoneObject } from '../../../functions/bucket/tombstones.ts';
import { createAuditFunction } from '../../fakes/audit-function.ts';
import { virtualTime } from '../../fakes/clock.ts';
import {
  type Archived,
  day,
  documentOf,
  noon,
  receiptOf,
  type TelnyxRecord,
  written,
} from '../../fakes/documents.ts';
import { type MemoryBucket, sha256 } from '../../fakes/memory-bucket.ts';
import { propertyRuns } from '../../fuzz-runs.ts';
import { createWorld, problemsAmong } from './world.ts';

interface DocumentPlan {
  body: Buffer;
  statesDigest: boolean;
  statesSize: boolean;
  /** Whether S3 has a SHA-256 of object and receipt. */
  verified: boolean;
  /** Whether a manifest names the document. */
  isNamed: boolean;
  defect: keyof typeof defects;
  /** Whether it is still at Telnyx. */
  stays: boolean;
}

interface Situation {
  plan: DocumentPlan;
  archived: Archived;
  bucket: MemoryBucket;
  /** Changes an object in place. */
  replace: MemoryBucket['put'];
  account: Map<string, TelnyxRecord>;
  readsData: boolean;
}

/** Damages an archived document; returns the findings that the audit must report. */
type ApplyDefect = (situation: Situation) => string[];

const defects = {
  none: () => [],
  missing: ({ plan, archived, bucket, account }) => {
    const { id } = archived.record;
    bucket.objects.delete(documentKey(id));
    bucket.objects.delete(receiptKey(id));
    if (plan.isNamed) return [`lost ${documentKey(id)}`];
    account.set(id, archived.record);
    return [`missing ${documentKey(id)}`];
  },
  infected: ({ plan, archived, bucket, account }) => {
    const { id } = archived.record;
    account.set(id, { ...archived.record, av_scan_status: 'infected' });
    if (plan.isNamed) return [];
    bucket.objects.delete(documentKey(id));
    bucket.objects.delete(receiptKey(id));
    return [`infected ${documentKey(id)}`];
  },
  'too young': ({ plan, archived, bucket, account }) => {
    const { id } = archived.record;
    if (plan.isNamed) return [];
    bucket.objects.delete(documentKey(id));
    bucket.objects.delete(receiptKey(id));
    account.set(id, { ...archived.record, created_at: new Date(noon - 14 * 60_000).toISOString() });
    return [`pending ${documentKey(id)}`];
  },
  'no receipt yet': ({ plan, archived, bucket, replace }) => {
    const { id } = archived.record;
    bucket.objects.delete(receiptKey(id));
    if (plan.isNamed) return [`no-receipt ${documentKey(id)}`];
    replace(documentKey(id), archived.body, noon - 60_000);
    return [`pending ${documentKey(id)}`];
  },
  'object deleted': ({ archived, bucket }) => {
    bucket.objects.delete(documentKey(archived.record.id));
    return [`no-object ${documentKey(archived.record.id)}`];
  },
  'receipt deleted': ({ archived, bucket }) => {
    bucket.objects.delete(receiptKey(archived.record.id));
    return [`no-receipt ${documentKey(archived.record.id)}`];
  },
  'byte flipped': ({ plan, archived, replace }) => {
    const key = documentKey(archived.record.id);
    replace(key, flipped(archived.body), noon - day, plan);
    return [`checksum-differs ${key}`];
  },
  'byte flipped without S3 noticing': ({ plan, archived, replace, readsData }) => {
    const key = documentKey(archived.record.id);
    replace(key, flipped(archived.body), noon - day, { verified: plan.verified && archived.body });
    return readsData || !plan.verified ? [`checksum-differs ${key}`] : [];
  },
  'byte added': ({ plan, archived, replace }) => {
    const key = documentKey(archived.record.id);
    replace(key, Buffer.concat([archived.body, Buffer.from('.')]), noon - day, plan);
    return [`size-differs ${key}`];
  },
  'receipt: cut off': alterReceipt((text) => text.slice(0, -20)),
  'receipt: empty': alterReceipt(() => ''),
  'receipt: one line': alterReceipt((text) => JSON.stringify(JSON.parse(text))),
  'receipt: a field more': alterReceipt(changed((receipt) => ({ ...receipt, approved: true }))),
  'receipt: a field less': alterReceipt(changed(({ archivedAt: _, ...receipt }) => receipt)),
  'receipt: another document': alterReceipt(
    changed((receipt) => ({ ...receipt, documentId: '00000000-0000-4000-8000-ffffffffffff' })),
  ),
  'receipt: another key': alterReceipt(
    changed((receipt) => ({ ...receipt, object: { ...receipt.object, key: 'documents/x' } })),
  ),
  'receipt: another record': alterReceipt(
    changed((receipt) => ({ ...receipt, telnyx: { ...receipt.telnyx, id: 'x' } })),
  ),
  'receipt: another digest': (situation) => {
    const digest = sha256('other bytes');
    const found = alterReceipt(
      changed((receipt) => ({ ...receipt, object: { ...receipt.object, sha256: digest } })),
    )(situation);
    const { plan, archived } = situation;
    // Only the receipt states the digest, so the audit cannot tell which of the two is wrong.
    return plan.statesDigest || plan.isNamed
      ? found
      : [`checksum-differs ${documentKey(archived.record.id)}`];
  },
  'receipt: another size': (situation) => {
    const found = alterReceipt(
      changed((receipt) => ({ ...receipt, object: { ...receipt.object, bytes: receipt.object.bytes + 1 } })),
    )(situation);
    const { plan, archived } = situation;
    return plan.statesSize || plan.isNamed ? found : [`size-differs ${documentKey(archived.record.id)}`];
  },
  'receipt: another file name': (situation) => {
    const found = alterReceipt(
      changed((receipt) => ({ ...receipt, telnyx: { ...receipt.telnyx, filename: 'other.pdf' } })),
    )(situation);
    // Telnyx allows renaming at any time, so only a manifest shows the change.
    return situation.plan.isNamed ? found : [];
  },
  'object and receipt replaced': ({ plan, archived, replace, account }) => {
    const { id } = archived.record;
    const other = { ...archived, body: flipped(archived.body) };
    const record = { ...archived.record, ...(plan.statesDigest && { sha256: sha256(other.body) }) };
    replace(documentKey(id), other.body, noon - day, plan);
    replace(receiptKey(id), written(receiptOf({ body: other.body, record })), noon - day, plan);
    if (plan.isNamed) return [`checksum-differs ${documentKey(id)}`, `receipt-altered ${receiptKey(id)}`];
    return account.get(id)?.sha256 === undefined ? [] : [`telnyx-differs ${documentKey(id)}`];
  },
  'another digest at Telnyx': ({ archived, account }) => {
    const { id } = archived.record;
    account.set(id, { ...archived.record, sha256: sha256('other bytes') });
    return [`telnyx-differs ${documentKey(id)}`];
  },
  'another size at Telnyx': ({ archived, account }) => {
    const { id } = archived.record;
    account.set(id, { ...archived.record, size: { unit: 'bytes', amount: archived.body.length + 1 } });
    return [`telnyx-differs ${documentKey(id)}`];
  },
  'another time at Telnyx': ({ archived, account }) => {
    const { id, created_at } = archived.record;
    account.set(id, {
      ...archived.record,
      created_at: new Date(Date.parse(created_at) - 60_000).toISOString(),
    });
    return [`telnyx-differs ${documentKey(id)}`];
  },
  'object written again': ({ archived, bucket }) => {
    bucket.put(documentKey(archived.record.id), archived.body, noon - day);
    return [`overwritten ${documentKey(archived.record.id)}`];
  },
  'receipt written again': ({ archived, bucket }) => {
    const key = receiptKey(archived.record.id);
    bucket.put(key, bucket.text(key), noon - day);
    return [`overwritten ${key}`];
  },
  'object hidden': ({ archived, bucket }) => {
    bucket.versioned.delete(documentKey(archived.record.id));
    return [`hidden ${documentKey(archived.record.id)}`];
  },
  'receipt hidden': ({ archived, bucket }) => {
    bucket.versioned.delete(receiptKey(archived.record.id));
    return [`hidden ${receiptKey(archived.record.id)}`];
  },
  'object and receipt hidden': ({ archived, bucket }) => {
    const keys = [documentKey, receiptKey].map((keyOf) => keyOf(archived.record.id));
    for (const key of keys) bucket.versioned.delete(key);
    return keys.map((key) => `hidden ${key}`);
  },
  'delete marker removed': ({ archived, bucket }) => {
    const key = documentKey(archived.record.id);
    bucket.versioned.delete(key, bucket.versioned.delete(key)?.versionId);
    return [];
  },
  'hidden and written again': ({ archived, bucket }) => {
    const key = documentKey(archived.record.id);
    bucket.versioned.delete(key);
    bucket.put(key, archived.body, noon - day);
    return [`overwritten ${key}`];
  },
  erased: (situation) => {
    bury(situation, documentKey, receiptKey);
    return [`erased ${documentKey(situation.archived.record.id)}`];
  },
  'erased: versions left': ({ archived, bucket, ...rest }) => {
    const { body } = archived;
    const key = documentKey(archived.record.id);
    bury({ archived, bucket, ...rest }, receiptKey, documentKey);
    const tombstone = bucket.versioned.current(key);
    bucket.objects.delete(key);
    bucket.put(key, body, noon - day);
    bucket.versioned.put(key, Buffer.from(tombstone?.body ?? ''), { metadata: { state: 'erased' } });
    return [`erasure-unfinished ${key}`];
  },
  'erased: at the receipt only': (situation) => {
    bury(situation, receiptKey);
    return [`erasure-unfinished ${documentKey(situation.archived.record.id)}`];
  },
  'erased: at the object only': (situation) => {
    bury(situation, documentKey);
    return [`erasure-unfinished ${documentKey(situation.archived.record.id)}`];
  },
  'erased: receipt gone': (situation) => {
    bury(situation, documentKey);
    situation.bucket.objects.delete(receiptKey(situation.archived.record.id));
    return [`erasure-unfinished ${documentKey(situation.archived.record.id)}`];
  },
  'erased: hidden afterwards': (situation) => {
    const { id } = situation.archived.record;
    bury(situation, documentKey, receiptKey);
    situation.bucket.versioned.delete(receiptKey(id));
    return [`erasure-unfinished ${documentKey(id)}`];
  },
  'tombstone: other digests': (situation) => {
    const { plan, archived } = situation;
    const key = documentKey(archived.record.id);
    const erased = { document: { bytes: 1, sha256: sha256('x') }, receipt: { sha256: sha256('y') } };
    buryWith(situation, { erased });
    // Without a manifest, nothing contradicts them.
    return [`${plan.isNamed ? 'tombstone-altered' : 'erased'} ${key}`];
  },
  'tombstone: no digests': (situation) => {
    buryWith(situation, { erased: {} });
    const code = situation.plan.isNamed ? 'tombstone-altered' : 'erased';
    return [`${code} ${documentKey(situation.archived.record.id)}`];
  },
  'tombstone: a field more': (situation) => {
    const { id } = situation.archived.record;
    buryWith(situation, { approved: true } as object);
    return [`tombstone-altered ${documentKey(id)}`, `tombstone-altered ${receiptKey(id)}`];
  },
  'tombstone: another document': (situation) => {
    const { id } = situation.archived.record;
    buryWith(situation, { documentId: '00000000-0000-4000-8000-ffffffffffff' });
    return [`tombstone-altered ${documentKey(id)}`, `tombstone-altered ${receiptKey(id)}`];
  },
  'tombstone: another one at the receipt': (situation) => {
    bury(situation, documentKey, receiptKey);
    const { archived, bucket, replace } = situation;
    const key = receiptKey(archived.record.id);
    replace(key, bucket.text(key).replace('DSR-1', 'DSR-2'), noon - day);
    return [`tombstone-altered ${documentKey(archived.record.id)}`];
  },
  'tombstone: receipt cut off': (situation) => {
    bury(situation, documentKey, receiptKey);
    const { archived, bucket, replace } = situation;
    const key = receiptKey(archived.record.id);
    replace(key, bucket.text(key).slice(0, -20), noon - day);
    return [`tombstone-altered ${key}`];
  },
  'tombstone: object cut off': (situation) => {
    bury(situation, documentKey, receiptKey);
    const { archived, bucket } = situation;
    const key = documentKey(archived.record.id);
    const text = bucket.text(key).slice(0, -20);
    bucket.objects.delete(key);
    bucket.versioned.put(key, Buffer.from(text), { metadata: { state: 'erased' } });
    return [`tombstone-altered ${key}`];
  },
} satisfies Record<string, ApplyDefect>;

/** Replaces what is at these keys of the document by its tombstone, without leaving versions. */
function bury(situation: Situation, ...keys: ((id: string) => string)[]): void {
  buryWith(situation, {}, ...keys);
}

function buryWith(
  { archived, bucket }: Situation,
  changes: Partial<Tombstone>,
  ...keys: ((id: string) => string)[]
): void {
  const { id } = archived.record;
  const object = tombstoneObject(documentKey(id), { ...tombstoneFor(archived, bucket), ...changes });
  for (const keyOf of keys.length > 0 ? keys : [documentKey, receiptKey]) {
    bucket.objects.delete(keyOf(id));
    bucket.versioned.put(keyOf(id), object.body, { verified: object.body, metadata: { state: 'erased' } });
  }
}

function tombstoneFor({ record, body }: Archived, bucket: MemoryBucket): Tombstone {
  return {
    v: 1,
    state: 'erased',
    documentId: record.id,
    erasedAt: new Date(noon - day).toISOString(),
    erasedBy: 'arn:aws:iam::111122223333:role/break-glass',
    basis: 'DSR-1',
    erased: {
      document: { bytes: body.length, sha256: sha256(body) },
      receipt: { sha256: sha256(bucket.text(receiptKey(record.id))) },
    },
    archiver: '0.2.0',
  };
}

function alterReceipt(alter: (text: string) => string): ApplyDefect {
  return ({ archived, bucket, replace }) => {
    const key = receiptKey(archived.record.id);
    replace(key, alter(bucket.text(key)), noon - day);
    return [`receipt-altered ${key}`];
  };
}

function changed(change: (receipt: Receipt) => unknown): (text: string) => string {
  return (text) => written(change(JSON.parse(text)));
}

function flipped(body: Buffer): Buffer {
  const other = Buffer.from(body);
  other[0] = (other[0] ?? 0) ^ 1;
  return other;
}

/** As evidence keeps it. */
function withoutOthersKey(finding: string): string {
  const [, key = ''] = /^foreign (.*)$/s.exec(finding) ?? [];
  return key === '' || key.startsWith('holds/') ? finding : `foreign sha256:${sha256(key)}`;
}

const hex = (digits: number) => (number: number) => number.toString(16).padStart(digits, '0');
/** Some IDs are far apart, some differ only in the last digit. */
const id = fc
  .tuple(fc.nat(0xffffffff), fc.nat(3), fc.nat(15))
  .map(
    ([head, near, last]) => `${hex(8)(near === 0 ? head : near)}-0000-4000-8000-00000000000${hex(1)(last)}`,
  );

const plan: fc.Arbitrary<DocumentPlan> = fc.record({
  body: fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  statesDigest: fc.boolean(),
  statesSize: fc.boolean(),
  verified: fc.boolean(),
  isNamed: fc.boolean(),
  defect: fc.constantFrom(...(Object.keys(defects) as (keyof typeof defects)[])),
  stays: fc.boolean(),
});

const foreignKey = fc.oneof(
  fc.constantFrom(
    'a',
    'documents',
    'documents/',
    'documents/readme.txt',
    'documents/00000001-0000-4000-8000-000000000001/x',
    'documents/FFFFFFFF-0000-4000-8000-000000000001',
    'documents0',
    'manifests/20261101T000000Z/other.txt',
    'manifests/notes',
    'receipts/00000001-0000-4000-8000-000000000001',
    'receipts/readme.json',
    'receipts.json',
    'receipts0',
    'receipts.\u{10ffff}x',
    'zzz + more & ü/\u{1f600}',
    '\uffee',
    '\u{1f600}',
  ),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }).filter((key) => key.isWellFormed()),
);

const archive = fc.record({
  documents: fc.dictionary(id, plan, { maxKeys: 40, size: 'max' }),
  foreignKeys: fc.uniqueArray(foreignKey, { maxLength: 6 }),
  pageKeys: fc.integer({ min: 1, max: 12 }),
  pageRows: fc.constantFrom(20, 25, 250),
  manifests: fc.integer({ min: 1, max: 3 }),
  readsData: fc.boolean(),
});

it('audit reports exactly the defects of any archive', async () => {
  await fc.assert(
    fc.asyncProperty(
      archive,
      async ({ documents, foreignKeys, pageKeys, pageRows, manifests, readsData }) => {
        // Prepare
        const time = virtualTime(noon);
        const world = createWorld({ time });
        const { bucket, account } = world;
        bucket.pageKeys = pageKeys;
        world.setPageRows(pageRows);
        const situations = Object.entries(documents).map(([documentId, planned], position): Situation => {
          const createdAt = noon - 10 * day + position * 700_000;
          const archived = documentOf(documentId, planned.body, { createdAt, ...planned });
          return { plan: planned, archived, bucket, replace: world.replace, account, readsData };
        });
        const named = situations.filter(({ plan: { isNamed } }) => isNamed);
        // Each manifest names more documents than the previous one.
        for (let number = 1; number <= manifests && named.length > 0; number += 1) {
          const upTo = (part: number) => Math.ceil((named.length * part) / manifests);
          for (const { archived, plan: planned } of named.slice(upTo(number - 1), upTo(number))) {
            world.archive(archived, planned);
          }
          expect((await world.run({ manifest: 'bucket' })).exitCode).toBe(0);
        }
        for (const { archived, plan: planned } of situations) {
          if (!planned.isNamed) world.archive(archived, planned);
          if (!planned.stays) account.delete(archived.record.id);
        }
        const expected = situations.flatMap((situation): string[] =>
          (defects[situation.plan.defect] as ApplyDefect)(situation),
        );
        const unchanged = situations.filter(
          ({ archived: { record } }) => !expected.some((finding) => finding.includes(record.id)),
        );
        for (const { archived } of unchanged) {
          const { id: documentId } = archived.record;
          expected.push(`${account.has(documentId) ? 'same' : 'kept'} ${documentKey(documentId)}`);
        }
        for (const key of foreignKeys) {
          bucket.put(key, 'x', noon - day);
          expected.push(`foreign ${key}`);
        }

        // Act
        const outcome = await world.run({ all: true, readData: readsData ? 100 : 0 });

        // Assess
        expect(outcome.findings).toEqual(expected.sort());
        const isFine = expected.every((finding) => /^(same|kept|pending|infected|erased) /.test(finding));
        expect(outcome.exitCode).toBe(isFine ? 0 : 1);
        // The function reads all data in a full run.
        if (!readsData) return;
        const { night, metric } = createAuditFunction({ ...world, time, pageRows: () => pageRows });
        const { summary, findings } = await night(true);
        const found = findings.map(({ code, key }) => `${code} ${key}`);
        expect(found.sort()).toEqual(problemsAmong(expected).map(withoutOthersKey).sort());
        expect(summary.status).toBe('complete');
        const published = metric('AuditFindings').reduce(
          (sum, { AuditFindings: count }) => sum + Number(count),
          0,
        );
        expect(published).toBe(found.length);
      },
    ),
    { numRuns: propertyRuns(200) },
  );
}, 300_000);
