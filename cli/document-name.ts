/** What a person knows a document by. Only its ID is in a message or a dead letter. */
import type { Receipt } from '../functions/bucket/receipts.ts';

export interface DocumentName {
  fileName: string | undefined;
  customerReference: string | undefined;
}

/** @param record Telnyx's record of the document, from Telnyx or from the receipt */
export function nameInRecord({ filename, customer_reference }: Receipt['telnyx']): DocumentName {
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);
  return { fileName: text(filename), customerReference: text(customer_reference) };
}

/** `"loa.pdf" (PO-1)`, or as much of it as is known. */
export function formatName({ fileName, customerReference }: DocumentName): string {
  return [
    ...(fileName === undefined ? [] : [`"${fileName}"`]),
    ...(customerReference === undefined ? [] : [`(${customerReference})`]),
  ].join(' ');
}
