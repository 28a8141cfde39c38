/** `export.jsonl` in the export folder: one line per document, which names its file. */
import { constants } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { hasSystemCode } from '../../functions/errors.ts';
import { uuidPattern } from '../../functions/uuid.ts';
import { asDiskError, asFolderError } from '../../local/s3/file-errors.ts';
import { fileMode, UntrustedFolder } from '../../local/s3/untrusted-folder.ts';
import { ExportPaths } from './paths.ts';

const journalName = 'export.jsonl';

/** `2026/11/23/<file name>`: nothing that leaves the folder or that `ExportPaths` would not choose. */
const exportPath = v.pipe(
  v.string(),
  v.regex(/^\d{4}\/\d{2}\/\d{2}\/[^./\\:\p{Cc}][^/\\:\p{Cc}]*$/u),
  v.maxBytes(300),
);

const entry = v.object({
  documentId: v.pipe(v.string(), v.regex(uuidPattern)),
  path: exportPath,
  bytes: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  /** Name at Telnyx, of which the path may have only a part. */
  fileName: v.optional(v.string()),
  /** The customer's own text at Telnyx, such as an order number. */
  customerReference: v.optional(v.string()),
});

/** A completely exported document. */
export type Exported = Readonly<v.InferOutput<typeof entry>>;

export interface Journal {
  entries: ReadonlyMap<string, Exported>;
  /** Paths of all lines of earlier runs, by document: a file that was changed is exported again, beside the first. */
  earlierPaths: ReadonlyMap<string, ReadonlySet<string>>;
  paths: ExportPaths;
  /** Number of lines that could not be used: written during a crash, or by somebody else. */
  invalidLines: number;
  /** @throws DiskError */
  add(exported: Exported): Promise<void>;
  close(): Promise<void>;
}

/**
 * Reads the journal of earlier runs. A line that is not valid counts as missing, so its document is compared again; an
 * incomplete last one is removed with the first new entry. Creates the journal with the first entry.
 *
 * @param folder absolute path of an existing folder
 * @throws Error if something other than a file has the journal's name
 */
export async function openJournal(folder: string): Promise<Journal> {
  const bytes = await readJournal(folder);
  const entries = new Map<string, Exported>();
  const earlierPaths = new Map<string, Set<string>>();
  const paths = new ExportPaths();
  let invalidLines = 0;
  for (const line of bytes.toString('utf8').split('\n')) {
    if (line.trim() === '') continue;
    const exported = parseEntry(line);
    if (exported) {
      const { documentId, path } = exported;
      entries.set(documentId, exported);
      earlierPaths.set(documentId, (earlierPaths.get(documentId) ?? new Set()).add(path));
      paths.claim(path);
    } else invalidLines += 1;
  }
  const openToAdd = async () => {
    const handle = await openToAppend(folder);
    // A last line without an end was cut off, or would swallow the next entry.
    const ended = bytes.lastIndexOf('\n') + 1;
    const last = bytes.toString('utf8', ended);
    if (parseEntry(last)) await handle.appendFile('\n');
    else if (last !== '') await handle.truncate(ended);
    return handle;
  };
  let opened: Promise<FileHandle> | undefined;
  return {
    entries,
    earlierPaths,
    paths,
    invalidLines,
    add: async (exported) => {
      try {
        opened ??= openToAdd();
        const handle = await opened;
        await handle.appendFile(`${JSON.stringify(exported)}\n`);
      } catch (error) {
        throw asFolderError(error, folder);
      }
    },
    close: async () => {
      // Its failure has been thrown by `add`.
      const handle = await opened?.catch(() => undefined);
      await handle?.close();
    },
  };
}

async function readJournal(folder: string): Promise<Buffer> {
  const opened = await new UntrustedFolder(folder).open(journalName);
  if (!opened) {
    const found = await lstat(join(folder, journalName)).catch((error: unknown) => {
      if (hasSystemCode(error, 'ENOENT')) return undefined;
      throw error;
    });
    if (found) throw notAFile(folder);
    return Buffer.alloc(0);
  }
  try {
    return await opened.handle.readFile();
  } catch (error) {
    throw asDiskError(error, folder);
  } finally {
    await opened.handle.close();
  }
}

async function openToAppend(folder: string): Promise<FileHandle> {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;
  const handle = await open(
    join(folder, journalName),
    O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK,
    fileMode,
  );
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  throw notAFile(folder);
}

const notAFile = (folder: string) =>
  new Error(`${join(folder, journalName)} is not a regular file. Remove it, or export to another folder.`);

function parseEntry(line: string): Exported | undefined {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    // Not an entry: for example NULs, which some file systems leave after a power failure.
  }
  const result = v.safeParse(entry, json);
  return result.success ? result.output : undefined;
}
