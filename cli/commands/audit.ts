import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { audit } from '../audit/audit.ts';
import { auditLatest } from '../audit/latest.ts';
import type { AuditOptions } from '../audit/options.ts';
import { auditPeriod } from '../audit/period.ts';
import { startAudit } from '../audit/start.ts';
import { type ArchiverCommand, UsageError } from '../command.ts';
import { type CommandHelp, findStackPermissions } from '../help.ts';
import { instantHelp } from '../instants.ts';

const help: CommandHelp = {
  text: `
Compares Telnyx's list, the receipts, the objects with all their versions, the contexts, the manifests and the hold
records, document by document. Does not change or delete any archived document.

Prints one line per problem; --all adds documents without problems. Each line starts with a mark:
  =  archived and unchanged
  -  not in the archive: missing, lost, no-object, hidden, manifest-removed;
     erased, pending and infected are not problems
  +  archived and unchanged, no longer at Telnyx (not a problem)
  *  in the archive, with a problem
  !  could not be checked

The audit function of the archiver does the same every night. --latest shows what its last run found, with the file
names in today's receipts. --start asks for a run now. --since and --until print a statement of its runs in a period, such
as a quarter: the runs, nights without a complete run, problems by code, what was read back, the newest manifest, and your
role.

${instantHelp}

TELNYX_API_KEY must be set, except with --no-telnyx, --latest, --start and --since. With several --stack, each archive is compared with the account of this key.`,
  examples: [
    ['audit', 'compare the deployed archive with Telnyx'],
    ['audit --read-data 5 --html report.html', 'also hash 5 % of the objects, and write a report'],
    ['audit --stack dev --stack prod --no-telnyx', 'check two archives, one after the other'],
    ['audit --local archive --repair', 'queue what is missing in a local archive'],
    ['audit --latest', 'show what the audit function found last night'],
    ['audit --start --full', 'ask the audit function to read everything now'],
    ['audit --since 2026-07-01 --until 2026-10-01', 'print the statement of a quarter'],
  ],
  exitCodes: {
    0: 'no problems; with --start: requested',
    1: 'problems found',
    3: 'no problems found, but some items could not be checked; or, with --latest, no run has ended; or, with --since, some nights have no complete run',
  },
  permissions: `
${findStackPermissions}; s3:ListBucket, s3:ListBucketVersions and s3:GetObject on the bucket; kms:Decrypt on
its key. If a document is on hold: s3:GetObjectLegalHold and s3:GetObjectRetention. --manifest without a file:
s3:PutObject on manifests/* and kms:GenerateDataKey. --repair: sqs:GetQueueUrl and sqs:SendMessage. --html:
sqs:GetQueueUrl, sqs:ReceiveMessage and sqs:ChangeMessageVisibility on the dead-letter queues; without these the report
does not show failures. --latest and --since: s3:ListBucket, s3:GetObject on audits/* and, for file names, on receipts/*;
kms:Decrypt. --start: sqs:GetQueueUrl and sqs:SendMessage.`,
};

/** The options that each mode allows. A mode is what the command does with the runs of the audit function. */
const runModes = {
  latest: ['latest', 'html'],
  start: ['start', 'full'],
  since: ['since', 'until', 'html'],
} as const;
const targetOptions = ['local', 'stack', 'json'];

interface Parsed {
  latest?: boolean;
  start?: boolean;
  full?: boolean;
  since?: string;
  until?: string;
  quick?: boolean;
  readData?: true | number;
  all?: boolean;
  repair?: boolean;
  dryRun?: boolean;
  telnyx: boolean;
  grace: number;
  manifest?: true | string;
  acceptReceipts?: boolean;
  expectManifest?: string;
  html?: string;
}

export const auditCommand: ArchiverCommand = {
  name: 'audit',
  help,
  forOneStack: ['html', 'manifest', 'expectManifest'],
  configure: (command) =>
    command
      .description('check that every document is archived and unchanged')
      .option(
        '--quick',
        'compare listings only: existence, versions and sizes; erased documents count as archived',
      )
      .option(
        '--read-data [percent]',
        'download and hash all objects, or a random percentage of them',
        asPercent,
      )
      .option('--all', 'also list documents without problems')
      .option('--repair', 'queue missing documents for archiving')
      .option('--dry-run', 'with --repair: show how many documents would be queued; queue nothing')
      .option('--no-telnyx', 'do not compare with Telnyx’s list; missing documents are not detected')
      .option('--grace <minutes>', 'minutes that archiving a document may take', asMinutes, 15)
      .option('--manifest [file]', 'write a manifest for sha256sum to the bucket, or to this file instead')
      .option(
        '--accept-receipts',
        'with --manifest: accept receipts that were written again for the same bytes, as after --repair',
      )
      .option(
        '--expect-manifest <sha256>',
        'report a problem if the bucket has no manifest with this SHA-256',
        asDigest,
      )
      .option('--html <file>', 'write a report as one HTML page that works offline')
      .option('--latest', 'show the last run of the audit function; compares nothing now')
      .option('--start', 'ask the audit function for a run now')
      .option('--full', 'with --start: read everything, not only what is new and one daily share')
      .option('--since <instant>', 'print a statement of the audit function’s runs from this instant on')
      .option('--until <instant>', 'with --since: end of the period, exclusive (default: now)'),
  run: (context, parsed) => {
    const mode = runMode(parsed);
    const { full = false, since = '', until, html } = parsed.opts<Parsed>();
    const file = html === undefined ? undefined : resolve(html);
    if (mode === 'latest') return auditLatest(file, context);
    if (mode === 'start') return startAudit(full, context);
    if (mode === 'since') return auditPeriod({ since, until, html: file }, context);
    return audit(auditOptions(parsed.opts()), context);
  },
};

/**
 * What the command does with the runs of the audit function; undefined if it audits the archive itself.
 *
 * @throws UsageError for options that cannot be combined
 */
export function runMode(parsed: Command): keyof typeof runModes | undefined {
  const stated = parsed.options.filter(
    (option) =>
      parsed.getOptionValueSource(option.attributeName()) === 'cli' &&
      !targetOptions.includes(option.attributeName()),
  );
  const isStated = (name: string) => stated.some((option) => option.attributeName() === name);
  const [mode] = (['latest', 'start', 'since'] as const).filter(isStated);
  if (mode === undefined) {
    if (isStated('full')) throw new UsageError('--full requires --start.');
    if (isStated('until')) throw new UsageError('--until requires --since.');
    return undefined;
  }
  const allowed: readonly string[] = runModes[mode];
  const other = stated.find((option) => !allowed.includes(option.attributeName()));
  if (other) throw new UsageError(`--${mode} cannot be combined with ${other.long}.`);
  return mode;
}

/** @param parsed the options as commander parsed them */
export function auditOptions(parsed: Parsed): AuditOptions {
  const { quick = false, readData, manifest } = parsed;
  if (quick && (readData || manifest || parsed.html)) {
    throw new UsageError(
      '--quick cannot be combined with --read-data, --manifest or --html, which need receipts and objects.',
    );
  }
  if (parsed.dryRun && !parsed.repair) throw new UsageError('--dry-run requires --repair.');
  if (parsed.acceptReceipts && !manifest) throw new UsageError('--accept-receipts requires --manifest.');
  const html = parsed.html === undefined ? undefined : resolve(parsed.html);
  const manifestFile = typeof manifest === 'string' ? resolve(manifest) : undefined;
  if (html !== undefined && html === manifestFile)
    throw new UsageError('--html and --manifest name the same file.');
  return {
    quick,
    readData: readData === true ? 100 : (readData ?? 0),
    all: parsed.all ?? false,
    repair: parsed.repair ?? false,
    dryRun: parsed.dryRun ?? false,
    telnyx: parsed.telnyx,
    graceMinutes: parsed.grace,
    manifest: manifestFile !== undefined ? { file: manifestFile } : manifest === true ? 'bucket' : undefined,
    acceptReceipts: parsed.acceptReceipts ?? false,
    expectManifest: parsed.expectManifest,
    html,
  };
}

function asPercent(value: string): number {
  const percent = /^\d{1,3}(\.\d+)?%?$/.test(value) ? Number.parseFloat(value) : Number.NaN;
  if (percent > 0 && percent <= 100) return percent;
  throw new InvalidArgumentError('Must be a percentage above 0 and up to 100.');
}

function asMinutes(value: string): number {
  if (/^\d{1,5}$/.test(value)) return Number(value);
  throw new InvalidArgumentError('Must be a whole number of minutes.');
}

function asDigest(value: string): string {
  const digest = value.toLowerCase();
  if (/^[0-9a-f]{64}$/.test(digest)) return digest;
  throw new InvalidArgumentError('Must be a SHA-256: 64 hex digits.');
}
