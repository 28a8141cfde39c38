/** What an audit has counted. */
import { type Code, codes, weightOf } from './findings.ts';

export interface Tally {
  /** Documents and keys by what was found of them. */
  counts: Record<Code, number>;
  /** Documents that are archived, whether or not as they should be. */
  archived: number;
  /** Bytes of their objects. */
  bytes: number;
  /** Bytes that were read back. */
  bytesRead: number;
  objectsRead: number;
  /** Requests to S3. */
  requests: number;
  /** Documents looked at, archived or not. */
  documents: number;
}

export function createTally(): Tally {
  const counts = Object.fromEntries(codes.map((code) => [code, 0])) as Record<Code, number>;
  return { counts, archived: 0, bytes: 0, bytesRead: 0, objectsRead: 0, requests: 0, documents: 0 };
}

export function defectsIn({ counts }: Tally): number {
  return sumOf(counts, 'defect');
}

export function uncheckedIn({ counts }: Tally): number {
  return sumOf(counts, 'unchecked');
}

function sumOf(counts: Tally['counts'], weight: ReturnType<typeof weightOf>): number {
  return codes.reduce((sum, code) => sum + (weightOf(code) === weight ? counts[code] : 0), 0);
}
