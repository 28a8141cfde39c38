/** `find`: lists the archived documents that match, with the orders and phone numbers that they belong to. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { InvalidArgumentError } from 'commander';
import { lastCatalogued } from '../../functions/audit/run-history.ts';
import { runName } from '../../functions/audit-names.ts';
import type { CatalogueStore } from '../../functions/bucket/catalogue.ts';
import { createRetryingBucket } from '../../functions/bucket/retrying-bucket.ts';
import { createStorageRetry } from '../../functions/bucket/storage-retry.ts';
import { hasSystemCode } from '../../functions/errors.ts';
import { nightlyAudit } from '../../functions/limits.ts';
import { formatCount, formatNumber } from '../../terminal/counts.ts';
import { type ArchiverCommand, type CommandContext, UsageError } from '../command.ts';
import { searchFresh } from '../find/fresh-search.ts';
import {
  type Criterion,
  digestCriterion,
  erasedCriterion,
  heldCriterion,
  leastDigits,
  periodCriterion,
  typeCriterion,
  wordCriterion,
} from '../find/match.ts';
import { countMissingShards } from '../find/missing-shards.ts';
import { NewestRows } from '../find/newest.ts';
import { foundCsv, foundRecord, foundTable } from '../find/output.ts';
import { createRowFilter, type RowFilter } from '../find/scan.ts';
import { searchStored } from '../find/stored-search.ts';
import { type CommandHelp, findStackPermissions } from '../help.ts';
import { instantHelp, instantOption } from '../instants.ts';

export interface FindOptions {
  digestOf?: string;
  since?: string;
  until?: string;
  type?: string;
  erased?: boolean;
  held?: boolean;
  fresh?: boolean;
  limit?: number;
  csv?: boolean;
}

const help: CommandHelp = {
  text: `
A document must match every word and every option. A word matches

  - a part of the file name or of a customer reference, in upper or lower case
  - the ID of the document, order or resource, or its first ${leastDigits.id} digits or more
  - a phone number, or its last ${leastDigits.phone} digits or more
  - the SHA-256 of the document, or its first ${leastDigits.sha256} digits or more

The command reads the catalogue, which the nightly audit updates, and says as of when the answer is. With --fresh, it
first compares the catalogue with the archive, so the answer is exact. If there is no catalogue, it builds one.

${instantHelp}`,
  examples: [
    ['find "+49 30 1234567"', 'find the documents for a phone number'],
    ['find loa acme --since 90d', 'find documents that match both words, archived in the last 90 days'],
    ['find --digest-of letter.pdf --fresh', 'check whether exactly this file is archived'],
    ['find --held --csv > held.csv', 'list the documents on hold for a spreadsheet'],
  ],
  exitCodes: { 0: 'found', 1: 'nothing found' },
  permissions: `
s3:ListBucket on the bucket of the archive and on that of the catalogue, s3:GetObject on audits/* of the archive and on
rows/* of the catalogue, kms:Decrypt and ${findStackPermissions}. With --fresh, or without a catalogue, also
s3:ListBucketVersions on the archive and s3:GetObject on its receipts/*, contexts/* and holds/*; to update the
catalogue, s3:PutObject on its rows/* and kms:GenerateDataKey.`,
};

export const findCommand: ArchiverCommand = {
  name: 'find',
  help,
  configure: (command) =>
    command
      .description('find archived documents by name, reference, order, phone number or digest')
      .argument('[words...]', 'what to look for; put a phone number with spaces in quotes')
      .option('--digest-of <file>', 'documents with exactly the bytes of this file')
      .option('--since <instant>', 'documents archived at or after this instant')
      .option('--until <instant>', 'documents archived before this instant')
      .option('--type <type>', 'documents with this content type, such as application/pdf')
      .option('--erased', 'erased documents only; the catalogue knows only their IDs')
      .option('--held', 'documents on hold only')
      .option('--fresh', 'compare the catalogue with the archive first, for an exact answer')
      .option(
        '--limit <number>',
        `show at most this many documents, the newest (default: ${defaultLimit}; no limit with --json or --csv)`,
        asLimit,
      )
      .option('--csv', 'print comma-separated values'),
  run: async (context, parsed) =>
    find(parsed.args, parsed.opts(), { ...context, catalogue: await context.target.catalogue() }),
};

const defaultLimit = 50;

function asLimit(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Must be a whole number, at least 1.');
}

export interface FindContext extends CommandContext {
  /** Undefined for a deployed archiver of a version without a catalogue. */
  catalogue: CatalogueStore | undefined;
}

/** @returns the exit code */
export async function find(
  words: readonly string[],
  options: FindOptions,
  context: FindContext,
): Promise<number> {
  const { terminal } = context;
  if (options.csv && terminal.json) throw new UsageError('--csv and --json cannot be combined.');
  const filter = createRowFilter(await criteriaOf(words, options, context.time.now()));
  const hasLimit = !options.csv && !terminal.json;
  const found = new NewestRows(options.limit ?? (hasLimit ? defaultLimit : Number.POSITIVE_INFINITY));
  const state = await search(filter, found, options.fresh ?? false, context);
  const rows = found.sorted();

  if (options.csv) for (const line of foundCsv(rows)) terminal.print(line);
  else if (rows.length > 0) terminal.print(foundTable(rows, terminal.columns));
  for (const row of rows) terminal.record(foundRecord(row));
  terminal.record({ type: 'end', found: found.count, shown: rows.length, ...recordOf(state) });
  // With --csv, standard output has only the results.
  const say = options.csv ? terminal.note : terminal.print;
  say(describeCount(found.count, rows.length), ...describeState(state));
  return found.count > 0 ? 0 : 1;
}

/** @returns what a row must match, the rarest first: a long word is likely to be rarer. @throws UsageError */
async function criteriaOf(
  words: readonly string[],
  { digestOf, since, until, type, erased, held }: FindOptions,
  now: number,
): Promise<Criterion[]> {
  const texts = words.map((word) => word.trim());
  if (texts.includes('')) throw new UsageError('A search word must not be empty.');
  const criteria: Criterion[] = [];
  if (digestOf !== undefined) criteria.push(digestCriterion(await digestOfFile(digestOf)));
  if (erased) criteria.push(erasedCriterion);
  if (held) criteria.push(heldCriterion);
  criteria.push(...texts.toSorted((a, b) => b.length - a.length).map(wordCriterion));
  if (since !== undefined || until !== undefined) {
    criteria.push(
      periodCriterion(
        since === undefined ? Number.NEGATIVE_INFINITY : instantOption('--since', since, now),
        until === undefined ? Number.POSITIVE_INFINITY : instantOption('--until', until, now),
      ),
    );
  }
  if (type !== undefined) criteria.push(typeCriterion(type));
  if (criteria.length > 0) return criteria;
  throw new UsageError(
    'Pass what to look for: words, --digest-of, --since, --until, --type, --erased or --held.',
  );
}

/** @returns lower-case hex */
async function digestOfFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(file), hash);
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT')) throw new UsageError(`--digest-of ${file}: file not found.`);
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`--digest-of ${file}: cannot be read: ${reason}.`);
  }
  return hash.digest('hex');
}

/** How old and how complete the answer is. */
type SearchState =
  | { exact: true; asOf: number; invalid: number; notUpdated: string | undefined }
  | { exact: false; asOf: number | undefined; audited: boolean; missing: number; corrupt: number };

async function search(
  filter: RowFilter,
  found: NewestRows,
  fresh: boolean,
  { target, terminal, time, random, signal, catalogue }: FindContext,
): Promise<SearchState> {
  const archive = await target.bucket();
  const retry = createStorageRetry({ time, random, signal });
  const bucket = createRetryingBucket(archive.bucket, retry, () => undefined);
  const store: CatalogueStore | undefined = catalogue && {
    list: (...parameters) => retry(() => catalogue.list(...parameters)),
    read: (...parameters) => retry(() => catalogue.read(...parameters)),
    write: (...parameters) => retry(() => catalogue.write(...parameters)),
  };
  const onRows = (rows: Parameters<NewestRows['add']>[0]) => found.add(rows);
  // Stryker disable next-line ArrayDeclaration: without a catalogue, nothing is done with its shards.
  const shards = (await store?.list(signal)) ?? [];
  if (store && shards.length > 0 && !fresh) {
    let searched = 0;
    const progress = terminal.progress(() => ({
      ended: searched,
      total: shards.length,
      text: `${formatNumber(searched)} of ${formatCount(shards.length, 'part')} of the catalogue searched`,
      // A search takes seconds. Without a terminal, a line of progress would only be noise.
      lineKey: '',
    }));
    const onShard = () => {
      searched += 1;
    };
    try {
      const stored = await searchStored({ store, shards, filter, onRows, onShard, signal });
      const missing = await countMissingShards(shards, bucket, signal);
      // A shard is written only if it changes, so what it says may be up to date although it was written long ago.
      const from = runName(time.now() - nightlyAudit.lastRunWithinMs);
      const run = await lastCatalogued(bucket, from, signal);
      const auditedAt = run === undefined ? 0 : Date.parse(run.startedAt);
      const audited = auditedAt > (stored.asOf ?? Number.POSITIVE_INFINITY);
      return { exact: false, ...stored, ...(audited && { asOf: auditedAt }), audited, missing };
    } finally {
      progress.stop();
    }
  }
  if (!fresh && store) terminal.note('There is no catalogue yet. Building it from the receipts.');
  let documents = 0;
  let read = 0;
  let ended = 0;
  const progress = terminal.progress(() => ({
    ended,
    total: 0x1000,
    text: `${formatCount(documents, 'document')} listed · ${formatNumber(read)} read`,
  }));
  const asOf = time.now();
  try {
    const onShard = (shard: string, documentsInShard: number, readInShard: number) => {
      // Shards that are read at the same time end in any order.
      ended = Math.max(ended, Number.parseInt(shard, 16) + 1);
      documents += documentsInShard;
      read += readInShard;
    };
    const listing = { s3: archive.s3, name: archive.name, time, retry, onRequest: () => undefined };
    const state = await searchFresh({ listing, bucket, store, filter, onRows, onShard, signal });
    return { exact: true, asOf, ...state };
  } finally {
    progress.stop();
  }
}

function describeCount(found: number, shown: number): string {
  if (found === 0) return 'Nothing found.';
  if (shown === found) return `${formatCount(found, 'document')} found.`;
  return `The newest ${formatNumber(shown)} of ${formatCount(found, 'document')} found. For more, pass --limit.`;
}

function describeState(state: SearchState): string[] {
  const at = state.asOf === undefined ? undefined : new Date(state.asOf).toISOString();
  if (state.exact) {
    const { invalid, notUpdated } = state;
    return [
      `Compared with the archive at ${at}.`,
      ...(invalid > 0
        ? [
            `${formatCount(invalid, 'receipt')} ${invalid === 1 ? 'is' : 'are'} not valid and could not be searched. Run \`archiver audit\`.`,
          ]
        : []),
      ...(notUpdated === undefined ? [] : [`The catalogue was not updated: ${notUpdated}`]),
    ];
  }
  const { missing, corrupt, audited } = state;
  const since = audited
    ? 'the last audit that updated the catalogue began'
    : 'the oldest part of the catalogue was written';
  const gaps = [
    ...(missing > 0 ? [`missing: ${formatNumber(missing)}`] : []),
    ...(corrupt > 0 ? [`corrupt: ${formatNumber(corrupt)}`] : []),
  ];
  return [
    at === undefined
      ? 'No part of the catalogue could be read.'
      : `As of ${at}, when ${since}. Later changes may be missing.`,
    ...(gaps.length > 0 ? [`The answer is incomplete. Catalogue parts ${gaps.join(', ')}.`] : []),
    'With --fresh, the answer is exact.',
  ];
}

function recordOf({ asOf, exact, ...state }: SearchState): object {
  return { exact, asOf: asOf === undefined ? undefined : new Date(asOf).toISOString(), ...state };
}
