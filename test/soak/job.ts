/** What the processes of a soak tell each other. */
import type { Doom } from './faults.ts';
import type { Certificates } from './tls-front.ts';

export interface Job {
  archive: string;
  documents: string;
  doomed: [fileName: string, doom: Doom][];
  /** Downloads go through TLS with them. */
  certificates: Certificates | undefined;
}

export interface Progress {
  /** Archived by this process. */
  archived: number;
  /** How often, by kind. */
  faults: [string, number][];
  /** There once nothing is left to do. */
  end: { heapMb: { before: number; after: number }; sockets: number } | undefined;
}

/** Sockets that may be open in a process with nothing to do, both ends counted: those that wait for messages. */
export const waitingSockets = 80;
