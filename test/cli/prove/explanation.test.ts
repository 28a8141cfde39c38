/** What the pages of a proof say, for each kind of document and evidence. */
import { describe, expect, it } from 'vitest';
import type { ProofEvidence, StoredFacts } from '../../../cli/prove/evidence.ts';
import { explainProof, type ProofOrigin } from '../../../cli/prove/explanation.ts';
import { proofPage, proofText } from '../../../cli/prove/proof-pages.ts';
import { contextTombstoneKey, documentKey, receiptKey } from '../../../functions/bucket/keys.ts';
import { manifestKey } from '../../../functions/bucket/manifest-text.ts';

const documentId = '1a3b1e00-0000-4000-8000-000000000000';
const noLock: StoredFacts['lock'] = { held: false, retention: undefined };
const storedAt = (key: string, facts: Partial<StoredFacts> = {}): StoredFacts => ({
  key,
  sha256: 'a'.repeat(64),
  versionId: 'v1',
  written: Date.parse('2026-11-01T00:00:05Z'),
  others: 0,
  lock: noLock,
  ...facts,
});
const link = (timestamp: string, digit: string, stretches?: []): ProofEvidence['chain'][number] => ({
  manifest: { key: manifestKey(timestamp), sha256: digit.repeat(64), predecessor: undefined, stretches },
  named: undefined,
});
const chain = [link('20261101T021500Z', '1'), link('20261108T021500Z', '2', [])];
const reading = {
  digest: 'b'.repeat(64),
  alteration: undefined,
  stated: { bytes: 1_234, sha256: 'a'.repeat(64) },
  archivedAt: Date.parse('2026-11-01T00:00:05Z'),
  createdAt: Date.parse('2026-11-01T00:00:01Z'),
  fileName: 'loa.pdf',
  customerReference: 'PO-1',
  contentType: 'application/pdf',
  trigger: 'sweep',
  versionId: 'v1',
};
const archived: Extract<ProofEvidence['subject'], { state: 'archived' }> = {
  state: 'archived',
  reading,
  bytes: 1_234,
  sha256: 'a'.repeat(64),
  namedPath: 'file/loa.pdf',
};
const tombstone = {
  v: 1,
  state: 'erased',
  documentId,
  erasedAt: '2026-11-20T10:00:00.000Z',
  erasedBy: 'role/erasure',
  basis: 'DSR-1',
  erased: {
    archivedAt: '2026-11-01T00:00:05.000Z',
    document: { bytes: 1_234, sha256: 'a'.repeat(64) },
    receipt: { sha256: 'b'.repeat(64) },
  },
  archiver: '1.0.0',
} as const;
const erased: ProofEvidence['subject'] = { state: 'erased', tombstone, sha256: 'e'.repeat(64) };
const complete: ProofEvidence = {
  documentId,
  subject: archived,
  stored: [
    storedAt(documentKey(documentId), {
      lock: { held: true, retention: { mode: 'COMPLIANCE', until: Date.parse('2033-01-01T00:00:00Z') } },
    }),
    storedAt(receiptKey(documentId)),
  ],
  contexts: [
    {
      v: 1,
      documentId,
      kind: 'porting-order',
      id: 'order-1',
      reference: 'PORT-1',
      numbers: ['+493012345678', '+493012345679'],
      learntAt: '2026-11-02T00:00:00.000Z',
      archiver: '1.0.0',
    },
  ],
  hasContextTombstone: false,
  holds: [
    {
      v: 1,
      documentId,
      action: 'hold',
      at: '2026-11-03T00:00:00.000Z',
      by: 'role/legal',
      reason: 'Case 12',
      archiver: '1.0.0',
    },
  ],
  chain,
  isWithheld: false,
  gaps: [],
};
const origin: ProofOrigin = {
  archive: 'telnyx-archiver in eu-central-1',
  place: 's3://archive',
  operator: { role: 'role/auditor', session: 'jo' },
  madeAt: Date.parse('2026-11-24T12:00:00Z'),
  version: '1.0.0',
};
const textOf = (changes: Partial<ProofEvidence> = {}, from: Partial<ProofOrigin> = {}) => {
  const whole = { ...origin, ...from };
  return proofText(explainProof({ ...complete, ...changes }, whole, 'c'.repeat(64)), whole);
};
/** The headings, in their order. */
const headingsIn = (text: string) => text.match(/^[A-Z][A-Z3 ]+$/gm);
/** The value of a line with a name before it. */
const factIn = (text: string, name: string) => new RegExp(`^  ${name} {2,}(.*)$`, 'm').exec(text)?.[1];

describe('the text of a proof', () => {
  it('explains an archived document', () => {
    expect(textOf()).toMatchInlineSnapshot(`
      "Archived and unchanged: bytes, receipt and 2 manifests agree.

      THE DOCUMENT

        File name           loa.pdf
        Customer reference  PO-1
        Document ID         1a3b1e00-0000-4000-8000-000000000000
        Size                1234 bytes
        SHA-256             aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        Uploaded to Telnyx  2026-11-01T00:00:01.000Z
        Archived            2026-11-01T00:00:05.000Z
        Receipt             SHA-256 bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb

      HOW TO VERIFY IT

      Run these commands in this folder. They need only the tools of GNU coreutils: on Linux they are
      installed, on macOS the Homebrew package coreutils provides them, on Windows WSL or Git does.
      Every command must end without FAILED.

      1. Check that no file of this folder has been changed since it was made. The first command must
      print the SHA-256 that you were sent.

        sha256sum checksums.txt
        sha256sum --check checksums.txt

      When the folder was made, it was cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc.

      2. Check that the document has the bytes that the receipt states: the receipt has the same SHA-256
      under object.sha256.

        sha256sum documents/1a3b1e00-0000-4000-8000-000000000000
        cat receipts/1a3b1e00-0000-4000-8000-000000000000.json

      3. Check that document and receipt have the SHA-256 that each manifest states, and that each
      manifest of which this folder has the complete file has the SHA-256 that the next one states.

        cat manifests/*/*.txt excerpts/manifests/*/*.txt | sort -u | sha256sum --check --ignore-missing

      4. Check the chain. Each manifest names the one before it: its first line is the previous line of
      chain.txt. The last line of chain.txt is the newest manifest. Ask the owner of the archive for a
      SHA-256 of a manifest that was kept outside of the archive, and compare.

        cat chain.txt

      WHAT THE FILES ARE

      file/loa.pdf
        the document under its file name, made safe for all file systems

      documents/1a3b1e00-0000-4000-8000-000000000000
        the same bytes under the key that they have in the archive

      receipts/1a3b1e00-0000-4000-8000-000000000000.json
        the receipt that the archiver wrote when it had archived the document: Telnyx’s record of it,
        SHA-256, size, time and reason

      contexts/1a3b1e00-0000-4000-8000-000000000000/
        the orders, resources and phone numbers that the document belongs to

      holds/1a3b1e00-0000-4000-8000-000000000000/
        who placed or released a hold, when and why; a colon in a file name is written as -

      chain.txt
        the manifests from the first that names the document to the newest, oldest first, with their
        SHA-256

      manifests/
        tag files, which name the manifest beside them; root manifests, which name no documents

      excerpts/
        excerpts of the files that also name other documents: the lines about this document, and the line
        about the previous manifest

      whole-files.txt
        the SHA-256 of each complete file of which there is an excerpt

      checksums.txt
        the SHA-256 of each file of evidence: all files but README.html, README.txt and itself

      WHAT THE MANIFESTS PROVE

      A manifest lists the SHA-256 of all documents and receipts in the archive at the time when it is
      written. Each manifest is written once, and names the SHA-256 of the one before it. So nobody can
      change a document, a receipt or a manifest without changing all later manifests. If somebody has
      kept the SHA-256 of a manifest outside of the archive since a certain day, then the document had
      these bytes on that day.

        Manifests  2 manifests since the first that names the document
        First      20261101T021500Z, SHA-256 1111111111111111111111111111111111111111111111111111111111111111
        Newest     20261108T021500Z, SHA-256 2222222222222222222222222222222222222222222222222222222222222222

      This folder must not disclose other documents, so it has only excerpts of the files that name
      them. Somebody with access to the archive can verify the complete files: each file in
      whole-files.txt must have the SHA-256 stated there, and contain the lines of its excerpt. In a new
      folder with a copy of whole-files.txt:

        aws s3 cp --recursive s3://archive/manifests/ manifests/
        sha256sum --check whole-files.txt

      WHAT S3 STATES

      When this folder was made, S3 stated the following about the two objects.

      documents/1a3b1e00-0000-4000-8000-000000000000

        Version     v1; the only one
        Written     2026-11-01T00:00:05.000Z
        Checksum    SHA-256 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        Lock        COMPLIANCE until 2033-01-01T00:00:00.000Z
        Legal hold  ON

      receipts/1a3b1e00-0000-4000-8000-000000000000.json

        Version     v1; the only one
        Written     2026-11-01T00:00:05.000Z
        Checksum    SHA-256 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        Lock        none
        Legal hold  OFF

      CONTEXTS

      porting-order order-1
        reference PORT-1 · +493012345678, +493012345679 · recorded 2026-11-02T00:00:00.000Z

      HOLDS

      2026-11-03T00:00:00.000Z
        hold by role/legal: Case 12

      THIS PROOF

        Archive    telnyx-archiver in eu-central-1
        Bucket     s3://archive
        Made       2026-11-24T12:00:00.000Z
        Made by    role/auditor, session jo
        Checksums  checksums.txt has the SHA-256 cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc
        Program    telnyx-document-archiver 1.0.0
      "
    `);
  });

  it('explains an erasure', () => {
    const subject = { subject: erased, contexts: [], holds: [], hasContextTombstone: true };

    expect(textOf(subject)).toMatchInlineSnapshot(`
      "Erased: tombstones and 2 manifests agree.

      THE ERASURE

        Document ID      1a3b1e00-0000-4000-8000-000000000000
        Erased           2026-11-20T10:00:00.000Z, by role/erasure
        Basis            DSR-1
        Archived         2026-11-01T00:00:05.000Z
        Erased document  1.2 kB, SHA-256 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        Erased receipt   SHA-256 bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
        Tombstone        SHA-256 eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee

      HOW TO VERIFY IT

      Run these commands in this folder. They need only the tools of GNU coreutils: on Linux they are
      installed, on macOS the Homebrew package coreutils provides them, on Windows WSL or Git does.
      Every command must end without FAILED.

      1. Check that no file of this folder has been changed since it was made. The first command must
      print the SHA-256 that you were sent.

        sha256sum checksums.txt
        sha256sum --check checksums.txt

      When the folder was made, it was cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc.

      2. Check that the same tombstone is in the place of document and receipt: the two SHA-256 must be
      equal. The tombstone states the SHA-256 of what was erased.

        sha256sum documents/1a3b1e00-0000-4000-8000-000000000000 receipts/1a3b1e00-0000-4000-8000-000000000000.json
        cat documents/1a3b1e00-0000-4000-8000-000000000000

      3. Compare the manifests with the tombstone. Manifests from before the erasure state the SHA-256
      of what was erased, as the tombstone does. Manifests from after it state the SHA-256 of the
      tombstone.

        sort -k 2 excerpts/manifests/*/*.txt | uniq

      4. Check the chain. Each manifest names the one before it: its first line is the previous line of
      chain.txt. The last line of chain.txt is the newest manifest. Ask the owner of the archive for a
      SHA-256 of a manifest that was kept outside of the archive, and compare.

        cat chain.txt

      WHAT THE FILES ARE

      documents/1a3b1e00-0000-4000-8000-000000000000
        the tombstone in the place of the document

      receipts/1a3b1e00-0000-4000-8000-000000000000.json
        the same tombstone in the place of the receipt

      contexts/1a3b1e00-0000-4000-8000-000000000000.json
        the same tombstone in the place of the contexts

      chain.txt
        the manifests from the first that names the document to the newest, oldest first, with their
        SHA-256

      manifests/
        tag files, which name the manifest beside them; root manifests, which name no documents

      excerpts/
        excerpts of the files that also name other documents: the lines about this document, and the line
        about the previous manifest

      whole-files.txt
        the SHA-256 of each complete file of which there is an excerpt

      checksums.txt
        the SHA-256 of each file of evidence: all files but README.html, README.txt and itself

      WHAT THE MANIFESTS PROVE

      A manifest lists the SHA-256 of all documents and receipts in the archive at the time when it is
      written. Each manifest is written once, and names the SHA-256 of the one before it. So nobody can
      change a document, a receipt or a manifest without changing all later manifests. If somebody has
      kept the SHA-256 of a manifest outside of the archive since a certain day, then the document had
      these bytes on that day.

        Manifests  2 manifests since the first that names the document
        First      20261101T021500Z, SHA-256 1111111111111111111111111111111111111111111111111111111111111111
        Newest     20261108T021500Z, SHA-256 2222222222222222222222222222222222222222222222222222222222222222

      This folder must not disclose other documents, so it has only excerpts of the files that name
      them. Somebody with access to the archive can verify the complete files: each file in
      whole-files.txt must have the SHA-256 stated there, and contain the lines of its excerpt. In a new
      folder with a copy of whole-files.txt:

        aws s3 cp --recursive s3://archive/manifests/ manifests/
        sha256sum --check whole-files.txt

      WHAT S3 STATES

      When this folder was made, S3 stated the following about the two objects.

      documents/1a3b1e00-0000-4000-8000-000000000000

        Version     v1; the only one
        Written     2026-11-01T00:00:05.000Z
        Checksum    SHA-256 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        Lock        COMPLIANCE until 2033-01-01T00:00:00.000Z
        Legal hold  ON

      receipts/1a3b1e00-0000-4000-8000-000000000000.json

        Version     v1; the only one
        Written     2026-11-01T00:00:05.000Z
        Checksum    SHA-256 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        Lock        none
        Legal hold  OFF

      THIS PROOF

        Archive    telnyx-archiver in eu-central-1
        Bucket     s3://archive
        Made       2026-11-24T12:00:00.000Z
        Made by    role/auditor, session jo
        Checksums  checksums.txt has the SHA-256 cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc
        Program    telnyx-document-archiver 1.0.0
      "
    `);
  });

  it('has neither chain nor manifests when no manifest names the document', () => {
    const ofDocument = textOf({ chain: [] });
    const ofErasure = textOf({ chain: [], subject: erased });

    for (const text of [ofDocument, ofErasure]) {
      expect(text).not.toContain('chain.txt');
      expect(text).not.toContain('excerpts/');
      expect(text).not.toMatch(/^[34]\. /m);
      expect(text).toContain('\n2. ');
    }
    expect(ofDocument).toContain('a colon in a file name is written as -\n\nchecksums.txt\n');
    expect(ofDocument).toMatch(/^Archived and unchanged: bytes, receipt and 0 manifests agree\.\n/);
    expect(headingsIn(ofDocument)).toEqual([
      'THE DOCUMENT',
      'HOW TO VERIFY IT',
      'WHAT THE FILES ARE',
      'WHAT S3 STATES',
      'CONTEXTS',
      'HOLDS',
      'THIS PROOF',
    ]);
  });

  it('begins with the gaps if there are any', () => {
    const text = textOf({ gaps: ['One is missing.', 'Another contradicts it.'] });

    expect(text).toMatch(
      /^Incomplete proof: 2 gaps\.\n\nGAPS OF THIS PROOF\n\nOne is missing\.\n\nAnother contradicts it\.\n\nTHE DOCUMENT\n/,
    );
  });

  it('says what is not known of a document', () => {
    const unknown = { fileName: undefined, customerReference: undefined, createdAt: undefined };
    const text = textOf({ subject: { ...archived, reading: { ...reading, ...unknown } } });

    expect(factIn(text, 'File name')).toBe('not stated by Telnyx');
    expect(text).toMatch(/\n {2}File name .*\n {2}Document ID /);
    expect(factIn(text, 'Uploaded to Telnyx')).toBe('not stated');
  });

  it('says what was not there when the document was erased', () => {
    const text = textOf({ subject: { ...erased, tombstone: { ...tombstone, erased: {} } } });

    expect(factIn(text, 'Archived')).toBe('unknown: no receipt');
    expect(factIn(text, 'Erased document')).toBe('none');
    expect(factIn(text, 'Erased receipt')).toBe('none');
  });

  it('says of a storage without versions and checksums that it has none', () => {
    const text = textOf({
      stored: [storedAt(documentKey(documentId), { versionId: 'null', sha256: undefined })],
    });

    expect(factIn(text, 'Version')).toBe('none: the storage has no versions');
    expect(factIn(text, 'Checksum')).toBe('none');
    expect(factIn(text, 'Lock')).toBe('none');
    expect(factIn(text, 'Legal hold')).toBe('OFF');
  });

  it('counts all versions of a key, with its delete markers', () => {
    const text = textOf({ stored: [storedAt(documentKey(documentId), { others: 2 })] });

    expect(factIn(text, 'Version')).toBe('v1; one of 3, with delete markers');
  });

  it('names a folder once, and gives the command for a copy of it', () => {
    const text = textOf({}, { archive: '/srv/my archive', place: '/srv/my archive' });

    expect(text).toMatch(/\nTHIS PROOF\n\n {2}Archive {4}\/srv\/my archive\n {2}Made /);
    expect(text).not.toContain('aws s3');
    expect(text.replace(/\s+/g, ' ')).toContain(
      'In /srv/my archive, with the path of whole-files.txt: sha256sum --check whole-files.txt ',
    );
  });

  it('names no session if the operator has none', () => {
    expect(factIn(textOf({}, { operator: { role: 'local' } }), 'Made by')).toBe('local');
  });

  it('says that IDs of other documents are withheld', () => {
    expect(textOf({ isWithheld: true }).replace(/\s+/g, ' ')).toContain(
      'the line about the previous manifest. In file names, the ID of another document is written as withheld',
    );
  });

  it('names the first and the newest of many manifests', () => {
    const text = textOf({ chain: [...chain, link('20261115T021500Z', '3')] });

    expect(factIn(text, 'First')).toMatch(/^20261101T021500Z, SHA-256 1/);
    expect(factIn(text, 'Newest')).toMatch(/^20261115T021500Z, SHA-256 3/);
  });

  it('speaks of root manifests only if there are some', () => {
    expect(textOf({ chain: chain.slice(0, 1) })).not.toContain('root manifests');
  });

  it('says of a context what is known, and names a resource by its type', () => {
    const [context] = complete.contexts;
    const { reference: _reference, numbers: _numbers, ...bare } = context as NonNullable<typeof context>;
    const text = textOf({ contexts: [{ ...bare, kind: 'link', type: 'address' }] });

    expect(text).toContain('\naddress order-1\n  recorded 2026-11-02T00:00:00.000Z\n');
  });

  it('escapes what others wrote, so that no name forges a line or reaches a terminal', () => {
    const hostile = 'x\u001b[2J\nTHE DOCUMENT\u202e';
    const text = textOf({
      subject: { ...archived, namedPath: hostile, reading: { ...reading, fileName: hostile } },
      gaps: [hostile],
    });

    expect(text).not.toContain('\u001b');
    expect(text).not.toContain('\u202e');
    expect(headingsIn(text)?.filter((heading) => heading === 'THE DOCUMENT')).toHaveLength(1);
  });
});

describe('the page of a proof', () => {
  const pageOf = (changes: Partial<ProofEvidence> = {}) =>
    proofPage(explainProof({ ...complete, ...changes }, origin, 'c'.repeat(64)), origin);

  it('has the same sections, commands, names and values as the text', async () => {
    const page = await pageOf();

    expect([...page.matchAll(/<h2>(.*?)<\/h2>/g)].map(([, heading]) => heading?.toUpperCase())).toEqual(
      headingsIn(textOf()),
    );
    expect(page).toContain('<title>Archived and unchanged: bytes, receipt and 2 manifests agree</title>');
    expect(page).toContain('<pre class="commands">sha256sum --check checksums.txt</pre>\n');
    expect(page).toContain(
      `<p><span class="key">${contextTombstoneKey(documentId).replace(/\.json$/, '/')}</span><br>the orders, resources and phone numbers`,
    );
    expect(page).toContain('<div><dt>File name</dt><dd>loa.pdf</dd></div>');
    expect(page).toContain(
      '<p>When this folder was made, S3 stated the following about the two objects.</p>\n',
    );
    expect(page).toContain('Telnyx document archive · Proof of one document');
    expect(page).toContain('This page contains the file name, the reference and the history of the document');
  });

  it('shows at once whether the proof has gaps', async () => {
    const verdictIn = (page: string) => /<header class="([a-z]+)">/.exec(page)?.[1];

    expect(verdictIn(await pageOf())).toBe('ok');
    expect(verdictIn(await pageOf({ gaps: ['x'] }))).toBe('incomplete');
  });
});
