/** Messages between the processes of a soak. */
import type { Certificates } from './tls-proxy.ts';
import type { PermanentFault, TraitName } from './traits.ts';

export interface Job {
  /** Path of the archive. */
  archive: string;
  /** Path of the documents' folder. */
  documents: string;
  /** Path of the functions' log file. */
  log: string;
  unarchivable: [fileName: string, fault: PermanentFault][];
  traits: [fileName: string, trait: TraitName][];
  /** For downloads over TLS; undefined for HTTP. */
  certificates: Certificates | undefined;
}

export interface Progress {
  /** Number of documents that this process has archived. */
  archived: number;
  /** Number of faults by kind. */
  faults: [string, number][];
  /** Set when no work is left. */
  end: ProcessEnd | undefined;
}

export interface ProcessEnd {
  /** All documents at Telnyx. */
  documents: [documentId: string, fileName: string][];
  violations: string[];
  /** Longest receive that ended with its document archived. */
  longestReceiveMs: number;
  heapMb: { before: number; after: number };
  sockets: number;
}

/**
 * Maximum number of open sockets in an idle process, counting every end: two for each of 19 long polls, four for each of
 * 20 keep-alive connections to SQS (they pass through a proxy), and some of the local stack.
 */
export const maxIdleSockets = 140;
