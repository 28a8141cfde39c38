/** A small account: the real files in `local/samples`, and one of 20 MB, Telnyx's limit, that is made on the spot. */
import { readdir, readFile } from 'node:fs/promises';
import type { Document, Documents } from './documents.ts';

const folder = new URL('../samples/', import.meta.url);
const largestBytes = 20_000_000;
const aMonthMs = 30 * 24 * 3_600_000;

/** Adds the samples, each uploaded an hour after the one before, with the same ids at every start. */
export async function addSamples(documents: Documents, now: number): Promise<Document[]> {
  const names = (await readdir(folder)).sort();
  const files: { name: string; bytes: Buffer }[] = await Promise.all(
    names.map(async (name) => ({ name, bytes: await readFile(new URL(encodeURIComponent(name), folder)) })),
  );
  files.push({ name: 'Scanned contract.pdf', bytes: largeScan() });
  const added: Document[] = [];
  for (const [index, { name, bytes }] of files.entries()) {
    const number = String(index + 1).padStart(12, '0');
    added.push(
      await documents.add(name, bytes, {
        id: `5a3b1e00-0000-4000-8000-${number}`,
        createdAt: now - aMonthMs + index * 3_600_000,
        customerReference: `SAMPLE-${index + 1}`,
        linked: true,
      }),
    );
  }
  return added;
}

/** A PDF whose one page is followed by a comment of noise: it opens, and it does not compress. */
function largeScan(): Buffer {
  const page = Buffer.from(
    '%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [3 0 R] /Count 1 >>\nendobj\n' +
      '3 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>\nendobj\n4 0 obj\n<< /Length ',
  );
  const end = Buffer.from('\nendstream\nendobj\ntrailer << /Root 1 0 R >>\n%%EOF\n');
  const head = Buffer.concat([page, Buffer.from(`${largestBytes - 400} >>\nstream\n`)]);
  const noise = Buffer.alloc(largestBytes - head.length - end.length);
  let state = 1;
  for (let i = 0; i < noise.length; i += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    if (i + 4 <= noise.length) noise.writeUInt32LE(state, i);
  }
  return Buffer.concat([head, noise, end]);
}
