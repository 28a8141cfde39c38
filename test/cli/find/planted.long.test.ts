/** Relations among a hundred thousand rows are found by each of their handles, and nothing else is. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import {
  type Criterion,
  digestCriterion,
  fold,
  leastDigits,
  wordCriterion,
} from '../../../cli/find/match.ts';
import { createRowFilter } from '../../../cli/find/scan.ts';
import {
  type CatalogueRow,
  formatRows,
  type Relation,
  shardOf,
} from '../../../functions/bucket/catalogue-rows.ts';

const count = 100_000;
const kinds: readonly Relation['kind'][] = ['porting-order', 'port-out', 'number-order', 'link'];
const rows: CatalogueRow[] = [];
/** Text of each shard. */
const texts = new Map<string, Buffer>();

function rowOf(number: number): CatalogueRow {
  const digest = createHash('sha256').update(String(number)).digest('hex');
  const uuid = (from: number) =>
    `${digest.slice(from, from + 8)}-0000-4000-8000-${digest.slice(from + 8, from + 20)}`;
  const id = uuid(0);
  if (number % 101 === 0) return { id, state: 'erased', stamp: 's' };
  const kind = kinds[number % 4] ?? 'link';
  return {
    id,
    state: 'archived',
    stamp: 's',
    name: [`Müller ${number}.PDF`, `Mu\u0308ller ${number}.pdf`, `"${number}"\n.csv`][number % 3] ?? '',
    reference: `KD;${number % 1_000}\\`,
    type: 'application/pdf',
    bytes: number,
    sha256: createHash('sha256').update(digest).digest('hex'),
    archived: new Date(number * 1_000).toISOString(),
    ...(number % 5 !== 0 && {
      relations: [
        {
          kind,
          id: kind === 'link' ? `Res_${number}` : uuid(20),
          ...(kind === 'link' ? { type: 'address' } : { reference: `Örder ${number}` }),
          numbers: [`+4930${1_000_000 + number}`, `+1202${2_000_000 + number}`],
        },
      ],
    }),
  };
}

beforeAll(() => {
  for (let number = 0; number < count; number += 1) rows.push(rowOf(number));
  for (const [shard, ofShard] of Map.groupBy(rows, ({ id }) => shardOf(id))) {
    texts.set(shard, Buffer.from(formatRows(ofShard)));
  }
});

function search(...criteria: Criterion[]): string[] {
  const filter = createRowFilter(criteria);
  const found = [...texts].flatMap(([shard, text]) => filter.scan(text, shard));
  return found.map(({ id }) => id).sort();
}

const foldedTexts = new Map<string, string>();

function foldOnce(text: string): string {
  const folded = foldedTexts.get(text) ?? fold(text);
  foldedTexts.set(text, folded);
  return folded;
}

/** The words by which a document can be found, each with the rows that have it. */
function handlesOf({ id, name, reference, sha256, relations }: CatalogueRow) {
  const has = (text: string) => (stored: string | undefined) =>
    stored !== undefined && foldOnce(stored).includes(foldOnce(text));
  const handles: [word: string, isFound: (row: CatalogueRow) => boolean][] = [
    [id.toUpperCase(), (row) => row.id === id],
    [id.slice(0, 13), (row) => row.id.startsWith(id.slice(0, 13))],
  ];
  if (name !== undefined) handles.push([name, (row) => has(name)(row.name)]);
  if (name !== undefined) handles.push([name.toUpperCase().normalize('NFD'), (row) => has(name)(row.name)]);
  if (reference !== undefined) handles.push([reference, (row) => has(reference)(row.reference)]);
  if (sha256 !== undefined) {
    handles.push([sha256, (row) => row.sha256 === sha256]);
    handles.push([sha256.slice(0, 16), (row) => row.sha256?.startsWith(sha256.slice(0, 16)) ?? false]);
  }
  for (const { id: ofOrder, reference: orderReference, numbers = [] } of relations ?? []) {
    // Eight characters or more also find the IDs that begin with them.
    const isOrder = (stored: string) =>
      stored === ofOrder || (ofOrder.length >= leastDigits.id && stored.startsWith(ofOrder));
    handles.push([ofOrder, (row) => (row.relations ?? []).some(({ id: stored }) => isOrder(stored))]);
    if (orderReference !== undefined) {
      const hasReference = has(orderReference);
      handles.push([
        orderReference.toUpperCase(),
        (row) => (row.relations ?? []).some((relation) => hasReference(relation.reference)),
      ]);
    }
    for (const number of numbers) {
      const isSame = (row: CatalogueRow) =>
        (row.relations ?? []).some((relation) => relation.numbers?.includes(number));
      handles.push(
        [number, isSame],
        [`${number.slice(0, 3)} ${number.slice(3, 6)}-${number.slice(6)}`, isSame],
      );
      handles.push([number.slice(1), isSame], [`0${number.slice(3)}`, isSame]);
    }
  }
  return handles;
}

it('finds each document by all that is known of it, and no other', () => {
  fc.assert(
    fc.property(fc.nat(count - 1), fc.nat(), (number, choice) => {
      const row = rows[number] as CatalogueRow;
      const handles = handlesOf(row);
      const [word, isFound] = handles[choice % handles.length] as (typeof handles)[number];

      const found = search(wordCriterion(word));

      expect(found).toContain(row.id);
      expect(found).toEqual(
        rows
          .filter(isFound)
          .map(({ id }) => id)
          .sort(),
      );
    }),
    { numRuns: 60, examples: [[2_119, 7]] },
  );
});

it('finds documents that match several words at once, and no other', () => {
  fc.assert(
    fc.property(fc.nat(count - 1), fc.nat(), fc.nat(), (number, ...choices) => {
      const row = rows[number] as CatalogueRow;
      const handles = handlesOf(row);
      const chosen = choices.map((choice) => handles[choice % handles.length] as (typeof handles)[number]);

      const found = search(...chosen.map(([word]) => wordCriterion(word)));

      const expected = rows.filter((other) => chosen.every(([, isFound]) => isFound(other)));
      expect(found).toEqual(expected.map(({ id }) => id).sort());
      expect(found).toContain(row.id);
    }),
    { numRuns: 30 },
  );
});

it('finds a document by the digest of its bytes, and nothing by another digest', () => {
  const row = rows[1] as CatalogueRow;

  expect(search(digestCriterion(row.sha256 ?? ''))).toEqual([row.id]);
  expect(search(digestCriterion('0'.repeat(64)))).toEqual([]);
});
