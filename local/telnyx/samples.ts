/** Sample documents: the files in `local/samples`, and a generated file of 20 MB, the limit of Telnyx. */
import { readdir, readFile } from 'node:fs/promises';
import type { Document, Documents } from './documents.ts';

const folder = new URL('../samples/', import.meta.url);
const largestBytes = 20_000_000;
/** Constant, so that an audit after the next start finds the creation times that the receipts have. */
const firstCreatedAt = Date.UTC(2026, 9, 25, 8);

/** Adds the samples, created one hour apart, with the same IDs and times at every start. */
export async function addSamples(documents: Documents): Promise<Document[]> {
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
        createdAt: firstCreatedAt + index * 3_600_000,
        customerReference: `SAMPLE-${index + 1}`,
        linked: true,
      }),
    );
  }
  return added;
}

/** A valid PDF with one page, an image of noise, so that it does not compress. */
function largeScan(): Buffer {
  const [width, height] = [4_000, 4_990];
  const pixels = noise(width * height);
  const draw = 'q 595 0 0 842 0 0 cm /Scan Do Q';
  const image =
    `/Type /XObject /Subtype /Image /Width ${width} /Height ${height} ` +
    `/ColorSpace /DeviceGray /BitsPerComponent 8 /Length ${pixels.length}`;
  const objects = [
    ['<< /Type /Catalog /Pages 2 0 R >>'],
    ['<< /Type /Pages /Kids [3 0 R] /Count 1 >>'],
    [
      '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R ' +
        '/Resources << /XObject << /Scan 5 0 R >> >> >>',
    ],
    [`<< /Length ${draw.length} >>\nstream\n${draw}\nendstream`],
    [`<< ${image} >>\nstream\n`, pixels, '\nendstream'],
  ];

  const chunks: Buffer[] = [];
  let length = 0;
  const write = (chunk: string | Buffer) => {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk;
    chunks.push(bytes);
    length += bytes.length;
  };
  write('%PDF-1.4\n');
  let table = `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n`;
  for (const [index, parts] of objects.entries()) {
    table += `${String(length).padStart(10, '0')} 00000 n \n`;
    for (const part of [`${index + 1} 0 obj\n`, ...parts, '\nendobj\n']) write(part);
  }
  const end = (tableAt: number) =>
    `${table}trailer\n<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${tableAt}\n%%EOF\n`;
  // A comment pads the file to the exact size. The offset of the table has the same number of digits with and without it.
  write(`%${' '.repeat(largestBytes - length - end(length).length - 2)}\n`);
  write(end(length));
  return Buffer.concat(chunks);
}

/** Deterministic noise. @param length divisible by 4 */
function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 1;
  for (let at = 0; at < length; at += 4) {
    // Constants of Numerical Recipes' linear congruential generator.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes.writeUInt32LE(state, at);
  }
  return bytes;
}
