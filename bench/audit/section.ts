/** Audits of archives of several sizes: time, memory, requests. */
import type { Row, Section } from '../figures.ts';
import { measureAudit } from './measure.ts';

const audits: [documents: number, ...flags: string[]][] = [
  [20_000],
  [100_000],
  [100_000, '--quick'],
  [1_000_000, '--quick'],
];

export const auditSection: Section = {
  name: 'audit',
  title: 'Audits that find a defect in every ten thousandth document',
  short: false,
  run: async ({ report }) => {
    const rows: Row[] = [];
    for (const [documents, ...flags] of audits) {
      report(`${documents} ${flags.join(' ')}`);
      rows.push(await measureAudit(documents, flags));
    }
    return {
      figures: [],
      tables: [{ title: 'Documents', rows }],
      notes: [
        'A full audit of a million documents takes more than half an hour: node bench/audit/main.ts 1000000',
      ],
    };
  },
};
