import { expect, it } from 'vitest';
import type { AuditRun } from '../../../cli/audit/run.ts';
import { readTelnyxList } from '../../../cli/audit/telnyx.ts';
import type { Finding } from '../../../functions/audit/findings.ts';
import { TelnyxDocuments } from '../../../functions/audit/telnyx-documents.ts';
import { ArchiverError } from '../../../functions/errors.ts';
import { virtualTime } from '../../fakes/clock.ts';
import { documentOf, noon } from '../../fakes/documents.ts';
import { recordingTerminal } from '../world.ts';

/** Reads a list that Telnyx answers so. */
function read(
  answer: () => unknown,
  { documents = new TelnyxDocuments(), signal = AbortSignal.any([]) } = {},
) {
  const reported: Finding[] = [];
  const get = async () => ({
    body: answer(),
    rateLimit: { limit: undefined, remaining: undefined, resetMs: undefined },
  });
  const context = {
    terminal: recordingTerminal().terminal,
    time: virtualTime(noon),
    random: () => 0.5,
    signal,
  };
  const run = { documents, context, reportOther: (finding: Finding) => reported.push(finding) };
  return { reading: readTelnyxList({ get } as never, noon, run as unknown as AuditRun), reported };
}

const document = documentOf('5a3b1e00-0000-4000-8000-000000000001', Buffer.from('x'));

it('reports a list that Telnyx does not return as unreadable', async () => {
  const { reading, reported } = read(() => {
    throw new ArchiverError('ApiKeyRejected', 'The API key is not valid.');
  });

  expect(await reading).toBe(false);
  expect(reported).toEqual([
    { code: 'unreadable', key: 'telnyx', detail: 'ApiKeyRejected: The API key is not valid.' },
  ]);
});

it('throws an error that is not of Telnyx', async () => {
  const documents = new TelnyxDocuments();
  documents.add = () => {
    throw new RangeError('Array buffer allocation failed');
  };
  const { reading, reported } = read(() => ({ data: [document.record] }), { documents });

  await expect(reading).rejects.toThrow(new RangeError('Array buffer allocation failed'));
  expect(reported).toEqual([]);
});

it('throws the reason of its signal, whatever failed because of it', async () => {
  const stop = new AbortController();
  const reason = new Error('Stopped.');
  const { reading, reported } = read(
    () => {
      stop.abort(reason);
      throw new ArchiverError('RateLimitReserved', 'Left to live work.');
    },
    { signal: stop.signal },
  );

  await expect(reading).rejects.toBe(reason);
  expect(reported).toEqual([]);
});
