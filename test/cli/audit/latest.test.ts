/** `audit --latest` and `audit --start`: on a bucket and an SQS in memory. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { auditLatest } from '../../../cli/audit/latest.ts';
import { auditPeriod } from '../../../cli/audit/period.ts';
import { startAudit } from '../../../cli/audit/start.ts';
import { type RecordedFinding, recordFinding } from '../../../functions/audit/records.ts';
import {
  auditPlanKey,
  auditResultKey,
  auditSummaryKey,
  documentKey,
  receiptKey,
} from '../../../functions/bucket/keys.ts';
import { parseAuditMessage } from '../../../functions/queue/messages.ts';
import { createAuditFunction } from '../../fakes/audit-function.ts';
import { day, noon } from '../../fakes/documents.ts';
import { sha256 } from '../../fakes/memory-bucket.ts';
import { newFolder, runOn } from '../world.ts';
import { documentId, startRunsWorld } from './runs-world.ts';

const tonight = '20261124T021500Z';
const lastNight = '20261123T021500Z';
const healthy = {
  ids__: { tally: { documents: 3, archived: 3, bytes: 42, objectsRead: 2, bytesRead: 28, receiptsRead: 3 } },
  telnyx_1795651200: { tally: { listedAtTelnyx: 3 } },
  others: {},
};
const manifest = { key: 'manifests/20261122T021500Z/manifest-sha256.txt', sha256: sha256('manifest') };
const problem = (code: RecordedFinding['code'], number: number, detail = ''): RecordedFinding => ({
  code,
  key: documentKey(documentId(number)),
  documentId: documentId(number),
  detail,
});
const latest = (html?: string) => (context: Parameters<typeof startAudit>[1]) => auditLatest(html, context);

describe('archiver audit --latest', () => {
  it('shows a complete run without problems', async () => {
    const { putRun, run, bucket } = startRunsWorld();
    putRun(lastNight, { parts: healthy });
    putRun(tonight, { parts: healthy, manifest });

    const { exitCode, printed, records } = await run(latest());

    expect(exitCode).toBe(0);
    expect(printed).toMatchInlineSnapshot(`
      "
      No problems found in 3 archived documents (42 B).

      Archive    telnyx-archiver in eu-central-1
      Run        20261124T021500Z, complete; ended 2026-11-24T02:16:00.000Z, 9.7 h ago, after 60 s
      Compared   3 documents, and 3 of Telnyx's list; 3 receipts read
      Read back  2 objects (28 B): 1 of 30 daily shares (3 %)
      Manifest   manifests/20261122T021500Z/manifest-sha256.txt
      SHA-256    05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f
      "
    `);
    expect(records).toMatchObject([
      {
        type: 'run',
        run: tonight,
        status: 'complete',
        documents: 3,
        objectsRead: 2,
        shareDays: 30,
        shares: [20_781 % 30],
        counts: {},
        unfinishedParts: 0,
        manifest,
      },
    ]);
    expect(bucket.requests.filter((request) => request.includes('/results/'))).toEqual([]);
  });

  it('shows the newest run although an earlier one is dated ahead', async () => {
    const { putRun, run } = startRunsWorld();
    putRun(tonight, { parts: healthy });
    putRun('20271124T021500Z', { parts: healthy, startedAtMs: noon - 3 * day });

    const { exitCode, records } = await run(latest());

    expect(exitCode).toBe(0);
    expect(records).toMatchObject([{ type: 'run', run: tonight }]);
  });

  it('shows problems of plan and parts, with the names that the receipts state today, and what to do', async () => {
    const { putRun, archive, run } = startRunsWorld();
    archive(1, 'loa.pdf');
    archive(2, 'Letter\u001b[2J.pdf');
    putRun(tonight, {
      parts: {
        ...healthy,
        ids__: { ...healthy.ids__, findings: [problem('checksum-differs', 1), problem('lost', 3)] },
        others: {
          findings: [
            recordFinding({ code: 'foreign', key: 'notes.txt', detail: '3 B' }),
            problem('hidden', 2, 'x'),
          ],
        },
      },
      findings: [{ code: 'manifest-removed', key: manifest.key, detail: 'named by another' }],
    });

    const { exitCode, printed, records } = await run(latest());

    expect(exitCode).toBe(1);
    expect(printed).toMatchInlineSnapshot(`
      "- manifests/20261122T021500Z/manifest-sha256.txt  manifest-removed: named by another
      * documents/5a3b1e00-0000-4000-8000-000000000001  checksum-differs
        loa.pdf · reference PO-1
      - documents/5a3b1e00-0000-4000-8000-000000000003  lost
      * sha256:e39538e7f27a7bf579cd9b85a103c0f0b86b60b788534295538d0301a9c5dce6  foreign: 3 B
      - documents/5a3b1e00-0000-4000-8000-000000000002  hidden: x
        Letter\\u{1b}[2J.pdf · reference PO-2

      5 problems found in 3 archived documents (42 B).

      - 1 document: named by a manifest or a hold record, but object and receipt are
        missing (lost)
          If Telnyx still has the document, run the audit with \`--repair\`. If a
          document is still not archived afterwards, run \`redrive --dry-run\` to see
          why.
          The bucket has no version of it: it was deleted for good, which only the
          roles in the stage setting \`breakGlassArns\` can do. Find out who did it. If
          you have a copy, put it back. For
          \`documents/5a3b1e00-0000-4000-8000-000000000003\` and
          \`receipts/5a3b1e00-0000-4000-8000-000000000003.json\`:
            aws s3api put-object --bucket archive --key documents/5a3b1e00-0000-4000-8000-000000000003 --body '<file>' --if-none-match '*' --checksum-algorithm SHA256
            aws s3api put-object --bucket archive --key receipts/5a3b1e00-0000-4000-8000-000000000003.json --body '<file>' --if-none-match '*' --checksum-algorithm SHA256
      * 1 document: the object has different bytes than the archived document
        (checksum-differs)
          The bucket keeps every version until a break-glass role deletes it (the
          oldest one is the original). Look at the versions, find out who wrote the
          others, and delete those. Only the roles in the stage setting
          \`breakGlassArns\` can do this; for a version that Object Lock protects in
          GOVERNANCE mode they add \`--bypass-governance-retention\`, in COMPLIANCE mode
          they wait until the retention ends. For
          \`documents/5a3b1e00-0000-4000-8000-000000000001\`:
            aws s3api list-object-versions --bucket archive --prefix documents/5a3b1e00-0000-4000-8000-000000000001
            aws s3api get-object --bucket archive --key documents/5a3b1e00-0000-4000-8000-000000000001 --version-id '<version ID>' '<file>'
            aws s3api delete-object --bucket archive --key documents/5a3b1e00-0000-4000-8000-000000000001 --version-id '<ID of the other version>'
      - 1 object: hidden by a delete marker (hidden)
          The bucket keeps the versions below the delete marker. Find out who deleted
          it, and delete the marker. Only the roles in the stage setting
          \`breakGlassArns\` can do this. For
          \`documents/5a3b1e00-0000-4000-8000-000000000002\`:
            aws s3api list-object-versions --bucket archive --prefix documents/5a3b1e00-0000-4000-8000-000000000002
            aws s3api delete-object --bucket archive --key documents/5a3b1e00-0000-4000-8000-000000000002 --version-id '<ID of the delete marker>'
      * 1 object: not written by the archiver (foreign)
          Find out who writes such objects. The archiver does not use them.
          The records of a run have only the SHA-256 of such a key.
          \`audit --quick --no-telnyx\` shows the keys.
      - 1 manifest: missing, although another file names it (manifest-removed)
          The bucket has no version of it: it was deleted for good, which only the
          roles in the stage setting \`breakGlassArns\` can do. Find out who did it. If
          you have a copy, put it back. For
          \`manifests/20261122T021500Z/manifest-sha256.txt\`:
            aws s3api put-object --bucket archive --key manifests/20261122T021500Z/manifest-sha256.txt --body '<file>' --if-none-match '*' --checksum-algorithm SHA256

      Archive    telnyx-archiver in eu-central-1
      Run        20261124T021500Z, complete; ended 2026-11-24T02:16:00.000Z, 9.7 h ago, after 60 s
      Compared   3 documents, and 3 of Telnyx's list; 3 receipts read
      Read back  2 objects (28 B): 1 of 30 daily shares (3 %)
      Manifest   none
      "
    `);
    const findings = records.filter(({ type }) => type === 'finding');
    expect(findings).toMatchObject([
      { code: 'manifest-removed' },
      { code: 'checksum-differs', documentId: documentId(1), fileName: 'loa.pdf', customerReference: 'PO-1' },
      { code: 'lost' },
      { code: 'foreign', key: `sha256:${sha256('notes.txt')}` },
      { code: 'hidden', fileName: 'Letter\u001b[2J.pdf' },
    ]);
    expect(findings[2]?.fileName).toBeUndefined();
    expect(records.at(-1)).toMatchObject({ type: 'run', counts: { lost: 1, foreign: 1 } });
  });

  it('shows a problem that several parts have found only once', async () => {
    const { putRun, run } = startRunsWorld();
    const altered: RecordedFinding = { code: 'manifest-altered', key: manifest.key, detail: 'x' };
    putRun(tonight, { parts: { ids__8: { findings: [altered] }, ids_8_: { findings: [altered] } } });

    const { exitCode, printed } = await run(latest());

    expect(exitCode).toBe(1);
    expect(printed.match(/^\* manifests\//gm)).toHaveLength(1);
    expect(printed).toContain('\n1 problem found in');
  });

  it('prints what docs/audit.md shows', async () => {
    const { putRun, archive, run } = startRunsWorld();
    archive(1, 'loa.pdf');
    const findings = [problem('overwritten', 1, 'other versions: 1, delete markers: 0')];
    putRun(tonight, { parts: { ...healthy, others: { findings } }, manifest });

    const { printed } = await run(latest());

    const page = await readFile(new URL('../../../docs/audit.md', import.meta.url), 'utf8');
    const [beginning = '', end = ''] = printed.split(/\n\* 1 object: .*?\n\n/s);
    expect(page).toContain(`\`\`\`\n${beginning}\n…\n\n${end}\`\`\`\n`);
  });

  it('reads no name from an erased document, nor from what is too large for a receipt', async () => {
    const { putRun, archive, bucket, run } = startRunsWorld();
    archive(1, 'loa.pdf');
    const receipt = bucket.text(receiptKey(documentId(1)));
    bucket.put(receiptKey(documentId(1)), receipt.replace('{', `{${' '.repeat(1024 ** 2)}`), noon);
    bucket.versioned.put(receiptKey(documentId(2)), Buffer.from(receipt), { metadata: { state: 'erased' } });
    const findings = [problem('overwritten', 1), problem('erasure-unfinished', 2)];
    putRun(tonight, { parts: { ids__: { findings } } });

    const { printed } = await run(latest());

    expect(printed).toContain(`* ${documentKey(documentId(2))}  erasure-unfinished`);
    expect(printed).not.toContain('loa.pdf');
  });

  it('shows the findings without names if the receipts cannot be read, and says so once', async () => {
    const { putRun, archive, bucket, run } = startRunsWorld();
    for (const number of [1, 2]) archive(number, 'loa.pdf');
    const findings = [problem('overwritten', 1), problem('overwritten', 2)];
    putRun(tonight, { parts: { ids__: { findings } } });
    bucket.refuse = (_operation, key) =>
      key.startsWith('receipts/') ? { name: 'AccessDenied', status: 403 } : undefined;

    const { exitCode, printed, noted } = await run(latest());

    expect(exitCode).toBe(1);
    expect(printed.match(/^\* documents\//gm)).toHaveLength(2);
    expect(noted).toMatch(/^File names and references are not shown\. BucketMisconfigured: .*\n$/);
  });

  it('ends with 3 for an incomplete run without problems, and lists what has no result', async () => {
    const { putRun, run } = startRunsWorld();
    putRun(lastNight, { parts: healthy });
    putRun(tonight, {
      parts: {
        ...healthy,
        ids_8_: undefined,
        others: { unchecked: { code: 'BucketUnavailable', reason: 'S3 did not respond within 10 s.' } },
      },
    });

    const { exitCode, printed, records } = await run(latest());

    expect(exitCode).toBe(3);
    expect(printed).toContain(
      `! audits/${tonight}/results/ids_8.json  unreadable: the run ended without a result of this part\n`,
    );
    expect(printed).toContain(
      `! audits/${tonight}/results/others.json  unreadable: BucketUnavailable: S3 did not respond within 10 s.\n`,
    );
    expect(printed).toContain(
      '\n2 items could not be checked; no problems found in 3 archived documents (42 B).\n',
    );
    expect(printed).toContain(`Run        ${tonight}, incomplete; ended `);
    expect(records.at(-1)).toMatchObject({
      status: 'incomplete',
      unfinishedParts: 1,
      counts: { unreadable: 1 },
    });
  });

  it('mentions a newer run that has not ended', async () => {
    const { putRun, run } = startRunsWorld();
    putRun(lastNight, { parts: healthy });
    putRun(tonight, { ended: false });
    putRun('20261123T230000Z', { ended: false });
    putRun('20261122T021500Z', { ended: false });

    const { exitCode, printed, records } = await run(latest());

    expect(exitCode).toBe(0);
    expect(printed).toContain(`Run        ${lastNight}, complete;`);
    expect(printed).toContain(
      '\nThe run 20261123T230000Z began 13.0 h ago and has not ended; the next run closes it as incomplete.\n' +
        `The run ${tonight} began 9.8 h ago and has not ended.\n`,
    );
    expect(records.slice(1)).toEqual([
      { type: 'run', run: '20261123T230000Z', status: 'unfinished' },
      { type: 'run', run: tonight, status: 'unfinished' },
    ]);
  });

  it('takes a run for late only when the next one would close it', async () => {
    const { putRun, run } = startRunsWorld();
    putRun('20261123T235959Z', { ended: false });
    putRun('20261124T000000Z', { ended: false });

    const { printed } = await run(latest());

    expect(printed).toContain(
      'The run 20261123T235959Z began 12.0 h ago and has not ended; the next run closes it as incomplete.\n' +
        'The run 20261124T000000Z began 12.0 h ago and has not ended.\n',
    );
  });

  it('states no negative age where this machine’s clock is behind', async () => {
    const { putRun, run } = startRunsWorld();
    putRun('20261124T120100Z', { parts: healthy, durationMs: 120_000 });
    putRun('20261124T120500Z', { ended: false });

    const { printed } = await run(latest());

    expect(printed).toContain('ended 2026-11-24T12:03:00.000Z, 0 s ago, after 2 min\n');
    expect(printed).toContain('The run 20261124T120500Z began 0 s ago and has not ended.\n');
  });

  it('does not speak of an altered summary that is older than the last run', async () => {
    const { putRun, bucket, run } = startRunsWorld();
    putRun(lastNight);
    putRun(tonight, { parts: healthy });
    bucket.put(auditSummaryKey(lastNight), '', noon);

    const { exitCode, records } = await run(latest());

    expect(exitCode).toBe(0);
    expect(records.map(({ run: name }) => name)).toEqual([tonight]);
  });

  it('says of a full run that it was one', async () => {
    const { putRun, run } = startRunsWorld();
    putRun(tonight, { parts: healthy, full: true });

    expect((await run(latest())).printed).toContain(`Run        ${tonight}, complete, full; ended `);
  });

  it('ends with 3 if no run has ended, and says how to start one', async () => {
    const { putRun, run } = startRunsWorld();

    const none = await run(latest());
    putRun(tonight, { ended: false });
    const open = await run(latest());

    expect([none.exitCode, open.exitCode]).toEqual([3, 3]);
    expect(none.printed).toBe(
      'No run of the audit has ended.\nTo start a run, use `npm run archiver -- audit --start`.\n',
    );
    expect(open.printed).toContain(`The run ${tonight} began 9.8 h ago and has not ended.`);
  });

  it('finds the last run however long ago it was', async () => {
    const { putRun, run } = startRunsWorld();
    putRun('20250101T021500Z', { parts: healthy });

    const { exitCode, printed } = await run(latest());

    expect(exitCode).toBe(0);
    expect(printed).toContain(
      'Run        20250101T021500Z, complete; ended 2025-01-01T02:16:00.000Z, 692 d ago',
    );
  });

  it.each<[string, (key: (name: 'plan' | 'summary' | 'result') => string) => string, string]>([
    ['the plan', (key) => key('plan'), 'lost'],
    ['a result', (key) => key('result'), 'foreign'],
  ])('says that it cannot read %s, and shows the rest', async (_which, keyOf, code) => {
    const { putRun, bucket, run } = startRunsWorld();
    putRun(tonight, {
      parts: {
        ids__: { findings: [problem('lost', 1)] },
        others: { findings: [{ code: 'foreign', key: 'x', detail: '' }] },
      },
    });
    const key = keyOf((name) =>
      name === 'plan'
        ? auditPlanKey(tonight)
        : name === 'summary'
          ? auditSummaryKey(tonight)
          : auditResultKey(tonight, { sort: 'ids', from: '', before: '' }),
    );
    bucket.put(key, '{"v":1}', noon);

    const { exitCode, printed } = await run(latest());

    expect(exitCode).toBe(1);
    expect(printed).toContain(`! ${key}  unreadable: missing, or not as the audit function writes it\n`);
    expect(printed).toMatch(new RegExp(`^[-*] .*  ${code}\n`, 'm'));
    // Also what only the summary states.
    expect(printed).toContain('2 problems found in 0 archived documents (0 B); 1 item could not be checked.');
  });

  it('says that the last summary was altered when it shows the run before it', async () => {
    const { putRun, bucket, run } = startRunsWorld();
    putRun(lastNight, { parts: healthy });
    putRun(tonight, { parts: healthy });
    bucket.put(auditSummaryKey(tonight), bucket.text(auditSummaryKey(lastNight)), noon);

    const { exitCode, printed, records } = await run(latest());

    expect(exitCode).toBe(3);
    expect(printed).toContain(`! ${auditSummaryKey(tonight)}  unreadable: missing, or not as`);
    expect(printed).toContain(`Run        ${lastNight}, complete`);
    expect(records.at(-1)).toEqual({ type: 'run', run: tonight, status: 'unreadable' });
  });

  it('ends with 3 if the only summary was altered', async () => {
    const { putRun, bucket, run } = startRunsWorld();
    putRun(tonight);
    bucket.put(auditSummaryKey(tonight), '', noon);

    const { exitCode, printed } = await run(latest());

    expect(exitCode).toBe(3);
    expect(printed).toContain(`! ${auditSummaryKey(tonight)}  unreadable`);
    expect(printed).toContain('No run of the audit has ended.');
  });

  it.each<[string, object, string]>([
    ['reads everything', { full: true }, '2 objects (28 B): the whole archive'],
    ['reads several shares', { shares: [1, 2, 3] }, '2 objects (28 B): 3 of 30 daily shares (10 %)'],
    ['reads no bytes', { readsBytes: false }, 'the stage setting fixityDays is never'],
  ])('says how much a run that %s has read back', async (_which, options, text) => {
    const { putRun, run } = startRunsWorld();
    putRun(tonight, { parts: healthy, ...options });

    expect((await run(latest())).printed).toMatch(
      new RegExp(`^Read back  .*${text.replace(/[()]/g, '\\$&')}$`, 'm'),
    );
  });

  it('says what the run queued for archiving', async () => {
    const { putRun, run } = startRunsWorld();
    putRun(tonight, { parts: { ...healthy, others: { tally: { repaired: 2 } } } });

    expect((await run(latest())).printed).toContain('\nRepair     2 documents queued for archiving\n');
  });

  it('writes a page with the problems, the history of the runs and the share read back', async () => {
    const { putRun, archive, run } = startRunsWorld();
    archive(1, '<b>loa.pdf');
    putRun('20261121T021500Z', { ended: false });
    putRun('20261122T021500Z', { parts: { ...healthy, ids_8_: undefined } });
    putRun(lastNight, { parts: healthy });
    putRun(tonight, { parts: { ...healthy, others: { findings: [problem('overwritten', 1, 'a <i>')] } } });
    const file = join(await newFolder(), 'latest.html');

    const { exitCode, printed, records } = await run(latest(file));
    const page = await readFile(file, 'utf8');

    expect(exitCode).toBe(1);
    expect(printed).toMatch(new RegExp(`\nReport: ${file}\n$`));
    expect(records.at(-1)).toEqual({ type: 'report', file });
    expect(page).toContain('<td>&lt;b&gt;loa.pdf · reference PO-1</td><td>a &lt;i&gt;</td>');
    expect(
      [...page.matchAll(/<tr><td>(2026-11-2\d 02:15 UTC)<\/td><td>([^<]*)</g)].map((row) => row.slice(1)),
    ).toEqual([
      ['2026-11-24 02:15 UTC', 'complete'],
      ['2026-11-23 02:15 UTC', 'complete'],
      ['2026-11-22 02:15 UTC', 'incomplete'],
      ['2026-11-21 02:15 UTC', 'not ended'],
    ]);
    // The incomplete run has read two objects as well, but its share is not certain.
    expect(page).toContain(
      '<dt>Read back</dt><dd>6</dd><dd class="tile-note">84 B: 2 of 30 daily shares (6 %)</dd>',
    );
    expect(page).toContain('script-src &#39;none&#39;');
    expect(page).not.toContain('<script');
  });

  it('lists at most 5,000 findings on the page, and says how many more there are', async () => {
    const { putRun, run } = startRunsWorld();
    const findings = Array.from({ length: 5_001 }, (_, number): RecordedFinding => {
      return { code: 'foreign', key: `sha256:${sha256(String(number))}`, detail: '' };
    });
    putRun(tonight, { parts: { others: { findings } } });
    const file = join(await newFolder(), 'latest.html');

    const { records } = await run(latest(file));

    expect(records.filter(({ type }) => type === 'finding')).toHaveLength(5_001);
    const page = await readFile(file, 'utf8');
    expect(page.match(/(?<=<summary>)[^<]*|\d+ findings? not listed/g)).toEqual([
      '5,000 findings',
      '1 finding not listed',
    ]);
  });

  it('refuses a page that it cannot write before it reads any run', async () => {
    const { putRun, run, bucket } = startRunsWorld();
    putRun(tonight);

    await expect(run(latest('/nowhere/latest.html'))).rejects.toThrow(
      '--html: cannot write /nowhere/latest.html',
    );
    expect(bucket.requests).toEqual([]);
  });
});

describe('what the audit function writes', () => {
  it('is what the command shows, night after night', async () => {
    const { archive, bucket, time, run } = startRunsWorld();
    const { night } = createAuditFunction({ bucket, time });
    for (const number of [1, 2, 3]) archive(number, `${number}.pdf`);

    const first = await night();
    const healthyRun = await run(latest());
    bucket.objects.delete(documentKey(documentId(2)));
    bucket.put('notes.txt', 'x', noon);
    time.set(time.now() + day);
    const second = await night();
    const damagedRun = await run(latest());
    time.set(time.now() + 3_600_000);
    const statement = await run((context) =>
      auditPeriod({ since: '2d', until: undefined, html: undefined }, context),
    );

    expect(healthyRun.exitCode).toBe(0);
    expect(healthyRun.printed).toContain('No problems found in 3 archived documents');
    expect(healthyRun.printed).toContain(`Run        ${first.run}, complete; `);
    expect(damagedRun.exitCode).toBe(1);
    expect(damagedRun.printed).toMatch(
      new RegExp(`^- ${documentKey(documentId(2))}  no-object.*\n  2\\.pdf · reference PO-2\n`, 'm'),
    );
    expect(damagedRun.printed).toMatch(/^\* sha256:[0-9a-f]{64} {2}foreign: /m);
    expect(damagedRun.printed).toContain(`Run        ${second.run}, complete; `);
    expect(statement.exitCode).toBe(1);
    expect(statement.records.at(-1)).toMatchObject({
      complete: 2,
      beginning: { run: first.run },
      end: { run: second.run },
      manifest: second.summary.manifest,
      codes: [{ code: 'no-object' }, { code: 'foreign' }],
    });
  });

  it('is shown as incomplete when the next run has closed a run whose parts were never done', async () => {
    const { archive, bucket, time, run } = startRunsWorld();
    const { start, deliver, queue } = createAuditFunction({ bucket, time });
    archive(1, 'loa.pdf');

    const lost = start();
    await deliver();
    const parts = queue.splice(0).length;
    const open = await run(latest());
    time.set(time.now() + day);
    start();
    await deliver();
    const closed = await run(latest());

    expect(open.exitCode).toBe(3);
    expect(open.printed).toContain(`The run ${lost} began`);
    expect(closed.exitCode).toBe(3);
    expect(closed.printed).toContain(`Run        ${lost}, incomplete; `);
    expect(closed.printed.match(/^! audits\/.* the run ended without a result of this part$/gm)).toHaveLength(
      parts,
    );
    expect(closed.records.at(-1)).toMatchObject({ status: 'unfinished' });
  });
});

describe('a local archive', () => {
  it('shows its last run over a real S3, and who asked for the statement', async () => {
    const folder = await newFolder();
    const { archive, bucket, time } = startRunsWorld();
    archive(1, 'loa.pdf');
    await createAuditFunction({ bucket, time }).night();
    for (const [key, { body }] of bucket.objects) {
      await mkdir(dirname(join(folder, key)), { recursive: true });
      await writeFile(join(folder, key), body);
    }

    const { exitCode, printed } = await runOn(folder, latest());
    const empty = await newFolder();
    await mkdir(join(empty, 'documents'));
    const none = await runOn(empty, latest());
    const statement = await runOn(folder, (context) =>
      auditPeriod({ since: '2026-11-24', until: '2026-11-25', html: undefined }, context),
    );

    expect(exitCode).toBe(0);
    expect(printed).toContain('No problems found in 1 archived document (');
    expect(printed).toContain(`Archive    ${folder}\nRun        20261124T120000Z, complete;`);
    expect(none.exitCode).toBe(3);
    expect(none.printed).toMatch(/To start a run, use `npm run archiver -- audit --start --local /);
    expect(statement.exitCode).toBe(0);
    expect(statement.records.at(-1)).toMatchObject({
      bucket: folder,
      writtenBy: `local, session ${userInfo().username}`,
    });
    expect(statement.printed).toContain(`  cat ${folder}/audits/20261124T120000Z/summary.json\n`);
  });

  it('without a running stack has no queue to ask for a run', async () => {
    await expect(runOn(await newFolder(), (context) => startAudit(false, context))).rejects.toThrow(
      'No local stack is running',
    );
  });
});

describe('archiver audit --start', () => {
  it.each([
    [false, {}, '20261124T120000Z'],
    [true, { full: true }, '20261124T120000Z_full'],
  ])('asks the audit function for a run, with full %s', async (full, more, name) => {
    const { run, bodies } = startRunsWorld();

    const { exitCode, printed, records } = await run((context) => startAudit(full, context));

    expect(exitCode).toBe(0);
    expect(bodies('audit').map(parseAuditMessage)).toEqual([
      { v: 1, kind: 'audit-start', ...more, requestedAt: '2026-11-24T12:00:00.000Z' },
    ]);
    expect(printed).toContain(`Requested the run ${name}${full ? ', which reads everything' : ''}.\n`);
    expect(printed).toContain('run `npm run archiver -- audit --latest`');
    expect(records).toEqual([{ type: 'requested', run: name, full }]);
  });

  it('says that an archiver of an older version has no audit', async () => {
    const { run } = startRunsWorld({ hasAuditLane: false });

    await expect(run((context) => startAudit(false, context))).rejects.toThrow(
      'This archiver has no lane audit: an older version deployed it. Deploy again',
    );
  });
});
