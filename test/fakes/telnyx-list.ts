/** The list of documents of Telnyx's API. */

export interface ListedRow {
  id: string;
  createdAt: number;
}

export interface ListOptions<Row extends ListedRow> {
  /** Maximum number of rows per page, whatever size is requested. @default 250 */
  pageRows?: number | undefined;
  /** Sorts the list. @default newest first */
  arrange?: ((rows: Row[]) => Row[]) | undefined;
  /** How the filter rounds a timestamp before it compares. @default unchanged */
  filtered?: ((instant: number) => number) | undefined;
  /** Whether the bounds of the filter are inclusive. @default false */
  inclusive?: boolean | undefined;
}

/** The rows of the page that a query requests. */
export function pageOf<Row extends ListedRow>(
  rows: Iterable<Row>,
  query: URLSearchParams,
  options: ListOptions<Row> = {},
): Row[] {
  const {
    pageRows = 250,
    arrange = newestFirst,
    filtered = (instant) => instant,
    inclusive = false,
  } = options;
  const after = Date.parse(query.get('filter[created_at][gt]') ?? '');
  const before = Date.parse(query.get('filter[created_at][lt]') ?? '');
  const number = Number(query.get('page[number]'));
  const size = Math.min(pageRows, Number(query.get('page[size]')));
  const chosen = [...rows].filter(({ createdAt }) => {
    const instant = filtered(createdAt);
    return (instant > after && instant < before) || (inclusive && (instant === after || instant === before));
  });
  return arrange(chosen).slice((number - 1) * size, number * size);
}

export function newestFirst<Row extends ListedRow>(rows: Row[]): Row[] {
  return rows.sort((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? -1 : 1));
}
