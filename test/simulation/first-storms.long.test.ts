import { it } from 'vitest';
import { weatherStorms } from './storms.ts';

it('loses nothing in a hundred storms, each with other faults and other documents', async () => {
  await weatherStorms(0);
}, 600_000);
