import { expect, it } from 'vitest';
import { mergeManifests } from '../../functions/audit/manifest-claims.ts';
import { type AuditSources, mergeSources } from '../../functions/audit/sources.ts';
import {
  auditPlanKey,
  auditResultKey,
  auditSummaryKey,
  contextKey,
  contextTombstoneKey,
  documentKey,
  holdKey,
  receiptKey,
} from '../../functions/bucket/keys.ts';
import { manifestKey, stretchManifestKey, tagManifestKey } from '../../functions/bucket/manifest-text.ts';
import { collected } from '../collected.ts';
import { virtualTime } from '../fakes/clock.ts';
import { noon } from '../fakes/documents.ts';
import { MemoryBucket, sha256 } from '../fakes/memory-bucket.ts';

const id = (number: number) => `0000000${number}-0000-4000-8000-000000000000`;

function sourcesOf(memory: MemoryBucket): Pick<AuditSources, 'listing' | 'telnyx' | 'manifests'> {
  return {
    listing: {
      s3: memory as never,
      name: 'archive',
      time: virtualTime(noon),
      retry: (work) => work(new AbortController().signal),
      onRequest: () => undefined,
    },
    telnyx: [],
    manifests: [],
  };
}

it('Each key of a bucket belongs to a document, a manifest or a run of the audit, or is foreign', async () => {
  const time = virtualTime(noon);
  const memory = new MemoryBucket(time);
  const foreign = [
    'a',
    'audits/x',
    'audits/20261124T021500Z/results/x.json',
    'contexts/x.json',
    `contexts/${id(1)}/notes.txt`,
    'd',
    'documents/x',
    'holds/notes.txt',
    `holds/${id(1)}/today.json`,
    'manifests/x',
    'receipts/x',
    'z',
  ];
  const holds = [holdKey(id(1), noon), holdKey(id(1), noon + 1), holdKey(id(3), noon)];
  const contexts = [
    contextTombstoneKey(id(2)),
    contextKey(id(2), '0'.repeat(64)),
    contextKey(id(2), 'f'.repeat(64)),
    contextKey(id(4), '7'.repeat(64)),
    contextTombstoneKey(id(5)),
  ];
  const known = [documentKey(id(1)), documentKey(id(2)), receiptKey(id(2)), ...holds, ...contexts];
  const timestamp = '20261124T120000Z';
  const stretch = { from: '', before: '8' };
  const manifests = [
    manifestKey(timestamp),
    tagManifestKey(timestamp),
    stretchManifestKey(timestamp, stretch),
  ];
  const run = '20261124T021500Z';
  const audits = [auditPlanKey(run), auditResultKey(run, { sort: 'ids', ...stretch }), auditSummaryKey(run)];
  for (const key of [...foreign, ...known, ...manifests, ...audits]) memory.put(key, 'x', noon);
  const others: string[] = [];
  const records: string[] = [];

  const rows = await collected(
    mergeSources({
      ...sourcesOf(memory),
      onRecord: ({ key }) => records.push(key),
      onForeign: ({ key }) => others.push(key),
    }),
  );

  expect(others.sort()).toEqual(foreign.sort());
  expect(records).toEqual(audits);
  expect(memory.requests).toHaveLength(4);
  expect(rows).toMatchObject([
    {
      id: id(1),
      object: { key: documentKey(id(1)) },
      hold: { id: id(1), records: [{ key: holds[0] }, { key: holds[1] }] },
    },
    {
      id: id(2),
      object: { key: documentKey(id(2)) },
      receipt: { key: receiptKey(id(2)) },
      contexts: {
        id: id(2),
        tombstone: { key: contexts[0] },
        records: [{ key: contexts[1] }, { key: contexts[2] }],
      },
    },
    { id: id(3), hold: { records: [{ key: holds[2] }] } },
    { id: id(4), contexts: { records: [{ key: contexts[3] }] } },
    { id: id(5), contexts: { records: [], tombstone: { key: contexts[4] } } },
  ]);
  expect(rows.map((row) => Object.keys(row))).toEqual([
    ['id', 'object', 'hold'],
    ['id', 'object', 'receipt', 'contexts'],
    ['id', 'hold'],
    ['id', 'contexts'],
    ['id', 'contexts'],
  ]);
});

it.each([
  [{ from: '', before: id(2).slice(0, 8) }, [1]],
  [{ from: id(2), before: id(4) }, [2, 3]],
  [{ from: id(4), before: '' }, [4, 5]],
])('Of the stretch %j, exactly the documents and foreign keys in it are listed', async (stretch, numbers) => {
  const time = virtualTime(noon);
  const memory = new MemoryBucket(time);
  const keysOf = (number: number) => [
    contextKey(id(number), '0'.repeat(64)),
    documentKey(id(number)),
    `documents/${id(number)}.txt`,
    holdKey(id(number), noon),
    receiptKey(id(number)),
  ];
  for (const key of [1, 2, 3, 4, 5].flatMap(keysOf)) memory.put(key, 'x', noon);
  for (const key of ['a', auditPlanKey('20261124T021500Z'), 'z']) memory.put(key, 'x', noon);
  const foreign: string[] = [];

  const rows = await collected(
    mergeSources({ ...sourcesOf(memory), stretch, onForeign: ({ key }) => foreign.push(key) }),
  );

  expect(rows.map((row) => row.id)).toEqual(numbers.map(id));
  expect(rows.map((row) => Object.keys(row))).toEqual(
    numbers.map(() => ['id', 'object', 'receipt', 'hold', 'contexts']),
  );
  expect(foreign).toEqual(numbers.map((number) => `documents/${id(number)}.txt`));
});

it('Records of a run of the audit are neither documents nor foreign, even if nobody asks for them', async () => {
  const memory = new MemoryBucket(virtualTime(noon));
  memory.put(auditPlanKey('20261124T021500Z'), 'x', noon);

  const rows = mergeSources({ ...sourcesOf(memory), onForeign: () => expect.unreachable() });

  expect(await collected(rows)).toEqual([]);
});

it('Each manifest states what it changes about a document, beginning with the first that names it', async () => {
  const [document, receipt, other] = ['document', 'receipt', 'other'].map((text) => sha256(text));
  const entriesOf = [
    [{ id: id(2), document, receipt: undefined }],
    [
      { id: id(1), document, receipt },
      { id: id(2), document, receipt },
    ],
    [
      { id: id(1), document, receipt },
      { id: id(2), document: other, receipt },
    ],
    [{ id: id(1), document, receipt }],
  ];
  const manifests = entriesOf.map((entries, position) => ({ key: `m${position}`, entries: () => entries }));

  expect(await collected(mergeManifests(manifests))).toEqual([
    { id: id(1), claims: [{ manifest: 'm1', document, receipt }] },
    {
      id: id(2),
      claims: [
        { manifest: 'm0', document, receipt: undefined },
        { manifest: 'm1', document, receipt },
        { manifest: 'm2', document: other, receipt },
        { manifest: 'm3', document: undefined, receipt: undefined },
      ],
    },
  ]);
});
