/** Checks that each receipt contains the text of Telnyx's current record. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pLimit from 'p-limit';
import { receiptKey } from '../../functions/bucket/keys.ts';
import type { StandIn } from '../../local/telnyx/stand-in.ts';
import type { TraitName } from './traits.ts';

/** Traits whose records are reduced to the specified fields. */
const cutTraits: ReadonlySet<TraitName | undefined> = new Set(['oversized record', 'nested record']);
/** Maximum size of a receipt with a reduced record. */
const maxBytes = 16 * 1024;
const atOnce = 8;

/**
 * @param standIn must inject only the faults of its records
 * @returns the problems found
 */
export async function checkReceipts(
  archive: string,
  standIn: StandIn,
  apiKey: string,
  traitOf: (fileName: string) => TraitName | undefined,
): Promise<string[]> {
  const problems = await pLimit(atOnce).map(standIn.documents.all(), async ({ id, fileName }) => {
    const receipt = await readIfExists(join(archive, receiptKey(id)));
    if (receipt === undefined) return [];
    const trait = traitOf(fileName);
    const problem = problemOf(receipt, await recordText(standIn.url, apiKey, id), cutTraits.has(trait));
    return problem === undefined ? [] : [`the receipt of ${id} (${trait ?? 'ordinary'}): ${problem}`];
  });
  return problems.flat();
}

function problemOf(receipt: string, record: string, isCut: boolean): string | undefined {
  if (!isCut) {
    return receipt.endsWith(`,\n  "telnyx": ${record}\n}\n`)
      ? undefined
      : "it does not end with the text of Telnyx's record";
  }
  if (Buffer.byteLength(receipt) > maxBytes) return `it has ${Buffer.byteLength(receipt)} bytes`;
  const { telnyxCut, telnyx } = JSON.parse(receipt);
  if (telnyxCut !== true) return 'telnyxCut is not true';
  const whole = JSON.parse(record);
  const kept = ['id', 'filename', 'created_at', 'sha256'].every((name) => telnyx[name] === whole[name]);
  return kept ? undefined : 'it lacks the specified fields';
}

/** Unwraps the response of the stand-in: `{"data":…}`. */
async function recordText(url: string, apiKey: string, id: string): Promise<string> {
  const answer = await fetch(`${url}/documents/${id}`, {
    headers: { authorization: `Bearer ${apiKey}` },
  });
  return (await answer.text()).slice('{"data":'.length, -1);
}

async function readIfExists(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
