/** An ordinary night of the audit function: nothing new, so it reads the share of the day. */
import { concurrency } from '../../functions/limits.ts';
import { exact, type Figure, type Row, type Section, spreadOf } from '../figures.ts';
import { documents, measureNight, measureParts, measureTelnyx, type NightParts } from './measure.ts';
import type { TimedDelivery } from './worker.ts';

/** Lambda gives a function of 1,769 MB one virtual processor, and others in proportion (AWS Lambda developer guide). */
const processorShare = 1_024 / 1_769;
const cases: [parts: number, perPart: number][] = [
  [1, 25_000],
  [4, 25_000],
  [1, 10_000],
  [1, 50_000],
];
const targetMinutes = 6;

export const nightSection: Section = {
  name: 'night',
  title: `Audit function, an ordinary night of ${documents.toLocaleString('en')} documents at 20 ms per request`,
  short: false,
  run: async ({ full, report }) => {
    const measured: NightParts[] = [];
    for (const [parts, perPart] of cases) {
      report(`${parts} × ${perPart} documents`);
      measured.push(await measureParts(parts, perPart));
    }
    report('Telnyx’s list');
    const telnyx = await measureTelnyx();
    report('a whole night in virtual time');
    const sample = full ? 1 : 10;
    const night = await measureNight(sample);
    const [one, four, small, large] = measured as [NightParts, NightParts, NightParts, NightParts];

    // All parts of documents, as many at a time as are invoked, then the part of Telnyx's list.
    const rounds = Math.ceil((night.parts - 2) / concurrency.audit);
    const total = (of: keyof TimedDelivery) =>
      one.start[of] + rounds * medianOf(one, of) + medianOf(telnyx, of);
    const minutes = (name: string, ms: number): Figure => ({
      name,
      unit: 'min',
      value: exact(ms / 60_000),
      target: { atMost: targetMinutes },
    });
    const megabytes = (name: string, value: number): Figure => ({ name, unit: 'MB', value: exact(value) });
    const rows: Row[] = [
      ...cases.map(([parts, perPart], position) =>
        rowOf(`${parts} × ${perPart.toLocaleString('en')}`, measured[position] as NightParts),
      ),
      rowOf('Telnyx’s list, share of the day', telnyx),
    ];
    return {
      figures: [
        minutes('Virtual time of a whole night: waits for requests alone', night.virtualMs),
        minutes(
          'The same plus the CPU time of the longest way, with the processor of 1,024 MB',
          night.virtualMs + total('cpuMs') / processorShare,
        ),
        minutes('Real processes: start, rounds of 20 parts, Telnyx’s list, one after the other', total('ms')),
        { name: 'Longest delivery in virtual time', unit: 's', value: exact(night.longestMs / 1_000) },
        megabytes('Peak memory, 4 parts minus 1 part', four.peakMb - one.peakMb),
        megabytes('Peak memory, part of 50,000 minus part of 10,000', large.peakMb - small.peakMb),
      ],
      tables: [{ title: 'Parts of a night, one process each', rows }],
      notes: [
        `The night has ${night.parts} parts: ${rounds} rounds of documents, and Telnyx’s list.`,
        ...(sample > 1 ? [`In virtual time, one of ${sample} parts of documents was done.`] : []),
      ],
    };
  },
};

function rowOf(name: string, { parts, tally, peakMb }: NightParts): Row {
  const seconds = (of: keyof TimedDelivery) => spreadOf(parts.map((part) => part[of] / 1_000));
  return {
    name,
    values: {
      'seconds per part': seconds('ms'),
      'CPU seconds per part': seconds('cpuMs'),
      'requests, all parts': exact(tally.requests),
      'objects read, all parts': exact(tally.objectsRead),
      'peak MB': exact(peakMb),
    },
  };
}

function medianOf({ parts }: NightParts, of: keyof TimedDelivery): number {
  return spreadOf(parts.map((part) => part[of])).median;
}
