import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, test } from 'vitest';
import { defaultDownloadHosts, singlePutBytes } from '../../functions/limits.ts';
import { readStage, readStageFile, StageError } from '../../infra/stage.ts';
import stageForSynth from './stage.json' with { type: 'json' };

const [publicKey = ''] = stageForSynth.telnyxPublicKeys;
const answers = { telnyxPublicKeys: [publicKey], retentionDays: 365 };

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
  test('are sufficient: all other settings have a safe default.', () => {
    const stage = readStage(answers);

    expect(stage).toEqual({
      ...answers,
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

  test('are both reported when missing, with what to do.', () => {
    expect(problemsOf({})).toEqual([
      expect.stringMatching(/^telnyxPublicKeys is missing\. Copy Telnyx's public key from its portal/),
      expect.stringMatching(/^retentionDays is missing\. Set the days/),
    ]);
  });

  test('accept "none" as retention, but not 0 or null.', () => {
    expect(readStage({ ...answers, retentionDays: 'none' }).retentionDays).toBe('none');
    expect(problemsOf({ ...answers, retentionDays: 0 })).toHaveLength(1);
    expect(problemsOf({ ...answers, retentionDays: null })).toHaveLength(1);
  });
});

describe("Telnyx's public keys", () => {
  const lowOrder = Buffer.alloc(32).toString('base64');
  const identity = Buffer.concat([Buffer.from([1]), Buffer.alloc(31)]).toString('base64');

  test.each([
    ['none', []],
    ['three', [publicKey, publicKey, publicKey]],
    ['one that is too short', ['c2hvcnQ=']],
    ['a PEM', ['-----BEGIN PUBLIC KEY-----']],
    ['an all-zero one, under which forgeries verify', [lowOrder]],
    ['the identity, under which everything verifies', [publicKey, identity]],
    ['one that is text', publicKey],
  ])('are refused when invalid: %s.', (_, telnyxPublicKeys) => {
    expect(problemsOf({ ...answers, telnyxPublicKeys })).toEqual([
      expect.stringMatching(/^telnyxPublicKeys /),
    ]);
  });

  test('can be two, while Telnyx rotates its key.', () => {
    expect(problemsOf({ ...answers, telnyxPublicKeys: [publicKey, publicKey] })).toEqual([]);
  });
});

describe('A retention that cannot be undone', () => {
  test.each([
    [{ retentionMode: 'COMPLIANCE' }, 'COMPLIANCE'],
    [{ retentionDays: 3_661 }, 'more than ten years'],
  ])('is refused without acceptIrreversibleRetention: %j.', (settings, reason) => {
    expect(problemsOf({ ...answers, ...settings })).toEqual([expect.stringContaining(reason)]);
    expect(problemsOf({ ...answers, ...settings, acceptIrreversibleRetention: true })).toEqual([]);
  });

  test('does not include retention "none" or ten years.', () => {
    expect(problemsOf({ ...answers, retentionDays: 'none', retentionMode: 'COMPLIANCE' })).toEqual([]);
    expect(problemsOf({ ...answers, retentionDays: 3_653 })).toEqual([]);
  });
});

describe('downloadHosts', () => {
  it('accepts host names with "*" or "<region>", including "*" in place of a region', () => {
    const downloadHosts = ['minio.example.com', '*.s3.<region>.amazonaws.com', 's3-*.amazonaws.com'];

    expect(problemsOf({ ...answers, downloadHosts })).toEqual([]);
  });

  it.each([
    '127.0.0.1',
    '*',
    'S3.amazonaws.com',
    's3.<zone>.amazonaws.com',
    '*<region>.amazonaws.com',
    'https://s3.amazonaws.com',
    42,
  ])('refuses %j', (host) => {
    expect(problemsOf({ ...answers, downloadHosts: [host] })).toEqual([
      'downloadHosts.0 must be a host name in lower case, with at most one "*" or "<region>" in each label and none in the last.',
    ]);
  });
});

test('All problems are reported at once, each with the name of its setting.', () => {
  const problems = problemsOf({
    telnyxPublicKeys: ['?'],
    retentionDays: 1.5,
    name: 'Archiver!',
    account: '123',
    region: 'Frankfurt',
    alarmEmail: 'nobody',
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

test('A removed setting is refused with what to do about it.', () => {
  expect(problemsOf({ ...answers, sweepLookBackMinutes: 90 })).toEqual([
    expect.stringMatching(/^sweepLookBackMinutes was removed: .* Delete it\.$/),
  ]);
});

describe('The settings file', () => {
  test('is described in the error when it is missing.', () => {
    expect(() => readStageFile(join(folder, 'none.json'))).toThrow(
      /Cannot read the file \(ENOENT\).*"telnyxPublicKeys".*"retentionDays"/s,
    );
  });

  test('must be JSON.', () => {
    const file = join(folder, 'broken.json');
    writeFileSync(file, '{');

    expect(() => readStageFile(file)).toThrow(/The file is not JSON/);
  });

  test('prints its problems without a stack trace when it is not valid.', () => {
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
