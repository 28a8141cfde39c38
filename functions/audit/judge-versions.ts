/** Judges what a bucket has at one key besides the current version. Pure: no request, no clock. */
import type { ListedKey } from '../bucket/listing.ts';
import type { Finding } from './findings.ts';

/** The archiver writes each key once and deletes nothing. So a key has one version, and no delete marker. */
export function judgeVersions({ key, current, otherVersions, deleteMarkers }: ListedKey): Finding[] {
  if (otherVersions === 0 && deleteMarkers === 0) return [];
  const detail = `other versions: ${otherVersions}, delete markers: ${deleteMarkers}`;
  return [{ code: current ? 'overwritten' : 'hidden', key, detail }];
}

export function isHidden(listed: ListedKey | undefined): boolean {
  return listed !== undefined && listed.current === undefined;
}
