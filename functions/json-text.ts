/**
 * Reads JSON as source text. `JSON.parse` rounds integers above 2^53, turns 1e400 into Infinity and drops repeated
 * members, so text that must be kept unchanged is sliced, not parsed.
 */

/**
 * Source text of each member of an object, by name. The last of repeated members counts, as in `JSON.parse`.
 * Takes linear time and does not recurse.
 *
 * @param text a JSON object that `JSON.parse` accepts
 */
export function membersOf(text: string): Map<string, string> {
  const members = new Map<string, string>();
  let level = 0;
  let stringStart = 0;
  let name: string | undefined;
  let valueStart = 0;
  // Stryker disable next-line EqualityOperator: there is no character behind the end.
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === '"') {
      stringStart = at;
      at = endOfString(text, at);
    } else if (character === '{' || character === '[') {
      level += 1;
    } else if (character === ':' && level === 1) {
      // The string before a colon is the name.
      name = JSON.parse(text.slice(stringStart, at));
      valueStart = at + 1;
    } else if (character === ',' || character === '}' || character === ']') {
      if (level === 1 && name !== undefined) {
        members.set(name, text.slice(valueStart, at).trim());
        name = undefined;
      }
      if (character !== ',') level -= 1;
    }
  }
  return members;
}

/**
 * Nesting depth of arrays and objects: 0 for a string, 1 for `{"a": 1}`. Takes linear time and does not recurse.
 *
 * @param text JSON that `JSON.parse` accepts
 */
export function nestingOf(text: string): number {
  let level = 0;
  let deepest = 0;
  // Stryker disable next-line EqualityOperator: there is no character behind the end.
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === '"') at = endOfString(text, at);
    else if (character === '{' || character === '[') deepest = Math.max(deepest, ++level);
    else if (character === '}' || character === ']') level -= 1;
  }
  return deepest;
}

/** Index of the closing quotation mark of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  // Stryker disable next-line ConditionalExpression,EqualityOperator: valid JSON closes each string.
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at;
}
