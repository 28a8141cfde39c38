/** The text of a proof's README.html and README.txt, which have the same content. */
import { contextTombstoneKey, documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import { parseManifestKey } from '../../functions/bucket/manifest-text.ts';
import { formatBytes } from '../../terminal/bytes.ts';
import { formatCount } from '../../terminal/counts.ts';
import { shellWord } from '../command-line.ts';
import type { Operator } from '../target/target.ts';
import { type ProofEvidence, proofFiles, type StoredFacts } from './evidence.ts';
import { checksumsName } from './proof-folder.ts';

/** Who made the proof, when, and from what. */
export interface ProofOrigin {
  /** The archiver or the folder. */
  archive: string;
  /** `s3://<bucket>`, or the path of a folder. */
  place: string;
  operator: Operator;
  /** Milliseconds since the Unix epoch. */
  madeAt: number;
  /** Version of the archiver. */
  version: string;
}

export type Block =
  | { text: string }
  | { commands: readonly string[] }
  /** Names of any length, each with an explanation. */
  | { entries: readonly (readonly [name: string, explanation: string])[] }
  /** Short names with values. */
  | { pairs: readonly (readonly [name: string, value: string])[] };

export interface ProofSection {
  heading: string;
  blocks: readonly Block[];
}

export interface Explanation {
  /** Whether the proof has no gaps. */
  isComplete: boolean;
  verdict: string;
  sections: readonly ProofSection[];
  origin: readonly (readonly [name: string, value: string])[];
}

/** @param checksums SHA-256 of `checksums.txt`, in lower-case hex */
export function explainProof(evidence: ProofEvidence, origin: ProofOrigin, checksums: string): Explanation {
  const { gaps, subject, chain } = evidence;
  const what = subject.state === 'archived' ? 'document' : 'erasure';
  const manifests = `receipt and ${formatCount(chain.length, 'manifest')} agree`;
  return {
    isComplete: gaps.length === 0,
    verdict:
      gaps.length > 0
        ? `Incomplete proof: ${formatCount(gaps.length, 'gap')}`
        : subject.state === 'archived'
          ? `Archived and unchanged: bytes, ${manifests}`
          : `Erased: tombstones and ${formatCount(chain.length, 'manifest')} agree`,
    sections: [
      ...(gaps.length > 0 ? [{ heading: 'Gaps of this proof', blocks: gaps.map((text) => ({ text })) }] : []),
      { heading: `The ${what}`, blocks: [{ pairs: subjectPairs(evidence) }] },
      { heading: 'How to verify it', blocks: verification(evidence, checksums) },
      { heading: 'What the files are', blocks: [{ entries: fileEntries(evidence) }] },
      ...(chain.length > 0
        ? [{ heading: 'What the manifests prove', blocks: manifestBlocks(evidence, origin) }]
        : []),
      { heading: 'What S3 states', blocks: storedBlocks(evidence.stored) },
      ...(evidence.contexts.length > 0
        ? [{ heading: 'Contexts', blocks: [{ entries: contextEntries(evidence) }] }]
        : []),
      ...(evidence.holds.length > 0
        ? [{ heading: 'Holds', blocks: [{ entries: holdEntries(evidence) }] }]
        : []),
    ],
    origin: [
      ['Archive', origin.archive],
      ...(origin.place === origin.archive ? [] : [['Bucket', origin.place] as const]),
      ['Made', new Date(origin.madeAt).toISOString()],
      ['Made by', roleOf(origin.operator)],
      ['Checksums', `${checksumsName} has the SHA-256 ${checksums}`],
    ],
  };
}

function roleOf({ role, session }: Operator): string {
  return session === undefined ? role : `${role}, session ${session}`;
}

function subjectPairs({ documentId, subject }: ProofEvidence): [string, string][] {
  if (subject.state === 'erased') {
    const { erasedAt, erasedBy, basis, erased } = subject.tombstone;
    const { document, receipt, archivedAt } = erased;
    return [
      ['Document ID', documentId],
      ['Erased', `${erasedAt}, by ${erasedBy}`],
      ['Basis', basis],
      ['Archived', archivedAt ?? 'unknown: no receipt'],
      ['Erased document', document ? `${formatBytes(document.bytes)}, SHA-256 ${document.sha256}` : 'none'],
      ['Erased receipt', receipt ? `SHA-256 ${receipt.sha256}` : 'none'],
      ['Tombstone', `SHA-256 ${subject.sha256}`],
    ];
  }
  const { reading, bytes, sha256 } = subject;
  const { fileName, customerReference, createdAt, archivedAt, digest } = reading;
  return [
    ['File name', fileName ?? 'not stated by Telnyx'],
    ...(customerReference === undefined
      ? []
      : [['Customer reference', customerReference] as [string, string]]),
    ['Document ID', documentId],
    ['Size', `${bytes} bytes`],
    ['SHA-256', sha256],
    ['Uploaded to Telnyx', instantText(createdAt)],
    ['Archived', instantText(archivedAt)],
    ['Receipt', `SHA-256 ${digest}`],
  ];
}

function instantText(at: number | undefined): string {
  return at === undefined ? 'not stated' : new Date(at).toISOString();
}

function verification({ documentId, subject, chain }: ProofEvidence, checksums: string): Block[] {
  const everyLine = `cat manifests/*/*.txt ${excerptGlob} | sort -u | sha256sum --check --ignore-missing`;
  return [
    {
      text: 'Run these commands in this folder. They need only the tools of GNU coreutils: on Linux they are installed, on macOS the Homebrew package coreutils provides them, on Windows WSL or Git does. Every command must end without FAILED.',
    },
    {
      text: '1. Check that no file of this folder has been changed since it was made. The first command must print the SHA-256 that you were sent.',
    },
    { commands: [`sha256sum ${checksumsName}`, `sha256sum --check ${checksumsName}`] },
    { text: `When the folder was made, it was ${checksums}.` },
    ...(subject.state === 'archived'
      ? [
          {
            text: '2. Check that the document has the bytes that the receipt states: the receipt has the same SHA-256 under object.sha256.',
          },
          { commands: [`sha256sum documents/${documentId}`, `cat receipts/${documentId}.json`] },
          ...(chain.length > 0
            ? [
                {
                  text: '3. Check that document and receipt have the SHA-256 that each manifest states, and that each manifest of which this folder has the complete file has the SHA-256 that the next one states.',
                },
                { commands: [everyLine] },
              ]
            : []),
        ]
      : [
          {
            text: '2. Check that the same tombstone is in the place of document and receipt: the two SHA-256 must be equal. The tombstone states the SHA-256 of what was erased.',
          },
          {
            commands: [
              `sha256sum documents/${documentId} receipts/${documentId}.json`,
              `cat documents/${documentId}`,
            ],
          },
          ...(chain.length > 0
            ? [
                {
                  text: '3. Compare the manifests with the tombstone. Manifests from before the erasure state the SHA-256 of what was erased, as the tombstone does. Manifests from after it state the SHA-256 of the tombstone.',
                },
                { commands: [`sort -k 2 ${excerptGlob} | uniq`] },
              ]
            : []),
        ]),
    ...(chain.length > 0
      ? [
          {
            text: `4. Check the chain. Each manifest names the one before it: its first line is the previous line of ${proofFiles.chain}. The last line of ${proofFiles.chain} is the newest manifest. Ask the owner of the archive for a SHA-256 of a manifest that was kept outside of the archive, and compare.`,
          },
          { commands: [`cat ${proofFiles.chain}`] },
        ]
      : []),
  ];
}

const excerptGlob = `${proofFiles.excerpts}manifests/*/*.txt`;

function fileEntries({
  hasContextTombstone,
  documentId,
  subject,
  contexts,
  holds,
  chain,
  isWithheld,
}: ProofEvidence): [string, string][] {
  const hasRoots = chain.some(({ manifest }) => manifest.stretches);
  return [
    ...(subject.state === 'archived'
      ? ([
          [subject.namedPath, 'the document under its file name, made safe for all file systems'],
          [documentKey(documentId), 'the same bytes under the key that they have in the archive'],
          [
            receiptKey(documentId),
            'the receipt that the archiver wrote when it had archived the document: Telnyx’s record of it, SHA-256, size, time and reason',
          ],
        ] as [string, string][])
      : ([
          [documentKey(documentId), 'the tombstone in the place of the document'],
          [receiptKey(documentId), 'the same tombstone in the place of the receipt'],
        ] as [string, string][])),
    ...(contexts.length > 0
      ? ([
          [`contexts/${documentId}/`, 'the orders, resources and phone numbers that the document belongs to'],
        ] as [string, string][])
      : []),
    ...(hasContextTombstone
      ? ([[contextTombstoneKey(documentId), 'the same tombstone in the place of the contexts']] as [
          string,
          string,
        ][])
      : []),
    ...(holds.length > 0
      ? ([
          [
            `holds/${documentId}/`,
            'who placed or released a hold, when and why; a colon in a file name is written as -',
          ],
        ] as [string, string][])
      : []),
    ...(chain.length > 0
      ? ([
          [
            proofFiles.chain,
            'the manifests from the first that names the document to the newest, oldest first, with their SHA-256',
          ],
          [
            'manifests/',
            `tag files, which name the manifest beside them${hasRoots ? '; root manifests, which name no documents' : ''}`,
          ],
          [
            proofFiles.excerpts,
            `excerpts of the files that also name other documents: the lines about this document, and the line about the previous manifest${isWithheld ? '. In file names, the ID of another document is written as withheld' : ''}`,
          ],
          [proofFiles.wholeFiles, 'the SHA-256 of each complete file of which there is an excerpt'],
        ] as [string, string][])
      : []),
    [checksumsName, 'the SHA-256 of each file of evidence: all files but README.html, README.txt and itself'],
  ];
}

function manifestBlocks({ chain }: ProofEvidence, { place }: ProofOrigin): Block[] {
  // Stryker disable next-line OptionalChaining: the chain is not empty; required by the type.
  const [first, newest] = [chain[0]?.manifest, chain.at(-1)?.manifest];
  const bucket = place.startsWith('s3://');
  return [
    {
      text: 'A manifest lists the SHA-256 of all documents and receipts in the archive at the time when it is written. Each manifest is written once, and names the SHA-256 of the one before it. So nobody can change a document, a receipt or a manifest without changing all later manifests. If somebody has kept the SHA-256 of a manifest outside of the archive since a certain day, then the document had these bytes on that day.',
    },
    {
      pairs: [
        ['Manifests', `${formatCount(chain.length, 'manifest')} since the first that names the document`],
        ['First', describe(first)],
        ['Newest', describe(newest)],
      ],
    },
    {
      text: `This folder must not disclose other documents, so it has only excerpts of the files that name them. Somebody with access to the archive can verify the complete files: each file in ${proofFiles.wholeFiles} must have the SHA-256 stated there, and contain the lines of its excerpt. ${bucket ? 'In a new folder with a copy of whole-files.txt:' : `In ${place}, with the path of whole-files.txt:`}`,
    },
    {
      commands: [
        ...(bucket ? [`aws s3 cp --recursive ${shellWord(`${place}/manifests/`)} manifests/`] : []),
        `sha256sum --check ${proofFiles.wholeFiles}`,
      ],
    },
  ];
}

function describe(manifest: ProofEvidence['chain'][number]['manifest'] | undefined): string {
  // Stryker disable next-line OptionalChaining,ConditionalExpression: it is a manifest, and its key is one; required by the types.
  if (manifest) return `${parseManifestKey(manifest.key)?.timestamp}, SHA-256 ${manifest.sha256}`;
  // Stryker disable next-line StringLiteral: the chain is not empty; required by the type.
  return 'none';
}

function storedBlocks(stored: readonly StoredFacts[]): Block[] {
  return [
    { text: 'When this folder was made, S3 stated the following about the two objects.' },
    ...stored.flatMap(({ key, sha256, versionId, written, others, lock: { held, retention } }): Block[] => [
      { text: key },
      {
        pairs: [
          [
            'Version',
            versionId === 'null'
              ? 'none: the storage has no versions'
              : `${versionId}; ${others === 0 ? 'the only one' : `one of ${others + 1}, with delete markers`}`,
          ],
          ['Written', new Date(written).toISOString()],
          ['Checksum', sha256 === undefined ? 'none' : `SHA-256 ${sha256}`],
          ['Lock', retention ? `${retention.mode} until ${new Date(retention.until).toISOString()}` : 'none'],
          ['Legal hold', held ? 'ON' : 'OFF'],
        ],
      },
    ]),
  ];
}

function holdEntries({ holds }: ProofEvidence): [string, string][] {
  return holds.map(({ action, at, by, reason }) => [at, `${action} by ${by}: ${reason}`]);
}

function contextEntries({ contexts }: ProofEvidence): [string, string][] {
  return contexts.map(({ kind, id, type, reference, numbers = [], learntAt }) => [
    `${type ?? kind} ${id}`,
    [
      ...(reference === undefined ? [] : [`reference ${reference}`]),
      ...(numbers.length > 0 ? [numbers.join(', ')] : []),
      `recorded ${learntAt}`,
    ].join(' · '),
  ]);
}
