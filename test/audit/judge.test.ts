/** Every rule of the judgement at its limits. How the rules work together is tested in `cli/audit/audit.property.test.ts`. */
import { describe, expect, it } from 'vitest';
import type { AuditConditions, Evidence, HoldEvidence } from '../../functions/audit/evidence.ts';
import { judge } from '../../functions/audit/judge.ts';
import { type ReceiptReading, tooLargeReceipt } from '../../functions/audit/receipt-reading.ts';
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import type { ListedKey } from '../../functions/bucket/listing.ts';
import { clockSkewMs } from '../../functions/limits.ts';
import { day, noon } from '../fakes/documents.ts';
import { sha256 } from '../fakes/memory-bucket.ts';

const documentId = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const object = documentKey(documentId);
const receipt = receiptKey(documentId);
const document1 = sha256('document 1');
const document2 = sha256('document 2');
const receipt1 = sha256('receipt 1');
const receipt2 = sha256('receipt 2');
const grave = sha256('tombstone');
const graceMs = 60_000;
const conditions: AuditConditions = { startedAt: noon, telnyxListed: true, graceMs };

const listed = (key: string, changes: Partial<ListedKey> = {}): ListedKey => ({
  key,
  current: { bytes: 10, modified: noon - day, versionId: 'v1', etag: 'e1' },
  otherVersions: 0,
  deleteMarkers: 0,
  ...changes,
});
const hidden = (key: string) => listed(key, { current: undefined, deleteMarkers: 1 });

const readingOf = (changes: Partial<ReceiptReading> = {}): ReceiptReading => ({
  ...tooLargeReceipt(0),
  alteration: undefined,
  digest: receipt1,
  stated: { bytes: 10, sha256: document1 },
  createdAt: noon - day,
  ...changes,
});
const receiptWith = (changes: Partial<ReceiptReading> = {}) => ({
  modified: noon - day,
  reading: readingOf(changes),
});
const objectWith = (changes: Partial<NonNullable<Evidence['object']>> = {}) => ({
  bytes: 10,
  modified: noon - day,
  sha256: document1,
  ...changes,
});
const telnyxWith = (changes: Partial<NonNullable<Evidence['telnyx']>> = {}) => ({
  createdAt: noon - day,
  bytes: 10,
  sha256: document1,
  infected: false,
  fileName: undefined,
  customerReference: undefined,
  ...changes,
});
const claim = (
  manifest: string,
  document: string | undefined = document1,
  named: string | undefined = receipt1,
) => ({
  manifest,
  document,
  receipt: named,
});

const archived: Evidence = {
  documentId,
  telnyx: telnyxWith(),
  object: objectWith(),
  receipt: receiptWith(),
  listed: { object: listed(object), receipt: listed(receipt) },
};

/** Each finding as `code key: detail`. */
function judged(evidence: Evidence, changes: Partial<AuditConditions> = {}): string[] {
  return judge(evidence, { ...conditions, ...changes }).map((finding) => {
    expect(finding.documentId).toBe(documentId);
    return `${finding.code} ${finding.key}: ${finding.detail}`;
  });
}

const fact = `contexts/${documentId}/${'0'.repeat(64)}.json`;
const closed = `contexts/${documentId}.json`;
const contextsWith = (changes: Partial<NonNullable<Evidence['contexts']>> = {}) => ({
  records: [{ listed: listed(fact), isWhole: true as boolean | undefined }],
  tombstone: undefined,
  ...changes,
});

/** What the case is, what is known other than usual, and the findings. */
type Case = [string, { [Name in keyof Evidence]?: Evidence[Name] | undefined }, ...string[]];

it.each<Case>([
  ['archived and unchanged', {}, `same ${object}: `],
  [
    'of which only the listings are known',
    { object: { bytes: 10, modified: noon - day }, receipt: { modified: noon - day } },
    `same ${object}: `,
  ],
  ['that is no longer at Telnyx', { telnyx: undefined }, `kept ${object}: `],
  ['of which contexts are known', { contexts: contextsWith() }, `same ${object}: `],
  [
    'of which contexts are listed, but not read',
    { contexts: contextsWith({ records: [{ listed: listed(fact), isWhole: undefined }] }) },
    `same ${object}: `,
  ],
  [
    'with a context that the archiver did not write',
    { contexts: contextsWith({ records: [{ listed: listed(fact), isWhole: false }] }) },
    `foreign ${fact}: not a context of this document`,
  ],
  [
    'with contexts that were replaced and hidden',
    {
      contexts: contextsWith({
        records: [
          { listed: listed(fact, { otherVersions: 1 }), isWhole: true },
          { listed: hidden(`${fact}x`), isWhole: false },
        ],
      }),
    },
    `overwritten ${fact}: other versions: 1, delete markers: 0`,
    `hidden ${fact}x: other versions: 0, delete markers: 1`,
  ],
  [
    'that was not erased, with a tombstone of its contexts',
    { contexts: contextsWith({ tombstone: { listed: listed(closed), reading: undefined } }) },
    `tombstone-altered ${closed}: the document was not erased, but no context of it can be written`,
  ],
  [
    'that was never archived, of which only contexts are known',
    { object: undefined, receipt: undefined, listed: undefined, telnyx: undefined, contexts: contextsWith() },
  ],
  [
    'that was never archived and is at Telnyx, of which contexts are known',
    { object: undefined, receipt: undefined, listed: undefined, contexts: contextsWith() },
    `missing ${object}: created ${new Date(noon - day).toISOString()}`,
  ],
  [
    'archived during the audit',
    { telnyx: undefined, receipt: { ...receiptWith(), modified: noon - clockSkewMs } },
    `same ${object}: `,
  ],
  [
    'of which other versions are left',
    {
      listed: {
        object: listed(object, { otherVersions: 1 }),
        receipt: listed(receipt, { deleteMarkers: 1 }),
      },
    },
    `overwritten ${object}: other versions: 1, delete markers: 0`,
    `overwritten ${receipt}: other versions: 0, delete markers: 1`,
  ],
  [
    'that is hidden',
    { object: undefined, receipt: undefined, listed: { object: hidden(object), receipt: hidden(receipt) } },
    `hidden ${object}: other versions: 0, delete markers: 1`,
    `hidden ${receipt}: other versions: 0, delete markers: 1`,
  ],
  [
    'whose object is missing and whose receipt was written again',
    {
      object: undefined,
      receipt: receiptWith({ alteration: 'not JSON' }),
      listed: { receipt: listed(receipt, { otherVersions: 1 }) },
    },
    `no-object ${object}: still at Telnyx`,
    `overwritten ${receipt}: other versions: 1, delete markers: 0`,
    `receipt-altered ${receipt}: not JSON`,
  ],
  [
    'whose object is missing, here and at Telnyx',
    { object: undefined, telnyx: undefined, listed: undefined },
    `no-object ${object}: `,
  ],
  [
    'whose object is hidden',
    { object: undefined, listed: { object: hidden(object), receipt: listed(receipt) } },
    `hidden ${object}: other versions: 0, delete markers: 1`,
  ],
  [
    'whose receipt is hidden',
    { receipt: undefined, listed: { object: listed(object), receipt: hidden(receipt) } },
    `hidden ${receipt}: other versions: 0, delete markers: 1`,
  ],
  [
    'whose receipt is hidden, although a manifest names it',
    {
      receipt: undefined,
      listed: { object: listed(object), receipt: hidden(receipt) },
      claims: [claim('m1')],
    },
    `hidden ${receipt}: other versions: 0, delete markers: 1`,
  ],
  [
    'whose receipt was not read, although a manifest names it',
    { receipt: { modified: noon - day }, claims: [claim('m1')] },
    `same ${object}: `,
  ],
  [
    'whose receipt is missing and whose object was written again',
    { receipt: undefined, listed: { object: listed(object, { otherVersions: 1 }) } },
    `no-receipt ${object}: still at Telnyx`,
    `overwritten ${object}: other versions: 1, delete markers: 0`,
  ],
  [
    'without a receipt, written at the start of the grace period',
    { receipt: undefined, object: objectWith({ modified: noon - graceMs }) },
    `no-receipt ${object}: still at Telnyx`,
  ],
  [
    'without a receipt, written in the grace period',
    { receipt: undefined, object: objectWith({ modified: noon - graceMs + 1 }), listed: undefined },
    `pending ${object}: no receipt yet`,
  ],
  [
    'without a receipt, although a manifest names it',
    { receipt: undefined, object: objectWith({ modified: noon }), claims: [claim('m1')] },
    `no-receipt ${object}: still at Telnyx`,
  ],
  [
    'with another receipt than the manifest names',
    { claims: [claim('m1', document1, receipt2)] },
    `receipt-altered ${receipt}: its SHA-256 differs from the manifest`,
  ],
  [
    'with a malformed receipt and another one named by the manifest',
    { receipt: receiptWith({ alteration: 'not JSON' }), claims: [claim('m1', document1, receipt2)] },
    `receipt-altered ${receipt}: not JSON`,
  ],
  [
    'of another size and SHA-256',
    { object: objectWith({ bytes: 1, sha256: document2 }), telnyx: telnyxWith({ bytes: 11 }) },
    `size-differs ${object}: 1 byte, expected 10`,
  ],
  ['of size 0', { object: objectWith({ bytes: 0 }) }, `size-differs ${object}: 0 bytes, expected 10`],
  [
    'of another size than a receipt that the manifest confirms',
    { object: objectWith({ bytes: 11 }), claims: [claim('m1')] },
    `size-differs ${object}: 11 bytes, expected 10`,
  ],
  [
    'of another size than a receipt that differs from the manifest',
    { object: objectWith({ bytes: 11 }), claims: [claim('m1', document1, receipt2)] },
    `receipt-altered ${receipt}: its SHA-256 differs from the manifest`,
  ],
  [
    'of another SHA-256 than its receipt states',
    { object: objectWith({ sha256: document2 }) },
    `checksum-differs ${object}: SHA-256 ${document2}, expected ${document1} (receipt)`,
  ],
  [
    'of another SHA-256 than its manifest names',
    { claims: [claim('m1', document2)] },
    `checksum-differs ${object}: SHA-256 ${document1}, expected ${document2} (manifest)`,
  ],
  [
    'of another size at Telnyx',
    { telnyx: telnyxWith({ bytes: 1 }) },
    `telnyx-differs ${object}: Telnyx states 1 byte, archived 10`,
  ],
  [
    'of another SHA-256 at Telnyx',
    { telnyx: telnyxWith({ sha256: document2 }) },
    `telnyx-differs ${object}: Telnyx states SHA-256 ${document2}, archived ${document1}`,
  ],
  [
    'whose receipt states another SHA-256 than Telnyx, listed only',
    { object: { bytes: 10, modified: noon - day }, telnyx: telnyxWith({ sha256: document2 }) },
    `telnyx-differs ${object}: Telnyx states SHA-256 ${document2}, archived ${document1}`,
  ],
  [
    'of which Telnyx states nothing',
    { telnyx: telnyxWith({ bytes: undefined, sha256: undefined, createdAt: undefined }) },
    `same ${object}: `,
  ],
  [
    'without a SHA-256 in object and receipt',
    {
      object: { bytes: 10, modified: noon - day },
      receipt: receiptWith({ stated: { bytes: undefined, sha256: undefined } }),
    },
    `same ${object}: `,
  ],
  [
    'created less than a second earlier, according to Telnyx',
    { telnyx: telnyxWith({ createdAt: noon - day - 999 }) },
    `same ${object}: `,
  ],
  ...[-1_000, 1_000].map(
    (apart): Case => [
      `created ${apart} ms later, according to Telnyx`,
      { telnyx: telnyxWith({ createdAt: noon - day + apart }) },
      `telnyx-differs ${object}: Telnyx states a different creation time than its record in the receipt`,
    ],
  ),
])('A document %s is judged', (_case, changes, ...findings) => {
  expect(judged({ ...archived, ...changes } as Evidence)).toEqual(findings);
});

it('A document that is not in Telnyx’s list is not kept if the list is incomplete', () => {
  expect(judged({ ...archived, telnyx: undefined } as never, { telnyxListed: false })).toEqual([
    `same ${object}: `,
  ]);
});

it.each<Case>([
  [
    'without a creation time is missing',
    { telnyx: telnyxWith({ createdAt: undefined }) },
    `missing ${object}: `,
  ],
  [
    'created at the start of the grace period is missing',
    { telnyx: telnyxWith({ createdAt: noon - graceMs }) },
    `missing ${object}: created 2026-11-24T11:59:00.000Z`,
  ],
  [
    'created in the grace period is pending, infected or not',
    { telnyx: telnyxWith({ createdAt: noon - graceMs + 1, infected: true }) },
    `pending ${object}: created 2026-11-24T11:59:00.001Z`,
  ],
  [
    'in which malware was found is infected',
    { telnyx: telnyxWith({ infected: true }) },
    `infected ${object}: `,
  ],
  [
    'named by a manifest is lost',
    { telnyx: telnyxWith({ createdAt: noon }), claims: [claim('m1')] },
    `lost ${object}: still at Telnyx`,
  ],
  ['removed since the listing, with nothing else known of it, is missing', {}, `missing ${object}: `],
  ['named by a hold record is lost', { hold: { records: [], locks: [] } }, `lost ${object}: `],
])('A document at Telnyx only, %s', (_case, changes, ...findings) => {
  expect(judged({ documentId, ...changes } as Evidence)).toEqual(findings);
});

describe('Of the manifests,', () => {
  it.each<[string, NonNullable<Evidence['claims']>, ...string[]]>([
    [
      'the first may name part of the document',
      [{ ...claim('m1'), receipt: undefined }, claim('m2')],
      `same ${object}: `,
    ],
    [
      'a later one may not leave out the document',
      [claim('m1'), { ...claim('m2'), document: undefined }],
      `manifest-differs ${object}: m2 leaves out what m1 states`,
    ],
    [
      'a later one may not leave out the receipt',
      [claim('m1'), { ...claim('m2'), receipt: undefined }],
      `manifest-differs ${object}: m2 leaves out what m1 states`,
    ],
    [
      'a later one may not name another document where none names the receipt',
      [
        { ...claim('m1', document2), receipt: undefined },
        { ...claim('m2'), receipt: undefined },
      ],
      `manifest-differs ${object}: m2 states another SHA-256 than what m1 states`,
    ],
    [
      'the document that a later one leaves out is still compared',
      [claim('m1', document2), { ...claim('m2'), document: undefined }],
      `checksum-differs ${object}: SHA-256 ${document1}, expected ${document2} (manifest)`,
      `manifest-differs ${object}: m2 leaves out what m1 states`,
    ],
    [
      'the receipt that a later one leaves out is still compared',
      [claim('m1', document1, receipt2), { ...claim('m2'), receipt: undefined }],
      `receipt-altered ${receipt}: its SHA-256 differs from the manifest`,
      `manifest-differs ${object}: m2 leaves out what m1 states`,
    ],
    [
      'a later one may not leave out both',
      [
        { ...claim('m1'), document: undefined },
        { manifest: 'm2', document: undefined, receipt: undefined },
      ],
      `manifest-differs ${object}: m2 leaves out what m1 states`,
    ],
    [
      'a later one may name a new receipt where none names the document',
      [
        { ...claim('m1', document1, receipt2), document: undefined },
        { ...claim('m2'), document: undefined },
      ],
      `receipt-accepted ${object}: in m2`,
    ],
    [
      'the first that names the document accepts no receipt',
      [{ ...claim('m1', document1, receipt2), document: undefined }, claim('m2')],
      `same ${object}: `,
    ],
    [
      'a later one may not name another document, even if the next one corrects it',
      [claim('m1'), claim('m2', document2), claim('m3')],
      `manifest-differs ${object}: m2 states another SHA-256 than what m1 states`,
    ],
    [
      'a later one may name a new receipt for the same document',
      [claim('m1', document1, receipt2), claim('m2')],
      `receipt-accepted ${object}: in m2`,
    ],
    [
      'the newest that names a new receipt is the one that accepted it',
      [claim('m1', document1, receipt2), claim('m2', document1, 'another'), claim('m3')],
      `receipt-accepted ${object}: in m3`,
    ],
  ])('%s', (_case, claims, ...findings) => {
    expect(judged({ ...archived, claims })).toEqual(findings);
  });
});

describe('An erased document', () => {
  const tombstone = {
    digest: grave,
    content: {
      v: 1 as const,
      state: 'erased' as const,
      documentId,
      erasedAt: new Date(noon - day).toISOString(),
      erasedBy: 'role',
      basis: 'DSR-1',
      erased: { document: { bytes: 10, sha256: document1 }, receipt: { sha256: receipt1 } },
      archiver: '0.2.0',
    },
  };
  const erasing = (erased: typeof tombstone.content.erased | object) => ({
    ...tombstone,
    content: { ...tombstone.content, erased },
  });
  const heldSince = (at: number): HoldEvidence => ({
    records: [
      {
        listed: listed('holds/1'),
        content: {
          v: 1,
          documentId,
          action: 'hold',
          at: new Date(at).toISOString(),
          by: 'role',
          reason: 'Case 12',
          archiver: '0.2.0',
        },
      },
    ],
    locks: [],
  });
  const erased: Evidence = {
    documentId,
    object: objectWith({ sha256: grave, tombstone }),
    receipt: { modified: noon - day, tombstone },
    listed: { object: listed(object), receipt: listed(receipt) },
  };

  it.each<Case>([
    ...(
      [
        [
          'with the tombstone of its contexts',
          { reading: tombstone },
          {},
          'erased',
          object,
          'no manifest named it before',
        ],
        [
          'whose contexts have another tombstone',
          { reading: { ...tombstone, digest: 'x' } },
          {},
          'tombstone-altered',
          closed,
          'another tombstone than the receipt’s',
        ],
        [
          'whose contexts have a damaged tombstone',
          { reading: { digest: 'x', alteration: 'damaged' } },
          {},
          'tombstone-altered',
          closed,
          'damaged',
        ],
        [
          'whose contexts have no tombstone at its key',
          { reading: undefined },
          {},
          'tombstone-altered',
          closed,
          'another tombstone than the receipt’s',
        ],
        [
          'whose contexts’ tombstone was replaced',
          { reading: tombstone },
          { otherVersions: 2 },
          'erasure-unfinished',
          object,
          'other versions of the contexts’ tombstone: 2',
        ],
        [
          'whose contexts’ tombstone is hidden',
          { reading: undefined },
          { current: undefined, deleteMarkers: 1 },
          'erasure-unfinished',
          object,
          'delete markers of the contexts’ tombstone: 1',
        ],
      ] as const
    ).map(
      ([which, reading, changes, code, key, detail]): Case => [
        which,
        { contexts: { records: [], tombstone: { listed: listed(closed, changes), ...reading } } },
        `${code} ${key}: ${detail}`,
      ],
    ),
    [
      'of which contexts are left',
      { contexts: contextsWith({ tombstone: { listed: listed(closed), reading: tombstone } }) },
      `erasure-unfinished ${object}: contexts are left`,
    ],
    [
      'of which contexts are left that nobody wrote as such',
      { contexts: contextsWith({ records: [{ listed: hidden(fact), isWhole: false }] }) },
      `erasure-unfinished ${object}: contexts are left`,
    ],
    ['that no manifest named', {}, `erased ${object}: no manifest named it before`],
    ['that a manifest named', { claims: [claim('m1')] }, `erased ${object}: `],
    [
      'that a manifest named, as the next one names its tombstone',
      { claims: [claim('m1'), claim('m2', grave, grave)] },
      `erased ${object}: `,
    ],
    [
      'whose tombstone is all that the manifests name',
      { claims: [claim('m1', grave, grave)] },
      `erased ${object}: no manifest named it before`,
    ],
    [
      'of which a manifest named the receipt only',
      { claims: [{ ...claim('m1'), document: undefined }] },
      `erased ${object}: `,
    ],
    [
      'of which the tombstone states neither document nor receipt, as it had none',
      {
        object: objectWith({ sha256: grave, tombstone: erasing({}) }),
        receipt: { modified: noon, tombstone: erasing({}) },
        claims: [{ manifest: 'm1', document: undefined, receipt: undefined }],
      },
      `erased ${object}: `,
    ],
    [
      'of which the manifest names the tombstone at the receipt only',
      { claims: [claim('m1', document1, grave)] },
      `tombstone-altered ${object}: it states other digests than the manifests`,
    ],
    [
      'of which a later manifest names the tombstone at the receipt only',
      { claims: [claim('m1'), claim('m2', document2, grave)] },
      `tombstone-altered ${object}: it states other digests than the manifests`,
      `manifest-differs ${object}: m2 states another SHA-256 than what m1 states`,
    ],
    ...[
      { ...claim('m1'), receipt: undefined },
      { ...claim('m1'), document: undefined },
    ].map(
      (named): Case => [
        `of which the manifest names ${named.document ? 'the document' : 'the receipt'}, and the tombstone nothing`,
        {
          object: objectWith({ sha256: grave, tombstone: erasing({}) }),
          receipt: { modified: noon, tombstone: erasing({}) },
          claims: [named],
        },
        `tombstone-altered ${object}: it states other digests than the manifests`,
      ],
    ),
    [
      'of which a receipt is there that the tombstone does not state',
      { object: objectWith({ sha256: grave, tombstone: erasing({}) }), receipt: receiptWith() },
      `erasure-unfinished ${object}: the receipt is still there`,
    ],
    [
      'of which manifests named another document',
      { claims: [claim('m1', document2)] },
      `tombstone-altered ${object}: it states other digests than the manifests`,
    ],
    [
      'of which manifests named another receipt',
      { claims: [claim('m1', document1, receipt2)] },
      `tombstone-altered ${object}: it states other digests than the manifests`,
    ],
    [
      'of which the manifest names the tombstone at one key only',
      { claims: [claim('m1', grave)] },
      `tombstone-altered ${object}: it states other digests than the manifests`,
    ],
    [
      'whose tombstone states other digests than the first of two manifests',
      { claims: [claim('m1', document2), claim('m2', grave, grave)] },
      `manifest-differs ${object}: m2 states another SHA-256 than what m1 states`,
    ],
    [
      'of which a later manifest names the tombstone at one key only',
      { claims: [claim('m1'), claim('m2', grave)] },
      `tombstone-altered ${object}: it states other digests than the manifests`,
      `manifest-differs ${object}: m2 states another SHA-256 than what m1 states`,
    ],
    [
      'with two damaged tombstones',
      {
        object: objectWith({ tombstone: { digest: grave, alteration: 'damaged 1' } }),
        receipt: { modified: noon, tombstone: { digest: grave, alteration: 'damaged 2' } },
      },
      `tombstone-altered ${object}: damaged 1`,
      `tombstone-altered ${receipt}: damaged 2`,
    ],
    [
      'with one damaged tombstone, and other versions',
      {
        receipt: { modified: noon, tombstone: { digest: 'x', alteration: 'damaged' } },
        listed: { object: listed(object, { otherVersions: 1 }) },
      },
      `tombstone-altered ${receipt}: damaged`,
    ],
    [
      'with a damaged tombstone at the receipt and the document still there',
      {
        object: objectWith({ sha256: document2 }),
        receipt: { modified: noon, tombstone: { digest: 'x', alteration: 'damaged' } },
      },
      `tombstone-altered ${receipt}: damaged`,
    ],
    [
      'with another tombstone at the object',
      { object: objectWith({ tombstone: { ...tombstone, digest: 'x' } }) },
      `tombstone-altered ${object}: another tombstone than the receipt’s`,
    ],
    [
      'of which the object is still there',
      { object: objectWith() },
      `erasure-unfinished ${object}: the object is still there`,
    ],
    [
      'of which the receipt is still there, and the hold record is from later',
      { receipt: receiptWith(), hold: heldSince(noon - day) },
      `erasure-unfinished ${object}: the receipt is still there (held)`,
    ],
    [
      'of which an object is there that the tombstone does not state',
      { object: objectWith(), receipt: { modified: noon, tombstone: erasing({}) } },
      `erasure-unfinished ${object}: the object is still there`,
    ],
    [
      'with another object than the one that was to be erased',
      { object: objectWith({ sha256: document2 }) },
      `tombstone-altered ${object}: neither the tombstone nor the object that was to be erased`,
    ],
    [
      'with another receipt than the one that was to be erased',
      { receipt: receiptWith({ digest: receipt2 }) },
      `tombstone-altered ${receipt}: neither the tombstone nor the receipt that was to be erased`,
    ],
    [
      'with nothing at the object',
      {
        object: undefined,
        listed: { object: hidden(object), receipt: listed(receipt, { otherVersions: 2 }) },
      },
      `erasure-unfinished ${object}: no tombstone for the object, delete markers of the object: 1, other versions of the receipt: 2`,
    ],
    [
      'with nothing at the receipt',
      { receipt: undefined, listed: undefined },
      `erasure-unfinished ${object}: no tombstone for the receipt`,
    ],
    [
      'that was held before',
      { hold: heldSince(noon - day - 1) },
      `hold-missing ${object}: erased while it was held`,
    ],
    [
      'that was held afterwards',
      { hold: heldSince(noon - day) },
      `erased ${object}: no manifest named it before`,
    ],
  ])('%s is judged', (_case, changes, ...findings) => {
    expect(judged({ ...erased, ...changes } as Evidence)).toEqual(findings);
  });
});

describe('A hold', () => {
  const recordOf = (action: 'hold' | 'release') => ({
    v: 1 as const,
    documentId,
    action,
    at: new Date(noon - day).toISOString(),
    by: 'role',
    reason: 'Case 12',
    archiver: '0.2.0',
  });
  const locks: HoldEvidence['locks'] = [
    { key: object, state: 'off' },
    { key: receipt, state: { unreadable: 'StorageUnavailable: later' } },
  ];

  it.each<[string, HoldEvidence, ...string[]]>([
    [
      'is complete if S3 holds object and receipt',
      {
        records: [{ listed: listed('holds/1'), content: recordOf('hold') }],
        locks: [
          { key: object, state: 'on' },
          { key: receipt, state: 'on' },
        ],
      },
      `same ${object}: `,
    ],
    [
      'is missing where S3 does not hold, and unknown where that cannot be read',
      {
        records: [
          { listed: listed('holds/1'), content: recordOf('release') },
          { listed: listed('holds/2'), content: recordOf('hold') },
          { listed: listed('holds/3'), content: recordOf('hold') },
        ],
        locks,
      },
      `hold-missing ${object}: `,
      `unreadable holds/3: the legal hold of ${receipt}: StorageUnavailable: later`,
    ],
    [
      'is not expected after its release',
      { records: [{ listed: listed('holds/1'), content: recordOf('release') }], locks },
      `same ${object}: `,
    ],
    [
      'counts although later records are hidden or from another writer',
      {
        records: [
          { listed: listed('holds/1'), content: recordOf('hold') },
          { listed: hidden('holds/2'), content: undefined },
          { listed: listed('holds/3'), content: undefined },
        ],
        locks: [{ key: object, state: 'off' }],
      },
      'hidden holds/2: other versions: 0, delete markers: 1',
      'foreign holds/3: not a hold record of this document',
      `hold-missing ${object}: `,
    ],
    [
      'is judged by its record although the record was written again',
      {
        records: [{ listed: listed('holds/1', { otherVersions: 1 }), content: recordOf('hold') }],
        locks: [],
      },
      'overwritten holds/1: other versions: 1, delete markers: 0',
    ],
  ])('%s', (_case, hold, ...findings) => {
    expect(judged({ ...archived, hold })).toEqual(findings);
  });
});
