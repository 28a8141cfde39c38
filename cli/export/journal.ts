/** `export.jsonl` in the export folder: maps files to documents. */
import { appendFile, mkdir, readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { hasSystemCode } from '../../functions/errors.ts';
import { ExportPaths } from './paths.ts';

/** One line of the journal: a completely exported document. */
export interface Exported {
  documentId: string;
  path: string;
  bytes: number;
  sha256: string;
}

export interface Journal {
  entries: ReadonlyMap<string, Exported>;
  paths: ExportPaths;
  add(exported: Exported): Promise<void>;
}

/** Reads the journal of earlier runs. Drops an incomplete last line, left by an interrupted run. */
export async function openJournal(folder: string): Promise<Journal> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, 'export.jsonl');
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (hasSystemCode(error, 'ENOENT')) return '';
    throw error;
  });
  const entries = new Map<string, Exported>();
  const paths = new ExportPaths();
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  if (whole.length < text.length) await truncate(file, Buffer.byteLength(whole));
  for (const line of whole.split('\n').slice(0, -1)) {
    const entry: Exported = JSON.parse(line);
    entries.set(entry.documentId, entry);
    paths.claim(entry.path);
  }
  return {
    entries,
    paths,
    add: (exported) => appendFile(file, `${JSON.stringify(exported)}\n`),
  };
}
