import { expect, it } from 'vitest';
import { createLog, type LogFields } from '../../functions/log.ts';
import { readAuditLine } from '../../local/audit-log.ts';
import type { StartEventOf } from '../../local/start-lines.ts';

const part = { lane: 'audit', kind: 'audit-part', run: '20261126T021500Z', part: 'others', outcome: 'done' };

function readLine(fields: LogFields): StartEventOf<'audit'> | undefined {
  let event: StartEventOf<'audit'> | undefined;
  const write = (line: string) => {
    event = readAuditLine(line);
  };
  createLog({ name: 'test', write, now: Date.now }).info('Done', fields);
  return event;
}

it('shows a run when the receive that completed it is done, with its documents and findings', () => {
  const event = readLine({ ...part, status: 'complete', found: 12, problems: 1 });

  expect(event).toEqual({ type: 'audit', run: '20261126T021500Z', documents: 12, findings: 1 });
});

it('shows nothing of a part after which others are missing, and nothing of another lane', () => {
  const events = [
    readLine({ ...part, found: 12, problems: 1 }),
    readLine({ ...part, lane: 'spans', status: 'complete', found: 12, problems: 1 }),
    readLine({ outcome: 'accepted', status: 200 }),
  ];

  expect(events).toEqual([undefined, undefined, undefined]);
});
