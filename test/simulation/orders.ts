/** Orders at the simulated Telnyx: how they are made, and what Telnyx states of a number order. */
import type { Order, OrderSection } from './account.ts';
import { canary } from './canary.ts';
import type { RandomSource } from './random.ts';

const minute = 60_000;

const sectionsOf = {
  'porting-order': ['loa', 'invoice', 'requirement', 'requirements', 'additional', 'links'],
  'port-out': ['supporting', 'links'],
  'number-order': ['numbers', 'numbers', 'links'],
} as const satisfies Record<Order['kind'], readonly OrderSection[]>;

/** One order with all documents, or two porting orders that share them. */
export function ordersOf(
  group: readonly { id: string }[],
  createdAt: number,
  random: RandomSource,
): [Order, ...Order[]] {
  const isSplit = group.length > 1 && random.chance(0.3);
  const kind = isSplit
    ? 'porting-order'
    : random.pick(['porting-order', 'port-out', 'number-order', 'number-order'] as const);
  const newOrder = (): Order => ({
    id: random.uuid(),
    kind,
    reference: random.pick([undefined, `${canary} order`, 'x'.repeat(600)]),
    createdAt,
    goneAt: random.chance(0.3) ? createdAt + random.integer(1, 20) * minute : Number.POSITIVE_INFINITY,
    documents: [],
  });
  const orders: [Order, ...Order[]] = isSplit ? [newOrder(), newOrder()] : [newOrder()];
  for (const { id } of group) {
    const order = random.pick(orders);
    const free = sectionsOf[kind].filter(
      (section) =>
        (section !== 'loa' && section !== 'invoice') ||
        !order.documents.some((other) => other.section === section),
    );
    const section = random.pick(free);
    const numbers = section === 'numbers' ? phoneNumbers(random) : undefined;
    order.documents.push({ id, section, numbers });
  }
  return orders;
}

/** Some of a few numbers, so that the numbers of an order share documents. Neither sorted nor unique. */
function phoneNumbers(random: RandomSource): string[] {
  return Array.from({ length: random.integer(1, 4) }, () => `+3310000000${random.integer(0, 5)}`);
}

/** Telnyx's record of a number order. */
export function numberOrderRecord({
  id,
  reference,
  documents,
}: Pick<Order, 'id' | 'reference' | 'documents'>) {
  const requirement = (field_type: string, field_value: string) => ({
    requirement_id: 'r',
    field_type,
    field_value,
  });
  const numbers = new Set(documents.flatMap((document) => document.numbers ?? []));
  return {
    id,
    record_type: 'number_order',
    customer_reference: reference,
    phone_numbers: [...numbers].map((phone_number) => ({
      phone_number,
      regulatory_requirements: [
        requirement('address', '2791500000000000000'),
        requirement('textual', canary),
        ...documents
          .filter((document) => document.numbers?.includes(phone_number))
          .map((document) => requirement('document', document.id)),
      ],
    })),
  };
}
