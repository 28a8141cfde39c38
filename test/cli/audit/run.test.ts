import { expect, it } from 'vitest';
import type { AuditOptions } from '../../../cli/audit/options.ts';
import { type AuditRun, createAuditRun, describeProgress } from '../../../cli/audit/run.ts';
import type { CommandContext } from '../../../cli/command.ts';
import type { BucketAccess } from '../../../cli/target/target.ts';
import { createTally } from '../../../functions/audit/findings.ts';

/** A run that has checked so many documents, of those that Telnyx and the newest manifest name. */
function runWith(checked: number, atTelnyx: number, inManifest = 0): AuditRun {
  const tally = { ...createTally(), documents: checked };
  tally.counts.missing = 1;
  tally.counts.same = 7;
  return { tally, documents: { count: atTelnyx }, inManifest, step: 'Checking the manifests' } as AuditRun;
}

it.each([
  ['the step', runWith(0, 0, 9), { ended: 0, total: undefined, text: 'Checking the manifests' }],
  [
    'the list',
    runWith(0, 1_500),
    { ended: 0, total: undefined, text: '1,500 documents listed at Telnyx so far' },
  ],
  [
    'the documents of Telnyx’s list',
    runWith(10, 30, 20),
    { ended: 10, total: 30, text: '10 documents checked · 5/s · 1 problem' },
  ],
  ['the documents of the manifest', runWith(10, 20, 30), expect.objectContaining({ total: 30 })],
  [
    'no total once all of them are checked',
    runWith(30, 30, 20),
    expect.objectContaining({ total: undefined }),
  ],
])('Progress shows %s', (_what, run, state) => {
  expect(describeProgress(run, 2_000)).toEqual(state);
});

it('Progress has a rate from the first moment on', () => {
  expect(describeProgress(runWith(3, 9), 0).text).toBe('3 documents checked · 3,000/s · 1 problem');
});

it('Progress shows that the audit starts until its first step', () => {
  const run = createAuditRun({} as AuditOptions, {} as CommandContext, {} as BucketAccess, '/tmp/x');

  expect(describeProgress(run, 0)).toEqual({ ended: 0, total: undefined, text: 'Starting' });
});
