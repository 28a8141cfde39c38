/**
 * The lines of `archiver <command> --json`: one object each, told apart by `type`. `docs/json-output.schema.json` is
 * generated from these schemas, and the tests hold every line of a command against them.
 */
import * as v from 'valibot';
import { findingKinds } from '../functions/audit/findings.ts';
import { errorCodes } from '../functions/errors.ts';
import { laneNames } from '../functions/queue/lanes.ts';
import { checkNames } from './target/target.ts';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const seconds = v.pipe(v.number(), v.minValue(0));
const instant = v.pipe(v.string(), v.isoTimestamp());
const text = v.string();
const lane = v.picklist(laneNames);
const optional = v.exactOptional;
const findingCode = v.picklist(Object.keys(findingKinds) as (keyof typeof findingKinds)[]);

function line<const Type extends string, const Fields extends v.ObjectEntries>(type: Type, fields: Fields) {
  return v.strictObject({ type: v.literal(type), ...fields });
}

const namedManifest = v.strictObject({ key: text, sha256: text });

const names = { fileName: optional(text), customerReference: optional(text) };

const audit = [
  line('finding', {
    mark: v.pipe(v.picklist(['=', '+', '-', '*', '!']), v.description('As in `rclone check --combined`.')),
    code: findingCode,
    weight: v.picklist(['fine', 'defect', 'unchecked']),
    key: text,
    documentId: optional(text),
    ...names,
    versionId: optional(text),
    atTelnyx: optional(v.boolean()),
    detail: text,
  }),
  line('summary', {
    findings: count,
    unchecked: count,
    counts: v.record(text, count),
    archived: count,
    held: count,
    bytes: count,
    objectsRead: count,
    bytesRead: count,
    requests: count,
    archive: text,
    listedAtTelnyx: optional(count),
    quick: v.boolean(),
    manifests: count,
    newestManifest: optional(namedManifest),
    seconds,
  }),
  line('report', { file: text }),
  line('manifest', { place: text, sha256: text, documents: count }),
  line('repair', {
    queued: count,
    dryRun: optional(v.boolean()),
    repairable: optional(count),
    lane: optional(lane),
  }),
];

const runCounts = {
  documents: optional(count),
  archived: optional(count),
  held: optional(count),
  bytes: optional(count),
  objectsRead: optional(count),
  bytesRead: optional(count),
  receiptsRead: optional(count),
  listedAtTelnyx: optional(count),
  requests: optional(count),
  repaired: optional(v.pipe(count, v.description('Documents that the run queued for archiving.'))),
};
const archiveAt = v.strictObject({ run: text, documents: count, archived: count, held: count, bytes: count });
const auditRuns = [
  line('run', {
    run: text,
    status: v.pipe(
      v.picklist(['complete', 'incomplete', 'unfinished', 'unreadable']),
      v.description(
        'unfinished: without a summary. unreadable: the summary is not as the audit function writes it. These two have no other fields.',
      ),
    ),
    startedAt: optional(instant),
    endedAt: optional(instant),
    full: optional(v.boolean()),
    readsBytes: optional(v.boolean()),
    shareDays: optional(count),
    shares: optional(
      v.pipe(v.array(count), v.description('The daily shares that were read, each below shareDays.')),
    ),
    ...runCounts,
    counts: optional(v.pipe(v.record(text, count), v.description('Without codes that were not found.'))),
    unfinishedParts: optional(count),
    manifest: optional(namedManifest),
  }),
  line('requested', { run: text, full: v.boolean() }),
  line('statement', {
    archive: text,
    bucket: text,
    since: instant,
    until: v.pipe(instant, v.description('Exclusive.')),
    writtenAt: instant,
    writtenBy: text,
    state: v.picklist(['ok', 'problems', 'incomplete']),
    complete: count,
    incomplete: count,
    unfinished: count,
    unreadable: count,
    nights: v.pipe(count, v.description('Nights in which a run was due.')),
    missed: v.pipe(v.array(text), v.description('Dates of the nights without a complete run.')),
    beginning: optional(archiveAt),
    end: optional(archiveAt),
    readBack: v.strictObject({
      objects: count,
      bytes: count,
      shares: v.strictObject({ read: count, of: count }),
    }),
    manifest: optional(namedManifest),
    codes: v.array(
      v.strictObject({
        code: findingCode,
        runs: count,
        from: text,
        to: text,
        most: count,
        inLast: count,
      }),
    ),
  }),
];

const backfillProgress = {
  found: count,
  queued: count,
  archived: optional(count),
  alreadyArchived: optional(count),
  deadLetters: count,
  seconds,
};
const backfill = [
  line('plan', { lane, documents: optional(count), messages: count }),
  line('sent', { messages: count }),
  line('watch', { ...backfillProgress, spans: count, waiting: count }),
  line('end', { ...backfillProgress, unaccounted: optional(count), failed: count }),
];

const doctor = [
  line('check', {
    name: v.picklist(checkNames),
    state: v.picklist(['ok', 'problem', 'not-checked']),
    detail: text,
    advice: optional(v.pipe(text, v.description('What to do about it.'))),
  }),
  line('end', { ok: count, problems: count, notChecked: count }),
];

const exported = [
  line('failed', { documentId: text, ...names, reason: text }),
  line('erased', {
    documentId: text,
    paths: v.pipe(v.array(text), v.description('Files of earlier exports, according to export.jsonl.')),
  }),
  line('end', {
    folder: text,
    dryRun: optional(v.pipe(v.boolean(), v.description('Nothing was written: exported is what would be.'))),
    exported: count,
    alreadyThere: count,
    erased: count,
    failed: count,
    bytes: count,
    held: v.pipe(count, v.description('How many of the exported documents and of those already there.')),
  }),
];

const proof = [
  line('proof', {
    documentId: text,
    outcome: v.pipe(v.picklist(['proven', 'incomplete', 'failed']), v.description('incomplete: with gaps.')),
    state: optional(v.picklist(['archived', 'erased'])),
    folder: optional(text),
    sha256: optional(v.pipe(text, v.description('Of checksums.txt in the folder.'))),
    gaps: optional(v.array(text)),
    reason: optional(v.pipe(text, v.description('Why it failed.'))),
  }),
  line('end', { proven: count, incomplete: count, failed: count }),
];

const relation = v.strictObject({
  kind: v.picklist(['porting-order', 'port-out', 'number-order', 'link']),
  id: v.pipe(text, v.description('Of the order or of the linked resource.')),
  type: optional(v.pipe(text, v.description('Type of the linked resource.'))),
  reference: optional(v.pipe(text, v.description('Customer reference of the order.'))),
  numbers: optional(v.array(text)),
});
const find = [
  line('found', {
    documentId: text,
    state: v.picklist(['archived', 'erased']),
    held: optional(v.literal(true)),
    ...names,
    contentType: optional(text),
    bytes: optional(count),
    sha256: optional(text),
    createdAt: optional(text),
    archivedAt: optional(text),
    trigger: optional(text),
    relations: optional(v.array(relation)),
  }),
  line('end', {
    found: count,
    shown: v.pipe(count, v.description('Fewer than found with --limit.')),
    exact: v.pipe(v.boolean(), v.description('Whether the catalogue was compared with the archive first.')),
    asOf: optional(
      v.pipe(
        instant,
        v.description(
          'Exact: when the comparison began. Otherwise: when the last audit that wrote the catalogue began, or its oldest write.',
        ),
      ),
    ),
    audited: optional(v.pipe(v.boolean(), v.description('Whether `asOf` is the beginning of an audit.'))),
    missing: optional(v.pipe(count, v.description('Parts of the catalogue that do not exist.'))),
    corrupt: optional(v.pipe(count, v.description('Parts of the catalogue that cannot be read.'))),
    invalid: optional(v.pipe(count, v.description('Receipts that are not valid, and were not searched.'))),
    notUpdated: optional(v.pipe(text, v.description('Why the catalogue was not updated.'))),
  }),
];

const failureCount = { documents: count, otherMessages: count, deadLetters: count };
const redrive = [
  line('total', { ...failureCount, lockedElsewhere: count }),
  line('group', { lane, code: text, documents: count, letters: count, oldestSeconds: seconds }),
  line('letter', {
    lane,
    messageId: text,
    documentId: optional(text),
    ...names,
    code: optional(text),
    reason: optional(text),
    attempts: optional(count),
    deadSince: instant,
    body: text,
  }),
  line('archived', { documentId: text, codes: v.array(text), letters: count }),
  line('cleared', { documents: count, letters: count }),
  line('acknowledged', {
    documentId: optional(text),
    messageId: optional(text),
    codes: v.array(text),
    deadLetters: count,
    at: instant,
    note: text,
  }),
  line('end', {
    redriven: count,
    failedAgain: count,
    notSent: count,
    notDeleted: count,
    stopped: v.boolean(),
  }),
];

const send = [
  line('queued', { queued: count }),
  line('document', {
    documentId: text,
    archived: v.boolean(),
    erased: optional(v.literal(true)),
    ...names,
    code: optional(text),
    reason: optional(text),
  }),
];

const status = [
  line('status', {
    at: instant,
    lanes: v.array(
      v.strictObject({
        lane,
        waiting: count,
        oldestSeconds: optional(seconds),
        failed: count,
        deadLetters: count,
      }),
    ),
    lastSweepSeconds: optional(seconds),
    lastAuditSeconds: optional(seconds),
    archived: optional(
      v.pipe(
        v.strictObject({ today: count, total: count }),
        v.description('Receipts and tombstones: archived documents, and erased ones.'),
      ),
    ),
    held: optional(
      v.strictObject({
        documents: count,
        incomplete: optional(v.pipe(text, v.description('Why there may be more.'))),
      }),
    ),
    oldestUnarchivedSeconds: optional(seconds),
    lastHour: optional(v.strictObject({ deadLetters: count, documentsOverdue: count })),
    failed: v.strictObject(failureCount),
    lockedElsewhere: optional(count),
    failedByCode: v.record(text, v.strictObject(failureCount)),
    alarms: optional(
      v.array(
        v.strictObject({
          name: text,
          state: v.picklist(['OK', 'ALARM', 'INSUFFICIENT_DATA']),
          description: text,
        }),
      ),
    ),
  }),
];

const erasure = [
  line('erasure', {
    documentId: text,
    outcome: v.picklist([
      'erased',
      'already-erased',
      'would-be-erased',
      'not-archived',
      'refused',
      'unfinished',
    ]),
    detail: text,
    versions: count,
  }),
  line('report', { file: text }),
  line('end', {
    erased: count,
    'already-erased': count,
    'would-be-erased': count,
    'not-archived': count,
    refused: count,
    unfinished: count,
  }),
];

const hold = [
  line('hold', {
    documentId: text,
    outcome: v.picklist([
      'held',
      'already-held',
      'partly-erased',
      'erased',
      'not-archived',
      'released',
      'not-held',
    ]),
  }),
];

/** Why a command ended with exit code 2 or 130. */
export const archiverError = line('error', { code: optional(v.picklist(errorCodes)), message: text });

/** Before the lines of each archiver, where a command runs on several. */
const archiverName = line('archiver', { name: text });

/** By command. */
export const archiverLines = {
  audit: v.union([...audit, ...auditRuns, archiverName, archiverError]),
  backfill: v.union([...backfill, archiverError]),
  doctor: v.union([...doctor, archiverError]),
  erase: v.union([...erasure, archiverError]),
  export: v.union([...exported, archiverError]),
  find: v.union([...find, archiverError]),
  hold: v.union([...hold, archiverError]),
  prove: v.union([...proof, archiverError]),
  redrive: v.union([...redrive, archiverError]),
  release: v.union([...hold, archiverError]),
  send: v.union([...send, archiverError]),
  status: v.union([...status, archiverName, archiverError]),
};
export const archiverLine = v.union(Object.values(archiverLines));
