import { resolve } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { audit } from '../audit/audit.ts';
import type { AuditOptions } from '../audit/options.ts';
import { type ArchiverCommand, UsageError } from '../command.ts';

const help = `
Says of every document whether it is archived and unchanged. Telnyx's list, the receipts, the objects and the newest
manifest are compared; nothing in the bucket is changed or deleted.

Lines on stdout, findings only unless --all is given:
  =  archived and unchanged
  -  not in the archive: missing, lost, no-object, manifest-removed
  +  in the archive only, no longer at Telnyx: kept, as it should be
  *  in the archive, but not as it should be
  !  could not be checked

Exit code: 0 all is well · 1 findings · 2 error · 3 no finding, but something could not be checked ·
130 stopped by Ctrl-C

Rights: cloudformation:DescribeStacks; s3:ListBucket and s3:GetObject on the bucket, kms:Decrypt on its key;
TELNYX_API_KEY, but for --no-telnyx. --manifest without a file: s3:PutObject on manifests/* and kms:GenerateDataKey.
--repair: sqs:GetQueueUrl and sqs:SendMessage. --html: sqs:GetQueueUrl, sqs:ReceiveMessage and
sqs:ChangeMessageVisibility on the dead-letter queues, or it shows no failures.`;

interface Parsed {
  quick?: boolean;
  readData?: true | number;
  all?: boolean;
  repair?: boolean;
  telnyx: boolean;
  grace: number;
  manifest?: true | string;
  acceptReceipts?: boolean;
  expectManifest?: string;
  html?: string;
}

export const auditCommand: ArchiverCommand = {
  name: 'audit',
  configure: (command) =>
    command
      .description('say whether everything is there, and unchanged')
      .option('--quick', 'compare listings only: whether objects and receipts exist, and sizes')
      .option(
        '--read-data [percent]',
        'read the bytes of all objects back, or of so many picked at random',
        asPercent,
      )
      .option('--all', 'also list what is as it should be')
      .option('--repair', 'queue what is missing to be archived')
      .option('--no-telnyx', 'do not compare with Telnyx’s list; what is missing then does not show')
      .option('--grace <minutes>', 'how long a document may take to be archived', asMinutes, 15)
      .option('--manifest [file]', 'write a manifest for sha256sum into the bucket, or into a file only')
      .option(
        '--accept-receipts',
        'with --manifest: name receipts that were written anew for the same bytes, as after --repair',
      )
      .option(
        '--expect-manifest <sha256>',
        'a finding unless the bucket has the manifest with this digest',
        asDigest,
      )
      .option('--html <file>', 'write a report to look at, one page that needs no network')
      .addHelpText('after', help),
  run: (context, parsed) => audit(auditOptions(parsed.opts()), context),
};

/** @param parsed what commander made of the command line */
function auditOptions(parsed: Parsed): AuditOptions {
  const { quick = false, readData, manifest } = parsed;
  if (quick && (readData || manifest || parsed.html)) {
    throw new UsageError(
      '--quick reads neither receipts nor objects: it cannot be combined with --read-data, --manifest or --html.',
    );
  }
  if (parsed.acceptReceipts && !manifest)
    throw new UsageError('--accept-receipts is about what --manifest writes: give both.');
  return {
    quick,
    readData: readData === true ? 100 : (readData ?? 0),
    all: parsed.all ?? false,
    repair: parsed.repair ?? false,
    telnyx: parsed.telnyx,
    graceMinutes: parsed.grace,
    manifest: manifest === undefined ? undefined : manifest === true ? 'bucket' : { file: resolve(manifest) },
    acceptReceipts: parsed.acceptReceipts ?? false,
    expectManifest: parsed.expectManifest,
    html: parsed.html === undefined ? undefined : resolve(parsed.html),
  };
}

function asPercent(value: string): number {
  const percent = /^\d{1,3}(\.\d+)?%?$/.test(value) ? Number.parseFloat(value) : Number.NaN;
  if (percent > 0 && percent <= 100) return percent;
  throw new InvalidArgumentError('It must be a percentage, above 0 and up to 100.');
}

function asMinutes(value: string): number {
  if (/^\d{1,5}$/.test(value)) return Number(value);
  throw new InvalidArgumentError('It must be a whole number of minutes.');
}

function asDigest(value: string): string {
  const digest = value.toLowerCase();
  if (/^[0-9a-f]{64}$/.test(digest)) return digest;
  throw new InvalidArgumentError('It must be a SHA-256, 64 hex digits.');
}
