/** Objects that the archiver did not write, as findings. There may be millions, and the records of a run are read whole. */
import type { ListedKey } from '../bucket/listing.ts';
import { nightlyAudit } from '../limits.ts';
import type { Finding } from './findings.ts';

export function foreignObject({ key, current, otherVersions }: ListedKey): Finding {
  return {
    code: 'foreign',
    key,
    detail: `${current ? `${current.bytes} bytes` : 'hidden by a delete marker'}, other versions: ${otherVersions}`,
  };
}

/** Keeps some of the foreign objects, and one finding that counts the others. Keeps all other findings. */
export function limitForeign(findings: readonly Finding[]): Finding[] {
  let count = 0;
  const kept = findings.filter(({ code, documentId }) => {
    if (code !== 'foreign' || documentId !== undefined) return true;
    count += 1;
    return count <= nightlyAudit.foreignObjects;
  });
  const more = count - nightlyAudit.foreignObjects;
  return more <= 0
    ? kept
    : [...kept, { code: 'foreign', key: 'bucket', detail: `other objects: ${more.toLocaleString('en')}` }];
}
