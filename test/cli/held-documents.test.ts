import type { S3Client } from '@aws-sdk/client-s3';
import { expect, it } from 'vitest';
import type { CommandContext } from '../../cli/command.ts';
import { placeHold, releaseHold } from '../../cli/erasure/hold-document.ts';
import { findHeld } from '../../cli/held-documents.ts';
import { holdKey } from '../../functions/bucket/keys.ts';
import { noon } from '../fakes/documents.ts';
import { createArchive, id, otherId } from './erasure/world.ts';

const why = { reason: 'Case 1', by: 'local' };

function startWorld() {
  const { bucket: memory, time, dependencies, archive } = createArchive();
  const target = {
    bucket: async () => ({
      s3: memory as unknown as S3Client,
      name: 'archive',
      bucket: dependencies.bucket,
    }),
  };
  const find = (signal = new AbortController().signal) =>
    findHeld({ target, time, random: Math.random, signal } as unknown as CommandContext);
  archive(id);
  archive(otherId);
  return { memory, dependencies, find };
}

it('finds the documents whose newest record says hold', async () => {
  const { memory, dependencies, find } = startWorld();
  await placeHold(id, why, dependencies);
  await releaseHold(id, why, dependencies);
  await placeHold(id, why, dependencies);
  await placeHold(otherId, why, dependencies);
  await releaseHold(otherId, why, dependencies);
  memory.put('holds/notes.txt', 'no record', noon);

  expect(await find()).toEqual({ ids: new Set([id]), incomplete: undefined });
});

it('reads only the newest record of each document', async () => {
  const { memory, dependencies, find } = startWorld();
  await placeHold(id, why, dependencies);
  await releaseHold(id, why, dependencies);
  const before = memory.requests.length;

  await find();

  const [listing, ...reads] = memory.requests.slice(before);
  expect(listing).toBe('list holds/');
  expect(reads).toEqual([`get ${holdKey(id, noon + 1)}`]);
});

it('is incomplete, and finds the others, when a record is not valid', async () => {
  const { memory, dependencies, find } = startWorld();
  await placeHold(id, why, dependencies);
  memory.put(holdKey(otherId, noon), '{"action":"hold"}', noon);

  expect(await find()).toEqual({
    ids: new Set([id]),
    incomplete: expect.stringContaining(`The object ${holdKey(otherId, noon)} is not a hold record`),
  });
});

it.each(['list', 'get'])('is incomplete, and does not fail, when S3 denies a %s', async (denied) => {
  const { memory, dependencies, find } = startWorld();
  await placeHold(id, why, dependencies);
  memory.refuse = (operation) => (operation === denied ? { name: 'AccessDenied', status: 403 } : undefined);

  expect(await find()).toEqual({ ids: new Set(), incomplete: expect.stringContaining('S3 denies access') });
});

it('throws the reason of the signal when it is interrupted', async () => {
  const { memory, dependencies, find } = startWorld();
  await placeHold(id, why, dependencies);
  const interrupt = new AbortController();
  memory.refuse = (operation) => {
    if (operation === 'get') interrupt.abort(new Error('Stopped.'));
    return undefined;
  };

  await expect(find(interrupt.signal)).rejects.toThrow('Stopped.');
});
