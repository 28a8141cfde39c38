/** Telnyx's list of documents, as far as the archiver reads it. */

export interface ListedRow {
  id: string;
  createdAt: number;
}

export interface ListOptions<Row extends ListedRow> {
  /** Rows of a page at most, whatever is asked for. @default 250 */
  pageRows?: number | undefined;
  /** The order of the list. @default newest first */
  arrange?: ((rows: Row[]) => Row[]) | undefined;
  /** What the filter makes of an instant before it compares. @default itself */
  filtered?: ((instant: number) => number) | undefined;
  /** Whether the filter's bounds belong to what they bound. @default false */
  inclusive?: boolean | undefined;
}

/** The rows of the page that a query asks for. */
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
