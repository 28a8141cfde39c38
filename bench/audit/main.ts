/** Runs one audit of an archive of any size: `node bench/audit/main.ts <documents> [audit options]`, such as `1000000 --quick`. */
import { printResults } from '../print.ts';
import { measureAudit } from './measure.ts';

const [documents = '1000000', ...flags] = process.argv.slice(2);
const row = await measureAudit(Number(documents), flags);
printResults({ figures: [], tables: [{ title: 'Audit', rows: [row] }] });
