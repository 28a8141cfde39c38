import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ArchiveLocation, AuditAdvice } from '../../../cli/report/advice.ts';
import {
  type Finding,
  type FindingCode,
  findingCodes,
  findingKinds,
} from '../../../functions/audit/findings.ts';
import { documentKey, receiptKey } from '../../../functions/bucket/keys.ts';
import { propertyRuns } from '../../fuzz-runs.ts';

const documentId = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const key = documentKey(documentId);
const bucket: ArchiveLocation = { name: 'archive-1234' };
const local: ArchiveLocation = { name: 'archive', folder: '/srv/archive' };
const manifest = 'manifests/20261124T041600Z/manifest-sha256.txt';

function findingOf(code: FindingCode, changes: Partial<Finding> = {}): Finding {
  const isManifest = findingKinds[code].subject === 'manifest';
  return { code, key: isManifest ? manifest : key, documentId, detail: '', atTelnyx: false, ...changes };
}

function adviceOn(location: ArchiveLocation, ...findings: Finding[]) {
  const advice = new AuditAdvice(location);
  for (const finding of findings) advice.add(finding);
  const steps = advice.of(findings[0]?.code ?? 'same');
  return {
    text: steps.map(({ text }) => text).join('\n'),
    commands: steps.flatMap(({ commands = [] }) => commands),
  };
}

describe('advice for a bucket', () => {
  it('puts a copy back at each key that has no version any more, with complete commands that the bucket policy allows', () => {
    const put = (at: string) =>
      `aws s3api put-object --bucket archive-1234 --key ${at} --body '<file>' --if-none-match '*' --checksum-algorithm SHA256`;

    expect(adviceOn(bucket, findingOf('no-object')).commands).toEqual([put(key)]);
    expect(adviceOn(bucket, findingOf('no-receipt')).commands).toEqual([put(receiptKey(documentId))]);
    expect(adviceOn(bucket, findingOf('lost')).commands).toEqual([put(key), put(receiptKey(documentId))]);
    expect(adviceOn(bucket, findingOf('manifest-removed')).commands).toEqual([put(manifest)]);
  });

  it('deletes a delete marker, as a break-glass role', () => {
    const { text, commands } = adviceOn(bucket, findingOf('hidden', { key: receiptKey(documentId) }));

    expect(text).toContain('roles in the stage setting `breakGlassArns`');
    expect(commands).toEqual([
      `aws s3api list-object-versions --bucket archive-1234 --prefix ${receiptKey(documentId)}`,
      `aws s3api delete-object --bucket archive-1234 --key ${receiptKey(documentId)} --version-id '<ID of the delete marker>'`,
    ]);
  });

  it('reads the version that the receipt names', () => {
    const named = findingOf('overwritten', { versionId: 'kXy._-3' });

    expect(adviceOn(bucket, named).commands[1]).toBe(
      `aws s3api get-object --bucket archive-1234 --key ${key} --version-id kXy._-3 '<file>'`,
    );
    expect(adviceOn(bucket, { ...named, key: receiptKey(documentId) }).commands[1]).toBe(
      `aws s3api get-object --bucket archive-1234 --key ${receiptKey(documentId)} --version-id '<version ID>' '<file>'`,
    );
  });

  it('names the document and the command that goes on with an erasure or a hold', () => {
    expect(adviceOn(bucket, findingOf('erasure-unfinished')).text).toContain(
      `\`erase ${documentId} --basis <reference>\``,
    );
    expect(adviceOn(local, findingOf('hold-missing')).text).toContain(
      `\`hold ${documentId} --reason <reason>\``,
    );
  });

  it.each([
    'size-differs',
    'checksum-differs',
    'receipt-altered',
    'manifest-altered',
    'overwritten',
    'tombstone-altered',
  ] as const)('says for %s that only break-glass roles can delete the other versions', (code) => {
    const { text, commands } = adviceOn(bucket, findingOf(code));

    expect(text).toContain('Only the roles in the stage setting `breakGlassArns` can do this');
    expect(text).toContain('`--bypass-governance-retention`');
    expect(commands.map((command) => command.split(' ')[2])).toEqual([
      'list-object-versions',
      'get-object',
      'delete-object',
    ]);
    expect(commands[2]).toMatch(/ --bucket archive-1234 --key \S+ --version-id '<ID of the other version>'$/);
  });

  it.each(['lost', 'no-receipt'] as const)('is --repair for %s if Telnyx has the document', (code) => {
    const { text, commands } = adviceOn(bucket, findingOf(code, { atTelnyx: true }));

    expect(text).toContain('`--repair`');
    expect(commands).toEqual([]);
  });

  it.each([bucket, local])(
    'mentions --repair if it is not known whether Telnyx has the document: %j',
    (location) => {
      const { text } = adviceOn(location, findingOf('no-receipt', { atTelnyx: undefined }));

      expect(text).toMatch(/^If Telnyx still has the document, run the audit with `--repair`/);
      expect(adviceOn(location, findingOf('no-receipt')).text).not.toContain('Telnyx still');
    },
  );

  it('has both ways if Telnyx has only some of the documents', () => {
    const other = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f02';

    const { text, commands } = adviceOn(
      bucket,
      findingOf('lost', { atTelnyx: true }),
      findingOf('lost', { documentId: other }),
    );

    expect(text).toContain('`--repair`');
    expect(commands.join()).toContain(documentKey(other));
    expect(commands.join()).not.toContain(documentId);
  });

  it('says how many other documents need the same', () => {
    const text = (count: number) =>
      adviceOn(bucket, ...Array.from({ length: count }, () => findingOf('no-object'))).text;

    expect(text(3)).toMatch(/\nDo the same for the other 2\.$/);
    expect(text(1)).not.toContain('other');
  });

  it('has no command if only the digest of the removed manifest is known', () => {
    const { text, commands } = adviceOn(bucket, findingOf('manifest-removed', { key: 'manifests/' }));

    expect(text).toContain('If you have a copy of the manifest');
    expect(commands).toEqual([]);
  });

  it('lets nothing that others wrote into a command, and gives the shell each argument as it is', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...findingCodes),
        fc.string({ minLength: 1 }),
        fc.constantFrom("'; rm -rf /", '$(id)', 'a\nb', '`id`', 'a b', "it's", '-x'),
        (code, versionId, endpoint) => {
          const { commands } = adviceOn({ name: 'archive', endpoint }, findingOf(code, { versionId }));

          for (const command of commands) {
            const shell = `aws() { printf '%s\\0' "$@"; }\n${command}`;
            const parts = execFileSync('sh', ['-c', shell], { encoding: 'utf8' }).split('\0');
            expect(parts.slice(-3)).toEqual(['--endpoint-url', endpoint, '']);
            if (!/^[\w.-]+$/.test(versionId)) expect(parts).not.toContain(versionId);
          }
        },
      ),
      { numRuns: propertyRuns(60) },
    );
  });
});

describe('advice for a folder', () => {
  it.each(findingCodes)('has no AWS command for %s', (code) => {
    for (const atTelnyx of [true, false, undefined]) {
      const { text, commands } = adviceOn(local, findingOf(code, { atTelnyx }));

      expect(commands).toEqual([]);
      expect(text).not.toMatch(/aws|bucket|version ID|breakGlass/i);
    }
  });

  it('names the files to restore, and how to archive the document again if Telnyx may have it', () => {
    const { text } = adviceOn(local, findingOf('no-object', { atTelnyx: undefined }));
    const gone = adviceOn(local, findingOf('no-object'));

    expect(text).toContain(`Restore \`/srv/archive/${key}\` from a backup.`);
    expect(text).toContain(`move \`/srv/archive/${receiptKey(documentId)}\` out of the archive`);
    expect(text).toContain('`npm start -- --archive /srv/archive`');
    expect(gone.text).not.toContain('Telnyx');
  });

  it('says that --repair needs the local stack', () => {
    const { text } = adviceOn(local, findingOf('missing', { atTelnyx: true }));

    expect(text).toContain(
      'run the audit with `--repair` while `npm start -- --archive /srv/archive` is running',
    );
  });

  it('escapes control characters in the path', () => {
    const { text } = adviceOn({ name: 'archive', folder: '/srv/\u001b[2J' }, findingOf('lost'));

    expect(text).toContain(`\`/srv/\\u{1b}[2J/${key}\``);
  });
});

it('there is advice for every kind of problem, at both places', () => {
  for (const code of findingCodes.filter((each) => findingKinds[each].weight !== 'fine')) {
    for (const location of [bucket, local]) expect(adviceOn(location, findingOf(code)).text).not.toBe('');
  }
});
