import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { afterAll, describe, expect, it, test } from 'vitest';
import { defaultDownloadHosts, largestDocumentBytes } from '../../functions/limits.ts';
import { deployTarget, readStage, readStageFile, StageError, settingsFile } from '../../infra/stage.ts';
import { ArchiveStorage } from '../../infra/storage.ts';
import stageForSynth from '../../stage.example.json' with { type: 'json' };
import { featureFlags, minimal, settings } from './deployments.ts';

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
      acceptSecondArchive: false,
      breakGlassArns: [],
      downloadHosts: defaultDownloadHosts,
      archiveInfected: false,
      maxDocumentBytes: largestDocumentBytes,
      documentsConcurrency: 20,
      backfillConcurrency: 4,
      webhookConcurrency: 'unreserved',
      fixityDays: 30,
      repair: false,
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

describe('The synth', () => {
  const nobody =
    'No breakGlassArns are set: nobody can erase a document, or hold or release one. You can add roles at any time.';
  const notBefore = (days: number) =>
    `retentionMode is COMPLIANCE: nobody can erase a document in the first ${days} days after it was archived.`;

  test.each([
    ['says that nobody can erase without break-glass roles', minimal, [nobody]],
    ['says nothing with a break-glass role and GOVERNANCE retention', settings.locked, []],
    ['says from when on documents can be erased in COMPLIANCE mode', settings.full, [notBefore(5_000)]],
    [
      'says both in COMPLIANCE mode without break-glass roles',
      { ...minimal, retentionDays: 1, retentionMode: 'COMPLIANCE', acceptIrreversibleRetention: true },
      [notBefore(1), nobody],
    ],
    [
      'says nothing of COMPLIANCE mode without a retention',
      { ...minimal, retentionMode: 'COMPLIANCE' },
      [nobody],
    ],
  ] as const)('%s', (_, stage, expected) => {
    const storage = new ArchiveStorage(
      new Stack(new App({ context: featureFlags })),
      'Storage',
      readStage(stage),
    );

    const messages = storage.node.metadata.filter(({ type }) => type.startsWith('aws:cdk:'));

    expect(messages.map(({ type, data }) => [type, data.replace(/ \[ack: [\w:-]+\]$/, '')])).toEqual(
      expected.map((text) => ['aws:cdk:info', text]),
    );
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

describe('Resources that the settings name', () => {
  const account = '111122223333';
  const region = 'eu-central-1';
  const keyArn = `arn:aws:kms:${region}:${account}:key/1234abcd`;
  const certificateArn = `arn:aws:acm:${region}:${account}:certificate/1234abcd`;
  const named = {
    ...required,
    existingKeyArn: keyArn,
    domain: { name: 'telnyx.example.com', certificateArn },
    breakGlassArns: [`arn:aws:iam::${account}:role/break-glass`],
  };

  test.each([
    ['account', { account: '444455556666' }, ['existingKeyArn', 'domain.certificateArn', 'breakGlassArns.0']],
    ['region', { region: 'eu-west-1' }, ['existingKeyArn', 'domain.certificateArn']],
  ] as const)('must be in the %s of the settings', (what, other, settings) => {
    const [wanted] = Object.values(other);

    expect(problemsOf({ ...named, account, region })).toEqual([]);
    expect(problemsOf({ ...named, account, region, ...other })).toEqual(
      settings.map((setting) =>
        expect.stringMatching(
          new RegExp(`^${setting} is in ${what} (${account}|${region}), but the stacks are in ${wanted}\\.$`),
        ),
      ),
    );
  });

  test('must be in the account and region of the credentials if the settings name none', () => {
    expect(() => readStage(named, 'stage.json', { account, region })).not.toThrow();
    expect(() => readStage(named, 'stage.json', { account, region: 'eu-west-1' })).toThrow(
      'existingKeyArn is in region eu-central-1, but the stacks are in eu-west-1.',
    );
    expect(() =>
      readStage({ ...named, account, region }, 'stage.json', { account: '4', region: 'x' }),
    ).not.toThrow();
  });

  test.each([
    ['cn-north-1', 'aws-cn'],
    ['us-gov-west-1', 'aws-us-gov'],
  ])('must be in the partition of %s', (chinaOrGovCloud, partition) => {
    const breakGlassArns = (of: string) => [`arn:${of}:iam::${account}:role/break-glass`];

    expect(
      problemsOf({ ...required, region: chinaOrGovCloud, breakGlassArns: breakGlassArns(partition) }),
    ).toEqual([]);
    expect(
      problemsOf({ ...required, region: chinaOrGovCloud, breakGlassArns: breakGlassArns('aws') }),
    ).toEqual([`breakGlassArns.0 is in partition aws, but the stacks are in ${partition}.`]);
  });
});

test('The CDK CLI states the account only if it has credentials; without them its region means nothing', () => {
  expect(deployTarget({ CDK_DEFAULT_ACCOUNT: '1', CDK_DEFAULT_REGION: 'r' })).toEqual({
    account: '1',
    region: 'r',
  });
  expect(deployTarget({ CDK_DEFAULT_REGION: 'us-east-1' })).toEqual({});
});

describe('tags', () => {
  test('accept what every service accepts', () => {
    expect(
      problemsOf({
        ...required,
        tags: { 'cost-centre': '4711', Größe: 'a b_c.d:e/f=g+h@i', application: '' },
      }),
    ).toEqual([]);
  });

  test.each([
    [
      'a key that AWS reserves',
      { 'aws:createdBy': 'me' },
      /must not hold "aws:createdBy": "aws:" is reserved/,
    ],
    ['the same in capitals', { 'AWS:createdBy': 'me' }, /is reserved/],
    ['an empty key', { '': 'x' }, /must not hold "": a key has 1 to 128 characters/],
    ['a key that is too long', { ['k'.repeat(129)]: 'x' }, /a key has 1 to 128 characters/],
    ['a character that not every service accepts', { team: 'a&b' }, /^tags\.team must be letters, digits/],
    ['a value that is too long', { team: 'v'.repeat(257) }, /^tags\.team must be letters, digits/],
    ['keys that differ only in case', { Team: 'a', team: 'b' }, /must not hold both "Team" and "team"/],
    [
      'a key that differs only in case from "application"',
      { Application: 'x' },
      /both "application" and "Application"/,
    ],
    [
      '50 tags',
      Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`t${at}`, ''])),
      /more than 49 tags/,
    ],
  ])('reject %s', (_, tags, problem) => {
    expect(problemsOf({ ...required, tags })).toEqual([expect.stringMatching(problem)]);
  });
});

test('Lists that would exceed the size of a policy or of an environment are rejected', () => {
  const roles = (count: number) =>
    Array.from({ length: count }, (_, at) => `arn:aws:iam::111122223333:role/r${at}`);
  const hosts = (count: number) => Array.from({ length: count }, (_, at) => `host${at}.example.com`);

  expect(problemsOf({ ...required, breakGlassArns: roles(10), downloadHosts: hosts(100) })).toEqual([]);
  expect(problemsOf({ ...required, breakGlassArns: roles(11), downloadHosts: hosts(120) })).toEqual([
    'breakGlassArns must not hold more than ten roles.',
    'downloadHosts must not have more than 2,000 characters in all.',
  ]);
});

test('maxDocumentBytes is at most what the archive function can copy in its time', () => {
  expect(problemsOf({ ...required, maxDocumentBytes: 570_000_000 })).toEqual([]);
  expect(problemsOf({ ...required, maxDocumentBytes: 570_000_001 })).toEqual([
    'maxDocumentBytes must be at most 570000000, the most that the archive function can copy in its time.',
  ]);
});

describe('fixityDays', () => {
  test.each([7, 3_650, 'never'])('accepts %s', (fixityDays) => {
    expect(readStage({ ...required, fixityDays }).fixityDays).toBe(fixityDays);
  });

  test.each([
    [6, 'must be at least 7.'],
    [3_651, 'must be at most 3650.'],
    [7.5, 'must be a whole number.'],
    ['30', 'must be a whole number of days from 7 to 3650, or "never".'],
    ['none', 'must be a whole number of days from 7 to 3650, or "never".'],
  ])('rejects %j', (fixityDays, problem) => {
    expect(problemsOf({ ...required, fixityDays })).toEqual([`fixityDays ${problem}`]);
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
    maxDocumentBytes: largestDocumentBytes + 1,
    documentsConcurrency: 1,
    backfillConcurrency: 51,
    webhookConcurrency: 0,
    fixityDays: 6,
    repair: 'yes',
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
    'fixityDays',
    'maxDocumentBytes',
    'name',
    'region',
    'repair',
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
  const without = join(folder, 'without');
  const withStage = join(folder, 'with');

  test.each([
    ['is stage.json', withStage, {}, 'stage.json'],
    [
      'is stage.json even if it is missing, so that no deployment uses other settings',
      without,
      {},
      'stage.json',
    ],
    ['is the one in -c settings', withStage, { settings: 'prod.json' }, 'prod.json'],
    ['is stage.json where -c example is given, too', withStage, { example: 'e.json' }, 'stage.json'],
    ['is the one in -c example if there is no stage.json', without, { example: 'e.json' }, 'e.json'],
    [
      'is never the example if -c settings is given',
      without,
      { example: 'e.json', settings: 'p.json' },
      'p.json',
    ],
  ])('%s', (_, at, context, expected) => {
    mkdirSync(withStage, { recursive: true });
    writeFileSync(join(withStage, 'stage.json'), '{}');

    expect(settingsFile(context, at)).toBe(expected);
  });

  test('has an example that is valid and locks nothing', () => {
    expect(readStageFile('stage.example.json')).toMatchObject({ retentionDays: 'none' });
  });

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
