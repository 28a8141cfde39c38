/**
 * The settings of one deployment. A first deployment requires `telnyxPublicKeys` and `retentionDays`; all others have
 * a safe default. They are read from a JSON file and validated at synth, which reports all problems at once.
 *
 * The file is `stage.json`; for another stage, in another account or region, `npm run deploy -- -c settings=<file>`.
 */
import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { isHostPattern } from '../functions/archive/download-hosts.ts';
import { archiveSettings } from '../functions/archive/settings.ts';
import { concurrency, singlePutBytes } from '../functions/limits.ts';
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
   * with different names can share an account and region.
   *
   * @default "telnyx-archiver"
   */
  name?: string;
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
   * ARNs of IAM roles that may delete versions, shorten retention and schedule the deletion of the key. The policies
   * of bucket and key deny that to everybody else.
   *
   * @default none
   */
  breakGlassArns?: string[];
  /**
   * ARN of a KMS key for documents and API key. Its key policy must delegate to the IAM policies of this account, as
   * the default key policy does.
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
    /** ARN of a certificate in AWS Certificate Manager, in the region of the stack. */
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
   * can be any customer's load balancer. A label can hold one wildcard; the last label cannot hold any.
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
  /** Sweeps skip larger documents, and any other request for one becomes a dead letter. @default 5 GiB, S3's limit for one PUT */
  maxDocumentBytes?: number;
  /** Maximum concurrent invocations of `archive` for live documents, 2 to 50, each with up to ten documents. @default 20 */
  documentsConcurrency?: number;
  /** The same for backfilled documents, which leave half of Telnyx's rate limit to live work. @default 4 */
  backfillConcurrency?: number;
  /**
   * Reserved concurrency of the webhook, which is also its limit, so that a flood of requests costs little. Lambda
   * rejects a reservation that leaves the account less than 100: with a quota of 10, as in a new account, raise the
   * quota first or use `"unreserved"`.
   *
   * @default 10
   */
  webhookConcurrency?: number | 'unreserved';
  /** Tags of all resources. @default none */
  tags?: Record<string, string>;
}

/** All settings, with defaults applied. */
export interface Stage
  extends Required<Omit<StageSettings, WithoutDefault>>,
    Pick<StageSettings, WithoutDefault> {}

type WithoutDefault = 'account' | 'region' | 'alarmEmail' | 'runbookUrl' | 'existingKeyArn' | 'domain';

const { archiveInfected, downloadHosts, maxDocumentBytes } = defaultsOf(archiveSettings);

const defaults = {
  retentionMode: 'GOVERNANCE',
  acceptIrreversibleRetention: false,
  name: 'telnyx-archiver',
  breakGlassArns: [],
  downloadHosts,
  archiveInfected,
  maxDocumentBytes,
  documentsConcurrency: concurrency.documents,
  backfillConcurrency: concurrency.backfill,
  webhookConcurrency: 10,
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

/** @throws StageError if the file is missing, is not JSON, or holds settings that are not valid */
export function readStageFile(file: string): Stage {
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch (error) {
    throw new StageError(file, [`Cannot read the file (${codeOf(error)}). ${gettingStarted}`]);
  }
  try {
    return readStage(JSON.parse(content), file);
  } catch (error) {
    if (error instanceof SyntaxError) throw new StageError(file, [`The file is not JSON: ${error.message}`]);
    throw error;
  }
}

/** @throws StageError */
export function readStage(settings: unknown, file = 'the settings'): Stage {
  const result = v.safeParse(schema, settings);
  if (!result.success) throw new StageError(file, result.issues.map(describeIssue));
  return { ...defaults, ...(result.output as StageSettings) };
}

const integerBetween = (least: number, most: number) =>
  v.pipe(
    v.number('must be a whole number.'),
    v.integer('must be a whole number.'),
    v.minValue(least, `must be at least ${least}.`),
    v.maxValue(most, `must be at most ${most}.`),
  );
const matching = (pattern: RegExp, message: string) => v.pipe(v.string(message), v.regex(pattern, message));
const roleArn = matching(
  /^arn:[\w-]+:iam::\d{12}:role\/[\w+=,.@/-]+$/,
  'must be the ARN of an IAM role, without wildcards.',
);
const flag = v.boolean('must be true or false.');
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
      account: v.optional(matching(/^\d{12}$/, 'must be twelve digits, in quotes.')),
      region: v.optional(matching(/^[a-z]{2}(-[a-z]+)+-\d$/, 'must be a Region, such as "eu-central-1".')),
      alarmEmail: v.optional(v.pipe(v.string(), v.email('must be an email address.'))),
      runbookUrl: v.optional(
        // No room for text or links of another kind in an alarm's description, which has 1,024 characters.
        matching(/^https:\/\/[\w.-]+(:\d+)?\/[\w./~%@:+,=?&-]{0,400}$/, 'must be an https URL without "#".'),
      ),
      breakGlassArns: v.optional(v.array(roleArn)),
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
        ),
      ),
      archiveInfected: v.optional(flag),
      maxDocumentBytes: v.optional(integerBetween(1, singlePutBytes)),
      documentsConcurrency: v.optional(integerBetween(2, 50)),
      backfillConcurrency: v.optional(integerBetween(2, 50)),
      webhookConcurrency: v.optional(
        v.union(
          [v.literal('unreserved'), integerBetween(1, 1_000)],
          'must be a number from 1 to 1000, or "unreserved".',
        ),
      ),
      tags: v.optional(v.record(v.string(), v.string())),
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
