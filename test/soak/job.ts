/** What the processes of a soak tell each other. */
import type { Certificates } from './tls-front.ts';
import type { Doom, TraitName } from './traits.ts';

export interface Job {
  /** Paths. */
  archive: string;
  documents: string;
  /** Of the functions. */
  log: string;
  doomed: [fileName: string, doom: Doom][];
  traits: [fileName: string, trait: TraitName][];
  /** Downloads go through TLS with them. */
  certificates: Certificates | undefined;
}

export interface Progress {
  /** Archived by this process. */
  archived: number;
  /** How often, by kind. */
  faults: [string, number][];
  /** There once nothing is left to do. */
  end: ProcessEnd | undefined;
}

export interface ProcessEnd {
  /** All documents that Telnyx has by now. */
  documents: [documentId: string, fileName: string][];
  /** What was not as it should be. */
  violations: string[];
  /** Milliseconds of the longest receive that ended with its document archived. */
  longestReceiveMs: number;
  heapMb: { before: number; after: number };
  sockets: number;
}

/**
 * Sockets that may be open in a process with nothing to do, all ends counted: two of each of 19 long polls, four of each
 * of 20 connections to SQS that the functions keep, since they go through a front, and some of the stack's own.
 */
export const waitingSockets = 140;
