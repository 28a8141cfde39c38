/** Random numbers from a seed. */

export interface RandomSource {
  /** A number in [0, 1), like `Math.random`. */
  next(): number;
  /** True with this probability, 0 to 1. */
  chance(probability: number): boolean;
  /** An integer; both bounds are included. */
  integer(min: number, max: number): number;
  between(min: number, max: number): number;
  pick<Item>(items: readonly Item[]): Item;
  uuid(): string;
  bytes(length: number): Buffer;
  /**
   * Another source, which depends only on this seed and the label, so that draws of one part do not change those of
   * another. Changing a label changes every run.
   */
  fork(label: string): RandomSource;
}

export function createRandom(seed: string): RandomSource {
  let state = hashOf(seed);
  /** mulberry32: 32 bits of state and fast; good enough to choose faults. */
  const word = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const next = () => word() / 4_294_967_296;
  const integer = (min: number, max: number) => min + Math.floor(next() * (max - min + 1));
  const hex = (digits: number) => {
    let text = '';
    while (text.length < digits) text += word().toString(16).padStart(8, '0');
    return text.slice(0, digits);
  };
  return {
    next,
    integer,
    chance: (probability) => next() < probability,
    between: (min, max) => min + next() * (max - min),
    pick: (items) => {
      if (items.length === 0) throw new RangeError('Cannot pick from an empty list.');
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
