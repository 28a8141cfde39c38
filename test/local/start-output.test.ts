import { describe, expect, it } from 'vitest';
import { ArchiverError } from '../../functions/errors.ts';
import type { Change } from '../../local/ledger.ts';
import { type StartEventOf, startLine } from '../../local/start-lines.ts';
import { createStartOutput } from '../../local/start-output.ts';
import { recordingTerminal } from '../cli/world.ts';
import { VirtualClock } from '../fakes/clock.ts';

const noon = new Date(2026, 10, 24, 12).getTime();

function openOutput({ json }: { json: boolean }) {
  const { terminal, result } = recordingTerminal({ schema: startLine });
  const output = createStartOutput({ ...terminal, json }, new VirtualClock(noon));
  return { output, result };
}

const started: StartEventOf<'started'> = {
  type: 'started',
  webhookUrl: 'http://127.0.0.1:1/webhook',
  publicKey: 'key',
  telnyxUrl: 'http://127.0.0.1:2/v2',
  standIn: false,
  archive: '/archive',
  s3Endpoint: 'http://127.0.0.1:3',
  sqsEndpoint: 'http://127.0.0.1:4',
  metricsUrl: 'http://127.0.0.1:5/',
  queues: {
    documents: { queueUrl: 'a', deadLetterQueueUrl: 'b' },
    backfill: { queueUrl: 'c', deadLetterQueueUrl: 'd' },
    discovery: { queueUrl: 'e', deadLetterQueueUrl: 'f' },
    spans: { queueUrl: 'g', deadLetterQueueUrl: 'h' },
    audit: { queueUrl: 'i', deadLetterQueueUrl: 'j' },
  },
  region: 'us-east-1',
  credentials: { accessKeyId: 'id', secretAccessKey: 'secret' },
};
const failure: Change = {
  document: 'document-1',
  state: 'waiting',
  lane: 'backfill',
  kind: 'document',
  bytes: 0,
  ms: 1,
  receives: 1,
  code: 'TelnyxUnavailable',
  reason: 'Telnyx returned 500.',
};

describe('JSON', () => {
  it('begins with the addresses, although a warning came before them', () => {
    const { output, result } = openOutput({ json: true });

    output.warning('Cannot read a file.');
    output.record(started);
    output.change(failure);

    expect(result.records.map(({ type }) => type)).toEqual(['started', 'warning', 'document']);
    expect(result.records[0]?.time).toBe(new Date(noon).toISOString());
    expect(result.noted).toBe('');
  });

  it('has the error that prevented the start, and the warnings before it', () => {
    const { output, result } = openOutput({ json: true });

    output.warning('Cannot read a file.');
    output.error(new ArchiverError('ApiKeyRejected', 'Telnyx returned 401.'));

    expect(result.records).toMatchObject([
      { type: 'warning' },
      { type: 'error', code: 'ApiKeyRejected', message: 'Telnyx returned 401.' },
    ]);
    expect(result.noted).toBe('');
  });

  it('has each change, also of failed messages without a document, and each completed run of the audit', () => {
    const { output, result } = openOutput({ json: true });
    output.record(started);

    output.change(failure);
    output.change(failure);
    output.change({ ...failure, lane: 'spans', kind: 'span' });
    output.change({ ...failure, lane: 'audit', kind: 'audit-part' });
    output.audit({ type: 'audit', run: '20261126T021500Z', documents: 12, findings: 0 });
    output.stopping();

    expect(result.records.slice(1).map(({ type }) => type)).toEqual([
      'document',
      'document',
      'discovery',
      'audit-message',
      'audit',
      'stopping',
    ]);
  });
});

describe('text', () => {
  it('shows the first failure of each lane and code, with the time and the reason', () => {
    const { output, result } = openOutput({ json: false });

    output.change(failure);
    output.change({ ...failure, document: 'document-2' });
    output.change({ ...failure, document: 'message-1', lane: 'spans', kind: 'span' });
    output.change({ ...failure, document: 'document-3', state: 'archived', code: undefined as never });

    expect(result.printed).toBe(
      '12:00:00  document-1  waiting, backfill: TelnyxUnavailable: Telnyx returned 500.\n' +
        '12:00:00  message-1  waiting, span message, spans: TelnyxUnavailable: Telnyx returned 500.\n',
    );
  });

  it('shows every change after the initial archiving', () => {
    const { output, result } = openOutput({ json: false });
    output.showAll();

    output.change(failure);
    output.change(failure);

    expect(result.printed.split('\n')).toHaveLength(3);
  });

  it('shows webhook requests, and escapes what others wrote', () => {
    const { output, result } = openOutput({ json: false });

    output.webhook({ type: 'webhook', outcome: 'refused', status: 401, reason: 'signature-wrong' });
    output.webhook({
      type: 'webhook',
      outcome: 'accepted',
      status: 200,
      eventType: 'a\u001b[2J\nb',
      queued: 3,
    });

    expect(result.printed).toBe(
      '12:00:00  webhook  401 refused: signature-wrong\n' +
        '12:00:00  webhook  200 accepted, a\\u{1b}[2J\\u{a}b, 3 queued\n',
    );
  });

  it('shows each completed run of the audit', () => {
    const { output, result } = openOutput({ json: false });

    output.audit({ type: 'audit', run: '20261126T021500Z', documents: 1_200, findings: 0 });
    output.audit({ type: 'audit', run: '20261127T021500Z', documents: 1, findings: 1 });

    expect(result.printed).toBe(
      '12:00:00  audit  20261126T021500Z: 1,200 documents, 0 findings\n' +
        '12:00:00  audit  20261127T021500Z: 1 document, 1 finding\n',
    );
  });

  it('prints a warning on one line, whatever a name in it holds', () => {
    const { output, result } = openOutput({ json: false });

    output.warning('Cannot read a\nAll is well.');

    expect(result.noted).toBe('Cannot read a\\u{a}All is well.\n');
  });

  it('indents the further lines of an error, so that none looks like one of the tool', () => {
    const { output, result } = openOutput({ json: false });

    output.error(new Error('The bucket is not safe:\nAll is well.\u001b[2J'));

    expect(result.noted).toBe('The bucket is not safe:\n  All is well.\\u{1b}[2J\n');
  });
});
