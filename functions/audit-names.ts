/**
 * Names of the audit's runs and parts, which its queue messages and the keys of its objects share.
 *
 * A run is named by the time at which it was requested, such as `20261126T021500Z`, and a run that reads everything
 * `20261126T021500Z_full`. A part covers a stretch of document IDs, a span of Telnyx's list, or everything in the bucket
 * that belongs to no document.
 */

export type AuditPart =
  /** IDs from `from` (inclusive) to `before` (exclusive). Each is a prefix of an ID, or a whole one; empty: no bound. */
  | { sort: 'ids'; from: string; before: string }
  /** Telnyx's documents created until `until`, in seconds since the Unix epoch, newest first. */
  | { sort: 'telnyx'; until: number }
  /** The objects of the bucket that belong to no document; with `from`, only the records of this run and of later ones. */
  | { sort: 'others'; from?: string };

/** `_` sorts after the `/` that follows a name in a key: names and keys are in the same order. */
const runPattern = /^\d{8}T\d{6}Z(?:_full)?$/;
/** Of document IDs: a prefix, or a whole one; empty: no bound. */
const boundPattern = /^(?:[0-9a-f]{0,8}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/;
const othersFrom = 'others_';
const secondsPattern = /^(?:0|[1-9]\d{0,11})$/;

export function isRunName(name: string): boolean {
  return runPattern.test(name);
}

/**
 * Two requests in the same second are one run, unless only one of them is for a full run.
 *
 * @param requestedAt milliseconds since the Unix epoch
 * @param full whether the run reads everything
 */
export function runName(requestedAt: number, full = false): string {
  return new Date(requestedAt).toISOString().replace(/[-:]|\.\d+/g, '') + (full ? '_full' : '');
}

/** @param name a valid name of a run. @returns milliseconds since the Unix epoch */
export function runRequestedAt(name: string): number {
  return Date.parse(name.replace(/(\d\d\d\d)(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z.*/, '$1-$2-$3T$4:$5:$6Z'));
}

/** `ids_<from>_<before>`, `telnyx_<until>`, `others` or `others_<from>` */
export function partName(part: AuditPart): string {
  return part.sort === 'ids' ? `${partStartName(part)}_${part.before}` : partStartName(part);
}

/** The name without the end of the part: `ids_<from>`, `telnyx_<until>`, `others` or `others_<from>`. */
export function partStartName(part: AuditPart): string {
  if (part.sort === 'ids') return `ids_${part.from}`;
  if (part.sort === 'telnyx') return `telnyx_${part.until}`;
  return part.from === undefined ? 'others' : othersFrom + part.from;
}

export function isPartStartName(name: string): boolean {
  return parsePartName(name.startsWith('ids_') ? `${name}_` : name) !== undefined;
}

/** @returns undefined for other text */
export function parsePartName(name: string): AuditPart | undefined {
  if (name === 'others') return { sort: 'others' };
  if (name.startsWith(othersFrom)) {
    const from = name.slice(othersFrom.length);
    return isRunName(from) ? { sort: 'others', from } : undefined;
  }
  // Stryker disable next-line StringLiteral: a name with fewer parts is neither of the texts below; required by the type.
  const [, first = '', second = ''] = name.split('_');
  if (name === `telnyx_${first}` && secondsPattern.test(first)) {
    return { sort: 'telnyx', until: Number(first) };
  }
  const isStretch = name === `ids_${first}_${second}`;
  if (!isStretch || !boundPattern.test(first) || !boundPattern.test(second)) return undefined;
  return second === '' || first < second ? { sort: 'ids', from: first, before: second } : undefined;
}
