import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isHostPattern, matchesHost } from '../../functions/archive/download-hosts.ts';
import { defaultDownloadHosts } from '../../functions/limits.ts';
import { propertyRuns } from '../fuzz-runs.ts';

const isAllowed = (host: string) => defaultDownloadHosts.some((pattern) => matchesHost(host, pattern));

const awsRegions = [
  'us-east-1',
  'us-west-2',
  'us-gov-west-1',
  'us-iso-east-1',
  'us-isob-east-1',
  'eu-central-1',
  'eu-north-1',
  'ap-southeast-2',
  'ap-northeast-3',
  'me-south-1',
  'mx-central-1',
];

describe('the default download hosts', () => {
  it.each([
    's3.amazonaws.com',
    's3-external-1.amazonaws.com',
    's3-accelerate.amazonaws.com',
    's3-accelerate.dualstack.amazonaws.com',
    ...awsRegions.flatMap((region) => [
      `s3.${region}.amazonaws.com`,
      `s3-${region}.amazonaws.com`,
      `s3.dualstack.${region}.amazonaws.com`,
      `s3-fips.${region}.amazonaws.com`,
      `s3-fips-${region}.amazonaws.com`,
      `s3-fips.dualstack.${region}.amazonaws.com`,
    ]),
    'us-central-1.telnyxcloudstorage.com',
    'eu-central-1.telnyxcloudstorage.com',
  ])('allow %s with and without a bucket name in front of it', (host) => {
    expect(isAllowed(host)).toBe(true);
    expect(isAllowed(`bucket.${host}`)).toBe(true);
    expect(isAllowed(`bucket.with.dots.${host}`)).toBe(true);
  });

  it.each([
    's3-x.us-east-1.elb.amazonaws.com',
    's3.us-east-1.elb.amazonaws.com',
    'bucket.s3.x.us-east-1.elb.amazonaws.com',
    's3-x.amazonaws.com',
    's3-us-east.amazonaws.com',
    's3-us-east-1x.amazonaws.com',
    's3.us-east-1.vpce.amazonaws.com',
    'bucket.vpce-1a2b.s3.us-east-1.vpce.amazonaws.com',
    's3.execute-api.us-east-1.amazonaws.com',
    's3.lambda-url.us-east-1.amazonaws.com',
    'ec2-1-2-3-4.us-west-2.compute.amazonaws.com',
    'us-east-1.amazonaws.com',
    'amazonaws.com',
    's3amazonaws.com',
    'evils3.amazonaws.com',
    's3.amazonaws.com.evil.example',
    's3.us-east-1.amazonaws.com.cn',
    '.s3.amazonaws.com',
    'a..s3.amazonaws.com',
    'telnyxcloudstorage.com',
    'www.telnyxcloudstorage.com',
    'us-east-1x.telnyxcloudstorage.com',
    'us-east-1.telnyxcloudstorage.com.evil.example',
    'us-east-1.eviltelnyxcloudstorage.com',
    '',
  ])('do not allow %j', (host) => {
    expect(isAllowed(host)).toBe(false);
  });

  it('are valid patterns for the stage setting', () => {
    expect(defaultDownloadHosts.filter((pattern) => !isHostPattern(pattern))).toEqual([]);
  });
});

describe('matchesHost', () => {
  it.each([
    ['*.example.com', 'a.example.com', true],
    ['*.example.com', 'a.b.c.example.com', true],
    ['*.example.com', 'example.com', false],
    ['*.example.com', '.example.com', false],
    ['s3.*.amazonaws.com', 's3.us-west-2.amazonaws.com', true],
    ['s3-*.amazonaws.com', 's3-us-west-2.amazonaws.com', true],
    ['s3-*.amazonaws.com', 's3-x.us-east-1.elb.amazonaws.com', false],
    ['s3-*.amazonaws.com', 's3-.amazonaws.com', false],
    ['a-*-b.example.com', 'a-b.example.com', false],
    ['a-*-b.example.com', 'a-x-b.example.com', true],
    ['a-*-b.example.com', 'a-x-c.example.com', false],
    ['a-*-b.example.com', 'c-x-b.example.com', false],
    ['*.<region>.example.com', 'a.b.us-east-1.example.com', true],
    ['*.<region>.example.com', 'a.b.example.com', false],
    ['a.example.com', 'a.a.example.com', false],
    ['a-*.example.com', 'a-x.a-y.example.com', false],
    ['*.a.*.a.com', 'x.a.a.a.a.com', true],
    ['*.a.*.a.com', 'x.a.a.com', false],
  ])('for the pattern %s and the host %s returns %s', (pattern, host, expected) => {
    expect(matchesHost(host, pattern)).toBe(expected);
  });

  it('returns the same result as an equivalent regular expression', () => {
    const label = fc.constantFrom('a', 'b', 's3', '*', 'a-*', '<region>', 's3-<region>', 'us-east-1');
    const pattern = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join('.'));
    const host = fc
      .array(fc.constantFrom('a', 'b', 's3', 'a-b', 'us-east-1', 's3-us-east-1', ''), { maxLength: 6 })
      .map((labels) => labels.join('.'));

    fc.assert(
      fc.property(pattern, host, (text, hostname) => {
        const expression = text
          .split('.')
          .map((part) =>
            part === '*'
              ? '[a-z0-9-]+(?:\\.[a-z0-9-]+)*'
              : part.replace('*', '[a-z0-9-]+').replace('<region>', 'us-east-1'),
          )
          .join('\\.');

        expect(matchesHost(hostname, text)).toBe(new RegExp(`^${expression}$`).test(hostname));
      }),
      { numRuns: propertyRuns(5_000) },
    );
  });
});

describe('isHostPattern', () => {
  it.each([
    '127.0.0.1',
    '2130706433',
    '0x7f000001',
    '*',
    '<region>',
    'example.*',
    'example.c*',
    'a..example.com',
    '.example.com',
    'example.com.',
    'Example.com',
    'a*b*.example.com',
    '*<region>.example.com',
    '<zone>.example.com',
    'https://example.com',
    'example.com:443',
    '',
    `${'a.'.repeat(200)}com`,
  ])('returns false for %j', (text) => {
    expect(isHostPattern(text)).toBe(false);
  });

  it('returns true for up to 253 characters, the longest host name', () => {
    const longest = `${'a'.repeat(249)}.com`;

    expect(isHostPattern(longest)).toBe(true);
    expect(isHostPattern(`a${longest}`)).toBe(false);
    expect(matchesHost(longest, longest)).toBe(true);
    expect(matchesHost(`a${longest}`, `a${longest}`)).toBe(false);
  });
});
