/** Keeps the rows of the newest documents, without holding all rows in memory. */
import type { CatalogueRow } from '../../functions/bucket/catalogue-rows.ts';

export class NewestRows {
  readonly #limit: number;
  #rows: CatalogueRow[] = [];
  #count = 0;

  /** @param limit may be infinite */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** How many rows were added, kept or not. */
  get count(): number {
    return this.#count;
  }

  add(rows: readonly CatalogueRow[]): void {
    this.#count += rows.length;
    for (const row of rows) this.#rows.push(row);
    // Sorting only at twice the limit costs little per row.
    // Stryker disable next-line ConditionalExpression,EqualityOperator,ArithmeticOperator: only bounds memory and time.
    if (this.#rows.length > 2 * this.#limit) this.#rows = this.sorted();
  }

  /** Newest first, at most `limit` rows. Erased documents, whose time is unknown, come last. */
  sorted(): CatalogueRow[] {
    // Stryker disable next-line StringLiteral: any text that is not a date will do.
    const dated = this.#rows.map((row) => ({ row, at: Date.parse(row.archived ?? '') || 0 }));
    // Stryker disable next-line EqualityOperator: no two rows have the same ID.
    dated.sort((a, b) => b.at - a.at || (a.row.id < b.row.id ? -1 : 1));
    return dated.slice(0, this.#limit).map(({ row }) => row);
  }
}
