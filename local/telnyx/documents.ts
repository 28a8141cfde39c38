/** The documents that the Telnyx stand-in knows: records in memory, bytes in its storage bucket's directory. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { unlinkedLifetimeMs } from '../../functions/limits.ts';
import type { Time } from '../../functions/time.ts';

export interface Document {
  id: string;
  fileName: string;
  contentType: string;
  bytes: number;
  /** Lower-case hex. */
  sha256: string;
  /** Milliseconds since the Unix epoch. */
  createdAt: number;
  customerReference: string;
  avScanStatus: 'scanned' | 'infected';
  /** Whether a service links it; an unlinked one does not live for long. */
  linked: boolean;
}

export type Facts = Partial<
  Pick<Document, 'id' | 'createdAt' | 'customerReference' | 'avScanStatus' | 'linked'>
>;

export interface DocumentsOptions {
  /** Directory of the storage bucket: one file, or link to one, per document id. */
  storage: string;
  time: Time;
  /** Whether unlinked documents are deleted after 30 minutes, as at Telnyx. */
  expire: boolean;
}

export class Documents {
  readonly #documents = new Map<string, Document>();
  /** Put in order once for many pages of many lists; undefined when something has come or gone since. */
  #newestFirst: readonly Document[] | undefined;
  readonly #options: DocumentsOptions;

  constructor(options: DocumentsOptions) {
    this.#options = options;
  }

  /** Takes bytes as an upload does. */
  async add(fileName: string, bytes: Buffer, facts: Facts = {}): Promise<Document> {
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

  /** Takes a record alone, for lists of any length: there is nothing to download. */
  addRecord(fileName: string, bytes: number, sha256: string, facts: Facts = {}): Document {
    return this.#keep(this.#record(fileName, bytes, sha256, facts));
  }

  /** Takes a file where it lies: it is linked to, not copied. */
  async addFile(
    fileName: string,
    path: string,
    size: number,
    sha256: string,
    facts: Facts,
  ): Promise<Document> {
    const document = this.#record(fileName, size, sha256, facts);
    await mkdir(this.#options.storage, { recursive: true });
    await rm(this.#path(document.id), { force: true });
    await symlink(path, this.#path(document.id));
    return this.#keep(document);
  }

  /** A service links the document now: it stays. Does nothing where there is no such document. */
  link(id: string): void {
    const document = this.get(id);
    if (document) document.linked = true;
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

  #record(fileName: string, bytes: number, sha256: string, facts: Facts): Document {
    return {
      id: randomUUID(),
      fileName,
      contentType: contentTypes[extname(fileName).toLowerCase()] ?? 'application/octet-stream',
      bytes,
      sha256,
      createdAt: this.#options.time.now(),
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

/** The record as the API gives it: every field of Telnyx's specification. */
export function recordOf(document: Document): Record<string, unknown> {
  const { createdAt, bytes } = document;
  return {
    id: document.id,
    record_type: 'document',
    created_at: new Date(createdAt).toISOString(),
    updated_at: new Date(createdAt).toISOString(),
    content_type: document.contentType,
    filename: document.fileName,
    customer_reference: document.customerReference,
    sha256: document.sha256,
    size: { unit: 'bytes', amount: bytes },
    status: document.avScanStatus === 'infected' ? 'denied' : 'pending',
    av_scan_status: document.avScanStatus,
  };
}
