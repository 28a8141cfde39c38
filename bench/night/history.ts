/** What an ordinary night finds in the archive: the run of the night before, which matches, and a manifest of two days ago. */
import { createHash } from 'node:crypto';
import { Fingerprints, type Stretch } from '../../functions/audit/cells.ts';
import {
  createRunTally,
  type PartResult,
  type RunSummary,
  recordText,
} from '../../functions/audit/records.ts';
import { dayOf } from '../../functions/audit/shares.ts';
import { partName, runName } from '../../functions/audit-names.ts';
import { auditResultKey, auditSummaryKey, documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import {
  formatEntry,
  formatLine,
  formatTimestamp,
  manifestKey,
  stretchManifestKey,
  tagManifestKey,
} from '../../functions/bucket/manifest-text.ts';
import type { GeneratedArchive } from '../audit/archive.ts';

const dayMs = 24 * 60 * 60_000;

/** @param stretches in their order. @param now milliseconds since the Unix epoch */
export function addHistory(archive: GeneratedArchive, stretches: readonly Stretch[], now: number): void {
  const lastNight = now - dayMs;
  const at = new Date(lastNight).toISOString();
  const run = runName(lastNight);
  const timestamp = formatTimestamp(Math.floor((now - 2 * dayMs) / 1_000));
  const store = (key: string, text: string) => {
    archive.stored.set(key, Buffer.from(text));
    return { key, sha256: hex(text) };
  };
  const lines: string[] = [];
  const parts: RunSummary['parts'] = [];
  const of = { v: 1, run, startedAt: at, endedAt: at, tally: createRunTally() } as const;
  for (const stretch of stretches) {
    const fingerprints = new Fingerprints(lastNight);
    let entries = '';
    for (const number of archive.numbersOf(stretch)) {
      const id = archive.idOf(number);
      const { body, sha256 } = archive.objectOf(number);
      fingerprints.add({
        id,
        object: listedKey(id, documentKey(id), body.length, archive),
        receipt: listedKey(id, receiptKey(id), archive.listed.receiptBytes, archive),
      });
      entries += formatEntry({ id, document: sha256, receipt: hex(archive.receiptOf(number)) });
    }
    const part = { sort: 'ids', ...stretch } as const;
    const result: PartResult = { ...of, part: partName(part), findings: [], cells: fingerprints.of(stretch) };
    store(auditResultKey(run, part), recordText(result));
    parts.push({ part: result.part });
    lines.push(formatLine(store(stretchManifestKey(timestamp, stretch), entries)));
  }
  const manifest = store(manifestKey(timestamp), lines.join(''));
  store(tagManifestKey(timestamp), formatLine(manifest));
  const summary: RunSummary = {
    ...of,
    status: 'complete',
    unchecked: [],
    full: false,
    shareDays: 30,
    readsBytes: true,
    day: dayOf(lastNight),
    newFrom: at,
    parts,
    unfinished: [],
    manifest,
    wroteManifest: false,
    namedSince: manifest.key,
    archiver: 'bench',
  };
  store(auditSummaryKey(run), recordText(summary));
}

function listedKey(id: string, key: string, bytes: number, { listed }: GeneratedArchive) {
  const { etag, versionId, modified } = listed;
  return { id, key, current: { bytes, modified, versionId, etag }, otherVersions: 0, deleteMarkers: 0 };
}

function hex(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}
