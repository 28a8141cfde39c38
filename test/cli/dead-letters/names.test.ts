import { expect, it } from 'vitest';
import type { CommandContext } from '../../../cli/command.ts';
import type { Failure } from '../../../cli/dead-letters/failures.ts';
import { readNames } from '../../../cli/dead-letters/names.ts';
import { ArchiverError } from '../../../functions/errors.ts';
import type { TelnyxClient } from '../../../functions/telnyx/client.ts';
import { virtualTime } from '../../fakes/clock.ts';
import { firstSentAt } from '../../fakes/memory-sqs.ts';
import { recordingTerminal } from '../world.ts';

const [named, nameless, unreadable, gone] = [1, 2, 3, 4].map(
  (n) => `5a3b1e00-0000-4000-8000-00000000000${n}`,
) as [string, string, string, string];

const failureOf = (id: string, isDocument = true) => ({ id, isDocument }) as Failure;

/** A command's context whose Telnyx answers so. */
function context(answer?: (path: string) => unknown) {
  const requests: unknown[] = [];
  const get: TelnyxClient['get'] = async (path, query, notFound) => {
    requests.push([path, String(query), notFound]);
    const body = answer?.(path);
    return { body, rateLimit: { limit: undefined, remaining: undefined, resetMs: undefined } };
  };
  const given = {
    terminal: recordingTerminal().terminal,
    time: virtualTime(firstSentAt),
    random: () => 0.5,
    signal: new AbortController().signal,
    target: { telnyx: async () => answer && { get } },
  } as unknown as CommandContext;
  return { given, requests };
}

it('reads the names of documents, and passes over those that Telnyx does not have', async () => {
  const answers: Record<string, unknown> = {
    [`documents/${named}`]: { data: { filename: 'loa.pdf', customer_reference: 'PO-1' } },
    [`documents/${nameless}`]: { data: {} },
    [`documents/${unreadable}`]: { data: 'loa.pdf' },
  };
  const { given, requests } = context((path) => {
    if (path in answers) return answers[path];
    throw new ArchiverError('DocumentGone', 'Telnyx does not have it.');
  });
  const failures = [named, nameless, unreadable, gone].map((id) => failureOf(id));

  const names = await readNames([...failures, failureOf('m-1', false)], given);

  expect([...names]).toEqual([
    [named, { fileName: 'loa.pdf', customerReference: 'PO-1' }],
    [nameless, { fileName: undefined, customerReference: undefined }],
  ]);
  expect(requests).toEqual(
    [named, nameless, unreadable, gone].map((id) => [`documents/${id}`, '', 'DocumentGone']),
  );
});

it('throws any other error of Telnyx', async () => {
  const error = new ArchiverError('ApiKeyRejected', 'Telnyx rejects the API key.');
  const { given } = context(() => {
    throw error;
  });

  await expect(readNames([failureOf(named)], given)).rejects.toBe(error);
});

it('requires access to Telnyx', async () => {
  const { given } = context();

  await expect(readNames([failureOf(named)], given)).rejects.toThrow(
    '--names requires access to Telnyx: set TELNYX_API_KEY.',
  );
});
