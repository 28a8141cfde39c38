/** Whether each receipt holds Telnyx's record as its own text, compared with what Telnyx says now. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pLimit from 'p-limit';
import { receiptKey } from '../../functions/bucket/keys.ts';
import { localApiKey } from '../../local/neighbours.ts';
import type { StandIn } from '../../local/telnyx/stand-in.ts';
import type { TraitName } from './traits.ts';

/** Records that are kept with their specified fields alone. */
const cutTraits: ReadonlySet<TraitName | undefined> = new Set(['oversized record', 'nested record']);
/** Of a receipt with a record that is cut. */
const mostBytes = 16 * 1024;
const atOnce = 8;

/**
 * @param standIn with the faults of its records and no others
 * @returns what is wrong
 */
export async function checkReceipts(
  archive: string,
  standIn: StandIn,
  traitOf: (fileName: string) => TraitName | undefined,
): Promise<string[]> {
  const problems = await pLimit(atOnce).map(standIn.documents.all(), async ({ id, fileName }) => {
    const receipt = await readOrNothing(join(archive, receiptKey(id)));
    if (receipt === undefined) return [];
    const trait = traitOf(fileName);
    const problem = problemOf(receipt, await recordText(standIn.url, id), cutTraits.has(trait));
    return problem === undefined ? [] : [`the receipt of ${id} (${trait ?? 'ordinary'}): ${problem}`];
  });
  return problems.flat();
}

function problemOf(receipt: string, record: string, isCut: boolean): string | undefined {
  if (!isCut) {
    return receipt.endsWith(`,\n  "telnyx": ${record}\n}\n`)
      ? undefined
      : "it does not end with Telnyx's text";
  }
  if (Buffer.byteLength(receipt) > mostBytes) return `it has ${receipt.length} characters`;
  const { telnyxCut, telnyx } = JSON.parse(receipt);
  if (telnyxCut !== true) return 'it does not say that the record is cut';
  const whole = JSON.parse(record);
  const kept = ['id', 'filename', 'created_at', 'sha256'].every((name) => telnyx[name] === whole[name]);
  return kept ? undefined : 'the specified fields are not in it';
}

/** The stand-in answers with `{"data":…}`. */
async function recordText(url: string, id: string): Promise<string> {
  const answer = await fetch(`${url}/documents/${id}`, {
    headers: { authorization: `Bearer ${localApiKey}` },
  });
  return (await answer.text()).slice('{"data":'.length, -1);
}

async function readOrNothing(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
