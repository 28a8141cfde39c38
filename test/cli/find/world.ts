/** An archive and its catalogue in memory, for searches. */
import { Command } from 'commander';
import { type FindContext, type FindOptions, find, findCommand } from '../../../cli/commands/find.ts';
import type { CatalogueStore } from '../../../functions/bucket/catalogue.ts';
import type { CatalogueRow } from '../../../functions/bucket/catalogue-rows.ts';
import { readShard } from '../../../functions/bucket/catalogue-shards.ts';
import { type ContextFact, keyOfFact } from '../../../functions/bucket/contexts.ts';
import { holdKey, receiptKey } from '../../../functions/bucket/keys.ts';
import { tombstoneText } from '../../../functions/bucket/tombstones.ts';
import type { ProgressState } from '../../../terminal/progress.ts';
import { documentOf, noon, receiptOf, written } from '../../fakes/documents.ts';
import { MemoryCatalogue } from '../../fakes/memory-catalogue.ts';
import { createArchive } from '../erasure/world.ts';
import { recordingTerminal } from '../world.ts';

export interface FindRun {
  words?: readonly string[];
  options?: FindOptions;
  /** @default true */
  json?: boolean;
  columns?: number;
  signal?: AbortSignal;
  /** @default the world's catalogue */
  catalogue?: CatalogueStore | undefined;
}

export function createFindWorld() {
  const { bucket, dependencies, time, advance } = createArchive();
  const catalogue = new MemoryCatalogue(time.now);
  const never = new AbortController().signal;
  /** What each progress said at its end. */
  const progresses: ProgressState[] = [];
  const runIn = async (
    {
      json = true,
      columns,
      signal = never,
      ...others
    }: Pick<FindRun, 'json' | 'columns' | 'signal' | 'catalogue'>,
    command: (context: FindContext) => Promise<number>,
  ) => {
    const { terminal, result } = recordingTerminal();
    const context = {
      target: {
        name: 'archive',
        options: [],
        bucket: async () => ({ s3: bucket, name: 'archive', bucket: dependencies.bucket }),
        catalogue: async () => catalogue,
      },
      terminal: {
        ...terminal,
        json,
        columns,
        progress: (describe: () => ProgressState) => ({ stop: () => void progresses.push(describe()) }),
      },
      time,
      random: () => 0,
      signal,
      catalogue: 'catalogue' in others ? others.catalogue : catalogue,
    } as unknown as FindContext;
    result.exitCode = await command(context);
    return {
      ...result,
      progresses,
      ids: result.records.flatMap(({ type, documentId }) => (type === 'found' ? [documentId] : [])),
      end: result.records.at(-1),
    };
  };
  return {
    bucket,
    catalogue,
    progresses,
    advance,
    archive: (id: string, { name = 'loa.pdf', reference = '', body = id, archivedAt = noon } = {}) => {
      const document = documentOf(id, Buffer.from(body), { createdAt: archivedAt - 4_000 });
      document.record.filename = name;
      document.record.customer_reference = reference;
      bucket.put(receiptKey(id), written(receiptOf(document)), archivedAt);
    },
    erase: (id: string) => {
      const at = new Date(noon).toISOString();
      const tombstone = {
        v: 1 as const,
        state: 'erased' as const,
        documentId: id,
        erasedAt: at,
        erasedBy: 'local',
        basis: 'DSR-1',
        erased: {},
        archiver: 'test',
      };
      bucket.put(receiptKey(id), tombstoneText(tombstone), noon);
    },
    record: (id: string, action: 'hold' | 'release', at: number) => {
      const record = {
        v: 1,
        documentId: id,
        action,
        at: new Date(at).toISOString(),
        by: 'local',
        reason: 'Case 1',
        archiver: 'test',
      };
      bucket.put(holdKey(id, at), written(record), at);
    },
    learn: (fact: ContextFact) => {
      const learnt = { v: 1, ...fact, learntAt: new Date(noon).toISOString(), archiver: 'test' };
      bucket.put(keyOfFact(fact), written(learnt), noon);
    },
    remove: (id: string) => bucket.objects.delete(receiptKey(id)),
    rows: async (): Promise<CatalogueRow[]> => {
      const shards = [...catalogue.shards.keys()].sort();
      const read = await Promise.all(shards.map((shard) => readShard(catalogue, shard, never)));
      return read.flatMap(({ rows }) => rows);
    },
    run: ({ words = [], options = {}, ...how }: FindRun) =>
      runIn(how, (context) => find(words, options, context)),
    /** Runs the command with these words after its name. */
    runTyped: (...words: string[]) => runIn({}, (context) => findCommand.run(context, parseFind(...words))),
  };
}

export function parseFind(...words: string[]): Command {
  return findCommand
    .configure(new Command('find').exitOverride().configureOutput({ writeErr: () => undefined }))
    .parse(words, { from: 'user' });
}
