/**
 * Names of the audit's runs and parts, which its queue messages and the keys of its objects share.
 *
 * A run is named by the time at which it was requested, such as `20261126T021500Z`. A part covers a stretch of document
 * IDs, a span of Telnyx's list, or everything in the bucket that belongs to no document.
 */

export type AuditPart =
  /** IDs from `from` (inclusive) to `before` (exclusive). Each is a prefix of an ID, or a whole one; empty: no bound. */
  | { sort: 'ids'; from: string; before: string }
  /** Telnyx's documents created until `until`, in seconds since the Unix epoch, newest first. */
  | { sort: 'telnyx'; until: number }
  /** The objects of the bucket that belong to no document. */
  | { sort: 'others' };

const runPattern = /^\d{8}T\d{6}Z$/;
const bound = '(?:[0-9a-f]{1,8}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|)';
const partPattern = new RegExp(
  `^(?:ids_(?<from>${bound})_(?<before>${bound})|telnyx_(?<until>\\d{1,12})|(?<others>others))$`,
);
const partStartPattern = new RegExp(`^(?:ids_${bound}|telnyx_\\d{1,12}|others)$`);

export function isRunName(name: string): boolean {
  return runPattern.test(name);
}

/** @param requestedAt milliseconds since the Unix epoch */
export function runName(requestedAt: number): string {
  return new Date(requestedAt).toISOString().replace(/[-:]|\.\d+/g, '');
}

/** @param name a valid name of a run. @returns milliseconds since the Unix epoch */
export function runRequestedAt(name: string): number {
  return Date.parse(name.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
}

/** `ids_<from>_<before>`, `telnyx_<until>` or `others` */
export function partName(part: AuditPart): string {
  return part.sort === 'ids' ? `${partStartName(part)}_${part.before}` : partStartName(part);
}

/** The name without the end of the part: `ids_<from>`, `telnyx_<until>` or `others`. */
export function partStartName(part: AuditPart): string {
  if (part.sort === 'ids') return `ids_${part.from}`;
  return part.sort === 'telnyx' ? `telnyx_${part.until}` : 'others';
}

export function isPartStartName(name: string): boolean {
  return partStartPattern.test(name);
}

/** @returns undefined for other text */
export function parsePartName(name: string): AuditPart | undefined {
  const { from, before, until, others } = partPattern.exec(name)?.groups ?? {};
  if (others !== undefined) return { sort: 'others' };
  if (until !== undefined) return { sort: 'telnyx', until: Number(until) };
  if (from === undefined || before === undefined) return undefined;
  return before === '' || from < before ? { sort: 'ids', from, before } : undefined;
}
