import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemTime, type Time } from '../../../functions/time.ts';
import { recordOf } from '../../../local/telnyx/documents.ts';
import { type FaultRule, Faults, faultKinds } from '../../../local/telnyx/faults.ts';
import { type StandInOptions, startStandIn } from '../../../local/telnyx/stand-in.ts';

async function startWorld(options: Partial<StandInOptions> = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'telnyx-test-'));
  const appeared: string[] = [];
  const standIn = await startStandIn({
    apiKey: 'KEY-test',
    storage: join(directory, 'storage'),
    presign: (bucket, key) => `http://storage/${bucket}/${key}?signature`,
    time: systemTime,
    random: Math.random,
    onUnreadable: (path, error) => {
      throw new Error(path, { cause: error });
    },
    onAppeared: ({ fileName }) => appeared.push(fileName),
    ...options,
  });
  onTestFinished(async () => {
    await standIn.close();
    await rm(directory, { recursive: true, force: true });
  });
  const get = async (path: string, key = 'KEY-test') => {
    const answer = await fetch(`${standIn.url}/${path}`, { headers: { authorization: `Bearer ${key}` } });
    const text = await answer.text();
    return {
      status: answer.status,
      headers: answer.headers,
      body: text === '' ? undefined : JSON.parse(text),
    };
  };
  return { standIn, get, directory, appeared };
}

const unknown = '00000000-0000-4000-8000-000000000000';

describe('the Telnyx stand-in', () => {
  it('serves real files of every kind, and records that tell the truth about them', async () => {
    const { standIn, get, directory } = await startWorld();

    const { body } = await get('documents?page[size]=250');

    expect(body.meta).toEqual({ page_number: 1, page_size: 250, total_pages: 1, total_results: 9 });
    const types = body.data.map((record: { content_type: string }) => record.content_type);
    expect(new Set(types)).toEqual(
      new Set([
        'application/pdf',
        'image/png',
        'image/jpeg',
        'text/csv',
        'text/plain',
        'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
      ]),
    );
    for (const { id, sha256, size } of body.data) {
      const bytes = await readFile(join(directory, 'storage', id));
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(sha256);
      expect(size).toEqual({ unit: 'bytes', amount: bytes.length });
    }
    expect(standIn.documents.all().some(({ bytes }) => bytes === 20_000_000)).toBe(true);
  });

  it('answers with the two error shapes of the specification', async () => {
    const { get } = await startWorld();

    expect(await get('documents', 'wrong')).toMatchObject({
      status: 401,
      body: { errors: [{ code: '10009' }] },
    });
    expect(await get(`documents/${unknown}`)).toMatchObject({
      status: 404,
      body: { errors: [{ code: '10005' }] },
    });
    expect(await get(`documents/${unknown}/download_link`)).toMatchObject({
      status: 404,
      body: { code: '10005' },
    });
    expect(await get('documents/none/download_link')).toMatchObject({ status: 422 });
  });

  it('pages, filters and sorts its list, newest first', async () => {
    const { get, standIn } = await startWorld();
    const all = standIn.documents.all();
    const third = new Date(all[2]?.createdAt ?? 0).toISOString();

    const second = await get('documents?page[number]=2&page[size]=4');
    const newer = await get(`documents?filter[created_at][gt]=${third}`);
    const older = await get(`documents?filter[created_at][lt]=${third}&sort[]=created_at&page[size]=1`);

    expect(second.body.data.map(({ id }: { id: string }) => id)).toEqual(all.slice(4, 8).map(({ id }) => id));
    expect(newer.body.data).toHaveLength(2);
    expect(older.body.data[0].id).toBe(all.at(-1)?.id);
    expect(older.body.meta.total_results).toBe(6);
  });

  it('states its rate limit in every answer and keeps to it', async () => {
    const { get } = await startWorld({ rateLimit: { requests: 2, perSeconds: 60 } });

    const answers = [await get('documents'), await get('documents'), await get('documents')];

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
    expect(answers[2]?.body.errors[0].code).toBe('10011');
    expect(answers.map(({ headers }) => headers.get('x-ratelimit-remaining'))).toEqual(['1', '0', '0']);
    expect(Number(answers[2]?.headers.get('x-ratelimit-reset'))).toBeGreaterThan(50);
  });

  it('takes uploads and deletes what no service links after thirty minutes', async () => {
    let ahead = 0;
    const time: Time = { ...systemTime, now: () => systemTime.now() + ahead };
    const { standIn, get, appeared } = await startWorld({ time, expire: true });

    const answer = await fetch(`${standIn.url}/documents`, {
      method: 'POST',
      headers: { authorization: 'Bearer KEY-test' },
      body: JSON.stringify({ file: Buffer.from('hello').toString('base64'), filename: 'hello.txt' }),
    });
    const { data } = (await answer.json()) as { data: { id: string; sha256: string } };

    expect(appeared).toEqual(['hello.txt']);
    expect(data.sha256).toBe(createHash('sha256').update('hello').digest('hex'));
    ahead = 29 * 60_000;
    expect((await get(`documents/${data.id}`)).status).toBe(200);
    ahead = 30 * 60_000;
    expect((await get(`documents/${data.id}`)).status).toBe(404);
  });

  it('knows which documents an order links', async () => {
    const { standIn, get } = await startWorld();
    const [loa, invoice, proof, more] = standIn.documents.all().map(({ id }) => id);
    const order = standIn.orders.addPortingOrder({
      ...(loa && { loa }),
      ...(invoice && { invoice }),
      requirements: proof ? [proof] : [],
      additional: more ? [more] : [],
    });
    const portOut = standIn.orders.addPortOut(loa ? [loa] : []);

    expect((await get(`porting_orders/${order}`)).body.data.documents).toEqual({ loa, invoice });
    const requirements = (await get(`porting_orders/${order}/requirements`)).body;
    expect(requirements.data[0]).toMatchObject({ field_type: 'document', field_value: proof });
    expect(requirements.meta.total_results).toBe(2);
    const additional = (await get(`porting_orders/${order}/additional_documents`)).body.data;
    expect(additional[0].document_id).toBe(more);
    expect((await get(`document_links?filter[linked_resource_id]=${order}`)).body.data).toHaveLength(2);
    expect((await get(`portouts/${portOut}/supporting_documents`)).body.data[0].document_id).toBe(loa);
    expect((await get(`porting_orders/${unknown}`)).status).toBe(404);
  });
});

describe('a folder as an account', () => {
  const names = async (
    get: (path: string) => Promise<{ body: { data: { filename: string; id: string }[] } }>,
  ) => new Map((await get('documents?page[size]=250')).body.data.map(({ filename, id }) => [filename, id]));

  it('shows what lies in it now, under ids that stay the same', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'folder-test-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    await mkdir(join(folder, 'deep'));
    await writeFile(join(folder, 'a.txt'), 'a');
    await writeFile(join(folder, 'deep', 'b.txt'), '');
    const first = await startWorld({ folder });
    const atFirst = await names(first.get);
    expect([...atFirst.keys()].sort()).toEqual(['a.txt', 'deep/b.txt']);

    await writeFile(join(folder, 'c.txt'), 'c');
    await writeFile(join(folder, 'a.txt'), 'changed');
    await unlink(join(folder, 'deep', 'b.txt'));
    const now = await names(first.get);

    expect([...now.keys()].sort()).toEqual(['a.txt', 'c.txt']);
    expect(now.get('a.txt')).not.toBe(atFirst.get('a.txt'));
    expect(first.appeared.sort()).toEqual(['a.txt', 'c.txt']);
    const again = await startWorld({ folder });
    expect(await names(again.get)).toEqual(now);
  });
});

describe('a fault plan', () => {
  it('has every kind in hand, and heals after as many times as it says', async () => {
    const { standIn } = await startWorld();
    const [document] = standIn.documents.all();
    if (!document) throw new Error('There are samples.');
    for (const [kind, { at }] of Object.entries(faultKinds)) {
      const rule = { kind, times: 2 } as FaultRule;
      const faults = new Faults([rule], () => 0);
      const seen = [1, 2, 3].map(() =>
        at === 'download' ? faults.download(document) !== undefined : faults.next(at, document) === kind,
      );
      expect(seen, kind).toEqual([true, true, false]);
    }
  });

  it('strikes the share of documents that it says', async () => {
    const { standIn } = await startWorld();
    const [document] = standIn.documents.all();
    if (!document) throw new Error('There are samples.');
    const dice = [0.1, 0.9, 0.2, 0.5];
    const faults = new Faults([{ kind: 'server-error', rate: 0.5 }], () => dice.shift() ?? 0);

    expect([1, 2, 3, 4].map(() => faults.next('api', document))).toEqual([
      'server-error',
      undefined,
      'server-error',
      undefined,
    ]);
    expect(faults.next('download', document)).toBeUndefined();
  });

  it('changes what the API says of a document, kind by kind', async () => {
    const kinds: [FaultRule['kind'], number, (body: { data?: Record<string, unknown> }) => boolean][] = [
      ['server-error', 500, ({ data }) => data === undefined],
      ['gone', 404, ({ data }) => data === undefined],
      ['wrong-shape', 200, ({ data }) => data === undefined],
      ['wrong-hash', 200, ({ data }) => String(data?.sha256).startsWith('bad0')],
      ['no-hash', 200, ({ data }) => data !== undefined && !('sha256' in data)],
      ['no-size', 200, ({ data }) => data !== undefined && !('size' in data)],
      ['infected', 200, ({ data }) => data?.av_scan_status === 'infected'],
    ];
    for (const [kind, status, shows] of kinds) {
      const { standIn, get } = await startWorld({ faults: [{ kind }] });
      const [document] = standIn.documents.all();
      const answer = await get(`documents/${document?.id}`);
      expect(answer.status, kind).toBe(status);
      expect(shows(answer.body), kind).toBe(true);
      if (document && kind === 'wrong-hash') expect(recordOf(document).sha256).toBe(document.sha256);
    }
  });
});
