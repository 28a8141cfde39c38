/**
 * The settings of one deployment. A first deployment requires `telnyxPublicKeys` and `retentionDays`; all others have
 * a safe default. They are read from a JSON file and validated at synth, which reports all problems at once.
 *
 * The file is `stage.json`; for another stage, in another account or region, `npm run deploy -- -c settings=<file>`.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { isHostPattern } from '../functions/archive/download-hosts.ts';
import { archiveSettings } from '../functions/archive/settings.ts';
import { auditSettings } from '../functions/audit/settings.ts';
import { concurrency, largestDocumentBytes } from '../functions/limits.ts';
import { defaultsOf } from '../functions/settings.ts';
import { readPublicKeys } from '../functions/webhook/verify.ts';

export interface StageSettings {
  /**
   * Telnyx's public key from the portal, "Keys & Credentials", "Public Key": base64 of 32 bytes. Up to two keys, for
   * the time while Telnyx rotates its key.
   */
  telnyxPublicKeys: string[];
  /**
   * Days for which an archived document cannot be deleted (S3 Object Lock), or `"none"` for no lock. There is no
   * default, so that identity documents are never locked by accident.
   */
  retentionDays: number | 'none';
  /**
   * `GOVERNANCE`: principals with s3:BypassGovernanceRetention can still delete documents; the bucket policy allows
   * that to `breakGlassArns` only. `COMPLIANCE`: no one can, not even the root user of the account.
   *
   * @default "GOVERNANCE"
   */
  retentionMode?: 'GOVERNANCE' | 'COMPLIANCE';
  /**
   * Required for `COMPLIANCE`, and for more than ten years in any mode: neither can be undone for a document that is
   * already archived.
   *
   * @default false
   */
  acceptIrreversibleRetention?: boolean;
  /**
   * Prefix of the names of both stacks, the queues and the alarms, and last part of the metrics' namespace. Archivers
   * with different names can share an account and region. Do not change it later: another name is another archiver,
   * with an empty archive.
   *
   * @default "telnyx-archiver"
   */
  name?: string;
  /**
   * Required for a second archiver with the same public key in the same account and region. Without it,
   * CloudFormation refuses the second one, which usually comes from a changed `name`.
   *
   * @default false
   */
  acceptSecondArchive?: boolean;
  /**
   * Twelve digits. If set, a deployment into any other account fails.
   *
   * @default the account of the deploying credentials
   */
  account?: string;
  /** @default the region of the deploying credentials */
  region?: string;
  /**
   * Email address that receives the alarms. It must confirm the subscription.
   *
   * @default none; subscribe to the topic in the stack's outputs
   */
  alarmEmail?: string;
  /**
   * Where your operators read `docs/runbook.md`, for example in your repository on GitHub, so that the links in alarms
   * and in `archiver redrive` can be clicked. An https URL; the article's anchor is added to it.
   *
   * @default the path `docs/runbook.md`
   */
  runbookUrl?: string;
  /**
   * ARNs of up to ten IAM roles of the account that may delete versions, shorten retention and schedule the deletion
   * of the key. The policies of bucket and key deny that to everybody else.
   *
   * @default none
   */
  breakGlassArns?: string[];
  /**
   * ARN of a KMS key for documents and API key, in the account and region of the stacks. Its key policy must delegate
   * to the IAM policies of this account, as the default key policy does. Cannot be added, changed or removed after the
   * first deployment: the functions could no longer read what is archived. CloudFormation refuses it (docs/runbook.md,
   * "An export is in use").
   *
   * @default a new key, 1 USD per month
   */
  existingKeyArn?: string;
  /**
   * Custom domain of the webhook. Disables API Gateway's own address.
   *
   * @default API Gateway's own address
   */
  domain?: {
    /** For example `telnyx.example.com`. */
    name: string;
    /** ARN of a certificate in AWS Certificate Manager, in the account and region of the stacks. */
    certificateArn: string;
  };
  /**
   * Hosts that download links may lead to, in lower case. Replaces the default hosts. Two wildcards:
   *
   * - `*` as a whole label matches one or more labels; within a label, one or more characters of that label.
   *   `*.s3.amazonaws.com` allows the host of every bucket, including names with dots.
   * - `<region>` matches the name of an AWS region, such as `us-gov-west-1`, as a whole label or within one:
   *   `s3.<region>.amazonaws.com`, `s3-<region>.amazonaws.com`.
   *
   * For a region, use `<region>`, not `*`: `s3.*.amazonaws.com` also allows `s3.us-east-1.elb.amazonaws.com`, which
   * can be any customer's load balancer. A label can hold one wildcard; the last label cannot hold any. At most 2,000
   * characters in all.
   *
   * @default all public endpoints of Amazon S3 under amazonaws.com, and `<region>.telnyxcloudstorage.com`
   */
  downloadHosts?: string[];
  /**
   * Whether to archive documents that Telnyx's scanner reports as infected. If false, sweeps skip them, and any other
   * request for one becomes a dead letter.
   *
   * @default false
   */
  archiveInfected?: boolean;
  /**
   * Sweeps skip larger documents, and any other request for one becomes a dead letter. At most 570,000,000 bytes: what
   * one invocation of `archive` copies in its time, at 20 MB/s and even if it must download the document twice
   * (`functions/limits.ts`). Telnyx accepts uploads of up to 20 MB.
   *
   * @default 570,000,000
   */
  maxDocumentBytes?: number;
  /**
   * Maximum concurrent invocations of `archive` for live documents, 2 to 50, each with up to ten documents. If the
   * account has a Lambda quota of 10, as a new account can, use 2 here and for `backfillConcurrency`: look-ups and time
   * spans take 2 each, and 2 are left for the webhook. At night the audit takes one for each 25,000 documents and two
   * more, up to 20: with more than some ten thousand documents, request a higher quota.
   *
   * @default 20
   */
  documentsConcurrency?: number;
  /** The same for backfilled documents, which leave half of Telnyx's rate limit to live work. @default 4 */
  backfillConcurrency?: number;
  /**
   * Reserved concurrency of the webhook, which is also its limit: for an account whose other functions can use up its
   * quota. Lambda rejects a reservation that leaves the account less than 100, so it fails with a quota below 101.
   *
   * @default "unreserved"
   */
  webhookConcurrency?: number | 'unreserved';
  /**
   * Days within which the nightly audit reads every archived object back once and compares its bytes with the receipt,
   * 7 to 3650: each night it reads that share of the archive. `"never"`: it compares what S3 states about the objects,
   * but does not read their bytes. A night reads receipts and Telnyx's list in the same share; with `"never"`, as with 30.
   *
   * @default 30
   */
  fixityDays?: number | 'never';
  /**
   * Whether the nightly audit queues documents that are missing in the archive and still at Telnyx: each once, and again
   * in a full run and in the night whose daily share includes it. Without it, the audit only reports them, and
   * `archiver audit --repair` queues them.
   *
   * @default false
   */
  repair?: boolean;
  /** Tags of all resources, up to 49. Their keys must differ in more than case, also from `application`. @default none */
  tags?: Record<string, string>;
}

/** All settings, with defaults applied. */
export interface Stage
  extends Required<Omit<StageSettings, WithoutDefault>>,
    Pick<StageSettings, WithoutDefault> {}

type WithoutDefault = 'account' | 'region' | 'alarmEmail' | 'runbookUrl' | 'existingKeyArn' | 'domain';

const { archiveInfected, downloadHosts } = defaultsOf(archiveSettings);
const { fixityDays, repair } = defaultsOf(auditSettings);

const defaults = {
  retentionMode: 'GOVERNANCE',
  acceptIrreversibleRetention: false,
  name: 'telnyx-archiver',
  acceptSecondArchive: false,
  breakGlassArns: [],
  downloadHosts,
  archiveInfected,
  maxDocumentBytes: largestDocumentBytes,
  documentsConcurrency: concurrency.documents,
  backfillConcurrency: concurrency.backfill,
  webhookConcurrency: 'unreserved',
  fixityDays,
  repair,
  tags: {},
} satisfies Partial<StageSettings>;

/** Longer retention requires `acceptIrreversibleRetention`, which catches years entered as days. */
const longRetentionDays = 10 * 366;

/** Thrown at synth. Lists all problems of the settings. */
export class StageError extends Error {
  override readonly name = 'StageError';
  readonly problems: readonly string[];

  constructor(file: string, problems: readonly string[]) {
    super(
      `The settings in ${file} are not valid:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`,
    );
    this.problems = problems;
  }
}

const gettingStarted = `Create it with the two required settings, for example
    { "telnyxPublicKeys": ["<base64, from Telnyx's portal>"], "retentionDays": 365 }
    ("retentionDays": "none" for documents without a lock). infra/stage.ts describes all settings.`;

/** Where the deploying credentials lead. Decides where the settings name neither account nor region. */
export type DeployTarget = Pick<StageSettings, 'account' | 'region'>;

/** @param environment of the app. The CDK CLI always sets a region, but without credentials just a default one. */
export function deployTarget(environment: NodeJS.ProcessEnv): DeployTarget {
  const { CDK_DEFAULT_ACCOUNT: account, CDK_DEFAULT_REGION: region } = environment;
  return account && region ? { account, region } : {};
}

/**
 * The file to read, from the CDK context. A deployment never reads the example, because only `npm run synth` names one.
 *
 * @param folder folder of `stage.json`
 */
export function settingsFile(
  { settings, example }: { settings?: unknown; example?: unknown },
  folder = '.',
): string {
  if (typeof settings === 'string') return settings;
  return typeof example === 'string' && !existsSync(join(folder, 'stage.json')) ? example : 'stage.json';
}

/** @throws StageError if the file is missing, is not JSON, or holds settings that are not valid */
export function readStageFile(file: string, target: DeployTarget = {}): Stage {
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch (error) {
    throw new StageError(file, [`Cannot read the file (${codeOf(error)}). ${gettingStarted}`]);
  }
  try {
    return readStage(JSON.parse(content), file, target);
  } catch (error) {
    if (error instanceof SyntaxError) throw new StageError(file, [`The file is not JSON: ${error.message}`]);
    throw error;
  }
}

/** @throws StageError */
export function readStage(settings: unknown, file = 'the settings', target: DeployTarget = {}): Stage {
  const result = v.safeParse(schema, settings);
  const problems = [
    ...(result.issues ?? []).map(describeIssue),
    ...(result.typed ? elsewhere(result.output as StageSettings, target) : []),
  ];
  if (problems.length > 0) throw new StageError(file, problems);
  return { ...defaults, ...(result.output as StageSettings) };
}

/** ARNs that CloudFormation would reject, or that would have no effect, in the account and region of the stacks. */
function elsewhere(settings: StageSettings, target: DeployTarget): string[] {
  const { existingKeyArn, domain, breakGlassArns = [] } = settings;
  const account = settings.account ?? target.account;
  const region = settings.region ?? target.region;
  const arns = [
    ['existingKeyArn', existingKeyArn],
    ['domain.certificateArn', domain?.certificateArn],
    ...breakGlassArns.map((arn, index) => [`breakGlassArns.${index}`, arn] as const),
  ] as const;
  return arns.flatMap(([setting, arn]) => {
    if (arn === undefined) return [];
    const [, partition, , regionOfArn, accountOfArn] = arn.split(':');
    const expected = [
      ['account', account, accountOfArn],
      // IAM is global: the ARN of a role has no region.
      ['region', region, regionOfArn === '' ? region : regionOfArn],
      ['partition', region && partitionOf(region), partition],
    ] as const;
    return expected
      .filter(([, wanted, found]) => wanted !== undefined && wanted !== found)
      .map(([what, wanted, found]) => `${setting} is in ${what} ${found}, but the stacks are in ${wanted}.`);
  });
}

function partitionOf(region: string): string {
  if (region.startsWith('cn-')) return 'aws-cn';
  return region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws';
}

const integerBetween = (least: number, most: number, reason = '') =>
  v.pipe(
    v.number('must be a whole number.'),
    v.integer('must be a whole number.'),
    v.minValue(least, `must be at least ${least}.`),
    v.maxValue(most, `must be at most ${most}${reason}.`),
  );
const matching = (pattern: RegExp, message: string) => v.pipe(v.string(message), v.regex(pattern, message));
const roleArn = matching(
  /^arn:[\w-]+:iam::\d{12}:role\/[\w+=,.@/-]+$/,
  'must be the ARN of an IAM role, without wildcards.',
);
const flag = v.boolean('must be true or false.');
const tagRule = 'must be letters, digits, spaces and _ . : / = + - @, at most 256.';
const hostRule =
  'must be a host name in lower case, with at most one "*" or "<region>" in each label and none in the last.';

const publicKeys = v.pipe(
  v.array(v.string('must be a string.'), 'must be a list of one or two keys.'),
  v.minLength(1, "must not be empty: copy Telnyx's public key from its portal."),
  v.maxLength(2, 'must not hold more than two keys.'),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    try {
      readPublicKeys(dataset.value);
    } catch (error) {
      addIssue({ message: error instanceof Error ? error.message : 'cannot be read.' });
    }
  }),
);

/** Tags that every service accepts (AWS General Reference, "Tag naming limits and requirements"; IAM ignores case). */
const tags = v.pipe(
  v.record(
    v.string(),
    v.pipe(v.string('must be a string.'), v.regex(/^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u, tagRule)),
  ),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const keys = Object.keys(dataset.value);
    const seen = new Map([['application', 'application']]);
    if (keys.length > 49) addIssue({ message: 'must not hold more than 49 tags.' });
    for (const key of keys) {
      const other = seen.get(key.toLowerCase());
      if (/^aws:/i.test(key))
        addIssue({ message: `must not hold ${JSON.stringify(key)}: "aws:" is reserved for AWS.` });
      else if (!/^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/u.test(key))
        addIssue({
          message: `must not hold ${JSON.stringify(key)}: a key has 1 to 128 characters. ${tagRule}`,
        });
      else if (other !== undefined && other !== key)
        addIssue({ message: `must not hold both "${other}" and "${key}": IAM ignores case.` });
      seen.set(key.toLowerCase(), key);
    }
  }),
);

const schema = v.pipe(
  v.strictObject(
    {
      telnyxPublicKeys: publicKeys,
      retentionDays: v.union(
        [v.literal('none'), integerBetween(1, 36_500)],
        'must be a whole number of days from 1 to 36500, or "none".',
      ),
      retentionMode: v.optional(
        v.picklist(['GOVERNANCE', 'COMPLIANCE'], 'must be "GOVERNANCE" or "COMPLIANCE".'),
      ),
      acceptIrreversibleRetention: v.optional(flag),
      name: v.optional(
        matching(
          /^[a-z][a-z0-9-]{1,30}$/,
          'must be 2 to 31 lower-case letters, digits and hyphens, starting with a letter.',
        ),
      ),
      acceptSecondArchive: v.optional(flag),
      account: v.optional(matching(/^\d{12}$/, 'must be twelve digits, in quotes.')),
      region: v.optional(matching(/^[a-z]{2}(-[a-z]+)+-\d$/, 'must be a Region, such as "eu-central-1".')),
      alarmEmail: v.optional(v.pipe(v.string(), v.email('must be an email address.'))),
      runbookUrl: v.optional(
        // No room for text or links of another kind in an alarm's description, which has 1,024 characters.
        matching(/^https:\/\/[\w.-]+(:\d+)?\/[\w./~%@:+,=?&-]{0,400}$/, 'must be an https URL without "#".'),
      ),
      breakGlassArns: v.optional(
        v.pipe(v.array(roleArn), v.maxLength(10, 'must not hold more than ten roles.')),
      ),
      existingKeyArn: v.optional(
        matching(
          /^arn:[\w-]+:kms:[a-z0-9-]+:\d{12}:key\/[\w-]+$/,
          'must be the ARN of a KMS key, not of an alias.',
        ),
      ),
      domain: v.optional(
        v.strictObject({
          name: matching(/^(?=.{4,253}$)([a-z0-9-]{1,63}\.)+[a-z]{2,63}$/, 'must be a domain name.'),
          certificateArn: matching(
            /^arn:[\w-]+:acm:[a-z0-9-]+:\d{12}:certificate\/[\w-]+$/,
            'must be the ARN of a certificate in AWS Certificate Manager.',
          ),
        }),
      ),
      downloadHosts: v.optional(
        v.pipe(
          v.array(v.pipe(v.string(hostRule), v.check(isHostPattern, hostRule))),
          v.minLength(1, 'must not be empty.'),
          // Lambda limits all environment variables of a function to 4 KB.
          v.check(
            (hosts) => hosts.join().length <= 2_000,
            'must not have more than 2,000 characters in all.',
          ),
        ),
      ),
      archiveInfected: v.optional(flag),
      maxDocumentBytes: v.optional(
        integerBetween(1, largestDocumentBytes, ', the most that the archive function can copy in its time'),
      ),
      documentsConcurrency: v.optional(integerBetween(2, 50)),
      backfillConcurrency: v.optional(integerBetween(2, 50)),
      webhookConcurrency: v.optional(
        v.union(
          [v.literal('unreserved'), integerBetween(1, 1_000)],
          'must be a number from 1 to 1000, or "unreserved".',
        ),
      ),
      fixityDays: v.optional(
        v.union(
          [v.literal('never'), integerBetween(7, 3_650)],
          'must be a whole number of days from 7 to 3650, or "never".',
        ),
      ),
      repair: v.optional(flag),
      tags: v.optional(tags),
    },
    (issue) => (issue.expected === 'never' ? 'is an unknown setting.' : 'is missing.'),
  ),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const { retentionDays, retentionMode, acceptIrreversibleRetention } = dataset.value;
    if (retentionDays === 'none' || acceptIrreversibleRetention === true) return;
    const cannotBeUndone = 'cannot be undone. To accept that, set acceptIrreversibleRetention to true.';
    if (retentionMode === 'COMPLIANCE') {
      addIssue({ message: `retentionMode COMPLIANCE for ${retentionDays} days ${cannotBeUndone}` });
    }
    if (retentionDays > longRetentionDays) {
      addIssue({ message: `retentionDays ${retentionDays} is more than ten years and ${cannotBeUndone}` });
    }
  }),
);

const missingSettings = new Map([
  [
    'telnyxPublicKeys',
    'is missing. Copy Telnyx\'s public key from its portal ("Keys & Credentials", "Public Key") into a list: ["…"].',
  ],
  [
    'retentionDays',
    'is missing. Set the days for which documents cannot be deleted, or "none". There is no default.',
  ],
]);

/** Settings of earlier versions, and what to do about each. */
const removedSettings = new Map([
  [
    'sweepLookBackMinutes',
    'was removed: sweeps now run every minute and select documents by age. Delete it.',
  ],
]);

function describeIssue(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue);
  if (path === null) return issue.message;
  const removed = issue.expected === 'never' ? removedSettings.get(path) : undefined;
  if (removed !== undefined) return `${path} ${removed}`;
  return `${path} ${issue.received === 'undefined' ? (missingSettings.get(path) ?? issue.message) : issue.message}`;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}
