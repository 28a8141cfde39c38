/** Porting orders and port-outs of the stand-in, and the documents that they link, in Telnyx's shapes. */
import { randomUUID } from 'node:crypto';

export interface PortingOrder {
  id: string;
  loa?: string;
  invoice?: string;
  /** Documents that fulfil requirements. */
  requirements: string[];
  additional: string[];
}

export class Orders {
  readonly #porting = new Map<string, PortingOrder>();
  readonly #portOuts = new Map<string, readonly string[]>();

  addPortingOrder(order: Partial<PortingOrder>): string {
    const id = order.id ?? randomUUID();
    this.#porting.set(id, { requirements: [], additional: [], ...order, id });
    return id;
  }

  addPortOut(documentIds: readonly string[]): string {
    const id = randomUUID();
    this.#portOuts.set(id, documentIds);
    return id;
  }

  /** GET /porting_orders/{id} */
  portingOrder(id: string): object | undefined {
    const order = this.#porting.get(id);
    return (
      order && {
        id,
        record_type: 'porting_order',
        documents: { loa: order.loa ?? null, invoice: order.invoice ?? null },
        requirements: order.requirements.map(requirement),
      }
    );
  }

  /** GET /porting_orders/{id}/requirements: textual ones beside those that a document fulfils. */
  requirements(id: string): object[] | undefined {
    const order = this.#porting.get(id);
    return order && [...order.requirements.map(requirement), textual];
  }

  /** GET /porting_orders/{id}/additional_documents */
  additionalDocuments(id: string): object[] | undefined {
    return this.#porting.get(id)?.additional.map((documentId) => ({
      id: randomUUID(),
      document_id: documentId,
      document_type: 'other',
      record_type: 'porting_additional_document',
    }));
  }

  /** GET /portouts/{id}/supporting_documents, which has no pages */
  supportingDocuments(id: string): object[] | undefined {
    return this.#portOuts.get(id)?.map((documentId) => ({
      id: randomUUID(),
      document_id: documentId,
      type: 'loa',
      portout_id: id,
      record_type: 'portout_supporting_document',
    }));
  }

  /** GET /document_links?filter[linked_resource_id]= */
  links(resourceId: string): object[] {
    const order = this.#porting.get(resourceId);
    return [order?.loa, order?.invoice].flatMap((documentId) =>
      documentId === undefined
        ? []
        : {
            id: randomUUID(),
            document_id: documentId,
            linked_record_type: 'porting_order',
            linked_resource_id: resourceId,
            record_type: 'document_link',
          },
    );
  }
}

function requirement(documentId: string) {
  return { requirement_type_id: randomUUID(), field_type: 'document', field_value: documentId };
}

const textual = { requirement_type_id: randomUUID(), field_type: 'textual', field_value: 'Example SARL' };
