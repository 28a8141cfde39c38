/** Everything that the archiver asks of Telnyx, with the specification between the archiver and the stand-in. */
import { describe, expect, it } from 'vitest';
import * as queries from '../../../cli/backfill/telnyx-queries.ts';
import { telnyxAt } from '../../../cli/target/telnyx.ts';
import { retryTimings } from '../../../functions/limits.ts';
import { createLog } from '../../../functions/log.ts';
import type { TelnyxClient } from '../../../functions/telnyx/client.ts';
import * as lists from '../../../functions/telnyx/lists.ts';
import { createRetryingTelnyx, type RetryingTelnyx } from '../../../functions/telnyx/retrying-telnyx.ts';
import { readWindow } from '../../../functions/telnyx/window.ts';
import { systemTime as time } from '../../../functions/time.ts';
import { apiKey, startWorld, unknownId } from '../../local/telnyx/world.ts';
import { startRecordingProxy } from './recording-proxy.ts';
import { operationOf, requestProblems, responseProblems, specifiedOperations } from './specification.ts';

const never = new AbortController().signal;
const created = { after: Date.parse('2009-01-01T00:00:00Z'), before: Date.parse('2099-01-01T00:00:00Z') };

async function startArchiver(key = apiKey) {
  const { standIn } = await startWorld();
  const proxy = await startRecordingProxy(standIn.url);
  const client = telnyxAt(new URL(proxy.url), key, time);
  const retrying = createRetryingTelnyx(client, {
    deadline: Number.POSITIVE_INFINITY,
    signal: never,
    timings: retryTimings,
    time,
    random: Math.random,
    log: createLog({ name: 'test', write: () => undefined, now: time.now }),
  });
  const ids: string[] = [];
  for (const number of [1, 2, 3, 4]) {
    const bytes = Buffer.from(`document ${number}`);
    ids.push((await standIn.documents.add(`${number}.pdf`, bytes, { customerReference: `PO-${number}` })).id);
  }
  const [loa = '', invoice = '', required = '', additional = ''] = ids;
  const orders = {
    porting: standIn.orders.addPortingOrder({
      loa,
      invoice,
      requirements: [required],
      additional: [additional],
    }),
    portOut: standIn.orders.addPortOut([loa, invoice]),
    number: standIn.orders.addNumberOrder({ numbers: { '+33100000000': [loa], '+33100000001': [loa] } }),
  };
  return { standIn, client, retrying, orders, documentId: loa, exchanges: proxy.exchanges };
}

type Orders = Awaited<ReturnType<typeof startArchiver>>['orders'];

/** Each function that sends requests, by its name, with the number of rows it finds. */
const listCalls: Record<
  keyof typeof lists,
  (telnyx: RetryingTelnyx, orders: Orders) => Promise<{ length: number }>
> = {
  listDocuments: (telnyx) => lists.listDocuments(telnyx, created, 1, 'PO-1'),
  listDocumentLinks: (telnyx, { porting }) => lists.listDocumentLinks(telnyx, porting, 1),
  listAllLinks: (telnyx) => lists.listAllLinks(telnyx, 1),
  readPortingOrder: async (telnyx, { porting }) => (await lists.readPortingOrder(telnyx, porting)).documents,
  readNumberOrder: async (telnyx, { number }) => (await lists.readNumberOrder(telnyx, number)).documents,
  listPortingRequirements: (telnyx, { porting }) => lists.listPortingRequirements(telnyx, porting, 1),
  listAdditionalDocuments: (telnyx, { porting }) => lists.listAdditionalDocuments(telnyx, porting, 1),
  portOutDocuments: (telnyx, { portOut }) => lists.portOutDocuments(telnyx, portOut),
};
const expectedRows: Record<keyof typeof lists, number> = {
  listDocuments: 1,
  listDocumentLinks: 4,
  listAllLinks: 7,
  readPortingOrder: 3,
  readNumberOrder: 1,
  listPortingRequirements: 2,
  listAdditionalDocuments: 1,
  portOutDocuments: 2,
};
const queryCalls: Record<keyof typeof queries, (telnyx: RetryingTelnyx) => Promise<unknown>> = {
  countCreated: (telnyx) => queries.countCreated(telnyx, { from: created.after, to: created.before }),
  oldestDay: (telnyx) => queries.oldestDay(telnyx, time.now()),
  idsOfReference: (telnyx) => queries.idsOfReference(telnyx, 'A & B = [50 %] ü', time.now()),
};

describe('the archiver', () => {
  it('sends only requests that the specification allows, and gets only responses that conform to it', async () => {
    const { standIn, client, retrying, orders, documentId, exchanges } = await startArchiver();

    const rows: Record<string, number> = {};
    for (const [name, call] of Object.entries(listCalls)) rows[name] = (await call(retrying, orders)).length;
    for (const query of Object.values(queryCalls)) await query(retrying);
    const found: unknown[] = [];
    const window = { from: created.after, to: created.before };
    for await (const candidates of readWindow(window, (span, page) =>
      lists.listDocuments(retrying, span, page),
    )) {
      found.push(...candidates);
    }
    const document = await client.document(documentId, never);
    const link = await client.downloadLink(documentId, never);

    // A function that is added and not tried here would not be held by the specification.
    expect(Object.keys(listCalls).sort()).toEqual(Object.keys(lists).sort());
    expect(Object.keys(queryCalls).sort()).toEqual(Object.keys(queries).sort());
    expect(Object.keys(client).sort()).toEqual(['document', 'downloadLink', 'get']);
    expect(rows).toEqual(expectedRows);
    expect(found).toHaveLength(standIn.documents.all().length);
    expect(document).toMatchObject({ id: documentId, malformed: [] });
    expect((await fetch(link)).status).toBe(200);
    for (const exchange of exchanges) {
      const problems = [...requestProblems(exchange), ...responseProblems(exchange)];
      expect(problems, `${exchange.method} ${exchange.path}`).toEqual([]);
    }
    expect(exchanges.every(({ status }) => status < 300)).toBe(true);
    const reads = specifiedOperations().filter((operation) => /^GET (?!.*\/download$)/.test(operation));
    expect([...new Set(exchanges.map(operationOf))].sort()).toEqual(reads.sort());
  });

  const failures: [string, string, string, (client: TelnyxClient) => Promise<unknown>][] = [
    ['a document that does not exist', apiKey, 'DocumentGone', (client) => client.document(unknownId, never)],
    ['a link to it', apiKey, 'DocumentGone', (client) => client.downloadLink(unknownId, never)],
    ['an order that does not exist', apiKey, 'OrderGone', (client) => getOrder(client, unknownId)],
    ['a document with an invalid ID', apiKey, 'UnexpectedResponse', (client) => client.document('x', never)],
    ['a link with an invalid ID', apiKey, 'LinkRefused', (client) => client.downloadLink('x', never)],
    ['a wrong key', 'KEY-wrong', 'ApiKeyRejected', (client) => client.document(unknownId, never)],
  ];
  it.each(failures)(
    'gets an error that conforms to the specification for %s',
    async (_which, key, code, call) => {
      const { client, exchanges } = await startArchiver(key);

      await expect(call(client)).rejects.toMatchObject({ code });

      expect(exchanges.length).toBeGreaterThan(0);
      expect(exchanges.flatMap(responseProblems)).toEqual([]);
    },
  );
});

function getOrder(client: TelnyxClient, id: string) {
  return client.get(`porting_orders/${id}`, new URLSearchParams(), 'OrderGone', never);
}
