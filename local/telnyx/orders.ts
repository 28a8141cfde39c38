/**
 * Porting orders, port-outs and number orders of the stand-in, and the documents that they link, in the format of Telnyx. A document in
 * an order is linked and therefore not deleted after 30 minutes.
 */
import { randomUUID } from 'node:crypto';
import type { Time } from '../../functions/time.ts';
import type { Documents } from './documents.ts';
import { single } from './lists.ts';
import type { Query } from './query.ts';

/** Document IDs by their role in the order. */
export interface PortingOrder {
  id: string;
  customerReference: string;
  loa: string | undefined;
  invoice: string | undefined;
  /** Documents that fulfil requirements. */
  requirements: readonly string[];
  additional: readonly string[];
}

export interface NumberOrder {
  id: string;
  customerReference: string;
  /** The documents that meet the requirements of each phone number. */
  numbers: Readonly<Record<string, readonly string[]>>;
}

type Row = Readonly<Record<string, unknown>>;

interface PortingRows {
  order: Row;
  requirements: readonly Row[];
  additional: readonly Row[];
}

export class Orders {
  readonly #porting = new Map<string, PortingRows>();
  readonly #portOuts = new Map<string, readonly Row[]>();
  readonly #numberOrders = new Map<string, Row>();
  readonly #links: Row[] = [];
  readonly #documents: Documents;
  readonly #time: Time;

  constructor(documents: Documents, time: Time) {
    this.#documents = documents;
    this.#time = time;
  }

  /** Adds an order, or replaces the one with the same ID. @returns its ID, by default a new one */
  addPortingOrder(contents: Partial<PortingOrder>): string {
    const {
      id = randomUUID(),
      customerReference = null,
      loa,
      invoice,
      requirements = [],
      additional = [],
    } = contents;
    const stamps = this.#stamps();
    this.remove(id);
    const fulfilled = requirements.map((documentId) => ({
      record_type: 'porting_requirement',
      field_type: 'document',
      field_value: documentId,
      requirement_type_id: randomUUID(),
    }));
    const textual = {
      record_type: 'porting_requirement',
      field_type: 'textual',
      field_value: 'Example SARL',
      requirement_type_id: randomUUID(),
    };
    this.#porting.set(id, {
      order: {
        id,
        record_type: 'porting_order',
        status: { value: 'draft', details: [] },
        customer_reference: customerReference,
        documents: { loa: loa ?? null, invoice: invoice ?? null },
        requirements: fulfilled,
        ...stamps,
      },
      requirements: [...fulfilled, textual].map(({ requirement_type_id, ...requirement }) => ({
        ...requirement,
        requirement_status: 'requirement-info-pending',
        requirement_type: { id: requirement_type_id, type: requirement.field_type },
      })),
      additional: additional.map((documentId) => {
        const document = this.#documents.get(documentId);
        return {
          id: randomUUID(),
          record_type: 'porting_additional_document',
          document_id: documentId,
          document_type: 'other',
          ...(document && { filename: document.fileName, content_type: document.contentType }),
          porting_order_id: id,
          ...stamps,
        };
      }),
    });
    this.#link(id, 'porting_order', [loa, invoice, ...requirements, ...additional]);
    return id;
  }

  /** @returns the port-out's ID */
  addPortOut(documentIds: readonly string[], id: string = randomUUID()): string {
    const stamps = this.#stamps();
    this.remove(id);
    this.#portOuts.set(
      id,
      documentIds.map((documentId, index) => ({
        id: randomUUID(),
        record_type: 'supporting_document',
        document_id: documentId,
        type: index % 2 === 0 ? 'loa' : 'invoice',
        portout_id: id,
        ...stamps,
      })),
    );
    this.#link(id, 'portout', documentIds);
    return id;
  }

  /** @returns the number order's ID, by default a new one */
  addNumberOrder({ id = randomUUID(), customerReference = '', numbers = {} }: Partial<NumberOrder>): string {
    this.remove(id);
    const requirement = (fieldType: string, value: string) => ({
      record_type: 'phone_number_regulatory_requirement',
      requirement_id: randomUUID(),
      field_type: fieldType,
      field_value: value,
    });
    this.#numberOrders.set(id, {
      id,
      record_type: 'number_order',
      status: 'success',
      requirements_met: true,
      customer_reference: customerReference,
      phone_numbers_count: Object.keys(numbers).length,
      phone_numbers: Object.entries(numbers).map(([number, documentIds]) => ({
        id: randomUUID(),
        record_type: 'number_order_phone_number',
        phone_number: number,
        status: 'success',
        requirements_met: true,
        regulatory_requirements: [
          requirement('textual', 'Example SARL'),
          ...documentIds.map((documentId) => requirement('document', documentId)),
        ],
      })),
      ...this.#stamps(),
    });
    // Telnyx does not document which type and which ID its links of number orders have.
    this.#link(id, 'number_order', Object.values(numbers).flat());
    return id;
  }

  /** Removes the order, as before a `porting_order.deleted` event. Its documents stay linked. */
  remove(id: string): void {
    this.#porting.delete(id);
    this.#portOuts.delete(id);
    this.#numberOrders.delete(id);
    const left = this.#links.filter(({ linked_resource_id }) => linked_resource_id !== id);
    this.#links.splice(0, this.#links.length, ...left);
  }

  /** GET /porting_orders/{id} */
  portingOrder(id: string): Row | undefined {
    return this.#porting.get(id)?.order;
  }

  /** GET /porting_orders/{id}/requirements: those fulfilled by documents, and a textual one. */
  requirements(id: string): readonly Row[] | undefined {
    return this.#porting.get(id)?.requirements;
  }

  /** GET /porting_orders/{id}/additional_documents, newest first by default */
  additionalDocuments(id: string, query: Query): readonly Row[] | undefined {
    const types: readonly unknown[] | undefined = query.get('filter[document_type]');
    const rows = this.#porting
      .get(id)
      ?.additional.filter(({ document_type }) => types === undefined || types.includes(document_type));
    return single(query, 'sort[value]') === 'created_at' ? rows?.reverse() : rows;
  }

  /** GET /number_orders/{id} */
  numberOrder(id: string): Row | undefined {
    return this.#numberOrders.get(id);
  }

  /** GET /portouts/{id}/supporting_documents, which is not paginated */
  supportingDocuments(id: string): readonly Row[] | undefined {
    return this.#portOuts.get(id);
  }

  /** GET /document_links, newest first */
  links(query: Query): readonly Row[] {
    const resourceId = single(query, 'filter[linked_resource_id]');
    const recordType = single(query, 'filter[linked_record_type]');
    return this.#links.filter(
      ({ linked_resource_id, linked_record_type }) =>
        (resourceId === undefined || linked_resource_id === resourceId) &&
        (recordType === undefined || linked_record_type === recordType),
    );
  }

  #link(resourceId: string, recordType: string, documentIds: readonly (string | undefined)[]): void {
    const stamps = this.#stamps();
    const linked = new Set(documentIds.filter((documentId) => documentId !== undefined));
    for (const documentId of linked) this.#documents.link(documentId);
    this.#links.unshift(
      ...[...linked].map((documentId) => ({
        id: randomUUID(),
        record_type: 'document_link',
        document_id: documentId,
        linked_record_type: recordType,
        linked_resource_id: resourceId,
        ...stamps,
      })),
    );
  }

  #stamps() {
    const now = new Date(this.#time.now()).toISOString();
    return { created_at: now, updated_at: now };
  }
}
