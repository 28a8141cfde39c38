/** The requests for versions and locks, and what is made of each answer: in memory and virtual time. */
import {
  DeleteObjectCommand,
  GetObjectLegalHoldCommand,
  GetObjectRetentionCommand,
  ListObjectVersionsCommand,
  PutObjectLegalHoldCommand,
} from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { createVersions, type Versions } from '../../functions/bucket/versions.ts';
import { virtualTime } from '../fakes/clock.ts';
import { noon } from '../fakes/documents.ts';
import { serviceError } from '../fakes/service-error.ts';

const never = new AbortController().signal;
const key = 'documents/x';
const named = { Bucket: 'archive', Key: key, VersionId: 'v1' };

type Options = { abortSignal: AbortSignal };

function versionsOf(answer: (command: unknown, options: Options, count: number) => unknown) {
  const asked: { command: unknown; input: unknown }[] = [];
  const send = async (command: { input: unknown }, options: Options) => {
    asked.push({ command, input: command.input });
    return answer(command, options, asked.length);
  };
  const time = virtualTime(noon);
  return { asked, time, versions: createVersions({ s3: { send } as never, name: 'archive', time }) };
}

const failingWith = (name: string, status: number) => () => {
  throw serviceError(name, status);
};

const requests: Record<string, (versions: Versions, signal: AbortSignal) => Promise<unknown>> = {
  list: (versions, signal) => versions.of(key, signal),
  'read the lock': (versions, signal) => versions.lockOf(key, 'v1', signal),
  delete: (versions, signal) => versions.delete(key, 'v1', false, signal),
  'place the hold': (versions, signal) => versions.setHold(key, 'v1', true, signal),
};

describe('a request for versions', () => {
  it.each<[string, (versions: Versions) => Promise<unknown>, [unknown, object][]]>([
    [
      'to list',
      (versions) => versions.of(key, never),
      [[ListObjectVersionsCommand, { Bucket: 'archive', Prefix: key }]],
    ],
    [
      'to read the lock',
      (versions) => versions.lockOf(key, 'v1', never),
      [
        [GetObjectLegalHoldCommand, named],
        [GetObjectRetentionCommand, named],
      ],
    ],
    ['to delete', (versions) => versions.delete(key, 'v1', false, never), [[DeleteObjectCommand, named]]],
    [
      'to delete in spite of a GOVERNANCE lock',
      (versions) => versions.delete(key, 'v1', true, never),
      [[DeleteObjectCommand, { ...named, BypassGovernanceRetention: true }]],
    ],
    [
      'to place the hold',
      (versions) => versions.setHold(key, 'v1', true, never),
      [[PutObjectLegalHoldCommand, { ...named, LegalHold: { Status: 'ON' } }]],
    ],
    [
      'to release the hold',
      (versions) => versions.setHold(key, 'v1', false, never),
      [[PutObjectLegalHoldCommand, { ...named, LegalHold: { Status: 'OFF' } }]],
    ],
  ])('%s has these parameters and no others', async (_what, ask, expected) => {
    const { asked, versions } = versionsOf(() => ({}));

    await ask(versions);

    expect(asked.map(({ input }) => input)).toStrictEqual(expected.map(([, input]) => input));
    for (const [index, [Command]] of expected.entries()) {
      expect(asked[index]?.command).toBeInstanceOf(Command);
    }
  });

  it.each(Object.entries(requests))('to %s is given up after ten seconds', async (_what, ask) => {
    const { versions, time } = versionsOf(
      (_command, { abortSignal }) =>
        new Promise((_resolve, reject) => {
          abortSignal.addEventListener('abort', () => reject(abortSignal.reason));
        }),
    );

    await expect(ask(versions, never)).rejects.toMatchObject({
      code: 'BucketUnavailable',
      message: 'S3 did not respond within 10 s.',
    });
    expect(time.monotonic()).toBe(10_000);
  });

  it.each(Object.entries(requests))('to %s throws the reason of its signal', async (_what, ask) => {
    const stop = new AbortController();
    const { versions } = versionsOf(() => {
      stop.abort(new RangeError('Stopped.'));
      throw new Error('AbortError');
    });

    await expect(ask(versions, stop.signal)).rejects.toThrow(RangeError);
  });

  it.each(Object.entries(requests))('to %s fails if S3 denies access', async (_what, ask) => {
    const { versions } = versionsOf(failingWith('AccessDenied', 403));

    await expect(ask(versions, never)).rejects.toMatchObject({ code: 'BucketMisconfigured' });
  });
});

describe('the list of versions', () => {
  it('has each version and delete marker of the key: the latest first, then by age', async () => {
    const at = (ms: number) => new Date(noon + ms);
    const { versions } = versionsOf(() => ({
      Versions: [
        { Key: key, VersionId: 'old', IsLatest: false, LastModified: at(1), Size: 7 },
        { Key: key, VersionId: 'older', IsLatest: false, LastModified: at(0), Size: 8 },
        { Key: `${key}.bak`, VersionId: 'other', IsLatest: true, LastModified: at(9), Size: 9 },
        { Key: key, VersionId: 'young', IsLatest: false, LastModified: at(5), Size: 9 },
      ],
      DeleteMarkers: [
        { Key: key, VersionId: 'marker', IsLatest: true, LastModified: at(2) },
        { Key: `${key}.bak`, VersionId: 'other', IsLatest: false, LastModified: at(9) },
      ],
    }));

    const found = await versions.of(key, never);

    const version = { isLatest: false, isDeleteMarker: false };
    expect(found).toEqual([
      { versionId: 'marker', isLatest: true, isDeleteMarker: true, bytes: 0, modified: noon + 2 },
      { ...version, versionId: 'young', bytes: 9, modified: noon + 5 },
      { ...version, versionId: 'old', bytes: 7, modified: noon + 1 },
      { ...version, versionId: 'older', bytes: 8, modified: noon },
    ]);
  });

  it('reads a bucket without versions, and 0 for a size or date that S3 does not state', async () => {
    const { versions } = versionsOf(() => ({ Versions: [{ Key: key }] }));

    expect(await versions.of(key, never)).toEqual([
      { versionId: 'null', isLatest: false, isDeleteMarker: false, bytes: 0, modified: 0 },
    ]);
  });

  it('goes on where the page before ended', async () => {
    const { versions, asked } = versionsOf((_command, _options, count) => ({
      Versions: [{ Key: key, VersionId: `v${count}` }],
      ...(count < 3 && { IsTruncated: true, NextKeyMarker: key, NextVersionIdMarker: `v${count}` }),
    }));

    const found = await versions.of(key, never);

    expect(found.map(({ versionId }) => versionId)).toEqual(['v1', 'v2', 'v3']);
    const first = { Bucket: 'archive', Prefix: key };
    expect(asked.map(({ input }) => input)).toStrictEqual([
      first,
      { ...first, KeyMarker: key, VersionIdMarker: 'v1' },
      { ...first, KeyMarker: key, VersionIdMarker: 'v2' },
    ]);
  });

  it('goes on after a page that does not state where the next one begins', async () => {
    const { versions } = versionsOf((_command, _options, count) => ({
      Versions: [{ Key: key, VersionId: `v${count}` }],
      IsTruncated: count < 2,
    }));

    expect(await versions.of(key, never)).toHaveLength(2);
  });

  it('ends where the next page begins with another key', async () => {
    const { versions, asked } = versionsOf(() => ({
      Versions: [{ Key: key, VersionId: 'v1' }],
      IsTruncated: true,
      NextKeyMarker: `${key}.bak`,
      NextVersionIdMarker: 'v9',
    }));

    expect(await versions.of(key, never)).toHaveLength(1);
    expect(asked).toHaveLength(1);
  });
});

describe('the lock of a version', () => {
  const until = new Date(noon);
  /** Answers the request for the legal hold and the one for the retention. */
  const lockFrom = (hold: () => object, retention: () => object) =>
    versionsOf((command) =>
      command instanceof GetObjectLegalHoldCommand ? hold() : retention(),
    ).versions.lockOf(key, 'v1', never);
  const on = () => ({ LegalHold: { Status: 'ON' } });
  const governance = () => ({ Retention: { Mode: 'GOVERNANCE', RetainUntilDate: until } });
  const noLock = failingWith('NoSuchObjectLockConfiguration', 404);

  it.each([
    ['hold and retention', on, governance, true, { mode: 'GOVERNANCE', until: noon }],
    ['a hold', on, noLock, true, undefined],
    ['a retention', noLock, governance, false, { mode: 'GOVERNANCE', until: noon }],
    ['a hold that was released', () => ({ LegalHold: { Status: 'OFF' } }), noLock, false, undefined],
    ['neither', noLock, noLock, false, undefined],
    ['empty answers', () => ({}), () => ({}), false, undefined],
    ['a retention without an end', noLock, () => ({ Retention: { Mode: 'GOVERNANCE' } }), false, undefined],
    [
      'a retention without a mode',
      noLock,
      () => ({ Retention: { RetainUntilDate: until } }),
      false,
      undefined,
    ],
  ])('is read from %s', async (_what, hold, retention, held, expected) => {
    expect(await lockFrom(hold, retention)).toEqual({ held, retention: expected });
  });

  it.each(['NoSuchObjectLockConfiguration', 'ObjectLockConfigurationNotFoundError', 'InvalidRequest'])(
    'is none if S3 answers %s',
    async (name) => {
      const none = failingWith(name, 400);

      expect(await lockFrom(none, none)).toEqual({ held: false, retention: undefined });
    },
  );

  it.each(['NoSuchVersion', 'NoSuchKey', 'MethodNotAllowed'])(
    'is undefined, and no hold is placed, if S3 answers %s',
    async (name) => {
      const gone = failingWith(name, 404);

      expect(await lockFrom(gone, noLock)).toBeUndefined();
      expect(await lockFrom(noLock, gone)).toBeUndefined();
      expect(await versionsOf(gone).versions.setHold(key, 'v1', true, never)).toBe(false);
    },
  );

  it.each([true, false])('is a hold that can be set: %j', async (held) => {
    expect(await versionsOf(() => ({})).versions.setHold(key, 'v1', held, never)).toBe(true);
  });

  it('is not guessed if one of its two parts cannot be read', async () => {
    const denied = failingWith('AccessDenied', 403);

    await expect(lockFrom(denied, governance)).rejects.toMatchObject({ code: 'BucketMisconfigured' });
    await expect(lockFrom(on, denied)).rejects.toMatchObject({ code: 'BucketMisconfigured' });
  });
});
