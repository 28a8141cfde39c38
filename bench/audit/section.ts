/** Audits of archives of several sizes: time, memory, requests. */
import type { Measured, Section } from '../figures.ts';
import { measureAudit } from './measure.ts';

const audits: [documents: number, ...flags: string[]][] = [
  [20_000],
  [100_000],
  [100_000, '--quick'],
  [1_000_000, '--quick'],
];

export const auditing: Section = {
  name: 'audit',
  title: 'Audits; a defect in every ten thousandth document is found',
  short: false,
  run: async ({ say }) => {
    const rows: Measured[] = [];
    for (const [documents, ...flags] of audits) {
      say(`${documents} ${flags.join(' ')}`);
      rows.push(await measureAudit(documents, flags));
    }
    return {
      figures: [],
      tables: [{ title: 'Documents', rows }],
      notes: [
        'Of a million with all that an audit does: node bench/audit/main.ts 1000000, half an hour and more.',
      ],
    };
  },
};
