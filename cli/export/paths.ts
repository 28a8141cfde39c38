/** Where an exported document is to lie: `2026/11/23/<file name>`, safe on any file system, and each path once. */

const longestNameBytes = 200;
/** UTF-16 units that are read of each end of a name: what lies between is never kept, and costs only time. */
const longestEnd = 1_024;
const longestExtension = 16;
/** Windows keeps these for devices, with whatever extension (Microsoft, "Naming Files, Paths, and Namespaces"). */
const deviceName = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)/i;

/**
 * A name that is one path segment on Linux, macOS and Windows: no separators, no control or direction characters,
 * nothing hidden, no device, no blank or dot at the end, at most 200 bytes of UTF-8.
 *
 * @param otherwise for a name of which nothing is left
 */
export function safeFileName(name: string | undefined, otherwise: string): string {
  const cleaned = endsOf(name ?? '')
    .toWellFormed()
    .normalize('NFC')
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '')
    .replace(/[/\\:*?"<>|]/g, '_')
    .replace(/^[\s.]+/, '')
    // Without the lookbehind, each place of a run in the middle would be tried as its beginning.
    .replace(/(?<![\s.])[\s.]+$/, '');
  const named = cleaned === '' ? otherwise : cleaned;
  return cut(deviceName.test(named) ? `_${named}` : named, '');
}

function endsOf(name: string): string {
  return name.length <= 2 * longestEnd ? name : name.slice(0, longestEnd) + name.slice(-longestEnd);
}

/** Keeps two documents from one path, on file systems that fold case and normalise Unicode, too. */
export class ExportPaths {
  readonly #taken = new Set<string>();

  /** @returns false where the path is taken */
  claim(path: string): boolean {
    const folded = path.normalize('NFKC').toLowerCase();
    if (this.#taken.has(folded)) return false;
    this.#taken.add(folded);
    return true;
  }

  /** A path for the document that nobody else has: with a part of its id before the extension where it must be. */
  choose({ id, fileName, at }: { id: string; fileName: string | undefined; at: number }): string {
    const day = new Date(at).toISOString().slice(0, 10).replaceAll('-', '/');
    const name = safeFileName(fileName, id);
    for (const mark of ['', ` (${id.slice(0, 8)})`, ` (${id})`]) {
      const path = `${day}/${cut(name, mark)}`;
      if (this.claim(path)) return path;
    }
    throw new RangeError('A document is exported once.');
  }
}

/** The name with `mark` before its extension, cut between characters to what a file name may have. */
function cut(name: string, mark: string): string {
  const dot = name.lastIndexOf('.');
  const extension = dot > 0 && name.length - dot <= longestExtension ? name.slice(dot) : '';
  const stem = name.slice(0, name.length - extension.length);
  let room = longestNameBytes - Buffer.byteLength(mark + extension);
  let kept = '';
  for (const character of stem) {
    room -= Buffer.byteLength(character);
    if (room < 0) break;
    kept += character;
  }
  return kept + mark + extension;
}
