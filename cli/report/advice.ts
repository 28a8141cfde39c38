/** What the operator does about the findings of an audit, in a bucket or in a folder of this machine. */
import { join } from 'node:path';
import {
  codesWithoutReceipt,
  type Finding,
  type FindingCode,
  isRepairable,
} from '../../functions/audit/findings.ts';
import { documentKey, manifestPrefix, receiptKey } from '../../functions/bucket/keys.ts';
import { programs } from '../../local/programs.ts';
import { printable } from '../../terminal/escape.ts';

export interface AdviceStep {
  /** Words between backticks are code. */
  text: string;
  /** Complete commands for a POSIX shell, to run after reading the text. */
  commands?: readonly string[];
}

export interface ArchiveLocation {
  /** Of the bucket. */
  name: string;
  /** URL of an S3 other than Amazon's. */
  endpoint?: string | undefined;
  /** Absolute path of a local archive; undefined for a bucket elsewhere. */
  folder?: string | undefined;
}

/** Collects what the advice depends on: of each code, the first finding that is repairable and the first that is not. */
export class AuditAdvice {
  readonly #location: ArchiveLocation;
  readonly #repairable = new Map<FindingCode, Finding>();
  readonly #others = new Map<FindingCode, Finding>();
  readonly #otherCounts = new Map<FindingCode, number>();

  constructor(location: ArchiveLocation) {
    this.#location = location;
  }

  add(finding: Finding): void {
    const findings = isRepairable(finding) ? this.#repairable : this.#others;
    if (!findings.has(finding.code)) findings.set(finding.code, finding);
    if (findings === this.#others) {
      this.#otherCounts.set(finding.code, (this.#otherCounts.get(finding.code) ?? 0) + 1);
    }
  }

  /** Steps for all findings with this code. If the steps name a document, it is the first one. */
  of(code: FindingCode): AdviceStep[] {
    const { folder } = this.#location;
    const steps: AdviceStep[] = [];
    const other = this.#others.get(code);
    if (this.#repairable.has(code)) steps.push(repair('Telnyx still has the bytes:', folder));
    else if (codesWithoutReceipt.has(code) && other?.atTelnyx === undefined) {
      steps.push(repair('If Telnyx still has the document,', folder));
    }
    if (other === undefined) return steps;
    const general = generalAdvice(other, folder);
    if (general) return [...steps, ...general];
    steps.push(...(folder === undefined ? inBucket(other, this.#location) : inFolder(other, folder)));
    const count = this.#otherCounts.get(code) ?? 0;
    if (count > 1) steps.push({ text: `Do the same for the other ${count - 1}.` });
    return steps;
  }
}

function repair(when: string, folder: string | undefined): AdviceStep {
  const condition = folder === undefined ? '' : ` while \`${startCommand(folder)}\` is running`;
  return {
    text:
      `${when} run the audit with \`--repair\`${condition}. ` +
      'If a document is still not archived afterwards, run `redrive --dry-run` to see why.',
  };
}

/** Advice that does not depend on where the archive is; undefined for other codes. */
function generalAdvice(
  { code, documentId, key }: Finding,
  folder: string | undefined,
): AdviceStep[] | undefined {
  switch (code) {
    case 'same':
    case 'kept':
    case 'receipt-accepted':
    case 'erased':
    case 'pending':
      return [];
    case 'infected':
      return [{ text: 'To archive such documents too, set `archiveInfected` for the stage.' }];
    case 'telnyx-differs':
      return [
        {
          text:
            'Object and receipt match each other: either Telnyx changed the document, or object and receipt were both ' +
            'replaced. Compare them by hand.',
        },
      ];
    case 'foreign':
      return [
        {
          text:
            folder === undefined
              ? 'Find out who writes such objects. The archiver does not use them.'
              : 'Find out where such files come from, and move them out of the archive. The archiver does not use them.',
        },
        ...(key.startsWith('sha256:')
          ? [
              {
                text: 'The records of a run have only the SHA-256 of such a key. `audit --quick --no-telnyx` shows the keys.',
              },
            ]
          : []),
      ];
    case 'erasure-unfinished':
      return [
        {
          text:
            `If no erasure is running, run \`erase ${documentId} --basis <reference>\` again: it goes on where it ` +
            'stopped. What is held is erased only after `release`.',
        },
      ];
    case 'hold-missing':
      return [
        {
          text:
            `Run \`hold ${documentId} --reason <reason>\` again, and find out who took the legal hold off. What was ` +
            'erased while it was held is lost, except in a copy.',
        },
      ];
    case 'manifest-differs':
      return [
        {
          text:
            'The audit goes on comparing with what any manifest names. No audit writes a manifest that leaves out or ' +
            'changes what an earlier one names: find out who wrote the manifest in the line, and compare both files.',
        },
      ];
    case 'unreadable':
      return [{ text: 'Run the audit again. If this remains, see the reason in the line of each item.' }];
    default:
      return undefined;
  }
}

const acceptReceipts: AdviceStep = {
  text:
    'If the archiver wrote the receipt again after `--repair`, run the audit with `--manifest --accept-receipts` ' +
    'instead.',
};

function inFolder(finding: Finding, folder: string): AdviceStep[] {
  const { code, key, documentId = '', atTelnyx } = finding;
  const file = (name: string) => `\`${printable(join(folder, name))}\``;
  const restore = (...names: string[]): AdviceStep => ({
    text: `A folder keeps no earlier versions. Restore ${names.map(file).join(' and ')} from a backup.`,
  });
  const archiveAgain = (...names: string[]): AdviceStep[] =>
    atTelnyx === false
      ? []
      : [
          {
            text:
              `Without a backup, if Telnyx still has the document: move ${names.map(file).join(' and ')} out of the ` +
              `archive. \`${startCommand(folder)}\` then archives it again.`,
          },
        ];
  const object = () => documentKey(documentId);
  const receipt = () => receiptKey(documentId);
  switch (code) {
    case 'lost':
      return [restore(object(), receipt())];
    case 'no-object':
      return [restore(object()), ...archiveAgain(receipt())];
    case 'no-receipt':
      return [restore(receipt())];
    case 'size-differs':
    case 'checksum-differs':
      return [restore(object()), ...archiveAgain(object(), receipt())];
    case 'receipt-altered':
      return [restore(receipt()), acceptReceipts];
    case 'hidden':
    case 'overwritten':
    case 'tombstone-altered':
      return [
        {
          text:
            `The local S3 deleted or replaced ${file(key)}, and keeps what was there before. Find out which program ` +
            `did it. While \`${startCommand(folder)}\` is running, any S3 client can read and delete the other versions.`,
        },
      ];
    default:
      return [restore(key)];
  }
}

/**
 * The policy of the archive bucket (`infra/bucket.ts`) denies replacing an object, and deleting a version or a delete
 * marker, to everyone but break-glass roles.
 */
function inBucket(finding: Finding, location: ArchiveLocation): AdviceStep[] {
  const { code, key, documentId = '', versionId } = finding;
  const [object, receipt] = documentId === '' ? [] : [documentKey(documentId), receiptKey(documentId)];
  switch (code) {
    case 'lost':
      return [putBack(location, [object, receipt])];
    case 'no-receipt':
      return [putBack(location, [receipt])];
    case 'receipt-altered':
      return [uncover(location, key), acceptReceipts];
    case 'hidden':
      return [removeMarker(location, key)];
    case 'no-object':
    case 'manifest-removed':
      return [putBack(location, [key === manifestPrefix ? undefined : key])];
    default:
      return [uncover(location, key, key === object ? versionId : undefined)];
  }
}

/** For keys of which the bucket has no version any more. */
function putBack(location: ArchiveLocation, keys: readonly (string | undefined)[]): AdviceStep {
  const known = keys.filter((key) => key !== undefined);
  return {
    text:
      'The bucket has no version of it: it was deleted for good, which only the roles in the stage setting ' +
      '`breakGlassArns` can do. Find out who did it. ' +
      (known.length === 0
        ? 'If you have a copy of the manifest, put it back at its own key.'
        : `If you have a copy, put it back. For ${known.map((key) => `\`${key}\``).join(' and ')}:`),
    commands: known.map((key) =>
      s3api(
        location,
        `put-object ${at(location, key)} --body ${quoted(copiedFile)} --if-none-match '*' --checksum-algorithm SHA256`,
      ),
    ),
  };
}

/** For a key whose current version is a delete marker. */
function removeMarker(location: ArchiveLocation, key: string): AdviceStep {
  return {
    text:
      'The bucket keeps the versions below the delete marker. Find out who deleted it, and delete the marker. Only the ' +
      `roles in the stage setting \`breakGlassArns\` can do this. For \`${printable(key)}\`:`,
    commands: [
      listVersions(location, key),
      s3api(location, `delete-object ${at(location, key)} --version-id ${quoted(markerVersion)}`),
    ],
  };
}

/** For a key of which the archived version is not the current one, or not the only one. */
function uncover(location: ArchiveLocation, key: string, versionId?: string): AdviceStep {
  const archived = safeVersionId(versionId);
  const original = archived === undefined ? 'the oldest one is the original' : `${archived} is the original`;
  return {
    text:
      `The bucket keeps every version until a break-glass role deletes it (${original}). Look at the versions, find out ` +
      'who wrote the others, and delete those. Only the roles in the stage setting `breakGlassArns` can do this; for a ' +
      'version that Object Lock protects in GOVERNANCE mode they add `--bypass-governance-retention`, in COMPLIANCE mode ' +
      `they wait until the retention ends. For \`${printable(key)}\`:`,
    commands: [
      listVersions(location, key),
      s3api(
        location,
        `get-object ${at(location, key)} --version-id ${quoted(archived ?? unknownVersion)} ${quoted(copiedFile)}`,
      ),
      s3api(location, `delete-object ${at(location, key)} --version-id ${quoted(otherVersion)}`),
    ],
  };
}

const copiedFile = '<file>';
const markerVersion = '<ID of the delete marker>';
const otherVersion = '<ID of the other version>';
const unknownVersion = '<version ID>';

function listVersions(location: ArchiveLocation, prefix: string): string {
  return s3api(location, `list-object-versions --bucket ${quoted(location.name)} --prefix ${quoted(prefix)}`);
}

function at({ name }: ArchiveLocation, key: string): string {
  return `--bucket ${quoted(name)} --key ${quoted(key)}`;
}

function s3api({ endpoint }: ArchiveLocation, command: string): string {
  return `aws s3api ${command}${endpoint === undefined ? '' : ` --endpoint-url ${quoted(endpoint)}`}`;
}

function startCommand(folder: string): string {
  return `${programs.start} --archive ${printable(quoted(folder))}`;
}

/** Receipts are input: other text than a version ID must not reach a command line. */
function safeVersionId(versionId: string | undefined): string | undefined {
  return versionId !== undefined && /^[\w.-]{1,1024}$/.test(versionId) ? versionId : undefined;
}

/** Quotes an argument for a POSIX shell, if it needs it. */
function quoted(argument: string): string {
  return /^[\w./:@%+=-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}
