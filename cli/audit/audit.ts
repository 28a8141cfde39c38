/**
 * `audit`: is everything there, and unchanged?
 *
 * Telnyx's list, the receipts, the objects and the newest manifest are read side by side, each sorted by id, and
 * what they say of one document is judged at a time: but for Telnyx's list, which is not sorted, nothing is held.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  documentIdOfReceipt,
  documentPrefix,
  manifestPrefix,
  receiptPrefix,
} from '../../functions/bucket/keys.ts';
import type { Bucket } from '../../functions/bucket/store.ts';
import { withoutReceipt } from '../../functions/discover/unarchived.ts';
import { ArchiverError } from '../../functions/errors.ts';
import { uuidPattern } from '../../functions/queue/messages.ts';
import { createPatientTelnyx } from '../../functions/telnyx/patience.ts';
import { formatBytes } from '../../local/progress.ts';
import type { Surroundings } from '../deployment.ts';
import type { Terminal } from '../terminal.ts';
import { type Aligned, align } from './align.ts';
import { type Finding, weightOf } from './findings.ts';
import { inOrder } from './in-order.ts';
import { type Inspected, inspect, type Listed } from './inspect.ts';
import type { Circumstances } from './judge.ts';
import { type ListedObject, type ListingOptions, listObjects } from './listing.ts';
import { type Chain, readChain } from './manifest-chain.ts';
import { documentsIn, manifestOfKey, type NamedDocument } from './manifest-text.ts';
import { draftManifest, type ManifestDraft } from './manifest-writer.ts';
import { type AuditOptions, exitCodes } from './options.ts';
import { createInsist } from './patience.ts';
import { requeue } from './repair.ts';
import { findingLine, findingRecord, grouped, type Scope, summary, summaryRecord } from './report.ts';
import { createTally, defectsIn, type Tally, uncheckedIn } from './tally.ts';
import { readTelnyxDocuments, TelnyxDocuments } from './telnyx-documents.ts';

/** Documents that are looked at side by side. */
const atOnce = 32;
/** Documents that seem to be missing are looked up once more, this many at a time. */
const secondLook = 5_000;
/** When this many in a row, from the first one on, cannot be read, the cause is not theirs. */
const hopeless = 50;

/** @returns the exit code. @throws Error where it cannot be run, ArchiverError, or the signal's reason */
export async function audit(options: AuditOptions, surroundings: Surroundings): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'telnyx-archiver-audit-'));
  try {
    return await auditWithin(folder, options, surroundings);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function auditWithin(
  folder: string,
  options: AuditOptions,
  surroundings: Surroundings,
): Promise<number> {
  const { deployment, terminal, time, random, signal } = surroundings;
  const started = time.monotonic();
  const { s3, name, bucket } = await deployment.bucket();
  const telnyx = options.telnyx ? await deployment.telnyx() : undefined;
  const queues = options.repair ? await deployment.queues() : undefined;
  const tally = createTally();
  const insist = createInsist({ time, random, signal });
  const onRequest = () => {
    tally.requests += 1;
  };
  const listing: ListingOptions = { s3, name, time, insist, onRequest };
  const repairable: string[] = [];

  const found = (finding: Finding) => {
    tally.counts[finding.code] += 1;
    if (!options.all && weightOf(finding.code) === 'fine') return;
    terminal.print(findingLine(finding, terminal.paint));
    terminal.record(findingRecord(finding));
  };

  const documents = new TelnyxDocuments();
  const began = time.now();
  const progress = terminal.progress(() => stand(tally, documents, time.monotonic() - started));
  let draft: ManifestDraft | undefined;
  try {
    const manifests = listObjects(listing, { prefix: manifestPrefix });
    const chain = await readChain(manifests, options.expectManifest, join(folder, 'newest-manifest'), {
      s3,
      name,
      bucket,
      insist,
      signal,
      onRequest,
    });
    for (const finding of chain.findings) found(finding);

    let telnyxListed = false;
    if (telnyx) {
      const patient = createPatientTelnyx(telnyx, {
        deadline: Number.POSITIVE_INFINITY,
        signal,
        time,
        random,
        log: notesOf(terminal),
      });
      const problem = await readTelnyxDocuments(patient, began, documents).then(
        (unreadable) => (unreadable > 0 ? `${unreadable} rows of its list have no readable id.` : undefined),
        (error: unknown) => {
          signal.throwIfAborted();
          if (error instanceof ArchiverError) return `${error.code}: ${error.message}`;
          throw error;
        },
      );
      telnyxListed = problem === undefined;
      if (problem !== undefined) found({ code: 'unreadable', key: 'telnyx', detail: problem });
    }

    if (options.manifest !== undefined) {
      draft = await draftManifest({
        folder,
        predecessor: chain.base?.manifest,
        latestStamp: chain.latestStamp,
        file: options.manifest === 'bucket' ? undefined : options.manifest.file,
        s3,
        bucketName: name,
        bucket,
        insist,
        time,
        signal,
      });
    }

    const circumstances: Circumstances = { began, telnyxListed, graceMs: options.graceMinutes * 60_000 };
    const rows = aligned(listing, documents, chain, found);
    const inspected = inOrder(rows, atOnce, signal, (row, limited) =>
      inspect(row, limited, {
        bucket,
        insist,
        circumstances,
        quick: options.quick,
        readData: () => options.readData > 0 && random() * 100 < options.readData,
        now: time.now,
        onRequest,
        onRead: (bytes) => {
          tally.objectsRead += 1;
          tally.bytesRead += bytes;
        },
      }),
    );

    const counted: Bucket['list'] = (...asked) => {
      onRequest();
      return bucket.list(...asked);
    };
    let missing: Finding[] = [];
    const lookAgain = async () => {
      const stillMissing = new Set(
        await insist((limited) =>
          withoutReceipt(
            missing.map(({ documentId }) => documentId ?? ''),
            { list: counted },
            limited,
          ),
        ),
      );
      for (const finding of missing) {
        const isMissing = stillMissing.has(finding.documentId ?? '');
        found(isMissing ? finding : { ...finding, code: 'pending', detail: 'archived while the audit ran' });
        if (isMissing) repairable.push(finding.documentId ?? '');
      }
      missing = [];
    };

    for await (const result of inspected) {
      count(tally, result);
      refuseTheHopeless(tally, result);
      for (const finding of result.findings) {
        if (finding.code === 'missing') {
          missing.push(finding);
          continue;
        }
        found(finding);
        const { documentId } = finding;
        const isRepairable = finding.code === 'no-receipt' || finding.code === 'lost';
        if (documentId !== undefined && isRepairable && result.evidence.telnyx) repairable.push(documentId);
      }
      if (missing.length >= secondLook) await lookAgain();
      const named = toBeNamed(result);
      if (named) await draft?.add(named);
    }
    if (missing.length > 0) await lookAgain();
    progress.stop();

    const scope: Scope = {
      archive: deployment.name,
      listedAtTelnyx: telnyx ? documents.count : undefined,
      quick: options.quick,
      manifests: chain.manifests.length,
      newestManifest: chain.base && { key: chain.base.manifest.key, sha256: chain.base.manifest.sha256 },
      seconds: (time.monotonic() - started) / 1_000,
    };
    terminal.print(`\n${summary(tally, scope, terminal.paint)}`);
    terminal.record(summaryRecord(tally, scope));
    if (draft) {
      const { place, sha256, documents: named } = await draft.publish();
      terminal.print(
        `\nManifest of ${grouped(named)} documents: ${place}\nSHA-256 ${sha256}\n` +
          'Keep this digest elsewhere: --expect-manifest proves later that the manifest is still there.',
      );
      terminal.record({ type: 'manifest', place, sha256, documents: named });
    }
    if (queues) {
      const lane = await requeue(repairable, queues, { time, signal });
      terminal.print(
        `\n${grouped(repairable.length)} documents queued${lane ? ` in the lane ${lane}` : ''}.`,
      );
      terminal.record({ type: 'repair', queued: repairable.length, lane });
    }
  } finally {
    progress.stop();
    await draft?.discard();
  }
  if (defectsIn(tally) > 0) return exitCodes.findings;
  return uncheckedIn(tally) > 0 ? exitCodes.incomplete : exitCodes.well;
}

/** Every id that anybody knows, with what each knows of it. Keys that are nobody's go to `found`. */
async function* aligned(
  listing: ListingOptions,
  documents: TelnyxDocuments,
  chain: Chain,
  found: (finding: Finding) => void,
): AsyncGenerator<Listed> {
  const foreign = ({ key, bytes }: ListedObject) =>
    found({ code: 'foreign', key, detail: formatBytes(bytes) });
  // Together these two are the whole bucket, so that nothing in it goes unseen.
  const objects = listObjects(listing, { before: receiptPrefix });
  const receipts = listObjects(listing, { from: receiptPrefix });
  type Row = Aligned<{
    objects: NonNullable<Listed['objects']>;
    receipts: NonNullable<Listed['receipts']>;
    telnyx: NonNullable<Listed['telnyx']>;
    named: NamedDocument;
  }>;
  const rows: AsyncGenerator<Row> = align({
    objects: withIds(objects, idOfDocumentKey, foreign),
    receipts: withIds(receipts, documentIdOfReceipt, foreign),
    telnyx: documents.sorted(),
    named: chain.base ? documentsIn(chain.base.path) : [],
  });
  yield* rows;
}

async function* withIds(
  listed: AsyncIterable<ListedObject>,
  idOf: (key: string) => string | undefined,
  onForeign: (object: ListedObject) => void,
): AsyncGenerator<ListedObject & { id: string }> {
  for await (const object of listed) {
    const id = idOf(object.key);
    if (id !== undefined) yield { ...object, id };
    else if (!manifestOfKey(object.key)) onForeign(object);
  }
}

function idOfDocumentKey(key: string): string | undefined {
  const id = key.startsWith(documentPrefix) ? key.slice(documentPrefix.length) : '';
  return uuidPattern.test(id) ? id : undefined;
}

function count(tally: Tally, { evidence }: Inspected): void {
  tally.documents += 1;
  if (!evidence.receipt) return;
  tally.archived += 1;
  tally.bytes += evidence.object?.bytes ?? 0;
}

/** @throws Error where everything is unreadable from the first document on, as without the right to decrypt */
function refuseTheHopeless(tally: Tally, { findings }: Inspected): void {
  const [finding] = findings;
  if (finding?.code !== 'unreadable' || tally.documents < hopeless) return;
  if (tally.counts.unreadable + 1 === tally.documents) {
    throw new Error(`None of the first ${tally.documents} documents could be read. ${finding.detail}`);
  }
}

/**
 * What the manifest is to say of a document. What an earlier one has named is named for ever and with the same
 * digests, so that what is gone or changed goes on to show. A receipt that is not as the archiver wrote it is not
 * vouched for.
 */
function toBeNamed({ evidence, findings }: Inspected): NamedDocument | undefined {
  const { documentId: id, named, receipt } = evidence;
  if (named?.document !== undefined && named.receipt !== undefined) {
    return { id, document: named.document, receipt: named.receipt };
  }
  const isAltered = findings.some(({ code }) => code === 'receipt-altered' || code === 'unreadable');
  const reading = isAltered ? undefined : receipt?.reading;
  const document = named?.document ?? reading?.stated.sha256;
  return document === undefined ? undefined : { id, document, receipt: named?.receipt ?? reading?.digest };
}

function stand(tally: Tally, documents: TelnyxDocuments, ms: number) {
  const seconds = Math.max(0.001, ms / 1_000);
  if (tally.documents === 0) {
    return { ended: 0, total: undefined, text: `Telnyx lists ${grouped(documents.count)} documents so far` };
  }
  const findings = defectsIn(tally);
  return {
    ended: tally.documents,
    total: documents.count > tally.documents ? documents.count : undefined,
    text: [
      `${grouped(tally.documents)} documents checked`,
      `${grouped(Math.round(tally.documents / seconds))}/s`,
      findings === 1 ? '1 finding' : `${grouped(findings)} findings`,
    ].join(' · '),
  };
}

/** What the reading of Telnyx's list has to say goes to the person who waits for it. */
function notesOf(terminal: Terminal) {
  const note = (message: string, fields: { code?: string | number | undefined } = {}) =>
    terminal.note(fields.code === undefined ? message : `${message}: ${fields.code}`);
  return { info: note, warn: note, error: note, count: () => undefined };
}
