/** Randomness that is the same for the same seed. */

export interface RandomSource {
  /** A number in [0, 1), as `Math.random` gives it. */
  next(): number;
  /** True in this part of all cases, 0 to 1. */
  chance(part: number): boolean;
  /** A whole number, both ends included. */
  integer(least: number, most: number): number;
  between(least: number, most: number): number;
  pick<Item>(items: readonly Item[]): Item;
  uuid(): string;
  bytes(length: number): Buffer;
  /** Another source, which depends on this one's seed and the label only: actors do not disturb each other. */
  fork(label: string): RandomSource;
}

export function createRandom(seed: string): RandomSource {
  let state = hashOf(seed);
  /** mulberry32: 32 bits of state, a handful of operations, good enough to choose faults by. */
  const word = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const next = () => word() / 4_294_967_296;
  const integer = (least: number, most: number) => least + Math.floor(next() * (most - least + 1));
  const hex = (digits: number) => {
    let text = '';
    while (text.length < digits) text += word().toString(16).padStart(8, '0');
    return text.slice(0, digits);
  };
  return {
    next,
    integer,
    chance: (part) => next() < part,
    between: (least, most) => least + next() * (most - least),
    pick: (items) => {
      if (items.length === 0) throw new RangeError('There is nothing to pick from.');
      return items[integer(0, items.length - 1)] as (typeof items)[number];
    },
    uuid: () => `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}`,
    bytes: (length) => {
      const bytes = Buffer.alloc(length);
      for (let at = 0; at < length; at += 1) bytes[at] = word() >>> 24;
      return bytes;
    },
    fork: (label) => createRandom(`${seed}/${label}`),
  };
}

/** FNV-1a, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash;
}
