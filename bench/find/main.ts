/**
 * Searches a catalogue of generated rows in a folder, once cold and three times warm: `node bench/find/main.ts 1000000`.
 * Cold: the files were dropped from the page cache. CPU time beside the
 * elapsed time shows what other load of the machine adds.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { periodCriterion, wordCriterion } from '../../cli/find/match.ts';
import { NewestRows } from '../../cli/find/newest.ts';
import { createRowFilter } from '../../cli/find/scan.ts';
import { searchStored } from '../../cli/find/stored-search.ts';
import { type CatalogueRow, shardOf } from '../../functions/bucket/catalogue-rows.ts';
import { encodeShard } from '../../functions/bucket/catalogue-shards.ts';
import { catalogueFolder } from '../../functions/bucket/keys.ts';
import { openCatalogueFolder } from '../../local/catalogue-folder.ts';
import { formatBytes } from '../../terminal/bytes.ts';
import { formatCount } from '../../terminal/counts.ts';

const never = new AbortController().signal;
const oldest = Date.parse('2024-01-01T00:00:00Z');

/** IDs are spread evenly, so that the rows of a shard follow one another. */
function rowOf(number: number, count: number): CatalogueRow {
  const digest = createHash('sha256').update(String(number)).digest('hex');
  const head = Math.floor((number * 2 ** 32) / count);
  const order = `${digest.slice(0, 8)}-1111-4222-8333-${digest.slice(8, 20)}`;
  const at = oldest + ((number * 7_919_003 * 60_000) % (2 * 365 * 86_400_000));
  return {
    id: `${head.toString(16).padStart(8, '0')}-0000-4000-8000-${digest.slice(20, 32)}`,
    state: 'archived',
    stamp: digest.slice(32, 48),
    name: `Letter of authorisation ${number} Müller.pdf`,
    reference: `Customer ${number % 5_000}`,
    type: 'application/pdf',
    bytes: 20_000 + (number % 100_000),
    sha256: digest,
    created: new Date(at).toISOString(),
    archived: new Date(at + 4_000).toISOString(),
    trigger: 'sweep',
    relations: [
      {
        kind: 'porting-order',
        id: order,
        reference: `PO-${number}`,
        numbers: [`+4930${String(number).padStart(8, '0')}`],
      },
    ],
  };
}

async function generate(archive: string, count: number): Promise<void> {
  const store = openCatalogueFolder(archive);
  let rows: CatalogueRow[] = [];
  const write = async () => {
    const [first] = rows;
    if (first) await store.write(shardOf(first.id), encodeShard(rows), undefined, never);
    rows = [];
  };
  for (let number = 0; number < count; number += 1) {
    const row = rowOf(number, count);
    if (rows[0] && shardOf(rows[0].id) !== shardOf(row.id)) await write();
    rows.push(row);
  }
  await write();
  await store.close();
}

const dropFiles = `
import os, sys
for entry in os.scandir(sys.argv[1]):
    file = os.open(entry.path, os.O_RDONLY)
    os.fsync(file)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(file)
`;

/** Drops the files of a folder from the page cache. Node has no such call. */
async function dropFromCache(folder: string): Promise<void> {
  await promisify(execFile)('python3', ['-c', dropFiles, folder]);
}

async function search(archive: string, criteria: Parameters<typeof createRowFilter>[0]) {
  const store = openCatalogueFolder(archive);
  const found = new NewestRows(50);
  const startedAt = performance.now();
  const cpuBefore = process.cpuUsage();
  await searchStored({
    store,
    shards: await store.list(never),
    filter: createRowFilter(criteria),
    onRows: (rows) => found.add(rows),
    onShard: () => undefined,
    signal: never,
  });
  const seconds = (performance.now() - startedAt) / 1_000;
  const { user, system } = process.cpuUsage(cpuBefore);
  await store.close();
  return {
    text: `${seconds.toFixed(2)} s (${((user + system) / 1e6).toFixed(2)} s CPU)`,
    found: found.count,
  };
}

const count = Number(process.argv[2] ?? 1_000_000);
const searches: Record<string, Parameters<typeof createRowFilter>[0]> = {
  'file name': [wordCriterion(`authorisation ${count / 2} müller`)],
  'phone number': [wordCriterion(`030 ${String(count / 4).padStart(8, '0')}`)],
  'order ID': [wordCriterion(rowOf(count / 8, count).relations?.[0]?.id ?? '')],
  'two words': [wordCriterion('PO-12345'), wordCriterion('müller')],
  'a day': [periodCriterion(oldest + 100 * 86_400_000, oldest + 101 * 86_400_000)],
  'every document': [wordCriterion('müller')],
};
const folder = await mkdtemp(join(tmpdir(), 'find-bench-'));
try {
  const archive = join(folder, 'archive');
  await generate(archive, count);
  await dropFromCache(join(`${archive}.catalogue`, catalogueFolder));
  console.log(`${formatCount(count, 'row')} on ${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}`);
  const [first] = Object.values(searches);
  if (first) console.log(`cold: ${(await search(archive, first)).text}`);
  for (const [name, criteria] of Object.entries(searches)) {
    const runs = [];
    for (let round = 0; round < 3; round += 1) runs.push(await search(archive, criteria));
    const times = runs.map(({ text }) => text).join(', ');
    console.log(`${name}: ${times}; ${formatCount(runs[0]?.found ?? 0, 'document')} found`);
  }
  const memory = formatBytes(process.resourceUsage().maxRSS * 1_024);
  console.log(`peak memory ${memory}, load ${loadavg()[0]?.toFixed(1)}`);
} finally {
  await rm(folder, { recursive: true });
}
