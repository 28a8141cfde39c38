/**
 * What one deployment may decide for itself. A first deployment needs two answers, `telnyxPublicKeys` and
 * `retentionDays`; everything else has a safe default. Read from a JSON file and checked at synth, all problems
 * reported together.
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
   * Telnyx's public key, as its portal shows it under "Keys & Credentials", "Public Key": base64 of 32 bytes. Two
   * at once while Telnyx's key is being rotated.
   */
  telnyxPublicKeys: string[];
  /**
   * Days for which nobody may delete an archived document (S3 Object Lock), or `"none"` if documents shall not be
   * locked. There is no default on purpose: identity papers must not be locked away by accident.
   */
  retentionDays: number | 'none';
  /**
   * `GOVERNANCE`: those who hold s3:BypassGovernanceRetention may still delete, which the bucket's policy leaves to
   * `breakGlassArns`. `COMPLIANCE`: nobody may, not even the account's root user.
   *
   * @default "GOVERNANCE"
   */
  retentionMode?: 'GOVERNANCE' | 'COMPLIANCE';
  /**
   * Must be true for mode `COMPLIANCE`, and for more than ten years in any mode: neither can be taken back for a
   * document that is already archived.
   *
   * @default false
   */
  acceptIrreversibleRetention?: boolean;
  /**
   * Begins the names of both stacks, the queues and the alarms, and ends the namespace of the functions' metrics:
   * archivers with different names in one account and region are apart in all of these.
   *
   * @default "telnyx-archiver"
   */
  name?: string;
  /**
   * Twelve digits. Where set, nothing can be deployed into another account by mistake.
   *
   * @default the account of the credentials that deploy
   */
  account?: string;
  /** @default the region that the credentials that deploy are configured for */
  region?: string;
  /**
   * E-mail address that gets the alarms; it must confirm the subscription.
   *
   * @default nobody: subscribe to the topic that the stack prints
   */
  alarmEmail?: string;
  /**
   * ARNs of IAM roles that may do what the bucket's and the key's policies deny to everybody else: delete versions,
   * shorten retention, schedule the key's deletion.
   *
   * @default none
   */
  breakGlassArns?: string[];
  /**
   * ARN of a KMS key for documents and API key. Its key policy must let IAM policies of this account decide, as the
   * default key policy does.
   *
   * @default a key is created, which costs 1 USD a month
   */
  existingKeyArn?: string;
  /**
   * Domain of the webhook. API Gateway's own address is switched off then.
   *
   * @default API Gateway's own address
   */
  domain?: {
    /** As in `telnyx.example.com`. */
    name: string;
    /** Of a certificate in AWS Certificate Manager, in the region of the stack. */
    certificateArn: string;
  };
  /**
   * Host names, in lower case, that download links may lead to, instead of the default ones. Two wildcards:
   *
   * - `*` as a whole label stands for one label or more; within a label, for one character or more of it:
   *   `*.s3.amazonaws.com` allows every bucket's host, those with dots in the bucket's name included.
   * - `<region>` stands for the name of an AWS region, such as `us-gov-west-1`, as a whole label or within one:
   *   `s3.<region>.amazonaws.com`, `s3-<region>.amazonaws.com`.
   *
   * Where a region stands, write `<region>`, not `*`: `s3.*.amazonaws.com` allows `s3.us-east-1.elb.amazonaws.com`
   * too, which may be anybody's load balancer. A label holds at most one wildcard, the last label none.
   *
   * @default all public endpoints of Amazon S3 under amazonaws.com, and `<region>.telnyxcloudstorage.com`
   */
  downloadHosts?: string[];
  /**
   * Whether documents that Telnyx's scanner calls infected are archived. If not, sweeps leave them out, and asked for
   * in any other way they become dead letters.
   *
   * @default false
   */
  archiveInfected?: boolean;
  /** Larger documents are left out and become dead letters likewise. @default 5 GiB, the most that one PUT to S3 takes */
  maxDocumentBytes?: number;
  /** Invocations of `archive` at once, 2 to 50, each with up to ten documents. @default 20 */
  documentsConcurrency?: number;
  /** The same for the documents of a backfill, which leave half of Telnyx's rate limit to live work. @default 4 */
  backfillConcurrency?: number;
  /**
   * Concurrency reserved for the webhook, and its upper limit, so that a flood of requests costs little. Lambda
   * refuses a reservation that leaves the account less than 100: a new account with a quota of 10 must first raise
   * its quota, or say `"unreserved"`.
   *
   * @default 10
   */
  webhookConcurrency?: number | 'unreserved';
  /** Put on every resource that takes tags. @default none */
  tags?: Record<string, string>;
}

/** Every setting with its default filled in. */
export interface Stage
  extends Required<Omit<StageSettings, 'account' | 'region' | 'alarmEmail' | 'existingKeyArn' | 'domain'>>,
    Pick<StageSettings, 'account' | 'region' | 'alarmEmail' | 'existingKeyArn' | 'domain'> {}

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

/** Longer than this only with `acceptIrreversibleRetention`: a slip of days for years shows here. */
const longRetentionDays = 10 * 366;

/** Thrown at synth, with every problem of the settings at once. */
export class StageError extends Error {
  override readonly name = 'StageError';
  readonly problems: readonly string[];

  constructor(file: string, problems: readonly string[]) {
    super(
      `The settings in ${file} cannot be deployed:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`,
    );
    this.problems = problems;
  }
}

const howToBegin = `Write the two answers that a first deployment needs into it, such as
    { "telnyxPublicKeys": ["<base64, from Telnyx's portal>"], "retentionDays": 365 }
    ("retentionDays": "none" if documents shall not be locked). infra/stage.ts describes all settings.`;

/** @throws StageError where the file is missing, is no JSON, or holds settings that cannot be deployed */
export function readStageFile(file: string): Stage {
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch (error) {
    throw new StageError(file, [`The file cannot be read (${codeOf(error)}). ${howToBegin}`]);
  }
  try {
    return readStage(JSON.parse(content), file);
  } catch (error) {
    if (error instanceof SyntaxError) throw new StageError(file, [`It is no JSON: ${error.message}`]);
    throw error;
  }
}

/** @throws StageError */
export function readStage(settings: unknown, file = 'the settings'): Stage {
  const result = v.safeParse(schema, settings);
  if (!result.success) throw new StageError(file, result.issues.map(describeIssue));
  return { ...defaults, ...(result.output as StageSettings) };
}

const bounded = (least: number, most: number) =>
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
  v.array(v.string('must be text.'), 'must be a list of one or two keys.'),
  v.minLength(1, "is empty: copy Telnyx's public key from its portal."),
  v.maxLength(2, 'holds more than two keys.'),
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
        [v.literal('none'), bounded(1, 36_500)],
        'must be a whole number of days from 1 to 36500, or "none".',
      ),
      retentionMode: v.optional(
        v.picklist(['GOVERNANCE', 'COMPLIANCE'], 'must be "GOVERNANCE" or "COMPLIANCE".'),
      ),
      acceptIrreversibleRetention: v.optional(flag),
      name: v.optional(
        matching(
          /^[a-z][a-z0-9-]{1,30}$/,
          'must be 2 to 31 lower-case letters, digits and hyphens, a letter first.',
        ),
      ),
      account: v.optional(matching(/^\d{12}$/, 'must be twelve digits, in quotes.')),
      region: v.optional(matching(/^[a-z]{2}(-[a-z]+)+-\d$/, 'must be a region, such as "eu-central-1".')),
      alarmEmail: v.optional(v.pipe(v.string(), v.email('must be an e-mail address.'))),
      breakGlassArns: v.optional(v.array(roleArn)),
      existingKeyArn: v.optional(
        matching(
          /^arn:[\w-]+:kms:[a-z0-9-]+:\d{12}:key\/[\w-]+$/,
          'must be the ARN of a KMS key (not of an alias).',
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
          v.minLength(1, 'is empty.'),
        ),
      ),
      archiveInfected: v.optional(flag),
      maxDocumentBytes: v.optional(bounded(1, singlePutBytes)),
      documentsConcurrency: v.optional(bounded(2, 50)),
      backfillConcurrency: v.optional(bounded(2, 50)),
      webhookConcurrency: v.optional(
        v.union(
          [v.literal('unreserved'), bounded(1, 1_000)],
          'must be a number from 1 to 1000, or "unreserved".',
        ),
      ),
      tags: v.optional(v.record(v.string(), v.string())),
    },
    (issue) => (issue.expected === 'never' ? 'is not a setting.' : 'is missing.'),
  ),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const { retentionDays, retentionMode, acceptIrreversibleRetention } = dataset.value;
    if (retentionDays === 'none' || acceptIrreversibleRetention === true) return;
    const cannotBeTakenBack = 'cannot be taken back. Set acceptIrreversibleRetention if that is meant.';
    if (retentionMode === 'COMPLIANCE') {
      addIssue({ message: `retentionMode COMPLIANCE for ${retentionDays} days ${cannotBeTakenBack}` });
    }
    if (retentionDays > longRetentionDays) {
      addIssue({ message: `retentionDays ${retentionDays} is more than ten years and ${cannotBeTakenBack}` });
    }
  }),
);

const answers: Record<string, string> = {
  telnyxPublicKeys:
    'is missing. Copy Telnyx\'s public key from its portal ("Keys & Credentials", "Public Key") into a list: ["…"].',
  retentionDays:
    'is missing. Say how many days documents must be kept undeletable, or "none": there is no default.',
};

/** Settings of earlier versions. */
const removed: Record<string, string> = {
  sweepLookBackMinutes:
    'was removed: sweeps now run every minute and read by the age of documents. Delete it.',
};

function describeIssue(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue);
  if (path === null) return issue.message;
  if (issue.expected === 'never' && path in removed) return `${path} ${removed[path]}`;
  return `${path} ${issue.received === 'undefined' ? (answers[path] ?? issue.message) : issue.message}`;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}
