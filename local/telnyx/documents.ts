/** Documents of the Telnyx stand-in: records in memory, data in the directory of its storage bucket. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, rm, symlink, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { unlinkedLifetimeMs } from '../../functions/limits.ts';
import type { Time } from '../../functions/time.ts';
import type { DocumentChanges } from './upload.ts';

export interface Document {
  id: string;
  fileName: string;
  contentType: string;
  bytes: number;
  /** Lower-case hex. */
  sha256: string;
  /** Milliseconds since the Unix epoch. */
  createdAt: number;
  /** Milliseconds since the Unix epoch: the last change of name or reference. */
  updatedAt: number;
  customerReference: string;
  avScanStatus: 'scanned' | 'infected';
  /** Whether a service links the document. Telnyx deletes unlinked documents after 30 minutes. */
  linked: boolean;
}

export type DocumentFacts = Partial<
  Pick<Document, 'id' | 'createdAt' | 'customerReference' | 'avScanStatus' | 'linked'>
>;

export interface DocumentsOptions {
  /** Directory of the storage bucket: one file or symbolic link per document ID. */
  storage: string;
  time: Time;
  /** Whether unlinked documents are deleted after 30 minutes, as at Telnyx. */
  expire: boolean;
}

export class Documents {
  readonly #documents = new Map<string, Document>();
  /** Cache of the sorted documents; undefined after a change. */
  #newestFirst: readonly Document[] | undefined;
  readonly #options: DocumentsOptions;

  constructor(options: DocumentsOptions) {
    this.#options = options;
  }

  /** Adds a document with its data, as an upload does. */
  async add(fileName: string, bytes: Buffer, facts: DocumentFacts = {}): Promise<Document> {
    const document = this.#record(
      fileName,
      bytes.length,
      createHash('sha256').update(bytes).digest('hex'),
      facts,
    );
    await mkdir(this.#options.storage, { recursive: true });
    await writeFile(this.#path(document.id), bytes);
    return this.#keep(document);
  }

  /** Adds a record without data, which cannot be downloaded. For long lists. */
  addRecord(fileName: string, bytes: number, sha256: string, facts: DocumentFacts = {}): Document {
    return this.#keep(this.#record(fileName, bytes, sha256, facts));
  }

  /** Adds an existing file by a symbolic link, without copying it. */
  async addFile(
    fileName: string,
    path: string,
    size: number,
    sha256: string,
    facts: DocumentFacts,
  ): Promise<Document> {
    const document = this.#record(fileName, size, sha256, facts);
    await mkdir(this.#options.storage, { recursive: true });
    await rm(this.#path(document.id), { force: true });
    await symlink(path, this.#path(document.id));
    return this.#keep(document);
  }

  /** Marks the document as linked by a service, so that it is not deleted. Ignores an unknown ID. */
  link(id: string): void {
    const document = this.get(id);
    if (document) document.linked = true;
  }

  /** Renames a document or changes its reference. Its data never changes. */
  update(document: Document, changes: DocumentChanges): void {
    document.fileName = changes.fileName ?? document.fileName;
    document.customerReference = changes.customerReference ?? document.customerReference;
    document.updatedAt = this.#options.time.now();
  }

  /** The document's data and its length in bytes. @returns undefined for a record without data */
  async read(id: string): Promise<{ data: Readable; bytes: number } | undefined> {
    try {
      const file = await open(this.#path(id));
      return { data: file.createReadStream(), bytes: (await file.stat()).size };
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    }
  }

  async remove(id: string): Promise<void> {
    this.#documents.delete(id);
    this.#newestFirst = undefined;
    await rm(this.#path(id), { force: true });
  }

  get(id: string): Document | undefined {
    const document = this.#documents.get(id);
    return document !== undefined && this.#isAlive(document) ? document : undefined;
  }

  /** Newest first, as Telnyx lists them. */
  all(): readonly Document[] {
    this.#newestFirst ??= [...this.#documents.values()].sort(
      (a, b) => b.createdAt - a.createdAt || (a.id < b.id ? -1 : 1),
    );
    return this.#options.expire
      ? this.#newestFirst.filter((document) => this.#isAlive(document))
      : this.#newestFirst;
  }

  #keep(document: Document): Document {
    this.#documents.set(document.id, document);
    this.#newestFirst = undefined;
    return document;
  }

  #isAlive({ createdAt, linked }: Document): boolean {
    const { expire, time } = this.#options;
    return !expire || linked || time.now() - createdAt < unlinkedLifetimeMs;
  }

  #record(fileName: string, bytes: number, sha256: string, facts: DocumentFacts): Document {
    const createdAt = facts.createdAt ?? this.#options.time.now();
    return {
      id: randomUUID(),
      fileName,
      contentType: contentTypes[extname(fileName).toLowerCase()] ?? 'application/octet-stream',
      bytes,
      sha256,
      createdAt,
      updatedAt: createdAt,
      customerReference: '',
      avScanStatus: 'scanned',
      linked: false,
      ...facts,
    };
  }

  #path(id: string): string {
    return join(this.#options.storage, id);
  }
}

const contentTypes: Record<string, string> = {
  '.pdf': 'application/pdf',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.csv': 'text/csv',
  '.txt': 'text/plain',
  '.json': 'application/json',
  '.doc': 'application/msword',
  '.docx': 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  '.xls': 'application/vnd.ms-excel',
  '.xlsx': 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
};

/** The record as returned by the API, with every field of Telnyx's specification. */
export function recordOf(document: Document): Record<string, unknown> {
  const { createdAt, updatedAt, bytes } = document;
  return {
    id: document.id,
    record_type: 'document',
    created_at: new Date(createdAt).toISOString(),
    updated_at: new Date(updatedAt).toISOString(),
    content_type: document.contentType,
    filename: document.fileName,
    customer_reference: document.customerReference,
    sha256: document.sha256,
    size: { unit: 'bytes', amount: bytes },
    status: document.avScanStatus === 'infected' ? 'denied' : 'pending',
    av_scan_status: document.avScanStatus,
  };
}
