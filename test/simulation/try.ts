import { faultProfiles } from './faults.ts';
import { simulateAudits } from './simulate-audits.ts';
import { withSmallParts } from './small-parts.ts';

const [profile = 'none', from = '1', runs = '1'] = process.argv.slice(2);
await withSmallParts(undefined, async (archiver) => {
  for (let seed = Number(from); seed < Number(from) + Number(runs); seed += 1) {
    const began = performance.now();
    const outcome = await simulateAudits({
      seed,
      documents: 40,
      profile: faultProfiles[profile as 'none'],
      archiver,
    });
    console.log(
      seed,
      outcome.events,
      outcome.archived,
      `${Math.round(performance.now() - began)} ms`,
      [...outcome.counts]
        .filter(([name]) => name.startsWith('audit') || name.startsWith('operator'))
        .join(' '),
    );
    if (outcome.violation) {
      console.log(outcome.excerpt.slice(-70).join('\n'));
      const subject = outcome.violation.subject;
      if (process.env.ALL) console.log([...outcome.lines()].slice(-Number(process.env.ALL)).join('\n'));
      void subject;
      break;
    }
  }
});
process.exit();
