import { describe, expect, it } from 'vitest';
import { documentSettings } from '../functions/document-settings.ts';
import { concurrency, singlePutBytes } from '../functions/limits.ts';
import {
  defaultsOf,
  type Environment,
  flag,
  list,
  queueUrl,
  readSettings,
  type Settings,
  SettingsError,
  serviceUrl,
  text,
  wholeNumber,
} from '../functions/settings.ts';

const declared = {
  name: { variable: 'NAME', read: text },
  count: { variable: 'COUNT', read: wholeNumber(1, 10) },
  on: { variable: 'ON', read: flag, fallback: false },
  owner: { variable: 'OWNER', read: text, fallback: undefined },
};

function problemsOf(settings: Settings, environment: Environment): readonly string[] {
  try {
    readSettings(settings, environment);
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
  return [];
}

describe('settings', () => {
  it('are read from their variables, without blanks around the values', () => {
    const values = readSettings(declared, {
      NAME: ' archive\n',
      COUNT: '7',
      ON: ' true ',
      OWNER: '000000000000',
      OTHER: '1',
    });

    expect(values).toEqual({ name: 'archive', count: 7, on: true, owner: '000000000000' });
  });

  it.each(['', '  ', undefined])(
    'have their fallback, which may be undefined, if the variable is %j',
    (empty) => {
      const values = readSettings(declared, { NAME: 'archive', COUNT: '7', ON: empty, OWNER: empty });

      expect(values).toEqual({ name: 'archive', count: 7, on: false, owner: undefined });
    },
  );

  it('have the same defaults as when no variable is set', () => {
    const { name, count, ...withDefault } = readSettings(declared, { NAME: 'archive', COUNT: '7' });

    expect(defaultsOf(declared)).toStrictEqual(withDefault);
    expect(Object.keys(defaultsOf(declared))).toEqual(['on', 'owner']);
  });

  it('are rejected with all problems reported together', () => {
    const environment = { COUNT: '11', ON: 'yes', OWNER: 'anyone' };

    const problems = problemsOf(declared, environment);

    expect(problems).toEqual([
      'NAME is not set.',
      'COUNT must be a whole number from 1 to 10.',
      'ON must be true or false.',
    ]);
    expect(() => readSettings(declared, environment)).toThrow(
      expect.objectContaining({ name: 'SettingsError' }),
    );
    expect(() => readSettings(declared, environment)).toThrow(
      'Invalid settings:\n  - NAME is not set.\n  - COUNT must be a whole number from 1 to 10.\n  - ON must be true or false.',
    );
  });

  it('are named in problems, but their values, which may be secret, are not shown', () => {
    const secret = 'KEY0123456789';
    const read = () => {
      throw secret;
    };
    const kinds = [wholeNumber(1, 2), flag, serviceUrl, queueUrl, read];
    const settings = Object.fromEntries(
      kinds.map((kind, index) => [index, { variable: `V${index}`, read: kind }]),
    );
    const environment = Object.fromEntries(kinds.map((_, index) => [`V${index}`, secret]));

    const problems = problemsOf(settings, environment);

    expect(problems).toHaveLength(kinds.length);
    expect(problems.at(-1)).toBe('V4 is not valid.');
    expect(problems.join()).not.toContain(secret);
  });
});

describe('the settings of documents', () => {
  const required = {
    ARCHIVER_NAME: 'emea',
    BUCKET_NAME: 'bucket',
    TELNYX_API_KEY_SECRET_ARN: 'arn:secret',
    ARCHIVER_VERSION: '1.2.3',
  };
  const values = {
    archiverName: 'emea',
    bucketName: 'bucket',
    apiKeySecretArn: 'arn:secret',
    version: '1.2.3',
  };

  it('have defaults where a variable is not required', () => {
    expect(readSettings(documentSettings, required)).toEqual({
      ...values,
      bucketOwner: undefined,
      telnyxUrl: new URL('https://api.telnyx.com/v2'),
      archiveInfected: false,
      maxDocumentBytes: singlePutBytes,
      lowLaneInvocations: concurrency.backfill + concurrency.spans,
    });
  });

  it('are read from their variables', () => {
    const environment = {
      ...required,
      BUCKET_OWNER: '000000000000',
      TELNYX_API_URL: 'https://telnyx.example/v2',
      ARCHIVE_INFECTED: 'true',
      MAX_DOCUMENT_BYTES: '1000',
      LOW_LANE_INVOCATIONS: '1000',
    };

    expect(readSettings(documentSettings, environment)).toEqual({
      ...values,
      bucketOwner: '000000000000',
      telnyxUrl: new URL('https://telnyx.example/v2'),
      archiveInfected: true,
      maxDocumentBytes: 1_000,
      lowLaneInvocations: 1_000,
    });
  });
});

const problemWith = (read: (value: string) => unknown, value: string) =>
  problemsOf({ setting: { variable: 'V', read } }, { V: value })[0];

describe('a setting', () => {
  it.each(['0', '1.5', '-1', '1e3', '0x10', '11', 'one', '9'.repeat(16), '1 000', '٣'])(
    'rejects a value that is not a whole number within its bounds: %s',
    (value) => {
      expect(problemWith(wholeNumber(1, 10), value)).toBe('V must be a whole number from 1 to 10.');
    },
  );

  it.each<[string, number]>([
    ['1', 1],
    ['10', 10],
    ['007', 7],
  ])('accepts a whole number within its bounds: %s', (value, number) => {
    expect(wholeNumber(1, 10)(value)).toBe(number);
  });

  it.each(['TRUE', '1', 'yes', 'on', 'falsy'])(
    'rejects a value that is neither true nor false: %s',
    (value) => {
      expect(problemWith(flag, value)).toBe('V must be true or false.');
      expect([flag('true'), flag('false')]).toEqual([true, false]);
    },
  );

  it('splits a list at its commas and ignores empty entries', () => {
    expect(list(' s3.amazonaws.com, *.s3.amazonaws.com ,,x,')).toEqual([
      's3.amazonaws.com',
      '*.s3.amazonaws.com',
      'x',
    ]);
    expect(list(',')).toEqual([]);
  });

  it.each([
    'https://api.telnyx.com/v2',
    'http://127.0.0.1:4000/v2',
    'http://localhost/',
    'http://[::1]:1/',
    'https://sqs.eu-central-1.amazonaws.com/000000000000/documents',
  ])('accepts the URL of a service: %s', (value) => {
    expect(serviceUrl(value).href).toBe(new URL(value).href);
    expect(queueUrl(value)).toBe(new URL(value).href);
  });

  it.each([
    ['api.telnyx.com', 'V is not a URL.'],
    ['//api.telnyx.com', 'V is not a URL.'],
    ['http://api.telnyx.com', 'V must start with https:// (http:// only for 127.0.0.1).'],
    ['http://127.0.0.1.example.com', 'V must start with https:// (http:// only for 127.0.0.1).'],
    ['http://localhost.example.com', 'V must start with https:// (http:// only for 127.0.0.1).'],
    ['ftp://127.0.0.1/', 'V must start with https:// (http:// only for 127.0.0.1).'],
    ['file:///etc/passwd', 'V must start with https:// (http:// only for 127.0.0.1).'],
    ['https://user@api.telnyx.com', 'V must not contain credentials, a query or a fragment.'],
    ['https://:secret@api.telnyx.com', 'V must not contain credentials, a query or a fragment.'],
    ['https://api.telnyx.com/?key=1', 'V must not contain credentials, a query or a fragment.'],
    ['https://api.telnyx.com/#part', 'V must not contain credentials, a query or a fragment.'],
  ])('rejects %s as the URL of a service', (value, problem) => {
    expect(problemWith(serviceUrl, value)).toBe(problem);
    expect(problemWith(queueUrl, value)).toBe(problem);
  });
});
