import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, test } from 'vitest';
import { defaultDownloadHosts, singlePutBytes } from '../../functions/limits.ts';
import { readStage, readStageFile, StageError } from '../../infra/stage.ts';
import stageForSynth from './stage.json' with { type: 'json' };

const [publicKey = ''] = stageForSynth.telnyxPublicKeys;
const required = { telnyxPublicKeys: [publicKey], retentionDays: 365 };

const folder = mkdtempSync(join(tmpdir(), 'stage-'));
afterAll(() => rmSync(folder, { recursive: true }));

function problemsOf(settings: unknown): readonly string[] {
  try {
    readStage(settings);
  } catch (error) {
    if (error instanceof StageError) return error.problems;
    throw error;
  }
  return [];
}

describe('The two required settings', () => {
  test('are sufficient because all others have defaults', () => {
    const stage = readStage(required);

    expect(stage).toEqual({
      ...required,
      retentionMode: 'GOVERNANCE',
      acceptIrreversibleRetention: false,
      name: 'telnyx-archiver',
      breakGlassArns: [],
      downloadHosts: defaultDownloadHosts,
      archiveInfected: false,
      maxDocumentBytes: singlePutBytes,
      documentsConcurrency: 20,
      backfillConcurrency: 4,
      webhookConcurrency: 10,
      tags: {},
    });
  });

  test('are both reported when missing, with instructions', () => {
    expect(problemsOf({})).toEqual([
      expect.stringMatching(/^telnyxPublicKeys is missing\. Copy Telnyx's public key from its portal/),
      expect.stringMatching(/^retentionDays is missing\. Set the days/),
    ]);
  });

  test('allow a retention of "none" but not 0 or null', () => {
    expect(readStage({ ...required, retentionDays: 'none' }).retentionDays).toBe('none');
    expect(problemsOf({ ...required, retentionDays: 0 })).toHaveLength(1);
    expect(problemsOf({ ...required, retentionDays: null })).toHaveLength(1);
  });
});

describe('runbookUrl', () => {
  test.each([
    'https://example.com/runbook.md',
    'https://git.example.com:8443/a/-/blob/main/docs/runbook.md?plain=1',
  ])('accepts %s', (runbookUrl) => {
    expect(readStage({ ...required, runbookUrl }).runbookUrl).toBe(runbookUrl);
  });

  test.each([
    'docs/runbook.md',
    'http://example.com/a',
    'https://example.com/a#b',
    'https://a/ b',
    'https://a/"',
    'https://user@a/',
  ])('rejects %s', (runbookUrl) => {
    expect(problemsOf({ ...required, runbookUrl })).toEqual(['runbookUrl must be an https URL without "#".']);
  });
});

test.each(['constructor', 'toString'])('a setting %s, a name that every object has, is unknown', (name) => {
  expect(problemsOf({ ...required, [name]: 1 })).toEqual([`${name} is an unknown setting.`]);
});

describe('telnyxPublicKeys', () => {
  const zeroKey = Buffer.alloc(32).toString('base64');
  const identity = Buffer.concat([Buffer.from([1]), Buffer.alloc(31)]).toString('base64');

  test.each([
    ['no key', []],
    ['three keys', [publicKey, publicKey, publicKey]],
    ['a key that is too short', ['c2hvcnQ=']],
    ['a PEM', ['-----BEGIN PUBLIC KEY-----']],
    ['an all-zero key, which accepts forged signatures', [zeroKey]],
    ['the identity point, which accepts every signature', [publicKey, identity]],
    ['a string instead of a list', publicKey],
  ])('rejects %s', (_, telnyxPublicKeys) => {
    expect(problemsOf({ ...required, telnyxPublicKeys })).toEqual([
      expect.stringMatching(/^telnyxPublicKeys /),
    ]);
  });

  test('accepts two keys, for a key rotation', () => {
    expect(problemsOf({ ...required, telnyxPublicKeys: [publicKey, publicKey] })).toEqual([]);
  });
});

describe('Irreversible retention', () => {
  test.each([
    [{ retentionMode: 'COMPLIANCE' }, 'COMPLIANCE'],
    [{ retentionDays: 3_661 }, 'more than ten years'],
  ])('requires acceptIrreversibleRetention for %j', (settings, reason) => {
    expect(problemsOf({ ...required, ...settings })).toEqual([expect.stringContaining(reason)]);
    expect(problemsOf({ ...required, ...settings, acceptIrreversibleRetention: true })).toEqual([]);
  });

  test('does not include "none" or ten years', () => {
    expect(problemsOf({ ...required, retentionDays: 'none', retentionMode: 'COMPLIANCE' })).toEqual([]);
    expect(problemsOf({ ...required, retentionDays: 3_653 })).toEqual([]);
  });
});

describe('downloadHosts', () => {
  it('accepts host names with "*" or "<region>", including "*" instead of a Region', () => {
    const downloadHosts = ['minio.example.com', '*.s3.<region>.amazonaws.com', 's3-*.amazonaws.com'];

    expect(problemsOf({ ...required, downloadHosts })).toEqual([]);
  });

  it.each([
    '127.0.0.1',
    '*',
    'S3.amazonaws.com',
    's3.<zone>.amazonaws.com',
    '*<region>.amazonaws.com',
    'https://s3.amazonaws.com',
    42,
  ])('rejects %j', (host) => {
    expect(problemsOf({ ...required, downloadHosts: [host] })).toEqual([
      'downloadHosts.0 must be a host name in lower case, with at most one "*" or "<region>" in each label and none in the last.',
    ]);
  });
});

test('All problems are reported at once, each with the name of the setting', () => {
  const problems = problemsOf({
    telnyxPublicKeys: ['?'],
    retentionDays: 1.5,
    name: 'Archiver!',
    account: '123',
    region: 'Frankfurt',
    alarmEmail: 'on-call',
    breakGlassArns: ['arn:aws:iam::111122223333:role/*'],
    existingKeyArn: 'alias/mine',
    domain: { name: 'localhost', certificateArn: 'x' },
    downloadHosts: ['127.0.0.1'],
    archiveInfected: 'yes',
    maxDocumentBytes: singlePutBytes + 1,
    documentsConcurrency: 1,
    backfillConcurrency: 51,
    webhookConcurrency: 0,
    retentiondays: 365,
  });

  expect(problems.map((problem) => problem.split(' ')[0]).sort()).toEqual([
    'account',
    'alarmEmail',
    'archiveInfected',
    'backfillConcurrency',
    'breakGlassArns.0',
    'documentsConcurrency',
    'domain.certificateArn',
    'domain.name',
    'downloadHosts.0',
    'existingKeyArn',
    'maxDocumentBytes',
    'name',
    'region',
    'retentionDays',
    'retentiondays',
    'telnyxPublicKeys',
    'webhookConcurrency',
  ]);
});

test('A removed setting is rejected with instructions', () => {
  expect(problemsOf({ ...required, sweepLookBackMinutes: 90 })).toEqual([
    expect.stringMatching(/^sweepLookBackMinutes was removed: .* Delete it\.$/),
  ]);
});

describe('The settings file', () => {
  test('is described in the error if it is missing', () => {
    expect(() => readStageFile(join(folder, 'none.json'))).toThrow(
      /Cannot read the file \(ENOENT\).*"telnyxPublicKeys".*"retentionDays"/s,
    );
  });

  test('must be JSON', () => {
    const file = join(folder, 'broken.json');
    writeFileSync(file, '{');

    expect(() => readStageFile(file)).toThrow(/The file is not JSON/);
  });

  test('causes an error message without a stack trace if it is not valid', () => {
    const file = join(folder, 'empty.json');
    writeFileSync(file, '{}');
    const output = join(folder, 'cdk.out');

    const { status, stderr } = spawnSync('node', ['infra/app.ts'], {
      encoding: 'utf8',
      env: { ...process.env, CDK_OUTDIR: output, CDK_CONTEXT_JSON: JSON.stringify({ settings: file }) },
    });

    expect(stderr).toBe(`${new StageError(file, problemsOf({})).message}\n`);
    expect(status).toBe(1);
    expect(existsSync(join(output, 'manifest.json'))).toBe(false);
  });
});
