/** What is read of one document, and what is known of it then: on a bucket in memory. */
import { describe, expect, it } from 'vitest';
import { type InspectDependencies, inspect, namesOf, wholeRecord } from '../../functions/audit/inspect.ts';
import { tooLargeReceipt } from '../../functions/audit/receipt-reading.ts';
import { mergeSources, type SourceRow } from '../../functions/audit/sources.ts';
import type { ListedDocument } from '../../functions/audit/telnyx-documents.ts';
import { keyOfFact, maxContextBytes } from '../../functions/bucket/contexts.ts';
import {
  contextKey,
  contextTombstoneKey,
  documentKey,
  holdKey,
  receiptKey,
} from '../../functions/bucket/keys.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { type Tombstone, tombstoneText } from '../../functions/bucket/tombstones.ts';
import { createVersions } from '../../functions/bucket/versions.ts';
import { collected } from '../collected.ts';
import { virtualTime } from '../fakes/clock.ts';
import { day, documentOf, noon, receiptOf, written } from '../fakes/documents.ts';
import { MemoryBucket, sha256 } from '../fakes/memory-bucket.ts';

const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const object = documentKey(id);
const receipt = receiptKey(id);
const archived = documentOf(id, Buffer.from('some bytes'));
const atTelnyx: ListedDocument = {
  id,
  createdAt: noon - 10 * day,
  bytes: 10,
  sha256: sha256('some bytes'),
  infected: false,
  fileName: 'Telnyx.pdf',
  customerReference: 'PO-18',
};
const tombstone: Tombstone = {
  v: 1,
  state: 'erased',
  documentId: id,
  erasedAt: new Date(noon - day).toISOString(),
  erasedBy: 'role',
  basis: 'DSR-1',
  erased: {},
  archiver: '0.2.0',
};
const grave = tombstoneText(tombstone);
const erased = { metadata: { state: 'erased' } };

/** A bucket with an archived document. */
function startWorld(changes: Partial<InspectDependencies> = {}, signal = new AbortController().signal) {
  const time = virtualTime(noon);
  const memory = new MemoryBucket(time);
  const access = { s3: memory as never, name: 'archive', time };
  memory.put(object, archived.body, noon - day);
  memory.put(receipt, written(receiptOf(archived)), noon - day);
  const counted = { requests: 0, read: [] as number[] };
  const dependencies: InspectDependencies = {
    bucket: createBucket(access),
    versions: createVersions(access),
    retry: (work) => work(signal),
    conditions: { startedAt: noon, telnyxListed: true, graceMs: 0 },
    quick: false,
    readData: () => false,
    now: () => noon + 1,
    onRequest: () => {
      counted.requests += 1;
    },
    onRead: (bytes) => counted.read.push(bytes),
    ...changes,
  };
  return {
    memory,
    counted,
    dependencies,
    replace: (key: string, body: string | Buffer, options = {}) => {
      memory.objects.delete(key);
      memory.versioned.put(key, Buffer.from(body), { verified: Buffer.from(body), ...options });
    },
    hold: (action: 'hold' | 'release' = 'hold', at = noon) =>
      memory.put(
        holdKey(id, noon),
        `{"v":1,"documentId":"${id}","action":"${action}","at":"${new Date(at).toISOString()}","by":"role","reason":"Case 12","archiver":"0.2.0"}`,
        noon,
      ),
    /** Inspects the document as the listings have it, changed as a listing at another moment would be. */
    inspected: async (listing: Partial<SourceRow> = {}) => {
      const [row] = await collected(
        mergeSources({
          listing: { ...access, retry: dependencies.retry, onRequest: () => undefined },
          telnyx: [atTelnyx],
          manifests: [],
          onForeign: () => undefined,
        }),
      );
      memory.requests.length = 0;
      return inspect({ id, ...row, ...listing }, signal, dependencies);
    },
  };
}

describe.each([false, true])('A document that only one listing has (quick: %s)', (quick) => {
  it('has its object looked up', async () => {
    const { inspected } = startWorld({ quick });

    const { evidence } = await inspected({ object: undefined as never });

    expect(evidence.object).toEqual({ bytes: 10, modified: noon + 1, sha256: archived.record.sha256 });
  });

  it('has its receipt looked up', async () => {
    const { inspected } = startWorld({ quick });

    const { evidence } = await inspected({ receipt: undefined as never });

    expect(evidence.receipt).toMatchObject({
      modified: noon + 1,
      reading: { alteration: undefined, stated: { bytes: 10 } },
    });
  });

  it.each([
    ['a manifest', { manifests: { id, claims: [] } }],
    ['a hold record', { hold: { id, records: [] } }],
  ])('has both looked up if only %s names it', async (_which, named) => {
    const { inspected, memory } = startWorld({ quick });

    const { evidence } = await inspected({ object: undefined, receipt: undefined, ...named } as never);

    expect(memory.requests.sort()).toEqual([`get ${receipt}`, `head ${object}`]);
    expect(evidence).toMatchObject({ object: { bytes: 10 }, receipt: { modified: noon + 1 } });
  });

  it('has both looked up if they were not listed', async () => {
    const { inspected, memory } = startWorld({ quick });

    await inspected({ object: undefined, receipt: undefined, notListed: true } as never);

    expect(memory.requests.sort()).toEqual([`get ${receipt}`, `head ${object}`]);
  });

  it('is not looked up if only Telnyx has it', async () => {
    const { inspected, memory } = startWorld({ quick });

    const { findings } = await inspected({ object: undefined, receipt: undefined } as never);

    expect(memory.requests).toEqual([]);
    expect(findings).toMatchObject([{ code: 'missing' }]);
  });
});

describe('A document', () => {
  it('takes two requests, and has the times of the listing', async () => {
    const { inspected, counted, memory } = startWorld();
    const claims = [{ manifest: 'm1', document: sha256('some bytes'), receipt: undefined }];

    const { evidence, findings } = await inspected({ manifests: { id, claims } });

    expect(memory.requests).toEqual([`head ${object}`, `get ${receipt}`]);
    expect(counted).toEqual({ requests: 2, read: [] });
    expect(evidence).toMatchObject({
      documentId: id,
      telnyx: atTelnyx,
      claims,
      listed: { object: { key: object }, receipt: { key: receipt } },
      object: { bytes: 10, modified: noon - day },
      receipt: { modified: noon - day },
    });
    expect(findings).toMatchObject([{ code: 'same' }]);
  });

  it.each([
    ['to read data', { readData: () => true }, true],
    ['that S3 has no SHA-256 of', {}, false],
  ])('is downloaded if it is one %s', async (_which, changes, verified) => {
    const { inspected, counted, memory } = startWorld(changes);
    memory.objects.delete(object);
    memory.put(object, archived.body, noon - day, { verified: verified && Buffer.from('other') });

    const { evidence } = await inspected();

    expect(memory.requests).toEqual([`head ${object}`, `get ${receipt}`, `get ${object}`]);
    expect(counted).toEqual({ requests: 3, read: [10] });
    expect(evidence.object?.sha256).toBe(sha256('some bytes'));
  });

  it('takes no request with --quick', async () => {
    const { inspected, memory } = startWorld({ quick: true });

    const { evidence, findings } = await inspected();

    expect(memory.requests).toEqual([]);
    expect(evidence).toMatchObject({ object: { bytes: 10 }, receipt: { modified: noon - day } });
    expect(findings).toMatchObject([{ code: 'same' }]);
  });

  it('is read with --quick if it is on hold or the listings show a problem', async () => {
    const held = startWorld({ quick: true });
    held.hold();
    const damaged = startWorld({ quick: true });
    damaged.replace(object, 'others');

    await held.inspected();
    await damaged.inspected();

    expect(held.memory.requests).toContain(`get ${receipt}`);
    expect(damaged.memory.requests).toContain(`get ${receipt}`);
  });

  it('that is hidden is not requested', async () => {
    const { inspected, memory } = startWorld();
    memory.versioned.delete(object);
    memory.versioned.delete(receipt);

    const { evidence } = await inspected();

    expect(memory.requests).toEqual([]);
    expect(evidence.object).toBeUndefined();
    expect(evidence.receipt).toBeUndefined();
  });

  it('whose receipt is hidden is read without it', async () => {
    const { inspected, memory } = startWorld();
    memory.versioned.delete(receipt);

    const { evidence, findings } = await inspected();

    expect(evidence.object).toMatchObject({ bytes: 10 });
    expect(findings).toMatchObject([{ code: 'hidden', key: receipt }]);
  });

  it('that was removed since the listing is missing', async () => {
    const { inspected, memory, dependencies } = startWorld();
    dependencies.retry = (work) => {
      memory.objects.delete(object);
      memory.objects.delete(receipt);
      return work(new AbortController().signal);
    };
    const listed = { id, key: object, otherVersions: 0, deleteMarkers: 0 };
    const current = { bytes: 10, modified: noon, versionId: 'v1', etag: 'e1' };

    const { findings } = await inspected({
      object: { ...listed, current },
      receipt: { ...listed, key: receipt, current },
    });

    expect(findings).toMatchObject([{ code: 'missing' }]);
  });

  it('that cannot be read is reported as unreadable after every request has ended', async () => {
    const { inspected, memory, dependencies } = startWorld();
    memory.refuse = (operation) => (operation === 'get' ? { name: 'AccessDenied', status: 403 } : undefined);
    const { head } = dependencies.bucket;
    let hasEnded = false;
    dependencies.bucket.head = async (...parameters) => {
      const found = await head(...parameters);
      await new Promise((resolve) => setImmediate(resolve));
      hasEnded = true;
      return found;
    };

    const { evidence, findings } = await inspected();

    expect(hasEnded).toBe(true);
    expect(evidence.object).toBeUndefined();
    expect(findings).toMatchObject([
      {
        code: 'unreadable',
        key: object,
        fileName: 'Telnyx.pdf',
        atTelnyx: true,
        detail: expect.stringMatching(/^BucketMisconfigured: S3 denies access/),
      },
    ]);
  });

  it.each(['get', 'get-hold'])('ends with the signal’s reason, also during %s', async (during) => {
    const stop = new AbortController();
    const { inspected, memory, hold } = startWorld({}, stop.signal);
    hold();
    memory.refuse = (operation) => {
      if (operation === during) stop.abort(new Error('Stopped.'));
      return undefined;
    };

    await expect(inspected()).rejects.toThrow('Stopped.');
  });

  it('is named as its receipt does, with the version of the receipt', async () => {
    const { inspected, replace } = startWorld();
    const stated = receiptOf(archived);
    stated.object.versionId = 'v1';
    replace(receipt, written(stated));

    const { findings } = await inspected();

    expect(findings).toEqual([
      {
        code: 'same',
        key: object,
        documentId: id,
        detail: '',
        fileName: '6e0c.pdf',
        customerReference: 'PO-18',
        versionId: 'v1',
        atTelnyx: true,
      },
    ]);
  });

  it.each([
    [true, false],
    [false, undefined],
  ])('is known not to be at Telnyx only if the list is complete: %s', async (telnyxListed, expected) => {
    const { inspected } = startWorld({ conditions: { startedAt: noon, telnyxListed, graceMs: 0 } });

    const { findings } = await inspected({ telnyx: undefined as never });

    expect(findings.map((finding) => finding.atTelnyx)).toEqual([expected]);
  });
});

it.each([
  ['unaltered', undefined, { fileName: 'receipt.pdf', customerReference: 'PO-18' }],
  ['altered', 'not JSON', { fileName: 'Telnyx.pdf', customerReference: 'PO-18' }],
])('Names are first those of an %s receipt', (_which, alteration, names) => {
  const reading = { ...tooLargeReceipt(0), alteration, fileName: 'receipt.pdf' };

  expect(namesOf({ documentId: id, telnyx: atTelnyx, receipt: { modified: noon, reading } })).toEqual(names);
});

it('Names that neither states are undefined', () => {
  const reading = { ...tooLargeReceipt(0), alteration: undefined };

  for (const evidence of [{ documentId: id, receipt: { modified: noon, reading } }, { documentId: id }]) {
    expect(namesOf(evidence)).toEqual({ fileName: undefined, customerReference: undefined });
  }
});

it('Names that Telnyx does not state are those of the receipt, altered or not', () => {
  const reading = { ...tooLargeReceipt(0), fileName: 'receipt.pdf', customerReference: 'PO-17' };
  const telnyx = { ...atTelnyx, fileName: undefined, customerReference: undefined };

  expect(namesOf({ documentId: id, telnyx, receipt: { modified: noon, reading } })).toEqual({
    fileName: 'receipt.pdf',
    customerReference: 'PO-17',
  });
});

describe('A tombstone', () => {
  const content = { digest: sha256(grave), content: tombstone };

  it('is read once at each key', async () => {
    const { inspected, counted, memory, replace } = startWorld();
    replace(object, grave, erased);
    replace(receipt, grave, erased);

    const { evidence, findings } = await inspected();

    expect(memory.requests.sort()).toEqual([`get ${object}`, `get ${receipt}`, `head ${object}`]);
    expect(counted.requests).toBe(3);
    expect(evidence.object?.tombstone).toEqual(content);
    expect(evidence.receipt).toEqual({ modified: noon, tombstone: content });
    expect(findings).toMatchObject([{ code: 'erased' }]);
  });

  it('is read without metadata, as in a copy, if the receipt has one', async () => {
    const { inspected, replace } = startWorld();
    replace(object, grave);
    replace(receipt, grave);

    expect((await inspected()).evidence.object?.tombstone).toEqual(content);
  });

  it('is read with what is wrong with it', async () => {
    const { inspected, replace } = startWorld();
    const longer = grave.replace('\n}', ',\n  "more": 1\n}');
    replace(receipt, longer, erased);

    expect((await inspected()).evidence.receipt?.tombstone).toEqual({
      digest: sha256(longer),
      alteration: 'a member of the top level is missing, unknown or not valid',
    });
  });

  it.each([
    [8_192, true],
    [8_193, false],
  ])('of %d bytes is read: %s', async (bytes, isRead) => {
    const { inspected, memory, replace } = startWorld();
    replace(object, Buffer.alloc(bytes), erased);

    const { evidence } = await inspected();

    expect(memory.requests.includes(`get ${object}`)).toBe(isRead);
    expect(evidence.object?.tombstone).toEqual({
      digest: '',
      alteration: 'not a tombstone, although its metadata says so',
    });
  });

  it('is not looked for in an object whose metadata and receipt state none', async () => {
    const { inspected, memory } = startWorld();

    expect((await inspected()).evidence.object?.tombstone).toBeUndefined();
    expect(memory.requests).not.toContain(`get ${object}`);
  });
});

it.each([
  [1024 ** 2, true],
  [1024 ** 2 + 1, false],
])('A receipt of %d bytes is read: %s', async (bytes, isRead) => {
  const { inspected, memory, replace } = startWorld();
  replace(receipt, Buffer.alloc(bytes));

  const { evidence } = await inspected();

  expect(evidence.receipt).toMatchObject({ modified: noon, reading: { alteration: expect.any(String) } });
  expect(memory.requests.includes(`get ${receipt}`)).toBe(isRead);
});

describe('A context', () => {
  const fact = { documentId: id, kind: 'link', id: 'a resource' } as const;
  const text = written({ v: 1, ...fact, learntAt: new Date(noon).toISOString(), archiver: '0.2.0' });

  it('is read with its document', async () => {
    const { inspected, memory, counted } = startWorld();
    memory.put(keyOfFact(fact), text, noon);

    const { evidence, findings } = await inspected();

    expect(evidence.contexts).toMatchObject({
      records: [{ listed: { key: keyOfFact(fact) }, isWhole: true }],
    });
    expect(memory.requests).toContain(`get ${keyOfFact(fact)}`);
    expect(counted.requests).toBe(3);
    expect(findings).toMatchObject([{ code: 'same' }]);
  });

  it('is not read by the listings alone, unless they show a problem', async () => {
    const { inspected, memory } = startWorld({ quick: true });
    memory.put(keyOfFact(fact), text, noon);

    expect((await inspected()).evidence.contexts?.records).toMatchObject([{ isWhole: undefined }]);
    expect(memory.requests).toEqual([]);

    memory.put(keyOfFact(fact), text, noon);
    const { findings } = await inspected();

    expect(findings).toMatchObject([{ code: 'overwritten', key: keyOfFact(fact), documentId: id }]);
    expect(memory.requests).toContain(`get ${keyOfFact(fact)}`);
  });

  it.each([
    ['at the key of another one', contextKey(id, '0'.repeat(64)), text],
    ['that is too large', keyOfFact(fact), ' '.repeat(maxContextBytes) + text],
  ])('%s is foreign', async (_which, key, body) => {
    const { inspected, memory } = startWorld();
    memory.put(key, body, noon);

    const { findings } = await inspected();

    expect(findings).toMatchObject([{ code: 'foreign', key, documentId: id }]);
    expect(memory.requests.includes(`get ${key}`)).toBe(body === text);
  });

  it('of the largest size is read', async () => {
    const { inspected, memory } = startWorld();
    memory.put(keyOfFact(fact), text.padEnd(maxContextBytes), noon);

    const { findings } = await inspected();

    expect(findings).toMatchObject([{ code: 'same' }]);
  });

  it('cannot be written if only the contexts have a tombstone, as the listings alone show', async () => {
    const { inspected, memory } = startWorld({ quick: true });
    memory.put(contextTombstoneKey(id), grave, noon);

    const { findings } = await inspected();

    expect(findings).toMatchObject([{ code: 'tombstone-altered', key: contextTombstoneKey(id) }]);
  });

  it('has its tombstone read unless a delete marker hides it', async () => {
    const { inspected, memory, replace } = startWorld();
    for (const key of [object, receipt, contextTombstoneKey(id)]) replace(key, grave, erased);
    memory.versioned.delete(contextTombstoneKey(id));

    const { findings } = await inspected();

    expect(findings).toMatchObject([{ code: 'erasure-unfinished' }]);
    expect(memory.requests).not.toContain(`get ${contextTombstoneKey(id)}`);
  });

  it('that an erasure has deleted since the listing is not reported', async () => {
    const { inspected, memory, replace } = startWorld();
    for (const key of [object, receipt]) replace(key, grave, erased);
    memory.put(keyOfFact(fact), text, noon);
    const { findings: before } = await inspected();
    const { read } = createBucket({ s3: memory as never, name: 'archive', time: virtualTime(noon) });
    const gone = startWorld({
      bucket: {
        ...createBucket({ s3: memory as never, name: 'archive', time: virtualTime(noon) }),
        read: async (key, ...others) => (key.startsWith('contexts/') ? undefined : read(key, ...others)),
      },
    });
    for (const key of [object, receipt]) gone.replace(key, grave, erased);
    gone.memory.put(keyOfFact(fact), text, noon);

    const { findings: after } = await gone.inspected();

    expect(before).toMatchObject([{ code: 'erasure-unfinished', detail: 'contexts are left' }]);
    expect(after).toMatchObject([{ code: 'erased' }]);
  });

  it('has its tombstone read and compared with that of the receipt', async () => {
    const { inspected, memory, replace } = startWorld();
    for (const key of [object, receipt, contextTombstoneKey(id)]) replace(key, grave, erased);

    const { evidence, findings } = await inspected();

    expect(evidence.contexts?.tombstone?.reading).toEqual({ digest: sha256(grave), content: tombstone });
    expect(memory.requests).toContain(`get ${contextTombstoneKey(id)}`);
    expect(findings).toMatchObject([{ code: 'erased' }]);
  });

  it('that has a tombstone has its document looked up if no listing has it', async () => {
    const { inspected, memory } = startWorld({ quick: true });
    memory.put(contextTombstoneKey(id), grave, noon);

    const { evidence } = await inspected({ object: undefined as never, receipt: undefined as never });

    expect(memory.requests).toEqual(expect.arrayContaining([`head ${object}`, `get ${receipt}`]));
    expect(evidence.receipt).toBeDefined();
  });
});

describe('A hold', () => {
  it('is read with its record and the legal hold of both objects', async () => {
    const { inspected, counted, memory, hold } = startWorld();
    hold();
    memory.versioned.setLegalHold(object, undefined, 'ON');

    const { evidence } = await inspected();

    expect(evidence.hold).toMatchObject({
      records: [{ listed: { key: holdKey(id, noon) }, content: { action: 'hold', reason: 'Case 12' } }],
      locks: [
        { key: object, state: 'on' },
        { key: receipt, state: 'off' },
      ],
    });
    expect(counted.requests).toBe(5);
  });

  it('that was released needs no legal hold', async () => {
    const { inspected, hold } = startWorld();
    hold('release');

    expect((await inspected()).evidence.hold).toMatchObject({
      records: [{ content: { action: 'release' } }],
      locks: [],
    });
  });

  it('has no content if its record is hidden, is not JSON, or is for another time than its key states', async () => {
    const absent = startWorld();
    absent.hold();
    absent.memory.versioned.delete(holdKey(id, noon));
    const moved = startWorld();
    moved.hold('hold', noon + 1);

    const damaged = startWorld();
    damaged.memory.put(holdKey(id, noon), '{', noon);

    for (const { inspected } of [absent, moved, damaged]) {
      expect((await inspected()).evidence.hold?.records.map(({ content }) => content)).toEqual([undefined]);
    }
    expect(absent.memory.requests).not.toContain(`get ${holdKey(id, noon)}`);
  });

  it('is not looked for at a tombstone, nor where nothing is or was listed', async () => {
    const buried = startWorld();
    buried.replace(object, grave, erased);
    const hidden = startWorld();
    hidden.memory.versioned.delete(object);
    const unlisted = startWorld();

    for (const { hold } of [buried, hidden, unlisted]) hold();
    const found = [
      await buried.inspected(),
      await hidden.inspected(),
      await unlisted.inspected({ object: undefined as never }),
    ];

    expect(found.map(({ evidence }) => evidence.hold?.locks.map(({ key }) => key))).toEqual([
      [receipt],
      [receipt],
      [receipt],
    ]);
  });

  it('is off if the listed version is gone, and unknown if it cannot be read', async () => {
    const { inspected, memory, hold, dependencies } = startWorld();
    hold();
    const { lockOf } = dependencies.versions;
    dependencies.versions.lockOf = (key, versionId, signal) => {
      if (key === object) memory.objects.delete(key);
      return lockOf(key, versionId, signal);
    };
    memory.refuse = (operation, key) =>
      operation === 'get-hold' && key === receipt ? { name: 'AccessDenied', status: 403 } : undefined;

    const { evidence } = await inspected();

    expect(evidence.hold?.locks).toEqual([
      { key: object, state: 'off' },
      {
        key: receipt,
        state: { unreadable: expect.stringMatching(/^BucketMisconfigured: S3 denies access/) },
      },
    ]);
  });
});

it('A bug of a parser is not taken for a record that the archiver did not write', () => {
  const bug = new TypeError('A bug.');

  expect(() =>
    wholeRecord(() => {
      throw bug;
    }),
  ).toThrow(bug);
});
