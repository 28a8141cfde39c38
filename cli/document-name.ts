/** What a person knows a document by. Only its ID is in a message or a dead letter. */
import { type Fields, readFacts, type StatedFacts } from '../functions/telnyx/record.ts';

export type DocumentName = Pick<StatedFacts, 'fileName' | 'customerReference'>;

/** @param record Telnyx's record of the document, from Telnyx or from the receipt */
export function nameInRecord(record: Fields): DocumentName {
  const { fileName, customerReference } = readFacts(record).facts;
  return { fileName, customerReference };
}

/** `loa.pdf · reference PO-1`, or as much of it as is known. */
export function formatName({ fileName, customerReference }: Partial<DocumentName>): string {
  const reference = customerReference === undefined ? [] : [`reference ${customerReference}`];
  return [...(fileName === undefined ? [] : [fileName]), ...reference].join(' · ');
}
