/** Paths of exported documents: `2026/11/23/<file name>`, valid on any file system and unique. */

const maxNameBytes = 200;
/** UTF-16 code units read from each end of a name. The middle of a longer name is dropped anyway; this saves the time. */
const maxEndUnits = 1_024;
const maxExtension = 16;
/**
 * Reserved by Windows, with any extension and with blanks before it (Microsoft, "Naming Files, Paths, and Namespaces" and
 * "Console Handles").
 */
const deviceName = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$|clock\$)\s*(\.|$)/i;

/**
 * Turns a name into one valid path segment on Linux, macOS and Windows: no separators, control or format characters, no
 * leading dot, no reserved name, no trailing space or dot, at most 200 bytes of UTF-8.
 *
 * @param fallback used if nothing of the name is left
 */
export function safeFileName(name: string | undefined, fallback: string): string {
  const cleaned = endsOf(name ?? '')
    .toWellFormed()
    .normalize('NFC')
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '')
    .replace(/[/\\:*?"<>|]/g, '_')
    .replace(/^[\s.]+/, '')
    .replace(trailing, '');
  const named = cleaned === '' ? fallback : cleaned;
  return fitWithSuffix(deviceName.test(named) ? `_${named}` : named, '');
}

/** Windows drops blanks and dots at the end. The lookbehind avoids a match attempt at each character of a run. */
const trailing = /(?<![\s.])[\s.]+$/;

function endsOf(name: string): string {
  // Stryker disable next-line ConditionalExpression,EqualityOperator,MethodExpression,UnaryOperator: only saves time.
  return name.length <= 2 * maxEndUnits ? name : name.slice(0, maxEndUnits) + name.slice(-maxEndUnits);
}

/** Assigns each document a unique path, also on file systems that fold case or normalise Unicode. */
export class ExportPaths {
  readonly #taken = new Set<string>();

  /** @returns false if the path is already taken */
  claim(path: string): boolean {
    const folded = path.normalize('NFKC').toLowerCase();
    if (this.#taken.has(folded)) return false;
    this.#taken.add(folded);
    return true;
  }

  /** Returns an unused path. On a collision, part of the ID is inserted before the extension, then the whole ID. */
  choose({ id, fileName, at }: { id: string; fileName: string | undefined; at: number }): string {
    const day = new Date(at).toISOString().slice(0, 10).replaceAll('-', '/');
    const name = safeFileName(fileName, id);
    for (const suffix of ['', ` (${id.slice(0, 8)})`, ` (${id})`]) {
      const path = `${day}/${fitWithSuffix(name, suffix)}`;
      if (this.claim(path)) return path;
    }
    throw new RangeError(`Document ${id} already has a path.`);
  }
}

/** Inserts `suffix` before the extension and shortens the name, between characters, to the maximum length. */
function fitWithSuffix(name: string, suffix: string): string {
  const extension = extensionOf(name);
  const stem = name.slice(0, name.length - extension.length);
  let room = maxNameBytes - Buffer.byteLength(suffix + extension);
  let kept = '';
  for (const character of stem) {
    room -= Buffer.byteLength(character);
    if (room < 0) break;
    kept += character;
  }
  return (kept + suffix + extension).replace(trailing, '');
}

/** With its dot; empty if there is none, or if it is too long to be one. */
function extensionOf(name: string): string {
  const dot = name.lastIndexOf('.');
  // Stryker disable next-line EqualityOperator: no safe name begins with a dot.
  return dot > 0 && name.length - dot <= maxExtension ? name.slice(dot) : '';
}

/**
 * Other paths for a document whose path is taken by a file of somebody else, or whose name the file system does not
 * allow, for example because it is too long: with the document's ID before the name, then as the name.
 */
export function alternativePaths(path: string, id: string): string[] {
  const directory = path.slice(0, path.lastIndexOf('/'));
  const name = path.slice(directory.length + 1);
  const extension = extensionOf(name);
  // Characters that a file system may not know are left out with the rest of the name.
  const names = [`${id} ${name}`, /\.\w+$/.test(extension) ? id + extension : id, id];
  return names.map((alternative) => `${directory}/${alternative}`);
}
