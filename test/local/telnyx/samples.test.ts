import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { systemTime } from '../../../functions/time.ts';
import { Documents } from '../../../local/telnyx/documents.ts';
import { sampleFaults } from '../../../local/telnyx/faults.ts';
import { addSamples } from '../../../local/telnyx/samples.ts';

describe('the sample documents', () => {
  const samples = new Map<string, { id: string; sha256: string; bytes: Buffer }>();

  beforeAll(async () => {
    const storage = await mkdtemp(join(tmpdir(), 'telnyx-test-'));
    const documents = new Documents({ storage, time: systemTime, expire: false });
    for (const { id, fileName, sha256 } of await addSamples(documents)) {
      samples.set(fileName, { id, sha256, bytes: await readFile(join(storage, id)) });
    }
    return () => rm(storage, { recursive: true, force: true });
  });

  const bytesOf = (fileName: string) => {
    const sample = samples.get(fileName);
    if (!sample) throw new Error(`There is no sample ${fileName}.`);
    return sample.bytes;
  };

  it('have common file types and sizes from 0 bytes to 20 MB, the limit of Telnyx', () => {
    const types = [...samples.keys()].map((name) => name.replace(/.*\./, ''));

    expect(new Set(types)).toEqual(new Set(['pdf', 'png', 'jpg', 'csv', 'docx', 'txt']));
    const sizes = [...samples.values()].map(({ bytes }) => bytes.length).sort((a, b) => a - b);
    expect(sizes[0]).toBe(0);
    expect(sizes.at(-1)).toBe(20_000_000);
    expect(sizes.slice(0, -1).reduce((sum, bytes) => sum + bytes)).toBeLessThan(150_000);
  });

  it('have the signatures of their file types', () => {
    expect(bytesOf('Passport scan.png').subarray(0, 8)).toEqual(Buffer.from('89504e470d0a1a0a', 'hex'));
    expect(bytesOf('Passport scan.png').subarray(-8, -4).toString()).toBe('IEND');
    expect(bytesOf('Utility bill.jpg').subarray(0, 3)).toEqual(Buffer.from('ffd8ff', 'hex'));
    expect(bytesOf('Utility bill.jpg').subarray(-2)).toEqual(Buffer.from('ffd9', 'hex'));
    expect(bytesOf('Requirements.docx').subarray(0, 4)).toEqual(Buffer.from('PK\x03\x04'));
    expect(bytesOf('Requirements.docx').includes('word/document.xml')).toBe(true);
  });

  it.each(['Letter of authorisation.pdf', 'Vollmacht Müller – 2026.pdf', 'Scanned contract.pdf'])(
    'include %s as a PDF with a valid cross-reference table',
    (fileName) => {
      const pdf = bytesOf(fileName).toString('latin1');

      const [, start] = /startxref\n(\d+)\n%%EOF\n$/.exec(pdf.slice(-64)) ?? [];
      const table = /^xref\n0 (\d+)\n([\s\S]*?)trailer/.exec(pdf.slice(Number(start)));
      const offsets = table?.[2]?.match(/\d{10} \d{5} [fn] \n/g) ?? [];

      expect(offsets).toHaveLength(Number(table?.[1]));
      for (const [number, entry] of offsets.entries()) {
        if (number === 0) continue;
        const at = Number.parseInt(entry, 10);
        expect(pdf.slice(at, at + 7)).toBe(`${number} 0 obj`);
      }
    },
  );

  it('are the same at every start, including the generated file of 20 MB', () => {
    for (const [fileName, { sha256, bytes }] of samples) {
      expect(createHash('sha256').update(bytes).digest('hex'), fileName).toBe(sha256);
    }
    const scan = samples.get('Scanned contract.pdf');
    expect(scan?.id).toBe('5a3b1e00-0000-4000-8000-000000000009');
    expect(scan?.sha256).toBe('df0c0c9c108cf75ffc780d87254090cc4bd2ccfd530d71cb3d34b32cd6758195');
  });

  it('have the same creation times at every start, so that a later audit finds no difference', async () => {
    const storage = await mkdtemp(join(tmpdir(), 'telnyx-test-'));
    onTestFinished(() => rm(storage, { recursive: true, force: true }));
    const startAt = async (now: number) => {
      const time = { ...systemTime, now: () => now };
      const added = await addSamples(new Documents({ storage, time, expire: false }));
      return added.map(({ createdAt }) => createdAt);
    };

    const first = await startAt(Date.parse('2026-11-20T10:00:00Z'));
    const later = await startAt(Date.parse('2026-11-27T10:00:00Z'));

    expect(new Set(first).size).toBe(9);
    expect(later).toEqual(first);
  });

  it('include all documents of the sample faults', () => {
    for (const { document } of sampleFaults) expect([...samples.keys()]).toContain(document);
  });
});
