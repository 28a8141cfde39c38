/** An archive in memory, for erasures and holds. */
import type { CommandContext } from '../../../cli/command.ts';
import { type EraseOptions, erase } from '../../../cli/commands/erase.ts';
import { eraseDocument } from '../../../cli/erasure/erase-document.ts';
import { type ErasureDependencies, examine } from '../../../cli/erasure/examine.ts';
import type { BucketAccess, BucketPurpose, Target } from '../../../cli/target/target.ts';
import { createCatalogueBucket } from '../../../functions/bucket/catalogue.ts';
import { documentKey, receiptKey } from '../../../functions/bucket/keys.ts';
import { createStorageRetry } from '../../../functions/bucket/storage-retry.ts';
import { createBucket } from '../../../functions/bucket/store.ts';
import { createVersions } from '../../../functions/bucket/versions.ts';
import type { Time } from '../../../functions/time.ts';
import type { ProgressState } from '../../../terminal/progress.ts';
import { documentOf, noon, receiptOf, written } from '../../fakes/documents.ts';
import { MemoryBucket } from '../../fakes/memory-bucket.ts';
import { type CommandOptions, recordingTerminal } from '../world.ts';

export const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
export const otherId = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f02';
export const order = { basis: 'DSR-2026-114', erasedBy: 'local', bypassGovernance: false };
/** Bytes that no tombstone has. */
export const secret = 'the bytes of a passport';

export type Send = (command: unknown) => Promise<unknown>;

/** @param wrap changes how requests are sent, such as to fail or to delay them */
export function createArchive(wrap: (send: Send) => Send = (send) => send) {
  let now = noon;
  // Waits between attempts take no time.
  const time: Time = {
    now: () => now,
    monotonic: () => now,
    after: (ms, callback) => {
      // A deadline never ends; a pause ends at once.
      if (ms >= 10_000) return () => undefined;
      const timer = setImmediate(callback);
      return () => clearImmediate(timer);
    },
  };
  const bucket = new MemoryBucket(time);
  const catalogue = createCatalogueBucket({
    s3: new MemoryBucket(time) as never,
    name: 'catalogue',
    time,
  });
  const never = new AbortController().signal;
  /** Dependencies of one process, whose requests are sent by `send`. */
  const dependenciesOf = (send: Send, signal = never): ErasureDependencies => {
    const s3 = { send } as never;
    return {
      bucket: createBucket({ s3, name: 'archive', time }),
      catalogue,
      versions: createVersions({ s3, name: 'archive', time }),
      retry: createStorageRetry({ time, random: () => 0, signal }),
      now: () => now,
      archiver: 'test',
    };
  };
  const dependencies = dependenciesOf(wrap(bucket.send));
  return {
    bucket,
    catalogue,
    time,
    dependencies,
    dependenciesOf,
    advance: (ms: number) => {
      now += ms;
    },
    archive: (documentId = id, body = secret) => {
      const document = documentOf(documentId, Buffer.from(body));
      bucket.put(documentKey(documentId), document.body, now);
      bucket.put(receiptKey(documentId), written(receiptOf(document)), now);
    },
    erase: async (changes: Partial<typeof order> = {}, documentId = id) =>
      eraseDocument(await examine(documentId, dependencies), { ...order, ...changes }, dependencies),
    /** The text of every version at both keys, newest first; a delete marker is `undefined`. */
    versions: (documentId = id) =>
      [documentKey(documentId), receiptKey(documentId)].map((key) =>
        bucket.versioned.versions(key).map(({ body }) => body?.toString()),
      ),
  };
}

export interface InMemoryOptions extends CommandOptions {
  /** As of a folder on this machine. @default a bucket elsewhere */
  localFolder?: BucketAccess['localFolder'];
}

/** Runs a command on an archive in memory. Its output has `<style>` before what is painted. */
export function runInMemory(
  world: ReturnType<typeof createArchive>,
  command: (context: CommandContext) => Promise<number>,
  { line = '', signal = new AbortController().signal, localFolder }: InMemoryOptions = {},
) {
  const { terminal, result } = recordingTerminal({ line });
  const purposes: (BucketPurpose | undefined)[] = [];
  /** What each progress said at its end. */
  const progresses: ProgressState[] = [];
  const s3 = { send: world.bucket.send } as never;
  const target = {
    name: 'memory',
    options: [],
    bucket: async (purpose?: BucketPurpose) => {
      purposes.push(purpose);
      const bucket = createBucket({ s3, name: 'archive', time: world.time });
      return { s3, name: 'archive', bucket, localFolder };
    },
    catalogue: async () => world.catalogue,
    operator: async () => ({ role: 'arn:aws:sts::1:assumed-role/BreakGlass', session: 'jo' }),
  } as unknown as Target;
  const ended = command({
    target,
    terminal: {
      ...terminal,
      paint: (style, text) => `<${style}>${text}`,
      progress: (describe) => ({ stop: () => void progresses.push(describe()) }),
    },
    time: world.time,
    random: () => 0,
    signal,
  });
  return { ended, result, purposes, progresses };
}

/** Runs `erase` on an archive in memory; by default without asking. */
export function runErase(
  world: ReturnType<typeof createArchive>,
  options: Partial<EraseOptions>,
  commandOptions: CommandOptions = {},
) {
  const all = { documentIds: [], basis: 'DSR-1', yes: true, ...options };
  return runInMemory(world, (context) => erase(all, context), commandOptions);
}
